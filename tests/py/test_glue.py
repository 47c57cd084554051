"""The C glue: the engine's memory as NumPy and torch see it, handles, and calls from the engine into Python."""

from __future__ import annotations

import ctypes
import gc
import io
import json
import operator
import subprocess
import sys
import threading
import tracemalloc
import weakref
import zlib
from _thread import interrupt_main
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from transformer_lens_go import _glue
from transformer_lens_go._gopy import pybind

DTYPES = {
    "float32": 0x2002,
    "float64": 0x4002,
    "float16": 0x1002,
    "int64": 0x4000,
    "int32": 0x2000,
    "uint8": 0x0801,
    "bool": 0x0806,
}


def counts() -> dict[str, int]:
    gc.collect()
    return json.loads(pybind.Counts())


@pytest.fixture(autouse=True)
def nothing_leaks() -> Iterator[None]:
    """Every test here must leave as many tensors and handles as it found."""
    before = counts()
    yield
    after = counts()
    for key in ("Storages", "Bytes", "Handles", "Exported"):
        assert after[key] == before[key], key


def borrow(array: np.ndarray[Any, Any], name: str | None = None) -> int:
    """A handle over an array, which the engine keeps for as long as it needs it."""
    strides = tuple([s // array.itemsize for s in array.strides])  # of its size: no free list grows
    dtype = DTYPES[name or array.dtype.name]
    return _glue.borrow(array, array.ctypes.data, dtype, array.shape, strides)


@pytest.fixture
def array() -> np.ndarray[Any, Any]:
    return np.arange(24, dtype=np.float32).reshape(2, 3, 4)


@pytest.fixture
def handle(array: np.ndarray[Any, Any]) -> Iterator[int]:
    h = borrow(array)
    yield h
    pybind.TensorClose(h)


# ---- arrays ----


@pytest.mark.parametrize("name", DTYPES)
def test_numpy_shares_memory_of_every_dtype(name: str) -> None:
    array = np.array([[0, 1, 1], [1, 0, 1]], dtype=name)
    h = borrow(array)
    tensor = _glue.Tensor(h, close=True)
    assert (tensor.dtype, tensor.shape, tensor.readonly) == (name, (2, 3), False)
    for view in (np.asarray(tensor), np.from_dlpack(tensor)):
        assert view.dtype == array.dtype
        assert view.flags.writeable
        np.testing.assert_array_equal(view, array)
        view[0, 0] = 1 - view[0, 0]
        assert array[0, 0] == view[0, 0]


def test_bfloat16_is_a_buffer_of_16_bits() -> None:
    bits = np.array([0x3F80, 0x4000], dtype=np.uint16)
    tensor = _glue.Tensor(_glue.borrow(bits, bits.ctypes.data, 0x1004, (2,)), close=True)
    view = np.asarray(tensor)
    assert tensor.dtype == "bfloat16"
    assert view.dtype == np.uint16
    view[1] = 7
    assert bits[1] == 7


@pytest.mark.parametrize("key", [np.s_[:, ::2, 1:3], np.s_[0], np.s_[:, :, :0], np.s_[1, 2, 3]])
def test_strided_views(array: np.ndarray[Any, Any], key: Any) -> None:
    for part in (array[key], np.asarray(array[key]).T):
        tensor = _glue.Tensor(borrow(np.asarray(part)), close=True)
        view = np.asarray(tensor)
        assert view.shape == part.shape == tensor.shape
        assert view.strides == part.strides or part.size <= 1
        np.testing.assert_array_equal(view, part)
        np.testing.assert_array_equal(np.from_dlpack(tensor), part)


def test_broadcast_stride_of_zero() -> None:
    row = np.arange(3, dtype=np.float32)
    tensor = _glue.Tensor(_glue.borrow(row, row.ctypes.data, 0x2002, (4, 3), (0, 1)), close=True)
    np.testing.assert_array_equal(np.asarray(tensor), np.broadcast_to(row, (4, 3)))


def test_contiguous_buffer_of_a_strided_tensor_is_refused(array: np.ndarray[Any, Any]) -> None:
    flipped = array.transpose(2, 0, 1)
    tensor = _glue.Tensor(borrow(flipped), close=True)
    assert memoryview(tensor).tobytes() == flipped.tobytes()
    with pytest.raises(BufferError, match="contiguous"):
        zlib.crc32(tensor)  # asks for plain bytes


def test_fortran_order(array: np.ndarray[Any, Any]) -> None:
    view = memoryview(_glue.Tensor(borrow(array.T), close=True))
    assert view.f_contiguous
    assert not view.c_contiguous
    assert view.tobytes(order="F") == array.tobytes()


def test_read_only(array: np.ndarray[Any, Any]) -> None:
    tensor = _glue.Tensor(borrow(array), readonly=True, close=True)
    view = np.asarray(tensor)
    assert tensor.readonly
    assert not view.flags.writeable
    with pytest.raises(TypeError):  # which is what these make of the refusal
        ctypes.c_char.from_buffer(tensor)
    with pytest.raises(TypeError):
        io.BytesIO(b"1234").readinto(tensor)
    assert array[0, 0, 0] == 0
    with pytest.raises(BufferError, match="read-only"):
        tensor.__dlpack__()
    assert not np.from_dlpack(tensor).flags.writeable


def test_dlpack_requests(handle: int) -> None:
    tensor = _glue.Tensor(handle)
    assert tensor.__dlpack_device__() == (1, 0)
    assert '"dltensor"' in repr(tensor.__dlpack__())
    assert '"dltensor"' in repr(tensor.__dlpack__(max_version=(0, 8)))
    assert '"dltensor_versioned"' in repr(tensor.__dlpack__(max_version=(1, 3)))
    assert tensor.__dlpack__(dl_device=(1, 0), copy=False)
    for refused in ({"dl_device": (2, 0)}, {"copy": True}, {"stream": 1}):
        with pytest.raises(BufferError):
            tensor.__dlpack__(**refused)  # type: ignore[arg-type]
    for wrong in ({"max_version": 1}, {"dl_device": "cpu"}, {"what": 1}):
        with pytest.raises(TypeError):
            tensor.__dlpack__(**wrong)  # type: ignore[arg-type]


def test_repr_and_final(handle: int) -> None:
    assert repr(_glue.Tensor(handle)) == "<Tensor float32 (2, 3, 4)>"
    assert repr(_glue.Tensor(handle, readonly=True)) == "<Tensor float32 (2, 3, 4) read-only>"
    with pytest.raises(TypeError):
        type("Sub", (_glue.Tensor,), {})


def test_torch_shares_memory_of_every_dtype() -> None:
    torch = pytest.importorskip("torch")
    for name, code in {**DTYPES, "bfloat16": 0x1004}.items():
        source = torch.ones(2, 3, dtype=getattr(torch, name))
        h = _glue.borrow(source, source.data_ptr(), code, (2, 3))
        for made in (torch.from_dlpack(_glue.Tensor(h)), torch.from_dlpack(_glue.take(h))):
            assert made.dtype == source.dtype
            assert made.data_ptr() == source.data_ptr()
            made[0, 0] = 0
            assert source[0, 0] == 0
            made[0, 0] = 1


# ---- handles ----


def test_a_view_outlives_its_handle(array: np.ndarray[Any, Any]) -> None:
    h = borrow(array)
    view = np.asarray(_glue.Tensor(h))
    pybind.TensorClose(h)
    gc.collect()
    view[0, 0, 0] = 42
    assert array[0, 0, 0] == 42
    with pytest.raises(RuntimeError, match="closed"):
        _glue.Tensor(h)


def test_take_closes_and_capsule_does_not(array: np.ndarray[Any, Any]) -> None:
    h = borrow(array)
    assert _glue.capsule(h)
    assert _glue.capsule(h)
    assert _glue.take(h)
    for function in (_glue.take, _glue.capsule, _glue.Tensor):
        with pytest.raises(RuntimeError, match=f"handle {h} is unknown or was closed"):
            function(h)


@pytest.mark.parametrize("bad", [0, -1, 1, 1 << 62, -(1 << 63), 1 << 63, 1 << 100, -(1 << 100)])
def test_wrong_handles(bad: int, handle: int) -> None:
    for function in (_glue.take, _glue.capsule, _glue.Tensor):
        with pytest.raises(RuntimeError, match="unknown or was closed"):
            function(bad if bad != 1 else handle + 1)


@pytest.mark.parametrize("bad", ["1", 1.5, None, b"x", [1]])
def test_a_handle_is_an_int(bad: Any) -> None:
    for function in (_glue.take, _glue.capsule, _glue.Tensor):
        with pytest.raises(TypeError):
            function(bad)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((0, 0x2002, (2,)), ValueError, "null address"),
        ((64, 0x2003, (2,)), TypeError, "dtype code 0x2003"),
        ((64, 0x2002, [2]), TypeError, "shape must be a tuple"),
        ((64, 0x2002, (2,), [1]), TypeError, "strides must be a tuple"),
        ((64, 0x2002, (-2,)), ValueError, "negative"),
        ((64, 0x2002, (2,), (-1,)), ValueError, "contiguous copy"),
        ((64, 0x2002, (2, 2), (1,)), ValueError, "1 strides for 2 dimensions"),
        ((64, 0x2002, (1,) * 9), ValueError, "at most 8"),
        ((64, 0x2002, (1 << 40, 1 << 40)), ValueError, "larger than memory"),
        ((64, 0x2002, (2,), (1 << 62,)), ValueError, "reach further"),
        ((64, 0x2002, (1 << 70,)), OverflowError, "int"),
        (("a", 0x2002, (2,)), TypeError, "integer"),
    ],
)
def test_borrow_refuses(arguments: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        _glue.borrow(None, *arguments)


def test_borrowing_nothing() -> None:
    tensor = _glue.Tensor(_glue.borrow(None, 0, 0x2002, (0, 3)), close=True)
    assert np.asarray(tensor).shape == (0, 3)


class FakeTable(ctypes.Structure):
    _fields_ = [("abi", ctypes.c_int32), ("functions", ctypes.c_void_p * 4)]


def test_init_checks_what_it_is_given() -> None:
    _glue.init(pybind.GlueAPI())  # again: the same engine
    with pytest.raises(RuntimeError, match="null table"):
        _glue.init(0)
    with pytest.raises(TypeError):
        _glue.init("x")  # type: ignore[arg-type]
    table = FakeTable(abi=999)
    with pytest.raises(RuntimeError, match=r"version 999 .* built for \d+"):
        _glue.init(ctypes.addressof(table))
    table.abi = ctypes.c_int32.from_address(pybind.GlueAPI()).value
    with pytest.raises(RuntimeError, match="another engine"):
        _glue.init(ctypes.addressof(table))


class Managed(ctypes.Structure):
    """DLManagedTensor: the tensor's 48 bytes, the context, the deleter."""

    _fields_ = [("tensor", ctypes.c_char * 48), ("context", ctypes.c_void_p)]
    _fields_ += [("deleter", ctypes.CFUNCTYPE(None, ctypes.c_void_p))]


def test_a_deleter_runs_on_any_thread(handle: int) -> None:
    before = counts()["Exported"]
    capsules = [_glue.take(borrow(np.zeros(3, np.float32))) for _ in range(4)]
    api = ctypes.pythonapi
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    api.PyCapsule_SetName.argtypes = [ctypes.py_object, ctypes.c_char_p]
    addresses = []
    for capsule in capsules:  # what a consumer does
        addresses.append(api.PyCapsule_GetPointer(capsule, b"dltensor"))
        api.PyCapsule_SetName(capsule, b"used_dltensor")
    capsules.clear()
    assert counts()["Exported"] == before + 4
    # CFUNCTYPE releases the GIL around the call
    threads = [
        threading.Thread(target=lambda a=a: Managed.from_address(a).deleter(a)) for a in addresses
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts()["Exported"] == before


def run_python(code: str, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *flags, "-c", code], capture_output=True, text=True, timeout=120
    )


SETUP = """
import sys
sys.path[:0] = PATHS
import numpy as np
import transformer_lens_go
from transformer_lens_go import _glue
from transformer_lens_go._gopy import pybind
a = np.zeros(3, np.float32)
h = _glue.borrow(a, a.ctypes.data, 0x2002, (3,))
"""


def with_paths(code: str) -> str:
    return code.replace("PATHS", repr([p for p in sys.path if p]))


def test_interpreter_exit_with_everything_alive() -> None:
    code = SETUP + (
        "keep = [_glue.Tensor(h), _glue.capsule(h), np.asarray(_glue.Tensor(h))]\n"
        "class Late:\n"
        "    def __del__(self, f=_glue.Tensor, h=h): f(h)\n"
        "sys.late = Late(); cycle = _glue.Dispatcher(lambda: cycle)\n"
        "print('end')\n"
    )
    done = run_python(with_paths(code), "-X", "faulthandler")
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")


def test_sub_interpreters_are_refused() -> None:
    code = SETUP + (
        "try:\n    import _interpreters as subs\n"
        "except ImportError:\n    import _xxsubinterpreters as subs\n"
        "script = f'''\n"
        "import importlib.machinery, importlib.util\n"
        'loader = importlib.machinery.ExtensionFileLoader("_glue", {_glue.__file__!r})\n'
        'spec = importlib.util.spec_from_loader("_glue", loader)\n'
        "module = importlib.util.module_from_spec(spec)\n"
        "loader.exec_module(module)\n"
        "'''\n"
        "try:\n"
        "    problem = subs.run_string(subs.create(), script)\n"
        "    print(problem.type.__name__ if problem else None, getattr(problem, 'msg', ''))\n"
        "except subs.RunFailedError as e:\n    print(e)\n"
    )
    done = run_python(with_paths(code))
    assert "ImportError" in done.stdout, done
    assert done.returncode == 0, done


# ---- calls from the engine into Python ----


def test_dispatcher_passes_arguments_and_status() -> None:
    seen: list[Any] = []

    def function(*arguments: int, **named: int) -> int | None:
        seen.append((arguments, named))
        return arguments[0] or None

    dispatcher = _glue.Dispatcher(function)
    assert dispatcher(2, -3, 1 << 40) == 2
    assert dispatcher(0) == 0
    assert dispatcher(127, x=1) == 127
    assert seen == [((2, -3, 1 << 40), {}), ((0,), {}), ((127,), {"x": 1})]
    assert dispatcher.exc is None


class Mistake(Exception):
    pass


def test_dispatcher_keeps_the_exception_and_its_traceback() -> None:
    def inner() -> None:
        raise Mistake("from inside")

    dispatcher = _glue.Dispatcher(lambda *_: inner())
    assert dispatcher(1, 2, 3) == 1
    problem = dispatcher.exc
    assert isinstance(problem, Mistake)
    names = []
    trace = problem.__traceback__
    while trace:
        names.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    assert names[-1] == "inner"
    with pytest.raises(Mistake, match="from inside"):
        raise problem
    dispatcher.exc = None
    assert dispatcher.exc is None


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RecursionError, GeneratorExit])
def test_dispatcher_keeps_every_kind_of_exception(error: type[BaseException]) -> None:
    def function() -> None:
        raise error

    dispatcher = _glue.Dispatcher(function)
    assert dispatcher() == 1
    assert type(dispatcher.exc) is error


@pytest.mark.parametrize("result", ["x", 1.0, -1, 128, 1 << 80, object()])
def test_dispatcher_refuses_other_results(result: Any) -> None:
    dispatcher = _glue.Dispatcher(lambda: result)
    assert dispatcher() == 1
    assert isinstance(dispatcher.exc, (TypeError, ValueError, OverflowError))


def test_dispatcher_sees_a_signal_before_it_calls() -> None:
    called: list[int] = []
    dispatcher = _glue.Dispatcher(lambda: called.append(1))
    # C calls C here: between the signal and the dispatcher no bytecode looks for signals
    assert any(map(operator.call, [interrupt_main, dispatcher]))
    assert isinstance(dispatcher.exc, KeyboardInterrupt)
    assert not called


def test_dispatcher_needs_a_callable() -> None:
    bad: Any
    for bad in ((3,), (), (print, 1)):
        with pytest.raises(TypeError):
            _glue.Dispatcher(*bad)
    with pytest.raises(TypeError):
        type("Sub", (_glue.Dispatcher,), {})


class Anchor:
    def __init__(self) -> None:
        self.dispatcher = _glue.Dispatcher(self.fail)

    def fail(self) -> None:
        raise Mistake(self)


def test_a_dispatcher_in_a_cycle_is_collected() -> None:
    anchor = Anchor()
    assert anchor.dispatcher() == 1
    gone = weakref.ref(anchor)
    del anchor
    gc.collect()
    assert gone() is None


def test_no_memory_grows() -> None:
    array = np.zeros((4, 4), np.float32)

    def fail(*_: int) -> None:
        raise Mistake

    dispatcher = _glue.Dispatcher(fail)

    def round_trip() -> None:
        h = borrow(array)
        for view in (np.asarray(_glue.Tensor(h)), np.from_dlpack(_glue.Tensor(h))):
            assert view.shape == array.shape
        assert _glue.capsule(h)
        assert dispatcher(1, 2, h) == 1
        dispatcher.exc = None
        _glue.take(h)
        try:
            _glue.Tensor(h)
        except RuntimeError:
            pass

    for _ in range(500):
        round_trip()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        kinds = (Mistake, _glue.Tensor)
        references = [sys.getrefcount(kind) for kind in kinds]
        for _ in range(2000):
            round_trip()
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < 20_000
        for kind, count in zip(kinds, references, strict=True):
            assert sys.getrefcount(kind) < count + 100
    finally:
        tracemalloc.stop()
