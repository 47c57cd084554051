"""The table that `make parity-all` leaves behind: what was compared, how it went, and how far from exact both are."""

from __future__ import annotations

import datetime
import importlib
import platform
import re
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import pytest

PEERS = ("transformer-lens", "torch", "transformers", "tokenizers")

FIGURE = "figure"
"""The property by which a test tells a row of the second table: kind, ours, theirs, allowed."""


COUNTED = "counted"
"""The property by which a test tells a row of the table of tokenizers: name, form, texts, equal, batches, equal."""


_TESTS = ["compared", "passed", "failed", "skipped", "run"]
_COUNTS = ["tokenizer", "read from", "texts", "equal", "batches", "equal", "run"]
_FIGURES = ["checkpoint", "ours", "torch", "allowed"]


class Table:
    """A pytest plugin that writes a Markdown file when the session is over.

    Rows of what this session did not run stay as they are, as long as the versions are the same.
    """

    def __init__(self, path: Path, seed: int) -> None:
        self.path = path
        self.seed = seed
        self.counts: dict[str, Counter[str]] = {}
        self.rows: dict[str, list[tuple[str, ...]]] = {FIGURE: [], COUNTED: []}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and report.outcome == "passed":
            return  # set-up and tear-down count when they fail or skip
        module = report.nodeid.partition("::")[0]
        self.counts.setdefault(module, Counter())[report.outcome] += 1
        for name, value in report.user_properties:
            if name in self.rows:
                self.rows[name].append(tuple(str(part) for part in value))  # type: ignore[union-attr]

    def pytest_sessionfinish(self) -> None:
        if self.counts:
            self.path.write_text("\n".join(self._lines()) + "\n", encoding="utf-8")

    def _lines(self) -> list[str]:
        versions = ", ".join(f"{name} {version(name)}" for name in PEERS)
        versions += f", Python {platform.python_version()}."
        before = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        kept = read(before) if versions in before.splitlines() else {}
        run = f"{datetime.date.today()}, seed {self.seed}"

        tests = [(_about(module), *_cells(n), run) for module, n in self.counts.items()]
        tests = sorted(_merged(kept.get("compared", []), tests))
        here = {path.name for path in Path(__file__).parent.glob("test_*.py")}
        tests = [row for row in tests if row[0].split("`")[1] in here]
        total = [str(sum(int(row[i]) for row in tests)) for i in (1, 2, 3)]
        lines = [
            "# Live comparison",
            "",
            "Written by `make parity-all`: every checkpoint and every hook, in both libraries; "
            "`make parity-tokenizers` brings the rows of tokenizers up to date. A failed row is a bug.",
            "",
            versions,
            "",
            *_table(_TESTS, [*tests, ("**all**", *total, "")], "left"),
        ]
        counted = [(*row, run) for row in self.rows[COUNTED]]
        counted = _merged(kept.get("tokenizer", []), counted)
        if counted:
            lines += [
                "",
                "Tokenizers: texts encoded and decoded, and batches of texts and pairs with truncation and "
                "padding, with everything in their encodings; how many of them were equal:",
                "",
                *_table(_COUNTS, counted, "left", "left"),
            ]
        figures = _merged(kept.get("checkpoint", []), self.rows[FIGURE])
        if figures:
            lines += [
                "",
                "Largest distance of logits from float64, over several seeds:",
                "",
                *_table(_FIGURES, figures, "left"),
            ]
        return lines


def _merged(old: list[tuple[str, ...]], new: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Rows by their first cells: those of the old that are not made anew, in their places."""
    rows = {_key(row): row for row in old}
    rows.update({_key(row): row for row in new})
    return list(rows.values())


def _key(row: tuple[str, ...]) -> str:
    return row[0].partition(":")[0]  # what a file says of itself may change


def _table(head: list[str], rows: list[tuple[str, ...]], *sides: str) -> list[str]:
    """A Markdown table; columns without a side stand right."""
    rule = ["---" if at < len(sides) else "---:" for at in range(len(head))]
    return [
        f"| {' | '.join(head)} |",
        f"|{'|'.join(rule)}|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def read(text: str) -> dict[str, list[tuple[str, ...]]]:
    """The tables of a Markdown file by the head of their first column, without the row of sums."""
    out: dict[str, list[tuple[str, ...]]] = {}
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        head, _, *rows = (
            tuple(cell.strip() for cell in line.strip("|").split(" | "))
            for line in block.splitlines()
        )
        out[head[0]] = [row for row in rows if row[0] != "**all**"]
    return out


def _cells(count: Counter[str]) -> list[str]:
    return [str(count[outcome]) for outcome in ("passed", "failed", "skipped")]


def _about(module: str) -> str:
    """The file and the first line of what it says of itself."""
    path = Path(module)
    said = importlib.import_module(f".{path.stem}", __package__).__doc__ or ""
    return f"`{path.name}`: {said.strip().splitlines()[0] if said.strip() else ''}"
