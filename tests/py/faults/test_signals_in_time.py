"""Signals while something lasts: they are looked for, their handlers may run models, and what they end is freed."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from striking import Striker, Struck, handling, held
from tiny_models import Arrays, write_gpt2
from transformer_lens_go import Tokenizer, TransformerBridge
from transformer_lens_go._engine.model import EngineModel

pytest_plugins = ["tiny_models"]
pytestmark = pytest.mark.usefixtures("no_grad")

WORDS = 300_000  # in the tokenizer of a model, which takes some hundred milliseconds to read


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model with very many words."""
    folder = write_gpt2(tmp_path_factory.mktemp("slow") / "gpt2", n_layer=1)
    vocab = {f"w{i}": i for i in range(WORDS)}
    model = {"type": "WordLevel", "vocab": vocab, "unk_token": "w0"}
    told = {"model": model, "pre_tokenizer": {"type": "Whitespace"}, "added_tokens": []}
    (folder / "tokenizer.json").write_text(json.dumps(told))
    return folder


@contextmanager
def ticking(handler: Callable[..., object], every: float) -> Iterator[None]:
    """SIGALRM goes to the handler, over and over; not when it arrives late, by way of another thread."""
    ticks = True

    def tick(*_: object) -> None:
        if ticks:
            handler()

    signal.signal(signal.SIGALRM, tick)
    signal.setitimer(signal.ITIMER_REAL, every, every)
    try:
        yield
    finally:
        ticks = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_IGN)  # the default would end the process


def test_fault_M6_a_load_looks_for_signals(slow: Path) -> None:
    """It used to look when it was done: once."""
    seen: list[float] = []
    with ticking(lambda: seen.append(time.perf_counter()), 0.002):
        model = EngineModel.open(str(slow))
    model.close()
    assert len(seen) >= 3


def test_fault_M6_tokenizing_looks_for_signals() -> None:
    """Long texts take long. It used to look when it was done: once."""
    vocab = {chr(97 + i) + chr(97 + k): 26 * i + k for i in range(26) for k in range(26)}
    vocab |= {chr(97 + i): 676 + i for i in range(26)}
    model = {"type": "BPE", "vocab": vocab, "merges": [list(pair) for pair in vocab if pair[1:]]}
    tokenizer = Tokenizer.from_str(json.dumps({"model": model, "added_tokens": []}))
    text = "".join(random.Random(0).choices("abcdefghijklmnopqrstuvwxyz", k=100_000)) * 10
    before, seen = held(), []
    with ticking(lambda: seen.append(time.perf_counter()), 0.002):
        encoded = tokenizer.encode(text)
    assert len(seen) >= 3
    assert len(encoded.ids) < len(text)
    del encoded

    def strike() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        raise Struck

    with pytest.raises(Struck), ticking(strike, 0.03):
        tokenizer.encode(text)
    assert held() == before


def test_fault_M6_an_interrupted_load_leaves_nothing(slow: Path) -> None:
    """Also while the exception is at hand, whose traceback holds every frame; and it is the handler's own."""
    error = Struck("now")

    def strike() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        raise error

    def load() -> None:
        while True:  # struck in a load, or between two
            EngineModel.open(str(slow)).close()

    before = held()
    for seconds in (0.001, 0.02, 0.05, 0.1):
        with pytest.raises(Struck) as raised, ticking(strike, seconds):
            load()
        assert raised.value is error
        assert held() == before
        error.__traceback__ = None


def test_fault_M9_a_handler_may_run_the_model(tmp_path: Path, xp: Arrays) -> None:
    """Wherever it strikes. It used to wait for a lock that the run it struck held."""
    model: Any = TransformerBridge.boot_transformers(write_gpt2(tmp_path / "gpt2", n_layer=1))
    point, ids = model.hook_dict["blocks.0.attn.hook_z"], xp.ids()
    want = np.asarray(model(ids)).tobytes()

    def run() -> None:
        assert np.asarray(model(ids)).tobytes() == want

    def add_and_remove() -> None:
        point.add_hook(lambda z, hook: z * 1).hook.remove()

    class Running(Striker):
        ran = 0

        def strike(self) -> None:
            run()
            add_and_remove()
            self.ran += 1

    def out_of_patience() -> None:
        raise AssertionError("the handler waits for ever")

    running = Running()
    with handling(running.handle), ticking(out_of_patience, 60):
        for path in (run, add_and_remove):
            path()
            running.shoot(path)
            places, running.ran = running.seen, 0
            for place in range(1, places + 1):
                assert not running.shoot(path, place)
            assert running.ran > 0.9 * places > 20
    assert model.context_level == 0
    assert not point.fwd_hooks


DEEP = """
    import sys
    from transformer_lens_go import Tokenizer, TransformerBridge
    import numpy as np
    model = TransformerBridge.boot_transformers(sys.argv[1])
    ids = np.array([[1, 2, 3]])
    def nest(value, hook):
        model.run_with_hooks(ids, fwd_hooks=[("hook_embed", nest)])
    sys.setrecursionlimit(10**6)
    try:
        nest(None, None)
    except RecursionError as error:
        assert "the limit is 500" in str(error), error
        assert model.context_level == 0 and not model.hook_dict["hook_embed"].fwd_hooks
        print("refused")
"""


@pytest.mark.parametrize("stack", [None, 1 << 20])
def test_fault_M14_runs_nested_in_hooks_have_a_limit(tmp_path: Path, stack: int | None) -> None:
    """Thirty thousand of them used to end the process; so does any number that a thread's stack has no room for."""
    folder = write_gpt2(tmp_path / "gpt2", n_layer=1)
    script = textwrap.dedent(DEEP)
    if stack is not None:
        inside = textwrap.indent(script, "    ")
        script = f"def main():\n{inside}\nimport threading\nthreading.stack_size({stack})\n"
        script += "thread = threading.Thread(target=main)\nthread.start()\nthread.join()\n"
    command = [sys.executable, "-c", script, str(folder)]
    path = [str(p) for p in sys.path if p]
    environment: dict[str, Any] = {
        "PYTHONPATH": ":".join(path),
        "TRANSFORMER_LENS_GO_ARRAYS": "numpy",
    }
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "refused", done.stderr[-2000:]
