"""Memory over many runs: what rests is what runs use, it can be let go of, and what cannot fit is refused."""

from __future__ import annotations

import os
import random
import resource
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformer_lens_go
from tiny_models import Arrays, alive
from transformer_lens_go import TransformerBridge, TransformerBridgeConfig
from transformer_lens_go._engine.model import counts

pytest_plugins = ["tiny_models"]
pytestmark = pytest.mark.usefixtures("no_grad")

CTX = 256
LOGITS = CTX * 4000 * 4  # bytes of the longest run's


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def minor_faults() -> int:
    """How often a page of this process was had from the system."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


@pytest.fixture
def middling() -> Any:
    """Large enough that fresh memory for each run would be hundreds of pages, small enough to be run often."""
    config = TransformerBridgeConfig(
        d_model=64, d_head=16, n_layers=2, n_ctx=CTX, d_vocab=4000, act_fn="gelu", seed=1
    )
    return TransformerBridge.boot_native(config)


def test_2000_runs_of_mixed_lengths_need_no_new_memory(middling: Any) -> None:
    draw = random.Random(1)

    def run(length: int) -> None:
        tokens = np.array([[draw.randrange(4000) for _ in range(length)]])
        if length % 2:
            middling(tokens)
        else:
            middling.run_with_cache(tokens)

    for length in [CTX, CTX - 1] + [draw.randint(1, CTX) for _ in range(200)]:
        run(length)
    pool, memory, faults, held = counts()["PoolBytes"], resident(), minor_faults(), alive()
    for _ in range(2000):
        run(draw.randint(1, CTX))
    assert (minor_faults() - faults) / 2000 < 20, "pages a run; the logits alone have 500"
    assert counts()["PoolBytes"] - pool < LOGITS
    assert resident() - memory < 16 << 20
    assert alive() == held


def test_empty_cache_gives_back_what_rests(middling: Any) -> None:
    tokens = np.zeros((8, CTX), int)
    kept = middling(tokens)
    del kept
    before, memory = alive(), resident()
    assert counts()["PoolBytes"] >= 8 * LOGITS
    assert transformer_lens_go.empty_cache() is None
    assert counts()["PoolBytes"] < 1 << 20
    assert memory - resident() > 4 * LOGITS
    assert alive() == before


def test_empty_cache_while_models_run_and_arrays_live(middling: Any, xp: Arrays) -> None:
    tokens = np.arange(1, 101)[None]
    clean, cache = middling.run_with_cache(tokens)
    wanted = {name: xp.copy(value) for name, value in cache.items()}
    done = threading.Event()

    def empty() -> None:
        while not done.is_set():
            transformer_lens_go.empty_cache()

    thread = threading.Thread(target=empty)
    thread.start()
    try:
        for _ in range(30):
            assert xp.same(middling(tokens), clean)
    finally:
        done.set()
        thread.join()
    assert all(xp.same(cache[name], value) for name, value in wanted.items())


# The address space is bounded as `ulimit -v` does, so that little is much.
BOUNDED = """
    import resource
    import numpy as np
    from transformer_lens_go import TransformerBridge, TransformerBridgeConfig, TransformerLensKeyValueCache
    from transformer_lens_go._engine import arrays

    config = TransformerBridgeConfig(
        d_model=16, d_head=64, n_heads=64, n_layers=8, n_ctx=128, d_vocab=11, act_fn="relu", attn_only=True
    )
    model = TransformerBridge.boot_native(config)
    if arrays.torch is not None:
        arrays.torch.set_grad_enabled(False)
    model(np.zeros((1, 4), int))
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (700 << 20), -1))
    cache = TransformerLensKeyValueCache.init_cache(model.cfg, None, 64)
    try:
        model(np.zeros((64, 100), int), past_kv_cache=cache)
    except MemoryError as error:
        print(error)
    small = TransformerLensKeyValueCache.init_cache(model.cfg, None, 1)
    model(np.zeros((1, 4), int), past_kv_cache=small)
    print(cache[0].past_keys.shape[1], small[0].past_keys.shape[1])
"""


def test_a_kv_cache_that_cannot_fit_is_refused_before_the_run() -> None:
    path = str(Path(transformer_lens_go.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(BOUNDED)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    message, lengths = done.stdout.splitlines()
    # 8 layers of keys and values, 64 texts of 100 positions, 64 heads of 64
    assert (
        "the KV cache of 8 layers, to hold 100 positions more, needs 1677.7 MB (1677721600 bytes)"
    ) in message
    assert "MB" in message.split(", and ")[1], "how much there is"
    assert lengths == "0 4", "the cache is as it was, and the model goes on"
