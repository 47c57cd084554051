"""The examples run: the ones that fit any model on a small one, all of them on SmolLM2 where it is."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .reference import DATA

ROOT = Path(__file__).resolve().parents[2]
SMOLLM2 = sorted((ROOT / ".cache").glob("SmolLM2*.gguf"))
RICH = importlib.util.find_spec("rich") is not None
NOTEBOOKS = all(importlib.util.find_spec(name) for name in ("nbclient", "ipykernel"))

needs_smollm2 = pytest.mark.skipif(not SMOLLM2, reason="make demo fetches .cache/SmolLM2-*.gguf")


def run(script: str, *arguments: object) -> str:
    """What an example prints."""
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / script, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "python"), "COLUMNS": "160"},
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["gpt2", "llama", "qwen2"])
def test_direct_logit_attribution(name: str) -> None:
    printed = run("direct_logit_attribution.py", DATA / name)
    whole, parts = (
        float(re.search(rf"{label}: +(-?[\d.]+)", printed)[1])  # type: ignore[index]
        for label in ("of the model", "sum of parts")
    )
    assert whole == pytest.approx(parts, abs=2e-3)
    assert "best heads: L" in printed


@needs_smollm2
def test_induction_heads() -> None:
    printed = run("induction_heads.py", SMOLLM2[0])
    first, second = map(float, re.findall(r"(\d+\.\d+) (?:the first|when)", printed))
    assert second < first / 2
    assert "*" in printed


@needs_smollm2
def test_activation_patching() -> None:
    rows = run("activation_patching.py", SMOLLM2[0]).splitlines()[2:]
    shares = [list(map(float, row.split()[1:])) for row in rows]
    assert shares[0][10] == pytest.approx(1.0, abs=0.01)  # the name that was changed
    assert shares[-1][-1] > 0.9  # at the end, all is at the last position


@needs_smollm2
@pytest.mark.skipif(not RICH, reason="needs rich")
def test_first_look(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    printed = run("first_look.py", SMOLLM2[0], "--html", page)
    assert "␣Paris" in printed
    assert "layer 23, head 4" in printed
    text = page.read_text("utf-8")
    assert text.count("<section>") == 5
    assert "https://" not in text


@pytest.mark.skipif(not NOTEBOOKS, reason="needs nbclient and ipykernel")
@pytest.mark.parametrize(
    "notebook", sorted((ROOT / "examples").glob("*.ipynb")), ids=lambda p: p.stem
)
def test_notebook(notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nbclient
    import nbformat

    monkeypatch.setenv("MODEL", str(DATA / "llama"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "python"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    book = nbformat.read(notebook, as_version=4)
    beside = {"metadata": {"path": str(notebook.parent)}}
    nbclient.NotebookClient(book, timeout=300, kernel_name="python3", resources=beside).execute()
    shown = [output for cell in book.cells for output in cell.get("outputs", ())]
    printed = "".join(output.get("text", "") for output in shown)
    assert any("text/html" in output.get("data", {}) for output in shown)  # a cache shows itself
    assert "does not exist on this model. Did you mean" in printed
    assert "is part of transformer_lens and not of this version" in printed
    assert all(output.output_type != "error" for output in shown)
    assert notebook.stat().st_size < 50_000  # what is in the repository stays small
