/* _glue.Lent: handles over the memory of Python objects, for calls of the engine to read or
 * write. They end with the with block, or with the object. */
#include "glue.h"

#include <structmember.h>

typedef struct {
    PyObject_HEAD
    int64_t *handles;
    Py_ssize_t count, room;
} Lent;

static void end(Lent *self) {
    while (self->count > 0)
        glue_api()->close(self->handles[--self->count]);
    glue_let_go();
}

static int make_room(Lent *self) {
    if (self->count < self->room)
        return 0;
    Py_ssize_t room = self->room ? 2 * self->room : 8;
    int64_t *grown = PyMem_Realloc(self->handles, (size_t)room * sizeof *grown);
    if (!grown) {
        PyErr_NoMemory();
        return -1;
    }
    self->handles = grown;
    self->room = room;
    return 0;
}

static PyObject *lent_lend(Lent *self, PyObject *args) {
    PyObject *handle = make_room(self) == 0 ? glue_borrow(NULL, args) : NULL;
    if (handle)
        self->handles[self->count++] = PyLong_AsLongLong(handle);
    return handle;
}

static PyObject *lent_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
                          PyObject *Py_UNUSED(kwargs)) {
    return glue_api() ? type->tp_alloc(type, 0) : NULL;
}

static PyObject *lent_close(Lent *self, PyObject *Py_UNUSED(unused)) {
    end(self);
    Py_RETURN_NONE;
}

static PyObject *lent_enter(PyObject *self, PyObject *Py_UNUSED(unused)) {
    return Py_NewRef(self);
}

static PyObject *lent_exit(Lent *self, PyObject *const *Py_UNUSED(args), Py_ssize_t Py_UNUSED(n)) {
    end(self);
    Py_RETURN_FALSE;
}

static void lent_dealloc(Lent *self) {
    PyTypeObject *type = Py_TYPE(self);
    end(self);
    PyMem_Free(self->handles);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"lend", (PyCFunction)lent_lend, METH_VARARGS,
     PyDoc_STR("lend(owner, address, dtype_code, shape, strides=None, /)\n--\n\n"
               "As borrow(): a handle, good until close().")},
    {"close", (PyCFunction)lent_close, METH_NOARGS, PyDoc_STR("End every handle.")},
    {"__enter__", lent_enter, METH_NOARGS, NULL},
    {"__exit__", (PyCFunction)(void (*)(void))lent_exit, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc,
     PyDoc_STR("Lent()\n--\n\nHandles over memory that the engine is lent until close().")},
    {Py_tp_new, lent_new},
    {Py_tp_dealloc, lent_dealloc},
    {Py_tp_methods, methods},
    {0, NULL},
};

PyType_Spec glue_lent_spec = {
    .name = "transformer_lens_go._glue.Lent",
    .basicsize = sizeof(Lent),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};

/* lend(owner, address, dtype_code, shape, strides, function, *args): function(*args, handle), where
 * the handle ends with the call. */
PyObject *glue_lend(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t n) {
    enum { BORROWED = 5, MOST = 4 };
    PyObject *passed[MOST + 1];
    Py_ssize_t given = n - BORROWED - 1;
    if (given < 0 || given > MOST)
        return PyErr_Format(PyExc_TypeError, "lend() takes a function and up to %d arguments",
                            MOST);
    PyObject *memory = PyTuple_Pack(BORROWED, args[0], args[1], args[2], args[3], args[4]);
    PyObject *handle = memory ? glue_borrow(NULL, memory) : NULL;
    Py_XDECREF(memory);
    if (!handle)
        return NULL;
    memcpy(passed, args + BORROWED + 1, (size_t)given * sizeof *passed);
    passed[given] = handle;
    PyObject *result = glue_call(args[BORROWED], passed, given + 1);
    glue_api()->close(PyLong_AsLongLong(handle));
    Py_DECREF(handle);
    glue_let_go();
    return result;
}
