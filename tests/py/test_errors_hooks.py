"""Errors in and from hooks: they come out unchanged, and the model works on."""

from __future__ import annotations

import _thread
import json
import os
import signal
import subprocess
import sys
import textwrap
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_models import D_MODEL, Arrays, alive
from transformer_lens_go._engine import errors
from transformer_lens_go._engine.compiled import go

Z = "blocks.1.attn.hook_z"

pytest_plugins = ["tiny_models"]
pytestmark = pytest.mark.usefixtures("no_grad")


class Mine(Exception):
    pass


def raising(value: Any, hook: Any) -> None:
    raise Mine("from the hook", hook.name)


# what a hook raises


def test_an_exception_comes_out_unchanged(model: Any, xp: Arrays) -> None:
    ids = xp.ids()
    clean = model(ids)
    before = alive()
    for run in (
        lambda: model.run_with_hooks(ids, fwd_hooks=[(Z, raising)]),
        lambda: model.run_with_hooks(ids, fwd_hooks=[(Z, raising)], return_type=None),
    ):
        with pytest.raises(Mine) as caught:
            run()
        assert caught.value.args == ("from the hook", "blocks.1.attn.o.hook_in")
        assert caught.value.__cause__ is None
        frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
        assert frames[-1] == "raising"
        assert "test_an_exception_comes_out_unchanged" in frames
        del caught
    assert not model.list_hooks()
    assert model.context_level == 0
    assert xp.same(model(ids), clean)
    assert alive() == before


def test_a_failed_run_caches_nothing_and_leaks_nothing(model: Any, xp: Arrays) -> None:
    before = alive()
    model.add_hook("blocks.2.hook_mlp_out", raising)
    with pytest.raises(Mine):
        model.run_with_cache(xp.ids())
    model.reset_hooks()
    assert alive() == before


@pytest.mark.parametrize("exception", [KeyboardInterrupt, SystemExit, GeneratorExit, StopIteration])
def test_exceptions_of_every_sort(model: Any, xp: Arrays, exception: type[BaseException]) -> None:
    def hook(value: Any, hook: Any) -> None:
        raise exception("stop")

    clean = model(xp.ids())
    with pytest.raises(exception, match="stop"):
        model.run_with_hooks(xp.ids(), fwd_hooks=[(Z, hook)])
    assert xp.same(model(xp.ids()), clean)


def test_ctrl_c_reaches_a_run(model: Any, xp: Arrays) -> None:
    """The interrupt is set before the run: it must come out of the run, at the latest at the next hook."""

    def interrupt(value: Any, hook: Any) -> None:
        _thread.interrupt_main(signal.SIGINT)

    clean = model(xp.ids())
    model.add_hook("hook_embed", interrupt)
    model.add_hook("blocks.1.hook_resid_pre", lambda x, hook: None)
    with pytest.raises(KeyboardInterrupt):
        model(xp.ids())
    model.reset_hooks()
    assert xp.same(model(xp.ids()), clean)


def test_an_exception_in_an_inner_run(model: Any, xp: Arrays) -> None:
    caught: list[BaseException] = []

    def outer(value: Any, hook: Any) -> None:
        try:
            model.run_with_hooks(xp.stream(), fwd_hooks=[(Z, raising)], start_at_layer=1)
        except Mine as error:
            caught.append(error)

    clean = model(xp.ids())
    assert xp.same(model.run_with_hooks(xp.ids(), fwd_hooks=[("hook_embed", outer)]), clean)
    assert len(caught) == 1


def test_exceptions_do_not_hold_on_to_runs(model: Any, xp: Arrays) -> None:
    """No reference cycle keeps what a failed run had, not even until the collector comes."""
    before = alive()
    for _ in range(5):
        with pytest.raises(Mine):
            model.run_with_hooks(xp.ids(), fwd_hooks=[(Z, raising)])
    held = json.loads(go.Counts())
    assert held["Handles"] == before["Handles"]
    assert held["Runs"] == before["Runs"]


def test_hooks_with_the_wrong_parameters(model: Any, xp: Arrays) -> None:
    with pytest.raises(TypeError, match="hook"):
        model.run_with_hooks(xp.ids(), fwd_hooks=[(Z, lambda value: value)])


# what a hook returns


@pytest.mark.parametrize(
    ("result", "error", "text"),
    [
        (
            lambda xp: 0,
            TypeError,
            r"the hook at blocks.1.attn.hook_z \(blocks.1.attn.o.hook_in\) returned int; expected None or a "
            r".*float32 \(2, 6, 4, 8\)",
        ),
        (lambda xp: "text", TypeError, "returned str"),
        (lambda xp: [1.0], TypeError, "returned list"),
        (
            lambda xp: xp.array(np.zeros((2, 6, 4, 8)), "int64"),
            RuntimeError,
            r"returned int64 \(2, 6, 4, 8\).*; expected float32 \(2, 6, 4, 8\)",
        ),
        (lambda xp: xp.array(np.zeros((2, 6, 4, 8)), "bool"), RuntimeError, "returned bool"),
        (
            lambda xp: xp.array(np.zeros((2, 6, 4, 8)), "complex64"),
            RuntimeError,
            "returned complex64",
        ),
        (
            lambda xp: xp.array(np.zeros((2, 6, 4, 7))),
            RuntimeError,
            r"returned shape \(2, 6, 4, 7\); expected \(2, 6, 4, 8\) or a shape that broadcasts",
        ),
        (
            lambda xp: xp.array(np.zeros((3, 6, 4, 8))),
            RuntimeError,
            r"returned shape \(3, 6, 4, 8\)",
        ),
        (
            lambda xp: xp.array(np.zeros((1, 2, 6, 4, 8))),
            RuntimeError,
            r"returned shape \(1, 2, 6, 4, 8\)",
        ),
        (
            lambda xp: xp.array(np.zeros((0, 6, 4, 8))),
            RuntimeError,
            r"returned shape \(0, 6, 4, 8\)",
        ),
    ],
)
def test_what_an_edge_cannot_carry(
    model: Any, xp: Arrays, result: Any, error: type[Exception], text: str
) -> None:
    clean = model(xp.ids())
    before = alive()
    with pytest.raises(error, match=text):
        model.run_with_hooks(xp.ids(), fwd_hooks=[(Z, lambda z, hook: result(xp))])
    assert alive() == before
    assert xp.same(model(xp.ids()), clean)


def test_what_the_stream_and_ids_cannot_carry(model: Any, xp: Arrays) -> None:
    for name, value, text in (
        (
            "blocks.1.hook_in",
            np.zeros((2, 6, D_MODEL + 1), "float32"),
            r"returned shape \(2, 6, 33\); expected \(2, 6, 32\)",
        ),
        ("embed.hook_in", np.zeros((2, 6), "float32"), "returned float32 .*; expected int64"),
        ("embed.hook_in", np.full((2, 6), 999), "out of range"),
    ):
        kind = RuntimeError if "returned" in text else IndexError
        with pytest.raises(kind, match=text):
            model.run_with_hooks(
                xp.ids(),
                fwd_hooks=[(name, lambda x, hook, value=value: xp.array(value, value.dtype))],
            )


def test_tensors_of_other_devices(model: Any, xp: Arrays) -> None:
    if xp.torch is None:
        pytest.skip("NumPy arrays have no device")
    away = xp.torch.zeros((2, 6, 4, 8), device="meta")
    with pytest.raises(
        RuntimeError,
        match=r"the hook at blocks.1.attn.hook_z \(blocks.1.attn.o.hook_in\) returned a .* on device meta; "
        r"expected float32 .* on cpu",
    ):
        model.run_with_hooks(xp.ids(), fwd_hooks=[(Z, lambda z, hook: away)])
    sparse = xp.torch.zeros((2, 6)).to_sparse()
    with pytest.raises(RuntimeError, match=r"torch\.sparse_coo"):
        model.run_with_hooks(xp.ids(), fwd_hooks=[(Z, lambda z, hook: sparse)])
    with pytest.raises(ValueError, match="dense tensor with data"):
        model(xp.torch.zeros((1, 4), device="meta", dtype=xp.torch.int64))


# the engine's errors, and processes


def test_errors_take_the_type_that_the_engine_names() -> None:
    def fails(error: Exception) -> Any:
        def function() -> None:
            raise error

        return function

    with pytest.raises(IndexError, match=r"^too far$"):
        errors.call(fails(RuntimeError("IndexError: too far")))
    with pytest.raises(ValueError, match=r"^a: b$") as raised:
        errors.call(fails(RuntimeError("ValueError: a: b")))
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__
    for plain in (RuntimeError("Nonsense: what"), TypeError("ValueError: a")):
        with pytest.raises(type(plain)) as raised:
            errors.call(fails(plain))
        assert raised.value is plain
    with pytest.raises(RuntimeError, match="999999"):
        errors.call(go.ParamOpen, 999999, 0)
    with pytest.raises(RuntimeError):
        errors.call(go.TensorClose, 12345)


def python(script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A script run in a fresh interpreter."""
    package = str(Path(__file__).resolve().parents[2] / "python")
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": package, **variables},
    )


def test_the_kind_of_arrays_can_be_chosen() -> None:
    script = """
    from transformer_lens_go._engine import arrays
    print(arrays.kind, arrays.torch)
    """
    chosen = python(script, TRANSFORMER_LENS_GO_ARRAYS="numpy")
    assert chosen.stdout.split() == ["numpy", "None"], chosen.stderr
    refused = python(script, TRANSFORMER_LENS_GO_ARRAYS="sideways")
    assert (
        "ValueError: TRANSFORMER_LENS_GO_ARRAYS='sideways': expected 'numpy', 'torch'"
        in refused.stderr
    )


def test_threads_that_run_at_exit(gpt2_folder: Path) -> None:
    """A daemon thread in the engine, or in a hook of it, does not keep or crash the process at its end."""
    script = f"""
    import threading, time
    import numpy as np
    from transformer_lens_go import TransformerBridge
    from transformer_lens_go._engine import arrays
    model = TransformerBridge.boot_transformers({str(gpt2_folder)!r})
    ids = arrays.from_numpy(np.arange(40)[None])
    model.add_hook("blocks.1.attn.hook_z", lambda z, hook: None)
    def work():
        while True:
            model(ids)
    for _ in range(2):
        threading.Thread(target=work, daemon=True).start()
    time.sleep(0.2)
    print("done")
    """
    for _ in range(3):
        done = python(script)
        assert (done.returncode, done.stdout.strip()) == (0, "done"), done.stderr


def test_a_forked_child_is_told(gpt2_folder: Path) -> None:
    script = f"""
    import os, sys
    import numpy as np
    from transformer_lens_go import TransformerBridge
    from transformer_lens_go._engine import arrays
    model = TransformerBridge.boot_transformers({str(gpt2_folder)!r})
    ids = arrays.from_numpy(np.arange(6)[None])
    logits = model(ids)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            model(ids)
        except RuntimeError as error:
            code = 0 if "spawn" in str(error) and "forkserver" in str(error) else 2
        del model, logits
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), float(abs(model(ids) - logits).max()))
    """
    done = python(script)
    assert done.stdout.split() == ["0", "0.0"], done.stderr
