"""The stored reference data under data/: small checkpoints and what transformer_lens 4.3.0 makes of them.

Needs NumPy only. Results are compared as NumPy arrays, whether the library hands out tensors or arrays.
parity/make_reference_data.py writes the files and uses the same edits, so both sides ask the same questions.
"""

from __future__ import annotations

import importlib
import json
import math
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

DATA = Path(__file__).parent / "data"
# transformer_lens here checks the data and the tests against their own source
LIBRARY = os.environ.get("REFERENCE_LIBRARY", "transformer_lens_go")
NAMES = ["gpt2", "gpt2_variant", "llama", "mistral", "qwen2"]
TOLERANCE = 1e-4
# masked attention scores are the most negative float32: a marker, not a number to scale errors by
HUGE = 1e30
TEXTS = ["hello world", "the", "the dog sat on the log and the mat"]
GATES = {
    "hook_result": "use_attn_result",
    "hook_q_input": "use_split_qkv_input",
    "hook_k_input": "use_split_qkv_input",
    "hook_v_input": "use_split_qkv_input",
    "hook_attn_in": "use_attn_in",
    "hook_mlp_in": "use_hook_mlp_in",
}


class Reference:
    """One checkpoint and its recorded results: arrays by name, facts by name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = DATA / name
        with np.load(self.folder / "reference.npz") as file:
            self.arrays: dict[str, np.ndarray] = dict(file)
        self.facts: dict[str, Any] = json.loads((self.folder / "reference.json").read_text("utf-8"))

    def boot(self) -> Any:
        """A new model of this checkpoint."""
        library = importlib.import_module(LIBRARY)
        return library.TransformerBridge.boot_transformers(str(self.folder), device="cpu")

    def ids(self, name: str = "tokens") -> Any:
        """Recorded integers as the library takes them."""
        return to_library(self.arrays[name])

    def check(self, got: Any, name: str) -> None:
        """`got` is what was recorded under `name`."""
        check(got, self.arrays[name], f"{self.name}: {name}")


@cache
def reference(name: str) -> Reference:
    return Reference(name)


@cache
def model(name: str) -> Any:
    """A model of the checkpoint, kept for the session: leave it as you found it."""
    return reference(name).boot()


def uses_torch() -> bool:
    """Whether the library hands out torch tensors in this process."""
    if LIBRARY != "transformer_lens_go":
        return True
    switch = os.environ.get("TRANSFORMER_LENS_GO_ARRAYS")
    return switch != "numpy" and importlib.util.find_spec("torch") is not None


def to_library(values: np.ndarray) -> Any:
    """An array as the kind of value that the library works with."""
    if uses_torch():
        return importlib.import_module("torch").from_numpy(values.copy())
    return values.copy()


def to_numpy(value: Any) -> np.ndarray:
    return value.detach().numpy() if hasattr(value, "detach") else np.asarray(value)


def relative_error(got: np.ndarray, want: np.ndarray) -> float:
    """max|got - want| / max|want| over ordinary numbers; inf where markers (inf, nan, huge) disagree."""
    ordinary = np.isfinite(want) & (np.abs(want) < HUGE)
    if not np.array_equal(ordinary, np.isfinite(got) & (np.abs(got) < HUGE)):
        return math.inf
    if not np.allclose(got[~ordinary], want[~ordinary], rtol=1e-6, atol=0.0, equal_nan=True):
        return math.inf
    if not ordinary.any():
        return 0.0
    error = float(np.abs(got.astype(float) - want.astype(float))[ordinary].max())
    scale = float(np.abs(want[ordinary]).max())
    return error / scale if scale else (0.0 if error == 0.0 else math.inf)


def check(got: Any, want: np.ndarray, where: str, tolerance: float = TOLERANCE) -> None:
    """Same shape, dtype and values: floats within tolerance of the largest, anything else exactly."""
    got = to_numpy(got)
    assert got.shape == want.shape, f"{where}: got shape {got.shape}, want {want.shape}"
    assert got.dtype == want.dtype, f"{where}: got {got.dtype}, want {want.dtype}"
    if want.dtype.kind != "f":
        assert np.array_equal(got, want), f"{where}: got {got.tolist()}, want {want.tolist()}"
        return
    error = relative_error(got, want)
    assert error <= tolerance, f"{where}: relative error {error:.3g} above {tolerance:g}"


def edited(value: np.ndarray, index: int) -> np.ndarray:
    """What edit number `index` makes of a value: a wave added to numbers, one to ids."""
    if value.dtype.kind != "f":
        return value + 1
    wave = 0.3 * np.cos(1.7 * np.arange(value.size) + index)
    return value + wave.reshape(value.shape).astype(value.dtype)


def edit_hook(index: int, writes: bool) -> Callable[..., Any]:
    """A hook that makes edit `index`, in place or by returning."""

    def hook_function(value: Any, hook: Any) -> Any:
        result = to_library(edited(to_numpy(value), index))
        if not writes:
            return result
        value[...] = result
        return None

    return hook_function


def gate_of(name: str) -> str | None:
    """The flag that must be on before a hook point fires."""
    return GATES.get(name.rpartition(".")[2])


def thinned(logits: Any) -> np.ndarray:
    """Logits at a few of the vocabulary: what is kept of most runs."""
    return np.ascontiguousarray(to_numpy(logits)[..., ::23])


def fingerprint(logits: Any) -> np.ndarray:
    """Thinned logits at the last position: what is kept of each edit."""
    return thinned(to_numpy(logits)[:, -1])
