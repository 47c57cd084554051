/* call(): every call into the engine. In one step of the interpreter, so that no signal handler
 * runs between the engine's return and the result's owner (owned.c). */
#include "glue.h"

#include <pthread.h>

/* What the engine's errors, "KIND: message", may name. */
static const struct {
    const char *name;
    PyObject **type;
} kinds[] = {
    {"ValueError", &PyExc_ValueError},
    {"KeyError", &PyExc_KeyError},
    {"AttributeError", &PyExc_AttributeError},
    {"TypeError", &PyExc_TypeError},
    {"IndexError", &PyExc_IndexError},
    {"AssertionError", &PyExc_AssertionError},
    {"NotImplementedError", &PyExc_NotImplementedError},
    {"FileNotFoundError", &PyExc_FileNotFoundError},
    {"OSError", &PyExc_OSError},
    {"MemoryError", &PyExc_MemoryError},
    {"OverflowError", &PyExc_OverflowError},
    {"RuntimeError", &PyExc_RuntimeError},
};

PyObject *glue_fetch(void) {
#if PY_VERSION_HEX >= 0x030C0000
    return PyErr_GetRaisedException();
#else
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (!type)
        return NULL;
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback)
        PyException_SetTraceback(value, traceback);
    Py_DECREF(type);
    Py_XDECREF(traceback);
    return value;
#endif
}

void glue_restore(PyObject *exception) {
#if PY_VERSION_HEX >= 0x030C0000
    PyErr_SetRaisedException(exception);
#else
    PyErr_Restore(Py_NewRef(Py_TYPE(exception)), exception, PyException_GetTraceback(exception));
#endif
}

/* The exception that an error's text names in the place of the error, "from None". */
static void translate(void) {
    if (!PyErr_ExceptionMatches(PyExc_RuntimeError))
        return;
    PyObject *error = glue_fetch(), *text = PyObject_Str(error), *named = NULL;
    const char *message = text ? PyUnicode_AsUTF8(text) : NULL;
    const char *colon = message ? strstr(message, ": ") : NULL;
    for (size_t i = 0; colon && i < sizeof kinds / sizeof *kinds; i++) {
        if (strlen(kinds[i].name) == (size_t)(colon - message) &&
            !memcmp(kinds[i].name, message, (size_t)(colon - message))) {
            named = PyObject_CallFunction(*kinds[i].type, "s", colon + 2);
            break;
        }
    }
    Py_XDECREF(text);
    PyErr_Clear();
    if (named) {
        PyException_SetCause(named, NULL); /* also hides what is being handled */
        Py_DECREF(error);
        error = named;
    }
    glue_restore(error);
}

/* Forks: the engine's threads do not survive one, and a call would hang. */

static int forked;

static void in_child(void) {
    forked = 1;
}

int glue_is_gone(void) {
#if PY_VERSION_HEX >= 0x030D0000
    return forked || Py_IsFinalizing();
#else
    return forked || _Py_IsFinalizing();
#endif
}

/* Runs: counted, so that the interpreter's exit can wait for them. All of this is under the GIL. */

static int closing, running;
static PyObject *threads; /* a set: who has ever run anything */

int glue_call_init(PyObject *module) {
    static int registered;
    if (!registered && pthread_atfork(NULL, NULL, in_child)) {
        PyErr_NoMemory();
        return -1;
    }
    registered = 1;
    if (!threads && !(threads = PySet_New(NULL)))
        return -1;
    return PyModule_AddObjectRef(module, "threads", threads);
}

int glue_is_closing(void) {
    return closing;
}

PyObject *glue_close_runs(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused)) {
    closing = 1;
    return PyLong_FromLong(running);
}

static int remember_thread(void) {
    static _Thread_local int known;
    if (known)
        return 0;
    PyObject *ident = PyLong_FromUnsignedLong(PyThread_get_thread_ident());
    int result = ident ? PySet_Add(threads, ident) : -1;
    Py_XDECREF(ident);
    known = result == 0;
    return result;
}

static PyObject *set_exiting(void) {
    PyErr_SetString(PyExc_SystemExit, "the interpreter is exiting");
    return NULL;
}

/* A call that lasts, and calls back: its last argument is a Dispatcher. */
static PyObject *call_long(PyObject *function, PyObject *const *args, Py_ssize_t n) {
    if (closing)
        return set_exiting();
    if (remember_thread() < 0 || glue_descend() < 0)
        return NULL;
    running++;
    PyObject *result = PyObject_Vectorcall(function, args, (size_t)n, NULL);
    running--;
    glue_ascend();
    PyObject *raised = glue_dispatcher_raised(args[n - 1]);
    if (raised) { /* by a callback: it comes out unchanged */
        Py_XDECREF(result);
        PyErr_Clear();
        glue_restore(raised);
        return NULL;
    }
    if (!result)
        translate();
    else if (PyLong_Check(result) && PyLong_AsLongLong(result) == NATIVE_ENDED) {
        Py_DECREF(result);
        return set_exiting();
    }
    return result;
}

PyObject *glue_call(PyObject *function, PyObject *const *args, Py_ssize_t n) {
    if (forked) {
        PyErr_SetString(
            PyExc_RuntimeError,
            "transformer_lens_go cannot be used in a process forked after it was imported: the "
            "engine's threads do not exist there. Start processes with "
            "multiprocessing.get_context('spawn') or 'forkserver' (DataLoader: "
            "multiprocessing_context='spawn', or num_workers=0).");
        return NULL;
    }
    glue_let_go();
    if (n > 0 && glue_is_dispatcher(args[n - 1]))
        return call_long(function, args, n);
    PyObject *result = PyObject_Vectorcall(function, args, (size_t)n, NULL);
    if (!result)
        translate();
    return result;
}

PyObject *glue_module_call(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t n) {
    if (n < 1) {
        PyErr_SetString(PyExc_TypeError, "call() needs a function of the engine");
        return NULL;
    }
    return glue_call(args[0], args + 1, n - 1);
}
