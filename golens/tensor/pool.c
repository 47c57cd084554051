/* The pool: memory for tensors that come and go.
 *
 * Fresh pages cost more than most of the work done in them, so what is released rests here for the
 * next run. Extents are cut from large regions: the one that fits best is taken and what is left of
 * it stays free; an extent that is given back joins its free neighbours. So runs of any lengths use
 * the same memory, and the pool has about as much of it as was in use at once.
 *
 * Every page knows the epoch in which it was last in use. An epoch is a number of extents taken,
 * not a time. At its end free pages that nobody used for some epochs go back to the system, on the
 * thread that took the last extent; giving back never does more than it must. */
#define _GNU_SOURCE
#include "pool.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define HIDE(p, n) ASAN_POISON_MEMORY_REGION(p, (size_t)(n))
#define SHOW(p, n) ASAN_UNPOISON_MEMORY_REGION(p, (size_t)(n))
#define GAP 64 /* hidden bytes behind each extent */
#else
#define HIDE(p, n) ((void)0)
#define SHOW(p, n) ((void)0)
#define GAP 0
#endif

#define GRAIN ((int64_t)64)
#define HUGE_BYTES ((int64_t)2 << 20)
/* Small extents have regions of their own: they often last, and would cut up the room for large
 * ones. */
#define LARGE ((int64_t)32 << 10)
#define SMALL_REGION ((int64_t)2 << 20)
#define LARGE_REGION ((int64_t)64 << 20)
#define MOST ((int64_t)1 << 46)

#define EPOCH 16384 /* extents taken: about a hundred runs of a small model */
#define EPOCHS_KEPT 4
/* After the pool has grown by so much, it is compared with what the system has left. */
#define GROWTH ((int64_t)256 << 20)

#define BINS (40 * 8)
#define WALK 16 /* extents of one bin that are compared */

typedef struct region {
    char *data;
    int64_t bytes;
    int large;
    /* By page: 0 while it was never used, or was given back to the system; else the epoch in which
     * it was last in use. Of whole pages within an extent that is neither free nor in use, it
     * belongs to who holds that extent; else to the lock. */
    uint8_t used[];
} region;

struct tlg_extent {
    tlg_extent *before, *behind; /* neighbours in the region, NULL at its ends */
    tlg_extent *last, *next;     /* in the bin, of a free one */
    region *region;
    char *data;
    int64_t bytes;
    int free, whole; /* whole: it is being given to the system with its region */
};

/* Free extents of one kind of regions, by size: eight bins for each power of two. */
typedef struct {
    tlg_extent *first[BINS];
    uint64_t filled[BINS / 64]; /* a bit for each bin that is not empty */
} shelf;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static shelf shelves[2];     /* small, large */
static int64_t held, in_use; /* bytes: of pages that were used and not given back; of extents */
static int64_t grown;        /* by which held grew since it was compared with what is left */
static int64_t taken;        /* extents, in this epoch */
static uint8_t epoch = 1;    /* 1 to 255, and again */

static int64_t page_bytes(void) {
    static int64_t known;
    int64_t n = __atomic_load_n(&known, __ATOMIC_RELAXED);
    if (!n)
        __atomic_store_n(&known, n = sysconf(_SC_PAGESIZE), __ATOMIC_RELAXED);
    return n;
}

static int bin_of(int64_t bytes) {
    uint64_t n = (uint64_t)(bytes / GRAIN);
    if (n < 8)
        return (int)n;
    int power = 63 - __builtin_clzll(n);
    return (power - 2) * 8 + (int)(n >> (power - 3) & 7);
}

static void shelve(tlg_extent *e) {
    shelf *s = &shelves[e->region->large];
    int bin = bin_of(e->bytes);
    e->free = 1;
    e->last = NULL;
    e->next = s->first[bin];
    if (e->next)
        e->next->last = e;
    s->first[bin] = e;
    s->filled[bin / 64] |= (uint64_t)1 << bin % 64;
}

static void unshelve(tlg_extent *e) {
    shelf *s = &shelves[e->region->large];
    int bin = bin_of(e->bytes);
    if (e->next)
        e->next->last = e->last;
    if (e->last)
        e->last->next = e->next;
    else
        s->first[bin] = e->next;
    if (!s->first[bin])
        s->filled[bin / 64] &= ~((uint64_t)1 << bin % 64);
    e->free = 0;
}

/* The best of some extents of the bin where the size belongs, else any of the next bin above. */
static tlg_extent *fitting(int large, int64_t bytes) {
    shelf *s = &shelves[large];
    int bin = bin_of(bytes), left = WALK;
    tlg_extent *best = NULL;
    for (tlg_extent *e = s->first[bin]; e && left; e = e->next, left--)
        if (e->bytes >= bytes && (!best || e->bytes < best->bytes))
            best = e;
    if (best)
        return best;
    for (int above = bin + 1; above < BINS; above = (above / 64 + 1) * 64) {
        uint64_t filled = s->filled[above / 64] >> above % 64;
        if (filled)
            return s->first[above + __builtin_ctzll(filled)];
    }
    return NULL;
}

/* Pages that hold any of the bytes of an extent. */
static void pages_of(const tlg_extent *e, int64_t *first, int64_t *end) {
    int64_t page = page_bytes(), from = e->data - e->region->data;
    *first = from / page;
    *end = (from + e->bytes - 1) / page + 1;
}

/* Says of pages that they are in use; the number of those that were not the pool's before. */
static int64_t use(const tlg_extent *e) {
    int64_t first, end, fresh = 0;
    pages_of(e, &first, &end);
    uint8_t *used = e->region->used;
    for (int64_t i = first; i < end; i++)
        fresh += used[i] == 0;
    memset(used + first, epoch, (size_t)(end - first));
    return fresh;
}

/* Cuts a shelved or new extent to size; what is left is shelved. Without memory for that it stays
 * whole. */
static void cut(tlg_extent *e, int64_t bytes) {
    if (e->bytes == bytes)
        return;
    tlg_extent *rest = malloc(sizeof *rest);
    if (!rest)
        return;
    *rest = (tlg_extent){.before = e, .behind = e->behind, .region = e->region};
    rest->data = e->data + bytes;
    rest->bytes = e->bytes - bytes;
    if (rest->behind)
        rest->behind->before = rest;
    e->behind = rest;
    e->bytes = bytes;
    shelve(rest);
}

/* Makes one of two neighbours. */
static void join(tlg_extent *e, tlg_extent *behind) {
    e->bytes += behind->bytes;
    e->behind = behind->behind;
    if (e->behind)
        e->behind->before = e;
    free(behind);
}

/* Shelves an extent that nobody uses, with its free neighbours. */
static void put_back(tlg_extent *e) {
    if (e->behind && e->behind->free) {
        unshelve(e->behind);
        join(e, e->behind);
    }
    if (e->before && e->before->free) {
        tlg_extent *before = e->before;
        unshelve(before);
        join(before, e);
        e = before;
    }
    shelve(e);
}

/* Address space that begins at a huge page, so that those can be used; NULL where there is none. */
static char *map_aligned(int64_t bytes) {
    int64_t more = bytes + HUGE_BYTES;
    char *p = mmap(NULL, (size_t)more, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    char *at = (char *)(((uintptr_t)p + HUGE_BYTES - 1) / HUGE_BYTES * HUGE_BYTES);
    if (at > p)
        munmap(p, (size_t)(at - p));
    if (at + bytes < p + more)
        munmap(at + bytes, (size_t)(p + more - (at + bytes)));
    return at;
}

/* A region as one extent, which is on no shelf. */
static tlg_extent *map_region(int large, int64_t bytes) {
    int64_t page = page_bytes();
    bytes = (bytes + page - 1) / page * page;
    region *r = calloc(1, sizeof *r + (size_t)(bytes / page));
    tlg_extent *e = malloc(sizeof *e);
    char *data = r && e ? map_aligned(bytes) : NULL;
    if (!data) {
        free(r);
        free(e);
        return NULL;
    }
#ifdef MADV_HUGEPAGE
    if (large)
        madvise(data, (size_t)bytes, MADV_HUGEPAGE);
#endif
    HIDE(data, bytes);
    r->data = data;
    r->bytes = bytes;
    r->large = large;
    *e = (tlg_extent){.region = r, .data = data, .bytes = bytes};
    return e;
}

static void unmap_region(tlg_extent *e) {
    SHOW(e->data, e->bytes);
    munmap(e->data, (size_t)e->bytes);
    free(e->region);
    free(e);
}

static tlg_extent *new_region(int large, int64_t bytes) {
    int64_t usual = large ? LARGE_REGION : SMALL_REGION;
    int64_t whole = (bytes + HUGE_BYTES - 1) / HUGE_BYTES * HUGE_BYTES;
    tlg_extent *e = map_region(large, whole > usual ? whole : usual);
    if (e)
        return e;
    tlg_pool_trim();
    return map_region(large, bytes);
}

/* Whether a page can go: it was used, and not in the epochs that count. */
static int idle(uint8_t used, int epochs, uint8_t now) {
    return used && (now - used + 255) % 255 >= epochs;
}

/* The next run of pages within a free extent that can go, from a page on; 0 when there is none. Of
 * pages that only age, none are taken out of the middle of a huge page. */
static int next_run(const tlg_extent *e, int epochs, uint8_t now, int64_t *first, int64_t *end) {
    int64_t page = page_bytes(), from = e->data - e->region->data;
    int64_t step = e->region->large && epochs ? HUGE_BYTES / page : 1;
    int64_t stop = (from + e->bytes) / page;
    int64_t i = (from + page - 1) / page;
    const uint8_t *used = e->region->used;
    for (i = i > *first ? i : *first; i < stop; i++) {
        if (!idle(used[i], epochs, now))
            continue;
        for (*first = i; i < stop && idle(used[i], epochs, now);)
            i++;
        *first = (*first + step - 1) / step * step;
        *end = i / step * step;
        if (*first < *end)
            return 1;
    }
    return 0;
}

/* Whether an extent is a region of which every page can go, or was never used. */
static int idle_region(const tlg_extent *e, int epochs, uint8_t now) {
    if (e->before || e->behind)
        return 0;
    for (int64_t i = 0, n = e->bytes / page_bytes(); i < n; i++)
        if (e->region->used[i] && !idle(e->region->used[i], epochs, now))
            return 0;
    return 1;
}

/* Gives the pages of an extent that can go to the system; the number of bytes. */
static int64_t give_pages(tlg_extent *e, int epochs, uint8_t now) {
    int64_t page = page_bytes(), bytes = 0, first = 0, end = 0;
    for (; next_run(e, epochs, now, &first, &end); first = end) {
        madvise(e->region->data + first * page, (size_t)((end - first) * page), MADV_DONTNEED);
        memset(e->region->used + first, 0, (size_t)(end - first));
        bytes += (end - first) * page;
    }
    return bytes;
}

/* Takes the free extents off the shelves that have pages which can go, as a list. */
static tlg_extent *with_idle_pages(int epochs, uint8_t now) {
    tlg_extent *list = NULL;
    for (int large = 0; large < 2; large++)
        for (int bin = 0; bin < BINS; bin++)
            for (tlg_extent *e = shelves[large].first[bin], *next; e; e = next) {
                int64_t first = 0, end;
                next = e->next;
                e->whole = idle_region(e, epochs, now);
                if (!e->whole && !next_run(e, epochs, now, &first, &end))
                    continue;
                unshelve(e);
                e->next = list;
                list = e;
            }
    return list;
}

/* Gives the system what nobody used for some epochs; 0: what nobody uses now. Nobody waits
 * meanwhile: the extents are off the shelves, and the lock is free. */
static void let_go(int epochs) {
    pthread_mutex_lock(&lock);
    uint8_t now = epoch;
    tlg_extent *e = with_idle_pages(epochs, now), *next;
    pthread_mutex_unlock(&lock);
    for (; e; e = next) {
        next = e->next;
        int64_t bytes = 0, page = page_bytes();
        if (e->whole) {
            for (int64_t i = 0; i < e->bytes / page; i++)
                bytes += e->region->used[i] ? page : 0;
            unmap_region(e);
            e = NULL;
        } else {
            bytes = give_pages(e, epochs, now);
        }
        pthread_mutex_lock(&lock);
        held -= bytes;
        if (e)
            put_back(e);
        pthread_mutex_unlock(&lock);
    }
}

void tlg_pool_trim(void) {
    let_go(0);
}

/* Leaves the rest of the system as much as rests here. */
static void compare(void) {
    int64_t resting = tlg_pool_resting();
    if (resting >= GROWTH && tlg_memory_free(0) < resting)
        let_go(0);
}

tlg_extent *tlg_pool_take(int64_t bytes) {
    if (bytes < 0 || bytes > MOST)
        return NULL;
    int64_t size = (bytes + GRAIN - 1) / GRAIN * GRAIN + GAP;
    size = size > 0 ? size : GRAIN;
    int large = size >= LARGE;
    pthread_mutex_lock(&lock);
    tlg_extent *e = fitting(large, size);
    if (e) {
        unshelve(e);
    } else {
        pthread_mutex_unlock(&lock);
        if (!(e = new_region(large, size)))
            return NULL;
        pthread_mutex_lock(&lock);
    }
    cut(e, size);
    int64_t fresh = use(e) * page_bytes();
    held += fresh;
    grown += fresh;
    in_use += e->bytes;
    int much = grown >= GROWTH, over = ++taken == EPOCH;
    grown = much ? 0 : grown;
    if (over) {
        taken = 0;
        epoch = epoch == 255 ? 1 : epoch + 1;
    }
    pthread_mutex_unlock(&lock);
    if (over)
        let_go(EPOCHS_KEPT);
    if (over || much)
        compare();
    SHOW(e->data, bytes);
    return e;
}

void *tlg_pool_data(const tlg_extent *e) {
    return e->data;
}

void tlg_pool_give(tlg_extent *e) {
    HIDE(e->data, e->bytes);
    pthread_mutex_lock(&lock);
    in_use -= e->bytes;
    use(e);
    put_back(e);
    pthread_mutex_unlock(&lock);
}

int64_t tlg_pool_resting(void) {
    pthread_mutex_lock(&lock);
    int64_t bytes = held - in_use;
    pthread_mutex_unlock(&lock);
    return bytes;
}
