/* The CPython glue's own header: what its files share. The glue turns handles of the engine into
 * things that Python libraries understand, and lets the engine call Python safely. It links nothing
 * of the engine: it is given a table of C functions (storage.h) at run time. */
#ifndef TLG_GLUE_H
#define TLG_GLUE_H
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "storage.h"

/* An element type: DLPack's code | bits << 8, NumPy's name, the buffer protocol's format. */
typedef struct {
    int32_t code;
    const char *name;
    const char *format;
} glue_dtype;

/* NULL for a code that the engine does not have. */
const glue_dtype *glue_dtype_of(int32_t code);

/* The engine's functions, or NULL with RuntimeError set when init() was not called. */
const tlg_glue_api *glue_api(void);

/* A reference to the tensor behind a Python int, or NULL with an exception set. */
tlg_tensor *glue_acquire(PyObject *handle);
/* Ends the handle: 0, or -1 with an exception set. */
int glue_close(PyObject *handle);
int glue_close_handle(int64_t handle);

/* A DLPack capsule, which takes over the caller's reference t (also on failure). */
PyObject *glue_dlpack_capsule(tlg_tensor *t, int versioned, int readonly);

/* The current exception, taken over; NULL when there is none. */
PyObject *glue_fetch(void);
/* Raises an exception again; takes over the reference. */
void glue_restore(PyObject *exception);

/* function(*args) of the engine, its errors as Python's (call.c). */
PyObject *glue_call(PyObject *function, PyObject *const *args, Py_ssize_t n);
/* What a call with a Dispatcher gives when the callback ended it. */
#define NATIVE_ENDED (-1)
/* Whether the engine must not be called any more: in a forked child, or while the interpreter goes.
 */
int glue_is_gone(void);
int glue_is_closing(void);
int glue_call_init(PyObject *module);

int glue_descend(void);
void glue_ascend(void);

int glue_is_dispatcher(PyObject *object);
/* What the callback raised (a reference, no longer the dispatcher's), or NULL. */
PyObject *glue_dispatcher_raised(PyObject *dispatcher);

/* Whether the object is an Owned, and then its number. */
int glue_owned_id(PyObject *object, int64_t *id);
int glue_owned_init(PyObject *module);
int glue_change_init(PyObject *module);

/* The owner of memory that a Python object holds: whose is a loan of that object. */
extern const tlg_owner glue_object;
/* A loan with a reference to the object; 0 when memory is out. */
intptr_t glue_loan(PyObject *object);
/* Lets go of the objects whose memory the engine has given back. With the GIL, and no lock. */
void glue_let_go(void);

/* Functions of the module. */
PyObject *glue_borrow(PyObject *module, PyObject *args);
PyObject *glue_module_call(PyObject *module, PyObject *const *args, Py_ssize_t n);
PyObject *glue_close_runs(PyObject *module, PyObject *unused);
PyObject *glue_lend(PyObject *module, PyObject *const *args, Py_ssize_t n);
PyObject *glue_whole(PyObject *module, PyObject *const *args, Py_ssize_t n);
PyObject *glue_complete(PyObject *module, PyObject *const *args, Py_ssize_t n);

extern PyType_Spec glue_tensor_spec;
extern PyType_Spec glue_lent_spec;
int glue_dispatcher_init(PyObject *module);

#endif
