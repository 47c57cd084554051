"""Generation and cached runs on stored checkpoints, against transformer_lens 4.3.0, with torch and without."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from .generation_bodies import BODIES
from .reference import DATA, NAMES, check, model, to_numpy

STORED: dict[str, dict[str, Any]] = json.loads((DATA / "generation.json").read_text("utf-8"))


def like(got: Any, want: Any, where: str) -> None:
    """The stored value: texts and ids exactly, numbers within the tolerance."""
    if isinstance(want, str) or (isinstance(want, list) and isinstance(want[0], str)):
        assert got == want, where
    elif isinstance(got, list):
        assert len(got) == len(want), where
        for one, other in zip(got, want, strict=True):
            like(one, other, where)
    else:
        check(got, np.array(want, dtype=to_numpy(got).dtype), where)


@pytest.mark.parametrize("what", BODIES)
@pytest.mark.parametrize("name", NAMES)
def test_generation(name: str, what: str) -> None:
    like(BODIES[what](model(name)), STORED[name][what], f"{name}: {what}")
