"""The engine calling Python through gopy: arguments, exceptions, signals, threads and re-entry, on a tiny model."""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformer_lens_go import _glue
from transformer_lens_go._gopy import pybind

FOLDER = Path(__file__).parent / "data" / "gpt2"
POINTS = ("blocks.0.hook_in", "blocks.1.hook_out")
CONTINUE, RAISED = 0, 1


def counts() -> dict[str, int]:
    gc.collect()
    return json.loads(pybind.Counts())


class Model:
    """A model with one hook at each of POINTS, asked with nothing between this test and the engine."""

    def __init__(self) -> None:
        options = json.dumps({"path": str(FOLDER), "load_weights": True})
        self.handle = pybind.ModelOpen(options, _glue.Dispatcher(None))
        described = json.loads(pybind.ModelDescribe(self.handle))
        names = [point["name"] for point in described["points"]]
        self.hooks = [
            pybind.HookAdd(self.handle, names.index(name), number, 0, -1, False, False)
            for number, name in enumerate(POINTS, 1)
        ]
        self.tokens = np.arange(10, dtype=np.int64).reshape(2, 5)

    def run(self, callback: Callable[..., Any]) -> int:
        """Runs to the logits and lets go of the result; its handle, or -1 when the callback raised."""
        tokens = _glue.borrow(self.tokens, self.tokens.ctypes.data, 0x4000, self.tokens.shape)
        question = {"tokens": tokens, "output": "logits", "keep": [], "call": True}
        try:
            told = pybind.Run(self.handle, json.dumps(question), callback)
            if not told:
                return -1
            handle, _, text = told.partition(" ")
            assert json.loads(text)["output"] > 0
            pybind.TensorClose(int(handle))
            return int(handle)
        finally:
            pybind.TensorClose(tokens)


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    model = Model()
    model.run(_glue.Dispatcher(lambda *_: None))  # what is made once is made
    yield model
    pybind.ModelClose(model.handle)


@pytest.fixture(autouse=True)
def nothing_leaks(model: Model) -> Iterator[None]:
    before = counts()
    yield
    after = counts()
    for key in ("Storages", "Bytes", "Handles", "Exported", "Runs"):
        assert after[key] == before[key], key


def hooks_only(seen: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """The calls for hooks: with hook id 0 the engine only asks whether to go on."""
    return [call for call in seen if call[1] != 0]


def test_a_callback_gets_run_hook_and_tensor(model: Model) -> None:
    seen: list[tuple[int, int, int]] = []
    views: list[np.ndarray[Any, Any]] = []

    def function(run: int, hook: int, tensor: int) -> None:
        seen.append((run, hook, tensor))
        if hook:
            views.append(np.asarray(_glue.Tensor(tensor)))

    assert model.run(_glue.Dispatcher(function)) > 0
    calls = hooks_only(seen)
    assert [hook for _, hook, _ in calls] == model.hooks
    assert len({run for run, _, _ in calls}) == 1
    for (_, _, tensor), view in zip(calls, views, strict=True):
        assert view.shape == (2, 5, 24)
        assert np.isfinite(view).all()
        with pytest.raises(RuntimeError, match="closed"):
            _glue.Tensor(tensor)


class Mistake(Exception):
    pass


@pytest.mark.parametrize("error", [Mistake, KeyboardInterrupt, SystemExit])
def test_an_exception_ends_the_run(model: Model, error: type[BaseException]) -> None:
    calls: list[int] = []

    def function(run: int, hook: int, tensor: int) -> None:
        if hook:
            calls.append(hook)
            raise error("here")

    dispatcher = _glue.Dispatcher(function)
    assert model.run(dispatcher) == -1
    assert type(dispatcher.exc) is error
    assert calls == model.hooks[:1]
    assert model.run(_glue.Dispatcher(lambda *_: None)) > 0


@pytest.mark.parametrize(
    "bad", [lambda *_: 1 / 0, lambda: 0, lambda *_: "x", lambda *_: 1 << 80, 3]
)
def test_a_wrong_callback_kills_nothing(model: Model, bad: Any) -> None:
    """The product always passes a Dispatcher; anything else ends the run and is reported as unraisable."""
    reported: list[Any] = []
    before, sys.unraisablehook = sys.unraisablehook, lambda about: reported.append(about.exc_type)
    try:
        assert model.run(bad) == -1
    finally:
        sys.unraisablehook = before
    assert len(reported) == 1


def test_ctrl_c_in_a_callback_ends_the_run(model: Model) -> None:
    """A real signal, sent by another thread while the callback waits in C."""
    entered = threading.Event()

    def interrupt() -> None:
        entered.wait(20)
        os.kill(os.getpid(), signal.SIGINT)

    def function(*_: int) -> None:
        entered.set()
        time.sleep(60)

    thread = threading.Thread(target=interrupt)
    thread.start()
    dispatcher = _glue.Dispatcher(function)
    assert model.run(dispatcher) == -1
    thread.join()
    assert isinstance(dispatcher.exc, KeyboardInterrupt)
    assert model.run(_glue.Dispatcher(lambda *_: None)) > 0


def test_a_thousand_exceptions_leave_nothing(model: Model) -> None:
    def fail(*_: int) -> None:
        raise Mistake

    references = sys.getrefcount(Mistake)
    for _ in range(1000):
        dispatcher = _glue.Dispatcher(fail)
        assert model.run(dispatcher) == -1
        assert isinstance(dispatcher.exc, Mistake)
    del dispatcher
    gc.collect()
    assert sys.getrefcount(Mistake) < references + 100


def test_a_callback_may_run_the_model_again(model: Model) -> None:
    depth = 0

    def function(run: int, hook: int, tensor: int) -> None:
        nonlocal depth
        if hook == model.hooks[0] and depth < 50:
            depth += 1
            assert model.run(_glue.Dispatcher(function)) > 0

    dispatcher = _glue.Dispatcher(function)
    assert model.run(dispatcher) > 0
    assert dispatcher.exc is None
    assert depth == 50


def test_an_exception_comes_out_of_a_run_within_a_run(model: Model) -> None:
    def inner(*_: int) -> None:
        raise Mistake("inside")

    def outer(run: int, hook: int, tensor: int) -> None:
        dispatcher = _glue.Dispatcher(inner)
        model.run(dispatcher)
        if dispatcher.exc is not None:
            raise dispatcher.exc

    dispatcher = _glue.Dispatcher(outer)
    assert model.run(dispatcher) == -1
    assert isinstance(dispatcher.exc, Mistake)


def test_threads_have_their_own_runs(model: Model) -> None:
    problems: list[BaseException] = []

    def work(fails: bool) -> None:
        own = threading.get_ident()

        def function(*_: int) -> None:
            if threading.get_ident() != own:
                problems.append(AssertionError("called on another thread"))
            if fails:
                raise Mistake

        for _ in range(50):
            dispatcher = _glue.Dispatcher(function)
            if (model.run(dispatcher) == -1) != fails:
                problems.append(AssertionError("the other thread's exception arrived"))

    threads = [threading.Thread(target=work, args=(fails,)) for fails in (False, True, False)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


def test_errors_of_the_engine_do_not_grow_memory(model: Model) -> None:
    for _ in range(200):
        with pytest.raises(RuntimeError, match="closed"):
            pybind.TensorClose(12345)
        with pytest.raises(RuntimeError):
            pybind.Run(model.handle, "{", _glue.Dispatcher(lambda *_: None))
