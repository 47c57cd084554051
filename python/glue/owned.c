/* _glue.Owned: what the engine made and somebody must end. The call that makes it and the object
 * that ends it are one step of the interpreter, so that no signal can come between. */
#include "glue.h"

#include <stdlib.h>
#include <structmember.h>

typedef struct {
    PyObject_HEAD
    PyObject *closer; /* a function of the engine's; NULL: it is a handle */
    PyObject *told;   /* what the engine said of it, if it said something; else NULL */
    long long id;     /* 0: ended, or there was nothing */
} Owned;

static PyTypeObject *owned_type;

/* Ends it: 0, or -1 with an exception set. */
static int end(Owned *self) {
    long long id = self->id;
    self->id = 0;
    if (!id || glue_is_gone())
        return 0;
    if (!self->closer)
        return glue_close_handle(id);
    PyObject *number = PyLong_FromLongLong(id);
    PyObject *result = number ? glue_call(self->closer, &number, 1) : NULL;
    Py_XDECREF(number);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

/* Takes over what was made: its number, or a text that begins with it and says more behind. */
static void take(Owned *self, PyObject *made) {
    if (!PyUnicode_Check(made)) {
        self->id = PyLong_AsLongLong(made);
        if (PyErr_Occurred())
            self->id = 0;
        Py_DECREF(made);
        return;
    }
    const char *text = PyUnicode_AsUTF8(made);
    char *rest = NULL;
    if (text)
        self->id = strtoll(text, &rest, 10);
    if (self->id)
        self->told = PyUnicode_FromString(*rest == ' ' ? rest + 1 : rest);
    Py_DECREF(made);
}

static PyObject *owned_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    Py_ssize_t n = PyTuple_GET_SIZE(args);
    if (n < 2 || (kwargs && PyDict_GET_SIZE(kwargs))) {
        PyErr_SetString(PyExc_TypeError, "Owned(close, make, *arguments) takes no keywords");
        return NULL;
    }
    Owned *self = (Owned *)type->tp_alloc(type, 0);
    if (!self)
        return NULL;
    PyObject **items = &PyTuple_GET_ITEM(args, 0);
    if (items[0] != Py_None)
        self->closer = Py_NewRef(items[0]);
    PyObject *made = glue_call(items[1], items + 2, n - 2);
    if (made)
        take(self, made);
    if (!made || PyErr_Occurred()) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void owned_dealloc(Owned *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject *type_, *value, *traceback;
    if (self->id) {
        PyErr_Fetch(&type_, &value, &traceback);
        if (end(self) < 0)
            PyErr_WriteUnraisable(NULL);
        PyErr_Restore(type_, value, traceback);
    }
    Py_CLEAR(self->closer);
    Py_CLEAR(self->told);
    type->tp_free(self);
    Py_DECREF(type);
}

int glue_owned_id(PyObject *object, int64_t *id) {
    if (!PyObject_TypeCheck(object, owned_type))
        return 0;
    *id = ((Owned *)object)->id;
    return 1;
}

static PyObject *owned_close(Owned *self, PyObject *Py_UNUSED(unused)) {
    if (end(self) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *owned_enter(PyObject *self, PyObject *Py_UNUSED(unused)) {
    return Py_NewRef(self);
}

static PyObject *owned_exit(Owned *self, PyObject *const *Py_UNUSED(args),
                            Py_ssize_t Py_UNUSED(n)) {
    if (end(self) < 0)
        return NULL;
    Py_RETURN_FALSE;
}

static PyMethodDef methods[] = {
    {"close", (PyCFunction)owned_close, METH_NOARGS,
     PyDoc_STR("End it now; nothing happens when it has ended.")},
    {"__enter__", owned_enter, METH_NOARGS, NULL},
    {"__exit__", (PyCFunction)(void (*)(void))owned_exit, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef members[] = {
    {"id", T_LONGLONG, offsetof(Owned, id), READONLY,
     PyDoc_STR("The engine's number of it; 0 when it has ended, or was nothing.")},
    {"told", T_OBJECT, offsetof(Owned, told), READONLY,
     PyDoc_STR("What the engine said of it behind the number; None when it said nothing.")},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc,
     PyDoc_STR(
         "Owned(close, make, *arguments)\n--\n\n"
         "What make(*arguments) of the engine gave: a number, or a text that begins with one. It "
         "is ended by\n"
         "close(number) of the engine at the end of a with block, or with its last reference. "
         "close None: it\n"
         "is a handle.")},
    {Py_tp_new, owned_new},
    {Py_tp_dealloc, owned_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "transformer_lens_go._glue.Owned",
    .basicsize = sizeof(Owned),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};

int glue_owned_init(PyObject *module) {
    if (!owned_type)
        owned_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
    return owned_type ? PyModule_AddType(module, owned_type) : -1;
}
