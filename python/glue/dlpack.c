/* DLPack capsules over the engine's tensors. The deleters are pure C: a consumer may run them on
 * any thread, without the GIL, and after the interpreter has ended. */
#include "dlpack.h"
#include "glue.h"

#define CAPSULE "dltensor"
#define CAPSULE_VERSIONED "dltensor_versioned"

/* Set once by init() before any tensor exists, so that a deleter needs nothing of Python. */
static void release(tlg_tensor *t) {
    glue_api()->release(t);
}

static void delete_managed(dlpack_managed *m) {
    release(m->context);
    free(m);
}

static void delete_versioned(dlpack_managed_versioned *m) {
    release(m->context);
    free(m);
}

/* A consumer renames the capsule when it takes the tensor over; one that nobody took is freed here.
 */
static void free_capsule(PyObject *capsule) {
    if (PyCapsule_IsValid(capsule, CAPSULE))
        delete_managed(PyCapsule_GetPointer(capsule, CAPSULE));
}

static void free_capsule_versioned(PyObject *capsule) {
    if (PyCapsule_IsValid(capsule, CAPSULE_VERSIONED))
        delete_versioned(PyCapsule_GetPointer(capsule, CAPSULE_VERSIONED));
}

static dlpack_tensor describe(tlg_tensor *t) {
    return (dlpack_tensor){
        .data = t->data,
        .device = {DLPACK_CPU, 0},
        .ndim = t->ndim,
        .dtype = {(uint8_t)(t->dtype & 0xff), (uint8_t)(t->dtype >> 8), 1},
        .shape = t->shape,
        .strides = t->strides,
        .byte_offset = 0,
    };
}

static PyObject *versioned_capsule(tlg_tensor *t, int readonly) {
    dlpack_managed_versioned *m = malloc(sizeof *m);
    if (!m) {
        release(t);
        return PyErr_NoMemory();
    }
    m->version.major = 1;
    m->version.minor = 0;
    m->context = t;
    m->deleter = delete_versioned;
    m->flags = readonly ? DLPACK_FLAG_READ_ONLY : 0;
    m->tensor = describe(t);
    PyObject *capsule = PyCapsule_New(m, CAPSULE_VERSIONED, free_capsule_versioned);
    if (!capsule)
        delete_versioned(m);
    return capsule;
}

PyObject *glue_dlpack_capsule(tlg_tensor *t, int versioned, int readonly) {
    if (versioned)
        return versioned_capsule(t, readonly);
    dlpack_managed *m = malloc(sizeof *m);
    if (!m) {
        release(t);
        return PyErr_NoMemory();
    }
    m->context = t;
    m->deleter = delete_managed;
    m->tensor = describe(t);
    PyObject *capsule = PyCapsule_New(m, CAPSULE, free_capsule);
    if (!capsule)
        delete_managed(m);
    return capsule;
}
