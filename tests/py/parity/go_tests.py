"""Go tests that read what Python wrote: their output is the message of a failure."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def run_go_test(package: str, run: str, variable: str, path: Path) -> None:
    """Run the tests of a package that match `run`; the environment variable tells them where to read."""
    go = os.environ.get("GO") or shutil.which("go")
    if go is None:
        pytest.skip("no Go compiler: make says in GO where its own is")
    done = subprocess.run(
        [go, "test", "-count=1", "-timeout=60m", "-run", run, package],
        cwd=ROOT,
        env={**os.environ, variable: str(path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[:8000]
    assert "no tests to run" not in done.stdout
