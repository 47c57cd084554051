"""docs/reliability.md lists the faults by number: each has the tests that it names."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMED = re.compile(r"(?:test_fault_|TestFault)([NMFU]\d+)")


def listed() -> dict[str, set[str]]:
    """The files that the document names, by fault."""
    rows = re.findall(
        r"^\| ([NMFU]\d+) \|.*\| (.*) \|$", (ROOT / "docs/reliability.md").read_text(), flags=re.M
    )
    return {number: set(re.findall(r"`([^`]+)`", files)) for number, files in rows}


def found() -> dict[str, set[str]]:
    """The files that have tests of a fault's name."""
    by_fault: dict[str, set[str]] = {}
    for folder in ("golens", "kernels", "pybind", "tests"):
        for path in (ROOT / folder).rglob("*test*.*"):
            if path.suffix in (".go", ".py") and path != Path(__file__).resolve():
                name = str(path.relative_to(ROOT)).removeprefix("tests/py/")
                for number in NAMED.findall(path.read_text()):
                    by_fault.setdefault(number, set()).add(name)
    return by_fault


def test_every_fault_has_the_tests_that_are_listed() -> None:
    assert len(found()) > 50
    assert listed() == found()
