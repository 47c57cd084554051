/* The part of the DLPack ABI (versions 0.x and 1.x) that a CPU tensor needs. Field order and sizes
 * are DLPack's. */
#ifndef TLG_DLPACK_H
#define TLG_DLPACK_H
#include <stdint.h>

#define DLPACK_CPU 1
#define DLPACK_FLAG_READ_ONLY 1u

typedef struct {
    int32_t type, id;
} dlpack_device;

typedef struct {
    uint8_t code, bits;
    uint16_t lanes;
} dlpack_dtype;

typedef struct {
    void *data;
    dlpack_device device;
    int32_t ndim;
    dlpack_dtype dtype;
    int64_t *shape, *strides; /* strides count elements */
    uint64_t byte_offset;
} dlpack_tensor;

/* "dltensor" */
typedef struct dlpack_managed {
    dlpack_tensor tensor;
    void *context;
    void (*deleter)(struct dlpack_managed *);
} dlpack_managed;

/* "dltensor_versioned" */
typedef struct dlpack_managed_versioned {
    struct {
        uint32_t major, minor;
    } version;
    void *context;
    void (*deleter)(struct dlpack_managed_versioned *);
    uint64_t flags;
    dlpack_tensor tensor;
} dlpack_managed_versioned;

#endif
