"""golens/tokenizer/oniguruma against the Oniguruma of tokenizers: properties of characters, the patterns
of known tokenizers, and random patterns on random texts."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest

pytest.importorskip("tokenizers")

from . import make_oniguruma_tables as tables
from . import patterns_live
from .go_tests import run_go_test


def test_patterns(tmp_path: Path, everything: bool, seed: int) -> None:
    path = tmp_path / "patterns.json.gz"
    patterns_live.write(path, patterns_live.cases(seed, 40_000 if everything else 1_500, 8))
    package = "./golens/tokenizer/oniguruma"
    run_go_test(package, "^TestReference$", "ONIGURUMA_REFERENCE", path)


def test_properties(everything: bool, seed: int) -> None:
    with gzip.open(tables.OUT / "properties.txt.gz", "rt") as lines:
        stored = {
            name: ranges
            for line in lines
            for names, ranges in [line.rstrip("\n").split(":")]
            for name in names.split()
        }
    assert len(stored) > 800
    assert tables.encoded(tables.ranges(r"\w")) == stored.pop(tables.OUTSIDE)
    names = sorted(stored)
    for name in names if everything else random.Random(seed).sample(names, 20):
        assert tables.encoded(tables.ranges(rf"[\p{{{name}}}]")) == stored[name], name
