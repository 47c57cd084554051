"""The README's first screen and the documents' programs: they hold, they run, and they print what they say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from transformer_lens_go import TransformerBridge

ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "README.md").read_text("utf-8")
FIRST_SCREEN = README[: README.index("## A first script")]
DATA = ROOT / "tests" / "py" / "data"
SMOLLM2 = ROOT / ".cache" / "SmolLM2-135M-Instruct.Q4_1.gguf"

sys.path.insert(0, str(ROOT / "tools"))
from tlg_build import toolchain  # noqa: E402


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.S | re.M)


def stand_in() -> Any:
    """A tiny model, as deep and with as many heads as the README's script asks for."""
    speaking: Any = TransformerBridge.boot_transformers(DATA / "llama")
    cfg = dict(n_layers=12, d_model=24, n_heads=6, d_head=4, d_mlp=32, n_ctx=64, d_vocab=300)
    return TransformerBridge.boot_native(
        {**cfg, "act_fn": "gelu", "seed": 0}, tokenizer=speaking.tokenizer
    )


def printed_by(code: str, capsys: pytest.CaptureFixture[str]) -> str:
    exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})
    return capsys.readouterr().out


@pytest.mark.parametrize("code", blocks(README, "python"))
def test_fault_U2_python_in_the_readme_runs_and_prints(
    code: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = stand_in()
    asked = []
    monkeypatch.setattr(
        TransformerBridge, "boot_transformers", lambda name: asked.append(name) or model
    )
    printed = printed_by(code, capsys)
    (promised,) = blocks(README[README.index(code) :], "text")[:1]
    assert len(printed.splitlines()) == len(promised.splitlines()) > 0
    assert asked


@pytest.mark.skipif(not SMOLLM2.exists(), reason="make demo fetches .cache/SmolLM2-*.gguf")
def test_fault_U2_what_the_readme_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(SMOLLM2.parent)
    (code,) = blocks(README, "python")
    assert printed_by(code, capsys) == blocks(README, "text")[0]


def test_fault_U2_what_belongs_on_the_first_screen() -> None:
    for word in (
        "Why switch",
        "Not there yet",
        "first_look.png",
        "docs/api_parity.md",
        "examples/",
    ):
        assert word in FIRST_SCREEN, word
    assert "not on PyPI yet" in FIRST_SCREEN
    assert "\npip install transformer-lens-go" not in README
    assert not re.search(r"^## \w+ lines$", README, flags=re.M)
    assert len(blocks(FIRST_SCREEN, "sh")[0].splitlines()) == 3  # "three commands"


def test_fault_U2_the_first_screens_ratios_are_those_measured() -> None:
    measured = README[README.index("<!-- bench:begin -->") :]
    claimed = re.findall(r"^\| ([^|]+) \| ([\d.]+) \|$", FIRST_SCREEN, flags=re.M)
    assert len(claimed) >= 4
    for what, ratio in claimed:
        rows = re.findall(
            rf"^\| (?:SmolLM2-135M|–) \| {re.escape(what)} \|.*\| ([\d.]+) \|$", measured, re.M
        )
        assert rows == [ratio], f"bring the first screen up to date: {what}"


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "docs/errors/not_built_yet.md"])
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        assert (page.parent / link).exists(), link


def test_fault_U14_the_program_in_go_builds_by_the_commands_beside_it(tmp_path: Path) -> None:
    go = toolchain.find_go()
    if go is None:
        pytest.skip("no Go: it is part of the environment that builds")
    section = (ROOT / "docs" / "architecture.md").read_text("utf-8").split("\n## From Go\n")[1]
    (commands,) = blocks(section.split("\n## ")[0], "sh")
    (program,) = blocks(section.split("\n## ")[0], "go")
    os.symlink(ROOT, tmp_path / "transformer-lens-go")
    (tmp_path / "look").mkdir()
    (tmp_path / "look" / "main.go").write_text(program)
    commands = commands.replace("mkdir look && ", "")
    commands = re.sub(r"\S*\.gguf", str(DATA / "llama"), commands)
    done = subprocess.run(
        ["sh", "-ec", commands],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=850,
        env={**toolchain.environment(), "PATH": f"{Path(go).parent}:{os.environ['PATH']}"},
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert re.fullmatch(r"blocks\.0\.hook_out: doubling \[1 \d+ \d+\] numbers", first)
    changed = re.fullmatch(r"kept \[1 .*\]; logits \[1 .*\] changed by up to ([\d.]+)", second)
    assert changed is not None
    assert float(changed[1]) > 0
