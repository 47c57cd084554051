/* Storage: reference counts, and two of the owners that memory has: a recycling pool by size class,
 * and mappings of files.
 * Fresh pages cost more than the work done in them, so freed blocks are kept for the next run. */
#define _GNU_SOURCE
#include "storage.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_BYTES ((int64_t)2 << 20)
#define CLASSES 256

typedef struct free_block {
    struct free_block *next;
} free_block;

static pthread_mutex_t pool_lock = PTHREAD_MUTEX_INITIALIZER;
static free_block *pool[CLASSES];
static int64_t pool_bytes, pool_max = (int64_t)1 << 30;
static int64_t live_storages, live_bytes;

int64_t tlg_storage_live(int which) {
    switch (which) {
    case 0:
        return __atomic_load_n(&live_storages, __ATOMIC_SEQ_CST);
    case 1:
        return __atomic_load_n(&live_bytes, __ATOMIC_SEQ_CST);
    default:
        return __atomic_load_n(&pool_bytes, __ATOMIC_SEQ_CST);
    }
}

/* Four classes for each power of two from 64 bytes up: at most a quarter of a block is unused. */
static int class_of(int64_t bytes, int64_t *capacity) {
    int64_t base = 64;
    int class = 0;
    if (bytes <= base) {
        *capacity = base;
        return 0;
    }
    while (base * 2 < bytes && class < CLASSES - 8) {
        base *= 2;
        class += 4;
    }
    for (int step = 1; step <= 4; step++) {
        int64_t size = base + base / 4 * step;
        if (bytes <= size) {
            *capacity = size;
            return class + step;
        }
    }
    return -1;
}

static void *take(int class) {
    pthread_mutex_lock(&pool_lock);
    free_block *b = pool[class];
    if (b)
        pool[class] = b->next;
    pthread_mutex_unlock(&pool_lock);
    return b;
}

static void *fresh(int64_t capacity) {
    void *p = NULL;
    int huge = capacity >= HUGE_BYTES;
    if (posix_memalign(&p, huge ? (size_t)HUGE_BYTES : 64, (size_t)capacity))
        return NULL;
#ifdef MADV_HUGEPAGE
    if (huge)
        madvise(p, (size_t)capacity, MADV_HUGEPAGE);
#endif
    return p;
}

tlg_storage *tlg_storage_of(const tlg_owner *owner, intptr_t whose, void *data, int64_t bytes) {
    tlg_storage *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    *s = (tlg_storage){1, data, bytes, owner, whose};
    __atomic_add_fetch(&live_storages, 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&live_bytes, bytes, __ATOMIC_SEQ_CST);
    return s;
}

static void rest(tlg_storage *s) {
    int64_t capacity;
    int class = (int)s->whose;
    class_of(s->bytes, &capacity);
    if (__atomic_add_fetch(&pool_bytes, capacity, __ATOMIC_SEQ_CST) > pool_max) {
        __atomic_sub_fetch(&pool_bytes, capacity, __ATOMIC_SEQ_CST);
        free(s->data);
        return;
    }
    free_block *b = s->data;
    pthread_mutex_lock(&pool_lock);
    b->next = pool[class];
    pool[class] = b;
    pthread_mutex_unlock(&pool_lock);
}

static const tlg_owner the_pool = {.free = rest};

tlg_storage *tlg_storage_new(int64_t bytes) {
    int64_t capacity;
    int class = bytes < 0 ? -1 : class_of(bytes, &capacity);
    if (class < 0)
        return NULL;
    void *p = take(class);
    if (p)
        __atomic_sub_fetch(&pool_bytes, capacity, __ATOMIC_SEQ_CST);
    else if (!(p = fresh(capacity)))
        return NULL;
    tlg_storage *s = tlg_storage_of(&the_pool, class, p, bytes);
    if (!s)
        free(p);
    return s;
}

static void unmap(tlg_storage *s) {
    munmap(s->data, (size_t)s->bytes);
}

/* Of the pages that lie within: what was written to them is lost. */
static void drop_pages(tlg_storage *s, int64_t offset, int64_t bytes) {
    int64_t page = sysconf(_SC_PAGESIZE);
    int64_t first = (offset + page - 1) / page * page, last = (offset + bytes) / page * page;
    if (first < last)
        madvise((char *)s->data + first, (size_t)(last - first), MADV_DONTNEED);
}

static const tlg_owner a_mapping = {.free = unmap, .forget = drop_pages};

tlg_storage *tlg_storage_map(void *address, int64_t bytes) {
    return tlg_storage_of(&a_mapping, 0, address, bytes);
}

void tlg_storage_retain(tlg_storage *s) {
    __atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
}

int64_t tlg_storage_refs(tlg_storage *s) {
    return __atomic_load_n(&s->refs, __ATOMIC_ACQUIRE);
}

void tlg_storage_release(tlg_storage *s) {
    if (__atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    __atomic_sub_fetch(&live_storages, 1, __ATOMIC_SEQ_CST);
    __atomic_sub_fetch(&live_bytes, s->bytes, __ATOMIC_SEQ_CST);
    s->owner->free(s);
    free(s);
}

void tlg_storage_forget(tlg_storage *s, int64_t offset, int64_t bytes) {
    if (s->owner->forget)
        s->owner->forget(s, offset, bytes);
}

void tlg_pool_limit(int64_t bytes) {
    pthread_mutex_lock(&pool_lock);
    pool_max = bytes;
    for (int class = 0; class < CLASSES && bytes == 0; class++)
        while (pool[class]) {
            free_block *b = pool[class];
            pool[class] = b->next;
            free(b);
        }
    if (bytes == 0)
        __atomic_store_n(&pool_bytes, 0, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&pool_lock);
}
