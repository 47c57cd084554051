"""The table of `make parity-all` and the comparison of encodings: what they are there to notice and to keep."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from .encodings import LISTS, Tally, compare_texts, differing
from .table import COUNTED, FIGURE, Table, read


def report(module: str, outcome: str = "passed", *properties: tuple[str, Any]) -> Any:
    return SimpleNamespace(
        when="call",
        outcome=outcome,
        nodeid=f"tests/py/parity/{module}::test_it",
        user_properties=list(properties),
    )


def write(path: Path, seed: int, *reports: Any) -> dict[str, list[tuple[str, ...]]]:
    table = Table(path, seed)
    for one in reports:
        table.pytest_runtest_logreport(one)
    table.pytest_sessionfinish()
    return read(path.read_text(encoding="utf-8"))


def test_rows_that_did_not_run_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "parity.md"
    counted = (COUNTED, ("gpt2", "tokenizer.json", 20, 20, 5, 5))
    write(
        file,
        1,
        report("test_table.py"),
        report("test_compare.py"),
        report("test_compare.py", "passed", (FIGURE, ("llama", 1, 2, 4)), counted),
    )
    found = write(file, 2, report("test_table.py", "failed", (COUNTED, ("bert", "x", 9, 8, 5, 4))))
    (compare, table) = found["compared"]
    assert compare[0].startswith("`test_compare.py`") and compare[1:4] == ("2", "0", "0")
    assert compare[4].endswith("seed 1")
    assert table[1:4] == ("0", "1", "0") and table[4].endswith("seed 2")
    assert [row[:4] for row in found["tokenizer"]] == [
        ("gpt2", "tokenizer.json", "20", "20"),
        ("bert", "x", "9", "8"),
    ]
    assert found["checkpoint"] == [("llama", "1", "2", "4")]
    assert "| **all** | 2 | 1 | 0 |" in file.read_text()


def test_rows_of_other_versions_are_dropped(tmp_path: Path) -> None:
    file = tmp_path / "parity.md"
    write(file, 1, report("test_compare.py"))
    file.write_text(file.read_text().replace("torch 2", "torch 1"))
    found = write(file, 2, report("test_table.py"))
    assert [row[0].partition(":")[0] for row in found["compared"]] == ["`test_table.py`"]


def fake(**changed: Any) -> Any:
    row: dict[str, Any] = {name: [0, 1] for name in LISTS}
    return SimpleNamespace(**{**row, "n_sequences": 1, "overflowing": [], **changed})


def test_every_attribute_of_an_encoding_counts() -> None:
    assert differing(fake(), fake()) is None
    for name in LISTS:
        assert differing(fake(), fake(**{name: [0, 2]})) == name
    assert differing(fake(), fake(n_sequences=2)) == "n_sequences"
    assert differing(fake(), fake(overflowing=[fake()])) == "number of overflowing"
    wrong = differing(fake(overflowing=[fake()]), fake(overflowing=[fake(tokens=[])]))
    assert wrong == "overflowing tokens"


class Speller:
    """A tokenizer of characters that decodes with or without a fault."""

    def __init__(self, fault: str = "") -> None:
        self.fault = fault

    def encode_batch(self, batch: list[str], add_special_tokens: bool) -> list[Any]:
        return [fake(ids=[ord(c) for c in text]) for text in batch]

    def decode_batch(self, rows: list[list[int]], skip_special_tokens: bool) -> list[str]:
        return ["".join(map(chr, row)).replace(self.fault or "\0", "") for row in rows]


def test_differences_are_counted() -> None:
    tally = Tally()
    compare_texts(Speller("x"), Speller(), ["axe", "bee", "x"], tally)
    assert (tally.compared, tally.equal, len(tally.wrong)) == (3, 1, 2)
    assert "decoded" in tally.wrong[0] and "axe" in tally.wrong[0]
