"""HookedRootModule for a user's own modules, with torch and without: against what transformer_lens 4.3.0 gave."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from own_module_cases import CASES
from own_modules import Lab, differences, plain
from transformer_lens_go._engine import arrays

STORED: dict[str, Any] = json.loads(
    (Path(__file__).parent / "data" / "own_modules.json").read_text("utf-8")
)


@pytest.mark.parametrize("name", CASES)
def test_as_transformer_lens_has_it(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # predicates that match nothing warn here
        got = plain(CASES[name](Lab("transformer_lens_go", arrays.torch)))
    assert differences(got, STORED[name], name) == []


def test_differences_are_noticed() -> None:
    value = {"a": {"shape": [2], "values": [1.0, 2.0]}, "b": [1, "x"]}
    assert differences(value, value) == []
    for other in (
        {"a": {"shape": [2], "values": [1.0, 2.1]}, "b": [1, "x"]},
        {"a": {"shape": [2, 1], "values": [1.0, 2.0]}, "b": [1, "x"]},
        {"b": [1, "x"], "a": {"shape": [2], "values": [1.0, 2.0]}},
        {"a": {"shape": [2], "values": [1.0, 2.0]}, "b": [True, "x"]},
        {"a": {"shape": [2], "values": [1.0, float("nan")]}, "b": [1, "x"]},
        {"a": {"shape": [2], "values": [1.0, 2.0]}, "b": [1]},
    ):
        assert differences(other, value) != []
