/* Changes of several steps in Python, which signals must not leave half made.
 *
 * CPython runs signal handlers where a function of Python's begins, where a loop jumps back and
 * when a call has returned (RESUME, JUMP_BACKWARD, CALL and their like), and nowhere else. So what
 * C calls one after the other is not interrupted between the calls, and a handler's exception that
 * comes out of a call can be kept while the change is made whole, or undone.
 *
 * What undoes or completes a change must be idempotent: it is called until it has run to its end
 * once. */
#include "glue.h"

/* An undoing that always raises has a mistake of its own, and is given up. */
enum { ATTEMPTS = 16 };

/* Calls the function until it has returned once. What was raised on the way comes back (a
 * reference, or NULL): the first exception, or where it is given up, the last. */
static PyObject *complete(PyObject *function, PyObject *const *args, Py_ssize_t n) {
    PyObject *raised = NULL;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        PyObject *result = PyObject_Vectorcall(function, args, (size_t)n, NULL);
        if (result) {
            Py_DECREF(result);
            return raised;
        }
        if (raised && attempt < ATTEMPTS - 1)
            PyErr_Clear();
        else
            Py_XSETREF(raised, glue_fetch());
    }
    return raised;
}

/* The current exception, then what was raised while it was dealt with, if anything, in front of it.
 */
static void raise_behind(PyObject *first, PyObject *second) {
    if (second && first && second != first) {
        PyObject *context = PyException_GetContext(second);
        if (!context)
            PyException_SetContext(second, first);
        else
            Py_DECREF(first);
        Py_XDECREF(context);
        glue_restore(second);
        return;
    }
    Py_XDECREF(second);
    if (first)
        glue_restore(first);
}

PyObject *glue_complete(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t n) {
    if (n < 1)
        return PyErr_Format(PyExc_TypeError, "complete() needs a function");
    PyObject *raised = complete(args[0], args + 1, n - 1);
    if (raised) {
        glue_restore(raised);
        return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *glue_whole(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t n) {
    if (n < 2)
        return PyErr_Format(PyExc_TypeError, "whole() needs a function, and one that undoes it");
    PyObject *result = PyObject_Vectorcall(args[0], args + 2, (size_t)n - 2, NULL);
    if (!result) {
        PyObject *first = glue_fetch();
        raise_behind(first, complete(args[1], args + 2, n - 2));
    }
    return result;
}

/* Change: a change for the length of a with block. */

static PyObject *begin_name, *end_name, *undo_name;

/* complete() of a method. */
static PyObject *complete_method(PyObject *self, PyObject *name) {
    PyObject *method = PyObject_GetAttr(self, name);
    if (!method)
        return glue_fetch();
    PyObject *raised = complete(method, NULL, 0);
    Py_DECREF(method);
    return raised;
}

static PyObject *change_enter(PyObject *self, PyObject *Py_UNUSED(unused)) {
    PyObject *result = PyObject_CallMethodNoArgs(self, begin_name);
    if (!result) {
        PyObject *first = glue_fetch();
        raise_behind(first, complete_method(self, undo_name));
    }
    return result;
}

static PyObject *change_exit(PyObject *self, PyObject *const *Py_UNUSED(args),
                             Py_ssize_t Py_UNUSED(n)) {
    PyObject *raised = complete_method(self, end_name);
    if (raised) {
        glue_restore(raised);
        return NULL;
    }
    Py_RETURN_FALSE;
}

static PyObject *change_begin(PyObject *self, PyObject *Py_UNUSED(unused)) {
    return Py_NewRef(self);
}

static PyObject *change_undo(PyObject *self, PyObject *Py_UNUSED(unused)) {
    return PyObject_CallMethodNoArgs(self, end_name);
}

static PyObject *change_end(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(unused)) {
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"__enter__", change_enter, METH_NOARGS, NULL},
    {"__exit__", (PyCFunction)(void (*)(void))change_exit, METH_FASTCALL, NULL},
    {"_begin", change_begin, METH_NOARGS,
     PyDoc_STR("Make the change; what it gives is the block's.")},
    {"_end", change_end, METH_NOARGS,
     PyDoc_STR("Take it back at the end of the block; idempotent.")},
    {"_undo", change_undo, METH_NOARGS,
     PyDoc_STR("Take back what _begin had made when it failed; idempotent.")},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc,
     PyDoc_STR("What begins and ends with a with block, whatever signals come: a subclass says by "
               "_begin,\n"
               "_end and _undo what that is.")},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "transformer_lens_go._glue.Change",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};

int glue_change_init(PyObject *module) {
    if (!begin_name && (!(begin_name = PyUnicode_InternFromString("_begin")) ||
                        !(end_name = PyUnicode_InternFromString("_end")) ||
                        !(undo_name = PyUnicode_InternFromString("_undo"))))
        return -1;
    PyObject *type = PyType_FromModuleAndSpec(module, &spec, NULL);
    int result = type ? PyModule_AddType(module, (PyTypeObject *)type) : -1;
    Py_XDECREF(type);
    return result;
}
