/* transformer_lens_go._glue: the module, its connection to the engine, and the handle functions.
 */
#include "glue.h"

static const glue_dtype dtypes[] = {
    {0x2002, "float32", "f"},  {0x4002, "float64", "d"}, {0x1002, "float16", "e"},
    {0x1004, "bfloat16", "H"}, {0x4000, "int64", "l"},   {0x2000, "int32", "i"},
    {0x0801, "uint8", "B"},    {0x0806, "bool", "?"},
};

_Static_assert(sizeof(long) == 8, "the buffer format 'l' must mean 64 bits");

const glue_dtype *glue_dtype_of(int32_t code) {
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (dtypes[i].code == code)
            return &dtypes[i];
    return NULL;
}

/* One engine a process: its table, static in the engine's library, which is never unloaded. */
static const tlg_glue_api *engine;

const tlg_glue_api *glue_api(void) {
    if (!engine)
        PyErr_SetString(PyExc_RuntimeError,
                        "_glue.init() was not called: import transformer_lens_go first");
    return engine;
}

static PyObject *module_init(PyObject *Py_UNUSED(module), PyObject *address) {
    const tlg_glue_api *api = PyLong_AsVoidPtr(address);
    if (!api) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_RuntimeError, "the engine gave a null table of functions");
        return NULL;
    }
    if (api->abi != TLG_ABI)
        return PyErr_Format(PyExc_RuntimeError,
                            "the engine has API version %d and _glue was built for %d: "
                            "they are of different "
                            "builds; install the package afresh",
                            (int)api->abi, TLG_ABI);
    if (engine && engine != api)
        return PyErr_Format(PyExc_RuntimeError,
                            "_glue serves another engine in this process already");
    engine = api;
    Py_RETURN_NONE;
}

static void set_stale(PyObject *handle) {
    PyErr_Format(PyExc_RuntimeError, "tensor handle %R is unknown or was closed", handle);
}

/* 0, or -1 with an exception set. A number of more than 64 bits is no handle, like any other wrong
 * one. */
static int read_handle(PyObject *object, int64_t *handle) {
    if (glue_owned_id(object, handle))
        return 0;
    *handle = PyLong_AsLongLong(object);
    if (*handle != -1 || !PyErr_Occurred())
        return 0;
    if (PyErr_ExceptionMatches(PyExc_OverflowError)) {
        PyErr_Clear();
        set_stale(object);
    }
    return -1;
}

tlg_tensor *glue_acquire(PyObject *object) {
    int64_t handle;
    const tlg_glue_api *api = glue_api();
    if (!api || read_handle(object, &handle) < 0)
        return NULL;
    tlg_tensor *t = api->acquire(handle);
    if (!t)
        set_stale(object);
    return t;
}

int glue_close(PyObject *object) {
    int64_t handle;
    if (!glue_api() || read_handle(object, &handle) < 0)
        return -1;
    return glue_close_handle(handle);
}

int glue_close_handle(int64_t handle) {
    if (glue_api()->close(handle) == 0)
        return 0;
    PyErr_Format(PyExc_RuntimeError, "tensor handle %lld is unknown or was closed",
                 (long long)handle);
    return -1;
}

static PyObject *module_capsule(PyObject *Py_UNUSED(module), PyObject *handle) {
    tlg_tensor *t = glue_acquire(handle);
    return t ? glue_dlpack_capsule(t, 0, 0) : NULL;
}

static PyObject *module_take(PyObject *module, PyObject *handle) {
    PyObject *capsule = module_capsule(module, handle);
    if (capsule && glue_close(handle) < 0)
        Py_CLEAR(capsule);
    glue_let_go();
    return capsule;
}

static int add_type(PyObject *module, PyType_Spec *spec) {
    PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);
    if (!type)
        return -1;
    int result = PyModule_AddType(module, (PyTypeObject *)type);
    Py_DECREF(type);
    return result;
}

static int module_exec(PyObject *module) {
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(
            PyExc_ImportError,
            "transformer_lens_go works in the main interpreter only, not in sub-interpreters");
        return -1;
    }
    int failed = add_type(module, &glue_tensor_spec) < 0 || add_type(module, &glue_lent_spec) < 0 ||
                 glue_dispatcher_init(module) < 0 || glue_owned_init(module) < 0 ||
                 glue_change_init(module) < 0 || glue_call_init(module) < 0;
    return failed ? -1 : 0;
}

static PyMethodDef methods[] = {
    {"init", module_init, METH_O,
     PyDoc_STR("init(api, /)\n--\n\nConnects to the engine whose API table is at this address.")},
    {"capsule", module_capsule, METH_O,
     PyDoc_STR("capsule(handle, /)\n--\n\nA DLPack capsule over the tensor; the handle stays.")},
    {"take", module_take, METH_O,
     PyDoc_STR("take(handle, /)\n--\n\nA DLPack capsule over the tensor; the handle is closed.")},
    {"borrow", glue_borrow, METH_VARARGS,
     PyDoc_STR("borrow(owner, address, dtype_code, shape, strides=None, /)\n--\n\n"
               "A handle over memory that lasts as long as the object owner, to which the engine\n"
               "holds a reference while it uses the memory; strides count elements.")},
    {"lend", (PyCFunction)(void (*)(void))glue_lend, METH_FASTCALL,
     PyDoc_STR(
         "lend(owner, address, dtype_code, shape, strides, function, /, *arguments)\n--\n\n"
         "function(*arguments, handle) of the engine, with a handle over memory that ends with "
         "the call.")},
    {"call", (PyCFunction)(void (*)(void))glue_module_call, METH_FASTCALL,
     PyDoc_STR("call(function, /, *arguments)\n--\n\n"
               "function(*arguments) of the engine; its \"KIND: message\" errors come out as "
               "exceptions of that kind.")},
    {"close_runs", glue_close_runs, METH_NOARGS,
     PyDoc_STR(
         "close_runs()\n--\n\n"
         "Let no call that lasts begin any more; those that are running end soon. How many they "
         "are.")},
    {"whole", (PyCFunction)(void (*)(void))glue_whole, METH_FASTCALL,
     PyDoc_STR("whole(do, undo, /, *arguments)\n--\n\n"
               "do(*arguments); where it raises, undo(*arguments), until that has run to its end "
               "once.")},
    {"complete", (PyCFunction)(void (*)(void))glue_complete, METH_FASTCALL,
     PyDoc_STR(
         "complete(function, /, *arguments)\n--\n\n"
         "function(*arguments), until it has run to its end once; then what was raised on the "
         "way.")},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, module_exec},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "_glue",
    .m_doc = PyDoc_STR("The engine's tensors for Python libraries, and its calls into Python."),
    .m_size = 0,
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__glue(void) {
    return PyModuleDef_Init(&definition);
}
