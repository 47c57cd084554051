"""golens/tokenizer/oniguruma against the Oniguruma of tokenizers: properties of characters, the patterns
of known tokenizers, and random patterns on random texts."""

from __future__ import annotations

import gzip
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("tokenizers")

from . import make_oniguruma_tables as tables
from . import patterns_live

ROOT = Path(__file__).resolve().parents[3]


def test_patterns(tmp_path: Path, everything: bool, seed: int) -> None:
    go = os.environ.get("GO") or shutil.which("go")
    if go is None:
        pytest.skip("the Go compiler is not installed")
    path = tmp_path / "patterns.json.gz"
    patterns_live.write(path, patterns_live.cases(seed, 40_000 if everything else 1_500, 8))
    done = subprocess.run(
        [go, "test", "-count=1", "-run", "^TestReference$", "./golens/tokenizer/oniguruma"],
        cwd=ROOT,
        env={**os.environ, "ONIGURUMA_REFERENCE": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[:8000]
    assert "no tests to run" not in done.stdout


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
