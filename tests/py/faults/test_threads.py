"""One model, or one cache, that several threads use and change at once. Each test takes a second at most."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_models import Arrays
from transformer_lens_go import TransformerLensKeyValueCache
from transformer_lens_go._engine import arrays
from transformer_lens_go._engine.compiled import go
from transformer_lens_go._engine.past import Entry

pytest_plugins = ["tiny_models"]

SECONDS = 0.3
PATIENCE = 60.0  # where other work has the processors


def together(*work: Callable[[int], Any]) -> None:
    """Each does its work(0), work(1), … in a thread of its own for a while. A thread that is stuck fails the test."""
    end = time.monotonic() + SECONDS
    failed: list[BaseException] = []

    def run(step: Callable[[int], Any]) -> None:
        try:
            i = 0
            while (time.monotonic() < end and not failed) or i < 2:
                step(i)
                i += 1
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(step,), daemon=True) for step in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads), "a thread waits for ever"
    if failed:
        raise failed[0]


def consistent(model: Any) -> None:
    """The engine, the configuration and every parameter are of one dtype, and a write to a weight counts."""
    name = model._engine.dtype
    assert str(model.cfg.dtype).endswith(name)
    parameters = list(model.parameters())
    assert {arrays.dtype_name(p) for p in parameters} == {name}
    tokens = arrays.from_numpy(np.arange(5)[None])
    before = model(tokens)
    assert arrays.dtype_name(before) == name
    with arrays.no_grad():
        weight = model.blocks[0].mlp.out.weight
        weight += 1
        assert not Arrays().same(model(tokens), before)
        weight -= 1


def test_fault_M4_dtypes_change_while_parameters_are_read(gpt2: Any, no_grad: None) -> None:
    def convert(first: str, second: str) -> Callable[[int], Any]:
        return lambda i: gpt2.to((first, second)[i % 2])

    def read(i: int) -> None:
        for index in gpt2._engine.params.shapes:
            view = gpt2._engine.params._view(index)
            assert np.isfinite(Arrays().numpy(view)).all()
        for parameter in gpt2.parameters():
            assert parameter.shape

    together(convert("float64", "float32"), convert("float32", "float64"), read)
    consistent(gpt2)


@pytest.mark.parametrize("grads", [True, False])
@pytest.mark.skipif(Arrays.torch is None, reason="gradients are torch's")
def test_fault_M11_a_conversion_and_a_forward_pass_do_not_wait_for_each_other(
    gpt2: Any, grads: bool
) -> None:
    torch = Arrays.torch
    parameters = list(gpt2.parameters())
    if grads:
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)

    def convert(i: int) -> None:
        gpt2.to(("float64", "float32")[i % 2])
        time.sleep(0.01)  # numbers that torch reads while they change are nobody's; views are safe

    def use(i: int) -> None:
        for parameter in parameters:
            assert parameter[:1].requires_grad
            assert parameter.grad is None or grads

    together(convert, use)
    consistent(gpt2)
    assert all(p.grad is None or p.grad.dtype == p.dtype for p in parameters)


def test_fault_M5_a_signal_finds_a_conversion_whole_or_not_made(gpt2: Any, no_grad: None) -> None:
    """The signal comes at one line of the conversion after another: at each in the beginning, then at some."""
    held = list(gpt2.parameters())
    at = lines = 0
    while lines >= at:
        at += 1 + at // 8
        other = "float64" if gpt2._engine.dtype == "float32" else "float32"
        lines = _interrupted_at(at, partial(gpt2.to, other))
        consistent(gpt2)
        if arrays.torch is not None:
            assert {arrays.dtype_name(p) for p in held} == {gpt2._engine.dtype}
    assert at > 20


def _interrupted_at(at: int, change: Callable[[], Any]) -> int:
    """Do the change with Ctrl-C at the at-th line of it; how many lines there were before that."""
    lines = 0

    def trace(frame: Any, event: str, argument: Any) -> Any:
        nonlocal lines
        if Path(frame.f_code.co_filename).name not in ("model.py", "params.py", "bridge.py"):
            return None
        if event == "line":
            lines += 1
            if lines == at:
                sys.settrace(None)
                signal.raise_signal(signal.SIGINT)
        return trace

    sys.settrace(trace)
    try:
        change()
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(None)
    return lines


@pytest.mark.skipif(Arrays.torch is not None, reason="torch has bfloat16")
def test_fault_M5_a_dtype_that_numpy_lacks_changes_nothing(
    gpt2: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    weight = gpt2.blocks[0].mlp.out.weight
    with pytest.raises(ImportError, match="ml_dtypes"):
        gpt2.to("bfloat16")
    assert gpt2.blocks[0].mlp.out.weight is weight
    consistent(gpt2)


def test_fault_M10_an_append_is_not_lost_while_others_read(no_grad: None) -> None:
    shape = (1, 1, 64, 64)
    new = arrays.from_numpy(np.ones(shape, np.float32))
    entry = Entry("float32", 1, 64, 64)
    appended = 0

    def append(i: int) -> None:
        nonlocal appended
        if appended < 400:
            keys, values = entry.append(new, new, frozen=False)
            appended += 1
            assert keys.shape[1] == values.shape[1] == appended

    def read(i: int) -> None:
        keys, values = entry.append(new, new, frozen=True)
        assert keys.shape == values.shape

    together(append, read, read)
    assert len(entry) == appended
    entry.crop(0)


def test_fault_M10_runs_of_a_frozen_cache_beside_one_that_grows(gpt2: Any, xp: Arrays) -> None:
    """Entries may belong to two caches of which one is frozen."""
    tokens = xp.ids(batch=1, pos=1)
    grown = TransformerLensKeyValueCache.init_cache(gpt2.cfg, "cpu", 1)
    entries = [type(entry)(entry.past_keys, entry.past_values, True) for entry in grown.entries]
    for entry, other in zip(grown.entries, entries, strict=True):
        other.__dict__["_entry"] = entry._engine_entry()
    runs = 0

    def grow(i: int) -> None:
        nonlocal runs
        if runs < 40:
            with arrays.no_grad():
                gpt2(tokens, past_kv_cache=grown)
            runs += 1

    def read(i: int) -> None:
        for entry in entries:
            entry.append(entry.past_keys[:, :0], entry.past_values[:, :0])

    together(grow, read)
    assert [len(entry._engine_entry()) for entry in grown.entries] == [runs] * len(entries)


def test_fault_M12_a_model_is_described_while_it_is_converted(gpt2: Any) -> None:
    handle = gpt2._engine.handle

    def describe(i: int) -> None:
        told = json.loads(go.ModelDescribe(handle))
        assert told["cfg"]["dtype"] in ("float32", "float64")
        assert sum(len(c.get("params") or ()) for c in told["components"]) == len(
            gpt2._engine.params.shapes
        )

    together(lambda i: gpt2.to(("float64", "float32")[i % 2]), describe)
