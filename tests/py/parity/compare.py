"""Comparing what two libraries did: values with a tolerance, or the errors they raised.

Knows torch and NumPy values and plain Python ones; knows nothing of models.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

TOLERANCE = 1e-4
# masked attention scores are the most negative float32: a marker, not a number to scale errors by
HUGE = 1e30


class Mismatch(AssertionError):
    """Two values differ; the message says where and how."""


def relative_error(got: torch.Tensor, want: torch.Tensor) -> float:
    """max|got - want| / max|want| over ordinary numbers; inf where markers (inf, nan, huge) disagree."""
    got, want = got.detach().double(), want.detach().double()
    if got.numel() == 0:
        return 0.0
    ordinary = want.isfinite() & (want.abs() < HUGE)
    if not torch.equal(ordinary, got.isfinite() & (got.abs() < HUGE)):
        return math.inf
    marks_got, marks_want = got[~ordinary], want[~ordinary]
    if not torch.allclose(marks_got, marks_want, rtol=1e-6, atol=0.0, equal_nan=True):
        return math.inf
    if not bool(ordinary.any()):
        return 0.0
    error = (got - want)[ordinary].abs().max().item()
    scale = want[ordinary].abs().max().item()
    return error / scale if scale else (0.0 if error == 0.0 else math.inf)


def check_tensor(got: Any, want: torch.Tensor, where: str, tolerance: float = TOLERANCE) -> None:
    """Same shape, dtype and values (floats within tolerance of the largest, anything else exactly)."""
    if not isinstance(got, torch.Tensor):
        raise Mismatch(f"{where}: got {type(got).__name__}, want a tensor")
    if tuple(got.shape) != tuple(want.shape):
        raise Mismatch(f"{where}: got shape {tuple(got.shape)}, want {tuple(want.shape)}")
    if got.dtype != want.dtype:
        raise Mismatch(f"{where}: got {got.dtype}, want {want.dtype}")
    if not want.dtype.is_floating_point:
        if not torch.equal(got, want):
            raise Mismatch(f"{where}: got {got.tolist()}, want {want.tolist()}")
        return
    error = relative_error(got, want)
    if not error <= tolerance:
        raise Mismatch(f"{where}: relative error {error:.3g} above {tolerance:g}")


def check_same(got: Any, want: Any, where: str = "result", tolerance: float = TOLERANCE) -> None:
    """Raise Mismatch unless the two values are alike, looking into containers and caches."""
    if hasattr(want, "cache_dict"):
        if not hasattr(got, "cache_dict"):
            raise Mismatch(f"{where}: got {type(got).__name__}, want an activation cache")
        if got.has_batch_dim != want.has_batch_dim:
            raise Mismatch(f"{where}: has_batch_dim is {got.has_batch_dim}")
        got, want = got.cache_dict, want.cache_dict
    if isinstance(want, torch.Tensor):
        check_tensor(got, want, where, tolerance)
    elif isinstance(want, Mapping):
        if not isinstance(got, Mapping) or list(got) != list(want):
            raise Mismatch(f"{where}: got keys {_keys(got)}, want {list(want)}")
        for key in want:
            check_same(got[key], want[key], f"{where}[{key!r}]", tolerance)
    elif isinstance(want, (list, tuple)):
        if not isinstance(got, (list, tuple)) or isinstance(got, tuple) != isinstance(want, tuple):
            raise Mismatch(f"{where}: got {type(got).__name__}, want {type(want).__name__}")
        if len(got) != len(want):
            raise Mismatch(
                f"{where}: got {len(got)} items {got!r:.200}, want {len(want)} {want!r:.200}"
            )
        for index, (one, other) in enumerate(zip(got, want, strict=True)):
            check_same(one, other, f"{where}[{index}]", tolerance)
    elif isinstance(want, float) and isinstance(got, float):
        if not math.isclose(got, want, rel_tol=tolerance, abs_tol=1e-12):
            raise Mismatch(f"{where}: got {got}, want {want}")
    elif type(got) is not type(want) or got != want:
        raise Mismatch(f"{where}: got {got!r:.300}, want {want!r:.300}")


def _keys(value: Any) -> Any:
    return list(value) if isinstance(value, Mapping) else type(value).__name__


@dataclass
class Outcome:
    """What a call did: its value, or the error it raised, and the warnings it gave."""

    value: Any = None
    error: BaseException | None = None
    warnings: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        if self.error is not None:
            return f"{type(self.error).__name__}: {str(self.error)[:200]}"
        return f"{self.value!r:.200}"


def outcome(call: Callable[[], Any]) -> Outcome:
    """Run a call and keep what came of it; only ordinary errors are caught."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = Outcome(call())
        except Exception as error:
            result = Outcome(error=error)
    result.warnings = [str(one.message) for one in caught if one.category is UserWarning]
    return result


def check_outcomes(got: Outcome, want: Outcome, where: str, tolerance: float = TOLERANCE) -> None:
    """The same value, or an error of the same type (a subclass will do)."""
    if (got.error is None) != (want.error is None):
        raise Mismatch(f"{where}: got {got}, want {want}") from got.error
    if want.error is None:
        check_same(got.value, want.value, where, tolerance)
    elif not isinstance(got.error, type(want.error)):
        raise Mismatch(f"{where}: got {got}, want {want}") from got.error
