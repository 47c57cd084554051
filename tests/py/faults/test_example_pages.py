"""The examples' page of pictures, and how the examples are called."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformer_lens_go import TransformerBridge
from transformer_lens_go._engine import arrays

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "examples"
DATA = ROOT / "tests" / "py" / "data"
SCRIPTS = ["activation_patching.py", "direct_logit_attribution.py", "induction_heads.py"]

sys.path.insert(0, str(EXAMPLES))
import first_look_colours as colours  # noqa: E402
import first_look_page as page  # noqa: E402


def call(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(EXAMPLES / script), *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "python")},
        timeout=300,
    )


# U17


@pytest.mark.parametrize("script", [*SCRIPTS, "first_look.py"])
def test_fault_U17_help_is_help(script: str) -> None:
    if script == "first_look.py" and importlib.util.find_spec("rich") is None:
        pytest.skip("needs rich")
    done = call(script, "--help")
    assert done.returncode == 0, done.stderr
    assert f"usage: {script}" in done.stdout
    assert ".gguf" in done.stdout


@pytest.mark.parametrize("script", SCRIPTS)
def test_fault_U17_without_a_model_it_says_how(script: str) -> None:
    done = call(script)
    assert done.returncode == 2
    assert f"usage: {script}" in done.stderr
    assert "required: model" in done.stderr


# U16


@pytest.fixture(scope="module")
def found() -> page.Findings:
    """What a look at a prompt of three tokens may find, in a model of two layers."""
    draw = np.random.default_rng(0)
    patterns = np.tril(draw.random((2, 4, 3, 3)))
    return page.Findings(
        model="tiny",
        prompt="a b",
        tokens=["<s>", " a", "\u00a0"],
        candidates=[" .", ".", "·", "<b>", "\n", " x"],
        probabilities=np.array([0.5, 0.2, 0.1, 0.1, 0.05, 0.05]),
        lens_tokens=[[".", " .", "·"]] * 3,
        lens_probabilities=draw.random((3, 3)),
        ranks=draw.integers(1, 300, (3, 6)),
        patterns=patterns / patterns.sum(-1, keepdims=True),
        ablations=draw.standard_normal((2, 4)),
    )


@pytest.fixture(scope="module")
def text(found: page.Findings, tmp_path_factory: pytest.TempPathFactory) -> str:
    return page.write_page(found, tmp_path_factory.mktemp("page") / "page.html").read_text("utf-8")


def test_fault_U16_tokens_that_look_alike_are_told_apart() -> None:
    alike = [".", " .", "·", " ", "\u00a0", "  ", "\n", "\t", "\r", "\u200b", "\u00ad", "␣", "nbsp"]
    assert len({page.token_html(token) for token in alike}) == len(alike)
    assert len({page.visible(token) for token in alike[:-2]}) == len(alike) - 2
    assert page.visible(" Paris") == "␣Paris"
    assert page.token_html("·") == "·"
    assert page.token_html(" <b>") == "<i>␣</i>&lt;b&gt;"


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_fault_U16_text_can_be_read_on_every_colour(mode: str) -> None:
    light, dark = colours.scale_css().split("@media (prefers-color-scheme: dark)")
    rules = re.findall(
        r"\.([br])(\d+)\{background:(#\w{6});color:(#\w{6})\}", {"light": light, "dark": dark}[mode]
    )
    assert len(rules) == 2 * (colours.STEPS + 1)
    for _, _, back, ink in rules:
        assert colours.contrast(colours._rgb(back), colours._rgb(ink)) >= 4.5


@pytest.mark.parametrize("mode", [0, 1])
def test_fault_U16_text_of_the_page_can_be_read(mode: int) -> None:
    variables = re.findall(
        r"^\s*:root \{(.*?)\}", (EXAMPLES / "first_look.css").read_text(), re.S | re.M
    )
    colour = dict(re.findall(r"--([\w-]+): (#\w{6})", variables[mode]))
    pairs = [
        ("ink", "page"),
        ("ink", "card"),
        ("muted", "card"),
        ("muted", "page"),
        ("ink", "code"),
    ]
    pairs += [("mark", "mark-page"), ("accent-text", "accent")]
    pairs += [(f"s{index}", "card") for index in range(5)]
    for ink, back in pairs:
        ratio = colours.contrast(colours._rgb(colour[ink]), colours._rgb(colour[back]))
        assert ratio >= 4.5, (ink, back, ratio)


def test_fault_U16_the_page_has_its_modes_widths_switch_and_code(text: str) -> None:
    assert "prefers-color-scheme: dark" in text
    assert "width=device-width" in text
    assert 'id="hide-first" checked' in text
    assert text.count("<section>") == text.count("<pre><code>") == 5
    assert "https://" not in text  # it needs nothing beside itself
    assert len(text) < 100_000
    assert "<b>" not in re.sub(r"<b>(?:<i>|[^<])", "", text)  # tokens are escaped


def test_fault_U16_the_code_beside_the_pictures_runs(found: page.Findings) -> None:
    if arrays.torch is None:
        pytest.skip("it is written for torch, as most users have it")
    speaking: Any = TransformerBridge.boot_transformers(DATA / "llama")
    cfg = dict(n_layers=2, d_model=24, n_heads=6, d_head=4, d_mlp=32, n_ctx=64, d_vocab=300)
    model = TransformerBridge.boot_native(
        {**cfg, "act_fn": "gelu", "seed": 0}, tokenizer=speaking.tokenizer
    )
    space: dict[str, Any] = {"given": model}
    for part in page.sections(found):
        code = re.sub(r"model = TransformerBridge\.\w+\(\n.*\n\)", "model = given", part.code)
        exec(code, space)
    assert len(space["lens"]) == 3
    assert space["pattern"].shape[1] == 6


def test_fault_U16_a_prompt_of_one_token_makes_a_page(found: page.Findings, tmp_path: Path) -> None:
    short = page.Findings(
        "tiny",
        "",
        ["<s>"],
        found.candidates,
        found.probabilities,
        [["."]] * 3,
        np.ones((3, 1)),
        np.ones((3, 6), dtype=int),
        np.ones((2, 4, 1, 1)),
        np.zeros((2, 4)),
    )
    assert page.write_page(short, tmp_path / "page.html").exists()
