/* _glue.Dispatcher: the callable that the engine is given in place of a Python function. It lets
 * no exception out: it looks for signals, calls the function, keeps what was raised (with its
 * traceback), and always returns one of CPython's cached small ints, so that a caller which never
 * releases the result leaks nothing. */
#include "glue.h"

#include <structmember.h>

enum { CONTINUE = 0, RAISED = 1, LAST_STATUS = 127 };

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *function, *exception;
} Dispatcher;

/* Takes the current exception over; an earlier one that nobody has read is let go. */
static void stash(Dispatcher *self) {
#if PY_VERSION_HEX >= 0x030C0000
    PyObject *value = PyErr_GetRaisedException();
#else
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback)
        PyException_SetTraceback(value, traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
#endif
    Py_XSETREF(self->exception, value);
}

/* The function's result as a status; -1 with an exception set when it is none. */
static long status_of(PyObject *result) {
    if (result == Py_None)
        return CONTINUE;
    long status = PyLong_AsLong(result);
    if (status == -1 && PyErr_Occurred())
        return -1;
    if (status < 0 || status > LAST_STATUS) {
        PyErr_Format(PyExc_ValueError, "a dispatched function must return None or 0..%d, not %R",
                     LAST_STATUS, result);
        return -1;
    }
    return status;
}

/* Whether a call, of (run, hook, tensor), only asks whether to go on: its hook is 0. */
static int is_look(PyObject *const *args, size_t nargsf) {
    int overflow;
    return PyVectorcall_NARGS(nargsf) == 3 && PyLong_CheckExact(args[1]) &&
           PyLong_AsLongAndOverflow(args[1], &overflow) == 0 && !overflow;
}

static PyObject *dispatcher_call(PyObject *callable, PyObject *const *args, size_t nargsf,
                                 PyObject *names) {
    Dispatcher *self = (Dispatcher *)callable;
    long status = -1;
    glue_let_go();
    /* Signals first: once the function's frame exists, Ctrl-C is raised inside it. */
    int signalled = PyErr_CheckSignals() < 0;
    if (!signalled && is_look(args, nargsf)) { /* nobody needs to be asked */
        return PyLong_FromLong(glue_is_closing() ? RAISED : CONTINUE);
    } else if (!signalled && self->function) {
        PyObject *function = Py_NewRef(self->function);
        PyObject *result =
            PyObject_Vectorcall(function, args, nargsf & ~PY_VECTORCALL_ARGUMENTS_OFFSET, names);
        Py_DECREF(function);
        if (result) {
            status = status_of(result);
            Py_DECREF(result);
        }
    }
    if (status < 0) {
        stash(self);
        status = RAISED;
    }
    return PyLong_FromLong(status);
}

static PyObject *dispatcher_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"function", NULL};
    PyObject *function;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:Dispatcher", names, &function))
        return NULL;
    if (function == Py_None) /* for calls that only look whether to go on */
        function = NULL;
    else if (!PyCallable_Check(function))
        return PyErr_Format(PyExc_TypeError, "Dispatcher needs a callable, not %s",
                            Py_TYPE(function)->tp_name);
    Dispatcher *self = (Dispatcher *)type->tp_alloc(type, 0);
    if (!self)
        return NULL;
    self->vectorcall = dispatcher_call;
    self->function = Py_XNewRef(function);
    return (PyObject *)self;
}

static int dispatcher_traverse(Dispatcher *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->function);
    Py_VISIT(self->exception);
    return 0;
}

static int dispatcher_clear(Dispatcher *self) {
    Py_CLEAR(self->function);
    Py_CLEAR(self->exception);
    return 0;
}

static void dispatcher_dealloc(Dispatcher *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    dispatcher_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef members[] = {
    {"exc", T_OBJECT, offsetof(Dispatcher, exception), 0,
     PyDoc_STR(
         "The exception that the last failing call raised, or None; assign None to let it go.")},
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Dispatcher, vectorcall), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc,
     PyDoc_STR(
         "Dispatcher(function)\n--\n\n"
         "Calls function, which returns None or a small int, and never raises: 1 is returned and\n"
         "exc is set when function raised or a signal handler did.")},
    {Py_tp_new, dispatcher_new},
    {Py_tp_dealloc, dispatcher_dealloc},
    {Py_tp_traverse, dispatcher_traverse},
    {Py_tp_clear, dispatcher_clear},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_members, members},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "transformer_lens_go._glue.Dispatcher",
    .basicsize = sizeof(Dispatcher),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};

static PyTypeObject *dispatcher_type;

int glue_is_dispatcher(PyObject *object) {
    return Py_IS_TYPE(object, dispatcher_type);
}

PyObject *glue_dispatcher_raised(PyObject *object) {
    Dispatcher *self = (Dispatcher *)object;
    PyObject *raised = self->exception;
    self->exception = NULL;
    return raised;
}

int glue_dispatcher_init(PyObject *module) {
    if (!dispatcher_type)
        dispatcher_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
    return dispatcher_type ? PyModule_AddType(module, dispatcher_type) : -1;
}
