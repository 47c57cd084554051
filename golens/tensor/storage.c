/* Storage: reference counts, and two of the owners that memory has: the pool, and mappings of
 * files. */
#define _GNU_SOURCE
#include "storage.h"
#include "pool.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int64_t live_storages, live_bytes;

int64_t tlg_storage_live(int which) {
    return __atomic_load_n(which ? &live_bytes : &live_storages, __ATOMIC_SEQ_CST);
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
    tlg_pool_give((tlg_extent *)s->whose);
}

static const tlg_owner the_pool = {.free = rest};

tlg_storage *tlg_storage_new(int64_t bytes) {
    tlg_extent *e = tlg_pool_take(bytes);
    if (!e)
        return NULL;
    tlg_storage *s = tlg_storage_of(&the_pool, (intptr_t)e, tlg_pool_data(e), bytes);
    if (!s)
        tlg_pool_give(e);
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
