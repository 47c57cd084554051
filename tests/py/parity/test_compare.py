"""The comparison itself: it must notice what it is there to notice."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from .compare import HUGE, Mismatch, Outcome, check_outcomes, check_same, outcome, relative_error

ONE = torch.tensor([1.0, -2.0, 4.0])
LOWEST = torch.finfo(torch.float32).min

ALIKE: dict[str, tuple[Any, Any]] = {
    "rounding": (ONE + 1e-5, ONE),
    "markers": (torch.tensor([LOWEST, 1.0]), torch.tensor([LOWEST, 1.0])),
    "nan in one place": (torch.tensor([float("nan"), 1.0]), torch.tensor([float("nan"), 1.0])),
    "empty": (torch.zeros(0), torch.zeros(0)),
    "nested": ({"a": [1, ONE]}, {"a": [1, ONE.clone()]}),
    "numbers": (1.0, 1.0 + 1e-9),
}
DIFFERENT: dict[str, tuple[Any, Any]] = {
    "value": (ONE + torch.tensor([0.0, 0.0, 0.01]), ONE),
    "small value beside a marker": (torch.tensor([LOWEST, 1.1]), torch.tensor([LOWEST, 1.0])),
    "marker for a number": (torch.tensor([LOWEST, 1.0]), torch.tensor([0.0, 1.0])),
    "another marker": (torch.tensor([-float("inf")]), torch.tensor([LOWEST])),
    "zero wanted": (torch.tensor([1e-3]), torch.tensor([0.0])),
    "shape": (ONE[None], ONE),
    "dtype": (ONE.double(), ONE),
    "ids": (torch.tensor([1, 2]), torch.tensor([1, 3])),
    "not a tensor": ([1.0, -2.0, 4.0], ONE),
    "order of keys": ({"b": 1, "a": 1}, {"a": 1, "b": 1}),
    "missing key": ({}, {"a": 1}),
    "length": ([1], [1, 2]),
    "tuple for list": ((1,), [1]),
    "text": ("a", "b"),
    "type": (1, True),
    "None": (None, 0),
}


@pytest.mark.parametrize("what", list(ALIKE))
def test_alike(what: str) -> None:
    check_same(*ALIKE[what])


@pytest.mark.parametrize("what", list(DIFFERENT))
def test_different(what: str) -> None:
    with pytest.raises(Mismatch):
        check_same(*DIFFERENT[what])


def test_errors_are_compared_by_type() -> None:
    key, index, lookup = (Outcome(error=kind("x")) for kind in (KeyError, IndexError, LookupError))
    check_outcomes(key, lookup, "a subclass will do")
    for got, want in ((index, key), (lookup, key), (Outcome(1), key), (key, Outcome(1))):
        with pytest.raises(Mismatch):
            check_outcomes(got, want, "other")


def test_outcome_keeps_errors_but_not_interrupts() -> None:
    assert isinstance(outcome(lambda: 1 / 0).error, ZeroDivisionError)

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        outcome(interrupted)


def test_errors_are_scaled_by_the_largest_number() -> None:
    want = torch.tensor([LOWEST, 100.0, 1.0])
    assert abs(LOWEST) > HUGE
    assert relative_error(want + torch.tensor([0.0, 0.0, 0.5]), want) == pytest.approx(0.005)
