/* _glue.Tensor: the engine's memory for Python libraries, by DLPack and by the buffer protocol,
 * without a copy. A Tensor holds a reference of its own: what is made of it stays valid after the
 * handle is closed. */
#include "glue.h"

#include <structmember.h>

typedef struct {
    PyObject_HEAD
    tlg_tensor *tensor;
    const glue_dtype *dtype;
    char readonly;
    Py_ssize_t items, itemsize;
    Py_ssize_t shape[TLG_MAXDIM];
    Py_ssize_t strides[TLG_MAXDIM]; /* in bytes, as the buffer protocol has them */
} Tensor;

static int describe(Tensor *self) {
    tlg_tensor *t = self->tensor;
    self->dtype = glue_dtype_of(t->dtype);
    if (!self->dtype) {
        PyErr_Format(PyExc_TypeError, "the engine's dtype code 0x%x is not known here",
                     (unsigned)t->dtype);
        return -1;
    }
    self->itemsize = t->dtype >> 11;
    self->items = 1;
    for (int i = 0; i < t->ndim; i++) {
        self->shape[i] = (Py_ssize_t)t->shape[i];
        self->strides[i] = (Py_ssize_t)t->strides[i] * self->itemsize;
        self->items *= self->shape[i];
    }
    return 0;
}

static PyObject *tensor_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"handle", "readonly", "close", NULL};
    PyObject *handle;
    int readonly = 0, close = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|$pp:Tensor", names, &handle, &readonly,
                                     &close))
        return NULL;
    Tensor *self = (Tensor *)type->tp_alloc(type, 0);
    if (!self)
        return NULL;
    self->readonly = (char)readonly;
    self->tensor = glue_acquire(handle);
    if (!self->tensor || describe(self) < 0 || (close && glue_close(handle) < 0)) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void tensor_dealloc(Tensor *self) {
    PyTypeObject *type = Py_TYPE(self);
    if (self->tensor)
        glue_api()->release(self->tensor);
    type->tp_free(self);
    Py_DECREF(type);
    glue_let_go();
}

/* 1 when laid out like C (fortran = 0) or Fortran (fortran = 1) would; dimensions of size 1 may
 * have any stride. */
static int is_contiguous(const Tensor *self, int fortran) {
    int ndim = self->tensor->ndim;
    Py_ssize_t expected = self->itemsize;
    if (self->items == 0)
        return 1;
    for (int k = 0; k < ndim; k++) {
        int i = fortran ? k : ndim - 1 - k;
        if (self->shape[i] != 1 && self->strides[i] != expected)
            return 0;
        expected *= self->shape[i];
    }
    return 1;
}

static int layout_is_allowed(const Tensor *self, int flags) {
    int c = is_contiguous(self, 0), f = is_contiguous(self, 1);
    if ((flags & PyBUF_C_CONTIGUOUS) == PyBUF_C_CONTIGUOUS)
        return c;
    if ((flags & PyBUF_F_CONTIGUOUS) == PyBUF_F_CONTIGUOUS)
        return f;
    if ((flags & PyBUF_ANY_CONTIGUOUS) == PyBUF_ANY_CONTIGUOUS)
        return c || f;
    return c || (flags & PyBUF_STRIDES) == PyBUF_STRIDES;
}

static int tensor_getbuffer(Tensor *self, Py_buffer *view, int flags) {
    view->obj = NULL;
    if ((flags & PyBUF_WRITABLE) && self->readonly) {
        PyErr_SetString(PyExc_BufferError, "this tensor is read-only");
        return -1;
    }
    if (!layout_is_allowed(self, flags)) {
        PyErr_SetString(
            PyExc_BufferError,
            "this tensor's strides are not of the contiguous layout that was asked for");
        return -1;
    }
    int ndim = self->tensor->ndim;
    view->buf = self->tensor->data;
    view->len = self->items * self->itemsize;
    view->itemsize = self->itemsize;
    view->readonly = self->readonly;
    view->format = (flags & PyBUF_FORMAT) ? (char *)self->dtype->format : NULL;
    view->ndim = ndim;
    view->shape = ndim && (flags & PyBUF_ND) ? self->shape : NULL;
    view->strides = ndim && (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? self->strides : NULL;
    view->suboffsets = NULL;
    view->internal = NULL;
    view->obj = Py_NewRef(self);
    return 0;
}

/* Raises BufferError for what DLPack lets a consumer ask and the CPU cannot give. */
static int check_request(PyObject *stream, PyObject *device, PyObject *copy) {
    if (stream != Py_None) {
        PyErr_SetString(PyExc_BufferError,
                        "a tensor on the CPU has no streams: stream must be None");
        return -1;
    }
    if (copy != Py_None) {
        int wanted = PyObject_IsTrue(copy);
        if (wanted > 0)
            PyErr_SetString(PyExc_BufferError,
                            "the engine exports its memory as it is: copy the array afterwards");
        if (wanted)
            return -1;
    }
    if (device != Py_None) {
        int type, id;
        if (!PyTuple_Check(device) || !PyArg_ParseTuple(device, "ii", &type, &id)) {
            if (!PyErr_Occurred())
                PyErr_SetString(PyExc_TypeError, "dl_device must be a tuple of two ints or None");
            return -1;
        }
        if (type != 1 || id != 0) {
            PyErr_Format(PyExc_BufferError,
                         "this tensor is on the CPU, device (1, 0), not (%d, %d)", type, id);
            return -1;
        }
    }
    return 0;
}

static PyObject *tensor_dlpack(Tensor *self, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"stream", "max_version", "dl_device", "copy", NULL};
    PyObject *stream = Py_None, *version = Py_None, *device = Py_None, *copy = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$OOOO:__dlpack__", names, &stream, &version,
                                     &device, &copy) ||
        check_request(stream, device, copy) < 0)
        return NULL;
    int major = 0, minor = 0;
    if (version != Py_None) {
        if (!PyTuple_Check(version)) {
            PyErr_SetString(PyExc_TypeError, "max_version must be a tuple of two ints or None");
            return NULL;
        }
        if (!PyArg_ParseTuple(version, "ii", &major, &minor))
            return NULL;
    }
    if (self->readonly && major < 1) {
        PyErr_SetString(PyExc_BufferError,
                        "a read-only tensor needs a consumer of DLPack 1.0 or newer");
        return NULL;
    }
    __atomic_add_fetch(&self->tensor->refs, 1, __ATOMIC_RELAXED);
    return glue_dlpack_capsule(self->tensor, major >= 1, self->readonly);
}

static PyObject *tensor_device(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(unused)) {
    return Py_BuildValue("(ii)", 1, 0);
}

static PyObject *tensor_shape(Tensor *self, void *Py_UNUSED(unused)) {
    PyObject *shape = PyTuple_New(self->tensor->ndim);
    for (int i = 0; shape && i < self->tensor->ndim; i++) {
        PyObject *n = PyLong_FromSsize_t(self->shape[i]);
        if (!n) {
            Py_CLEAR(shape);
            break;
        }
        PyTuple_SET_ITEM(shape, i, n);
    }
    return shape;
}

static PyObject *tensor_dtype(Tensor *self, void *Py_UNUSED(unused)) {
    return PyUnicode_FromString(self->dtype->name);
}

static PyObject *tensor_repr(Tensor *self) {
    PyObject *shape = tensor_shape(self, NULL);
    if (!shape)
        return NULL;
    PyObject *text = PyUnicode_FromFormat("<Tensor %s %R%s>", self->dtype->name, shape,
                                          self->readonly ? " read-only" : "");
    Py_DECREF(shape);
    return text;
}

static PyMethodDef methods[] = {
    {"__dlpack__", (PyCFunction)(void (*)(void))tensor_dlpack, METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR("A DLPack capsule over the same memory.")},
    {"__dlpack_device__", tensor_device, METH_NOARGS, PyDoc_STR("(1, 0): the CPU.")},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef properties[] = {
    {"shape", (getter)tensor_shape, NULL, PyDoc_STR("The size of each dimension."), NULL},
    {"dtype", (getter)tensor_dtype, NULL, PyDoc_STR("The element type's name, such as float32."),
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef members[] = {
    {"readonly", T_BOOL, offsetof(Tensor, readonly), READONLY,
     PyDoc_STR("Whether consumers must not write.")},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc,
     PyDoc_STR(
         "Tensor(handle, *, readonly=False, close=False)\n--\n\n"
         "The engine's tensor behind a handle, by DLPack and by the buffer protocol; bfloat16 has "
         "the\n"
         "buffer format 'H'. With close=True the handle ends and this object keeps the memory.")},
    {Py_tp_new, tensor_new},
    {Py_tp_dealloc, tensor_dealloc},
    {Py_tp_repr, tensor_repr},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {Py_tp_members, members},
    {Py_bf_getbuffer, tensor_getbuffer},
    {0, NULL},
};

PyType_Spec glue_tensor_spec = {
    .name = "transformer_lens_go._glue.Tensor",
    .basicsize = sizeof(Tensor),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};
