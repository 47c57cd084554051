"""The table that `make parity-all` leaves behind: what was compared, how it went, and how far from exact both are."""

from __future__ import annotations

import datetime
import importlib
import platform
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import pytest

PEERS = ("transformer-lens", "torch", "transformers", "tokenizers")

FIGURE = "figure"
"""The property by which a test tells a row of the second table: kind, ours, theirs, allowed."""


class Table:
    """A pytest plugin that writes a Markdown file when the session is over."""

    def __init__(self, path: Path, seed: int) -> None:
        self.path = path
        self.seed = seed
        self.counts: dict[str, Counter[str]] = {}
        self.figures: list[tuple[str, ...]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and report.outcome == "passed":
            return  # set-up and tear-down count when they fail or skip
        module = report.nodeid.partition("::")[0]
        self.counts.setdefault(module, Counter())[report.outcome] += 1
        self.figures += [
            tuple(str(part) for part in value)  # type: ignore[union-attr]
            for name, value in report.user_properties
            if name == FIGURE
        ]

    def pytest_sessionfinish(self) -> None:
        if self.counts:
            self.path.write_text("\n".join(self._lines()) + "\n", encoding="utf-8")

    def _lines(self) -> list[str]:
        peers = ", ".join(f"{name} {version(name)}" for name in PEERS)
        total = sum(self.counts.values(), Counter())
        lines = [
            "# Live comparison",
            "",
            "Written by `make parity-all`: every checkpoint and every hook, in both libraries. "
            "A failed row is a bug.",
            "",
            f"{datetime.date.today()}, {peers}, Python {platform.python_version()}, "
            f"PARITY_SEED={self.seed}.",
            "",
            "| compared | passed | failed | skipped |",
            "|---|---:|---:|---:|",
        ]
        for module, count in sorted(self.counts.items()):
            lines.append(f"| {_about(module)} | {_cells(count)} |")
        lines.append(f"| **all** | {_cells(total)} |")
        if self.figures:
            lines += [
                "",
                "Largest distance of logits from float64, over several seeds:",
                "",
                "| checkpoint | ours | torch | allowed |",
                "|---|---:|---:|---:|",
                *(f"| {' | '.join(figure)} |" for figure in self.figures),
            ]
        return lines


def _cells(count: Counter[str]) -> str:
    return " | ".join(str(count[outcome]) for outcome in ("passed", "failed", "skipped"))


def _about(module: str) -> str:
    """The file and the first line of what it says of itself."""
    path = Path(module)
    said = importlib.import_module(f".{path.stem}", __package__).__doc__ or ""
    return f"`{path.name}`: {said.strip().splitlines()[0] if said.strip() else ''}"
