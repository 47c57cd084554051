/* The handle table: an index with a generation, checked before anything is dereferenced. */
#include "pool.h"
#include "storage.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Handles that end together. */
typedef struct {
    int64_t n, handles[];
} group;

/* A live one has a tensor or a group. */
typedef struct {
    tlg_tensor *tensor;
    group *group;
    uint32_t generation;
    int32_t next_free;
} slot;

static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static slot *slots;
static int32_t slot_count, slot_capacity, first_free = -1;
static int64_t live_handles, live_tensors;

int64_t tlg_storage_live(int which);

int64_t tlg_count(int which) {
    switch (which) {
    case 2:
        return __atomic_load_n(&live_handles, __ATOMIC_SEQ_CST);
    case 3:
        return __atomic_load_n(&live_tensors, __ATOMIC_SEQ_CST);
    case 4:
        return tlg_pool_resting();
    default:
        return tlg_storage_live(which);
    }
}

static tlg_tensor *new_tensor(tlg_storage *s, int64_t offset, int32_t dtype, int32_t ndim,
                              const int64_t *shape, const int64_t *strides) {
    tlg_tensor *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->refs = 1;
    t->storage = s;
    t->data = (char *)s->data + offset;
    t->ndim = ndim;
    t->dtype = dtype;
    memcpy(t->shape, shape, (size_t)ndim * sizeof *shape);
    memcpy(t->strides, strides, (size_t)ndim * sizeof *strides);
    tlg_storage_retain(s);
    __atomic_add_fetch(&live_tensors, 1, __ATOMIC_SEQ_CST);
    return t;
}

void tlg_tensor_release(tlg_tensor *t) {
    if (__atomic_sub_fetch(&t->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    tlg_storage_release(t->storage);
    __atomic_sub_fetch(&live_tensors, 1, __ATOMIC_SEQ_CST);
    free(t);
}

/* Called with the lock held; -1 when memory is out. */
static int32_t free_slot(void) {
    if (first_free >= 0) {
        int32_t i = first_free;
        first_free = slots[i].next_free;
        return i;
    }
    if (slot_count == slot_capacity) {
        int32_t capacity = slot_capacity ? slot_capacity * 2 : 256;
        slot *grown = realloc(slots, (size_t)capacity * sizeof *grown);
        if (!grown)
            return -1;
        slots = grown;
        slot_capacity = capacity;
    }
    slots[slot_count] = (slot){NULL, NULL, 1, -1};
    return slot_count++;
}

/* A handle of a tensor or a group; 0 when memory is out. */
static int64_t give_out(tlg_tensor *t, group *g) {
    pthread_mutex_lock(&table_lock);
    int32_t i = free_slot();
    int64_t handle = 0;
    if (i >= 0) {
        slots[i].tensor = t;
        slots[i].group = g;
        handle = (int64_t)slots[i].generation << 32 | (uint32_t)(i + 1);
    }
    pthread_mutex_unlock(&table_lock);
    if (handle)
        __atomic_add_fetch(&live_handles, 1, __ATOMIC_SEQ_CST);
    return handle;
}

int64_t tlg_handle_new(tlg_storage *s, int64_t offset, int32_t dtype, int32_t ndim,
                       const int64_t *shape, const int64_t *strides) {
    if (ndim < 0 || ndim > TLG_MAXDIM)
        return 0;
    tlg_tensor *t = new_tensor(s, offset, dtype, ndim, shape, strides);
    if (!t)
        return 0;
    int64_t handle = give_out(t, NULL);
    if (!handle)
        tlg_tensor_release(t);
    return handle;
}

int64_t tlg_handle_group(const int64_t *handles, int64_t n) {
    group *g = malloc(sizeof *g + (size_t)n * sizeof *handles);
    if (!g)
        return 0;
    g->n = n;
    if (n)
        memcpy(g->handles, handles, (size_t)n * sizeof *handles);
    int64_t handle = give_out(NULL, g);
    if (!handle)
        free(g);
    return handle;
}

/* Called with the lock held: the slot of a live handle, or NULL. */
static slot *find(int64_t handle) {
    int64_t i = (handle & 0xffffffff) - 1;
    uint32_t generation = (uint32_t)((uint64_t)handle >> 32);
    if (i < 0 || i >= slot_count || slots[i].generation != generation ||
        !(slots[i].tensor || slots[i].group))
        return NULL;
    return &slots[i];
}

tlg_tensor *tlg_handle_acquire(int64_t handle) {
    pthread_mutex_lock(&table_lock);
    slot *f = find(handle);
    tlg_tensor *t = f ? f->tensor : NULL;
    if (t)
        __atomic_add_fetch(&t->refs, 1, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&table_lock);
    return t;
}

int tlg_handle_close(int64_t handle) {
    pthread_mutex_lock(&table_lock);
    slot *f = find(handle);
    tlg_tensor *t = NULL;
    group *g = NULL;
    if (f) {
        t = f->tensor;
        g = f->group;
        f->tensor = NULL;
        f->group = NULL;
        f->generation = (f->generation + 1) & 0x7fffffff;
        if (!f->generation)
            f->generation = 1;
        f->next_free = first_free;
        first_free = (int32_t)(f - slots);
    }
    pthread_mutex_unlock(&table_lock);
    if (!f)
        return -1;
    __atomic_sub_fetch(&live_handles, 1, __ATOMIC_SEQ_CST);
    if (t)
        tlg_tensor_release(t);
    for (int64_t i = 0; g && i < g->n; i++)
        tlg_handle_close(g->handles[i]); /* one that somebody has closed is none of ours any more */
    free(g);
    return 0;
}

int64_t tlg_handle_borrow(const tlg_owner *owner, intptr_t whose, void *data, int32_t dtype,
                          int32_t ndim, const int64_t *shape, const int64_t *strides) {
    int64_t last = 0, empty = 0;
    for (int32_t i = 0; i < ndim && ndim <= TLG_MAXDIM; i++) {
        empty |= shape[i] == 0;
        last += (shape[i] - 1) * strides[i];
    }
    int64_t bytes = empty ? 0 : (last + 1) * (dtype >> 11);
    tlg_storage *s = tlg_storage_of(owner, whose, data, bytes);
    if (!s) {
        tlg_storage none = {.data = data, .bytes = bytes, .owner = owner, .whose = whose};
        owner->free(&none);
        return 0;
    }
    int64_t handle = tlg_handle_new(s, 0, dtype, ndim, shape, strides);
    tlg_storage_release(s);
    return handle;
}

const tlg_glue_api *tlg_glue(void) {
    static const tlg_glue_api api = {TLG_ABI, tlg_handle_acquire, tlg_tensor_release,
                                     tlg_handle_close, tlg_handle_borrow};
    return &api;
}
