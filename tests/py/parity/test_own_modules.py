"""A user's own modules in both libraries, by the same code: hooks, caches, gradients, what torch does with modules."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from own_module_cases import CASES
from own_module_torch_cases import TORCH_CASES
from own_modules import Lab, differences, plain

from . import libs

BOTH = {**CASES, **TORCH_CASES}


def run(name: str, library: str) -> Any:
    with warnings.catch_warnings(), torch.enable_grad():
        warnings.simplefilter("ignore")  # ours warns of predicates that match nothing
        return plain(BOTH[name](Lab(library, torch)))


@pytest.mark.parametrize("name", BOTH)
def test_own_modules_behave_the_same(name: str) -> None:
    assert differences(run(name, libs.SUBJECT), run(name, libs.REFERENCE), name) == []


def test_what_is_stored_is_what_the_reference_gives() -> None:
    path = Path(__file__).parents[1] / "data" / "own_modules.json"
    stored = json.loads(path.read_text("utf-8"))
    assert list(stored) == list(CASES)
    for name, want in stored.items():
        assert differences(run(name, libs.REFERENCE), want, name) == []
