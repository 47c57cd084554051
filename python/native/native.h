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
int native_close_handle(int64_t handle);

/* A DLPack capsule, which takes over the caller's reference t (also on failure). */
PyObject *native_dlpack_capsule(tlg_tensor *t, int versioned, int readonly);

/* The current exception, taken over; NULL when there is none. */
PyObject *native_fetch(void);
/* Raises an exception again; takes over the reference. */
void native_restore(PyObject *exception);

/* function(*args) of the engine, its errors as Python's (call.c). */
PyObject *native_call(PyObject *function, PyObject *const *args, Py_ssize_t n);
/* What a call with a Dispatcher gives when the callback ended it. */
#define NATIVE_ENDED (-1)
/* Whether the engine must not be called any more: in a forked child, or while the interpreter goes.
 */
int native_is_gone(void);
int native_is_closing(void);
int native_call_init(PyObject *module);

int native_descend(void);
void native_ascend(void);

int native_is_dispatcher(PyObject *object);
/* What the callback raised (a reference, no longer the dispatcher's), or NULL. */
PyObject *native_dispatcher_raised(PyObject *dispatcher);

/* Whether the object is an Owned, and then its number. */
int native_owned_id(PyObject *object, int64_t *id);
int native_owned_init(PyObject *module);
int native_change_init(PyObject *module);

/* The owner of memory that a Python object holds: whose is a loan of that object. */
extern const tlg_owner native_object;
/* A loan with a reference to the object; 0 when memory is out. */
intptr_t native_loan(PyObject *object);
/* Lets go of the objects whose memory the engine has given back. With the GIL, and no lock. */
void native_let_go(void);

/* Functions of the module. */
PyObject *native_borrow(PyObject *module, PyObject *args);
PyObject *native_module_call(PyObject *module, PyObject *const *args, Py_ssize_t n);
PyObject *native_close_runs(PyObject *module, PyObject *unused);
PyObject *native_lend(PyObject *module, PyObject *const *args, Py_ssize_t n);
PyObject *native_whole(PyObject *module, PyObject *const *args, Py_ssize_t n);
PyObject *native_complete(PyObject *module, PyObject *const *args, Py_ssize_t n);

extern PyType_Spec native_tensor_spec;
extern PyType_Spec native_lent_spec;
int native_dispatcher_init(PyObject *module);

#endif
