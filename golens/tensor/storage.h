/* Counted memory that lives off the Go heap, and the handle table through which other C code
 * (the CPython glue) reaches it. Pure C: nothing here waits for Go or Python, so any thread may
 * release, whatever it holds. */
#ifndef TLG_STORAGE_H
#define TLG_STORAGE_H
#include <stdint.h>

#define TLG_MAXDIM 8
#define TLG_ABI 2

typedef struct tlg_storage tlg_storage;

/* What memory can belong to: the pool, a mapping, a Python object. */
typedef struct tlg_owner {
    /* The last reference is gone. Called once, on any thread, which may hold any lock: it must not
     * wait for the GIL, nor call anybody who might release or take memory in turn. */
    void (*free)(tlg_storage *s);
    /* The bytes are not read again, and can be had anew: advice. NULL where they cannot. */
    void (*forget)(tlg_storage *s, int64_t offset, int64_t bytes);
    /* Others read and write the memory without a reference that is counted here: never edited in
     * place, copied before it is kept. */
    int32_t lent;
} tlg_owner;

struct tlg_storage {
    int64_t refs; /* atomic */
    void *data;   /* 64-byte aligned when it is the pool's */
    int64_t bytes;
    const tlg_owner *owner;
    intptr_t whose; /* the owner's own: an extent of the pool, a Python object */
};

/* A tensor as other languages see it. Strides count elements; dtype is DLPack's code | bits << 8.
 */
typedef struct tlg_tensor {
    int64_t refs; /* atomic */
    tlg_storage *storage;
    void *data;
    int32_t ndim, dtype;
    int64_t shape[TLG_MAXDIM], strides[TLG_MAXDIM];
} tlg_tensor;

/* What the CPython glue is given, so that it needs no symbol of this library. */
typedef struct tlg_glue_api {
    int32_t abi;
    tlg_tensor *(*acquire)(int64_t handle); /* a reference, or NULL for a wrong or stale handle */
    void (*release)(tlg_tensor *);
    int (*close)(int64_t handle); /* ends the handle; 0, or -1 for a wrong or stale one */
    /* A handle over memory of an owner, who frees it behind the last handle, tensor and view; 0
     * when memory is out or ndim is too large, and the owner has freed it by then. */
    int64_t (*borrow)(const tlg_owner *owner, intptr_t whose, void *data, int32_t dtype,
                      int32_t ndim, const int64_t *shape, const int64_t *strides);
} tlg_glue_api;

tlg_storage *tlg_storage_new(int64_t bytes);
tlg_storage *tlg_storage_map(void *address, int64_t bytes);
tlg_storage *tlg_storage_of(const tlg_owner *owner, intptr_t whose, void *data, int64_t bytes);
void tlg_storage_retain(tlg_storage *s);
void tlg_storage_release(tlg_storage *s);
int64_t tlg_storage_refs(tlg_storage *s);
void tlg_storage_forget(tlg_storage *s, int64_t offset, int64_t bytes);

int64_t tlg_handle_new(tlg_storage *s, int64_t offset, int32_t dtype, int32_t ndim,
                       const int64_t *shape, const int64_t *strides);
/* A handle that is no tensor's: those of the list end with it. 0 when memory is out. */
int64_t tlg_handle_group(const int64_t *handles, int64_t n);
tlg_tensor *tlg_handle_acquire(int64_t handle);
void tlg_tensor_release(tlg_tensor *t);
int tlg_handle_close(int64_t handle);
int64_t tlg_handle_borrow(const tlg_owner *owner, intptr_t whose, void *data, int32_t dtype,
                          int32_t ndim, const int64_t *shape, const int64_t *strides);
const tlg_glue_api *tlg_glue(void);

/* which: 0 live storages, 1 live bytes, 2 live handles, 3 live exported tensors, 4 bytes resting in
 * the pool */
int64_t tlg_count(int which);
#endif
