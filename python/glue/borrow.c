/* borrow(): a handle over memory that a Python object owns, and is to keep for as long as the
 * engine uses it. */
#include "glue.h"

/* The int64 entries of a tuple, none negative; their number, or -1 with an exception set. */
static int read_sizes(PyObject *tuple, const char *what, int64_t *out) {
    if (!PyTuple_Check(tuple)) {
        PyErr_Format(PyExc_TypeError, "%s must be a tuple of ints, not %s", what,
                     Py_TYPE(tuple)->tp_name);
        return -1;
    }
    Py_ssize_t n = PyTuple_GET_SIZE(tuple);
    if (n > TLG_MAXDIM) {
        PyErr_Format(PyExc_ValueError, "%s has %zd dimensions; the engine has at most %d", what, n,
                     TLG_MAXDIM);
        return -1;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        out[i] = PyLong_AsLongLong(PyTuple_GET_ITEM(tuple, i));
        if (out[i] == -1 && PyErr_Occurred())
            return -1;
        if (out[i] < 0) {
            PyErr_Format(PyExc_ValueError,
                         "%s %R has a negative entry: give the engine a contiguous copy", what,
                         tuple);
            return -1;
        }
    }
    return (int)n;
}

/* Row-major strides; -1 when the tensor would not fit in an address space. */
static int fill_strides(int ndim, const int64_t *shape, int64_t itemsize, int64_t *strides) {
    int64_t step = 1, bytes = itemsize;
    for (int i = ndim - 1; i >= 0; i--) {
        strides[i] = step;
        if (shape[i] == 0)
            continue;
        if (__builtin_mul_overflow(bytes, shape[i], &bytes))
            return -1;
        step *= shape[i];
    }
    return 0;
}

/* Whether the last byte that strides reach can be counted in 64 bits. */
static int reach_overflows(int ndim, const int64_t *shape, const int64_t *strides,
                           int64_t itemsize) {
    int64_t last = 1, span;
    for (int i = 0; i < ndim; i++) {
        if (shape[i] == 0)
            return 0;
        if (__builtin_mul_overflow(shape[i] - 1, strides[i], &span) ||
            __builtin_add_overflow(last, span, &last))
            return 1;
    }
    return __builtin_mul_overflow(last, itemsize, &span);
}

static int is_empty(int ndim, const int64_t *shape) {
    for (int i = 0; i < ndim; i++)
        if (shape[i] == 0)
            return 1;
    return 0;
}

PyObject *glue_borrow(PyObject *Py_UNUSED(module), PyObject *args) {
    PyObject *owner, *address, *shape_arg, *strides_arg = Py_None;
    int code;
    const tlg_glue_api *api = glue_api();
    glue_let_go();
    if (!api ||
        !PyArg_ParseTuple(args, "OOiO|O:borrow", &owner, &address, &code, &shape_arg, &strides_arg))
        return NULL;
    void *data = PyLong_AsVoidPtr(address);
    if (!data && PyErr_Occurred())
        return NULL;
    if (!glue_dtype_of(code))
        return PyErr_Format(PyExc_TypeError,
                            "dtype code 0x%x is none of the engine's (DLPack code | bits << 8)",
                            (unsigned)code);
    int64_t shape[TLG_MAXDIM], strides[TLG_MAXDIM], itemsize = code >> 11;
    int ndim = read_sizes(shape_arg, "shape", shape);
    if (ndim < 0)
        return NULL;
    if (strides_arg == Py_None) {
        if (fill_strides(ndim, shape, itemsize, strides) < 0)
            return PyErr_Format(PyExc_ValueError, "shape %R is larger than memory can be",
                                shape_arg);
    } else {
        int n = read_sizes(strides_arg, "strides", strides);
        if (n < 0)
            return NULL;
        if (n != ndim)
            return PyErr_Format(PyExc_ValueError, "%d strides for %d dimensions", n, ndim);
        if (reach_overflows(ndim, shape, strides, itemsize))
            return PyErr_Format(PyExc_ValueError, "strides %R reach further than memory can",
                                strides_arg);
    }
    if (!data && !is_empty(ndim, shape))
        return PyErr_Format(PyExc_ValueError, "a null address for shape %R", shape_arg);
    intptr_t loan = glue_loan(owner);
    int64_t handle = loan ? api->borrow(&glue_object, loan, data, code, ndim, shape, strides) : 0;
    if (!handle)
        return PyErr_NoMemory();
    return PyLong_FromLongLong(handle);
}
