/* The CPython glue's own header: what its files share. The glue turns handles of the engine into
 * things that Python libraries understand, and lets the engine call Python safely. It links nothing
 * of the engine: it is given a table of C functions (storage.h) at run time. */
#ifndef TLG_NATIVE_H
#define TLG_NATIVE_H
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "storage.h"

/* An element type: DLPack's code | bits << 8, NumPy's name, the buffer protocol's format. */
typedef struct {
    int32_t code;
    const char *name;
    const char *format;
} native_dtype;

/* NULL for a code that the engine does not have. */
const native_dtype *native_dtype_of(int32_t code);

/* The engine's functions, or NULL with RuntimeError set when init() was not called. */
const tlg_native_api *native_api(void);

/* A reference to the tensor behind a Python int, or NULL with an exception set. */
tlg_tensor *native_acquire(PyObject *handle);
/* Ends the handle: 0, or -1 with an exception set. */
int native_close(PyObject *handle);

/* A DLPack capsule, which takes over the caller's reference t (also on failure). */
PyObject *native_dlpack_capsule(tlg_tensor *t, int versioned, int readonly);

PyObject *native_borrow(PyObject *module, PyObject *args);

extern PyType_Spec native_tensor_spec;
extern PyType_Spec native_dispatcher_spec;

#endif
