"""A real model: SmolLM2-135M-Instruct from its Q4_1 GGUF file, widened by transformers for the reference."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
import torch

from . import f64, libs
from .compare import check_tensor
from .test_activations import check_everything
from .test_edits import check_edit, gate_of, returned
from .test_tokens import BODIES, random_texts

FILE = Path(
    os.environ.get("SMOLLM2_GGUF")
    or Path(__file__).parents[3] / ".cache" / "SmolLM2-135M-Instruct.Q4_1.gguf"
)
TEXTS = [
    "The capital of France is",
    "def fibonacci(n):\n    if n < 2:\n        return n\n    return",
    "Once upon a time, in 1984, there lived a naïve café owner who said: “",
    "When Mary and John went to the store, John gave a drink to",
    "1 + 1 = 2, 2 + 2 = 4, 4 + 4 =",
]

pytestmark = pytest.mark.skipif(
    not FILE.exists(), reason=f"no {FILE.name}: make parity-all fetches it, or set SMOLLM2_GGUF"
)


@pytest.fixture(scope="module")
def smollm2(reference: libs.Lib, subject: libs.Lib) -> libs.Pair:
    return libs.Pair(reference.boot(FILE), subject.boot(FILE))


def test_close_to_float64(smollm2: libs.Pair) -> None:
    exact_model = f64.load(FILE)
    errors, allowed = [], []
    for text in TEXTS:
        tokens = smollm2.reference.to_tokens(text)
        exact = f64.logits(exact_model, tokens)
        ours, theirs = (
            (m(tokens).double() - exact).abs().max().item()
            for m in (smollm2.subject, smollm2.reference)
        )
        errors.append((ours, theirs))
        allowed.append(f64.bound(theirs, exact))
    print("ours, torch:", errors)
    assert max(ours for ours, _ in errors) <= max(allowed)


def test_every_activation(smollm2: libs.Pair) -> None:
    check_everything(smollm2, "one text", TEXTS[0])
    check_everything(smollm2, "texts padded left", TEXTS[:3], padding_side="left")


def test_likely_next_tokens(smollm2: libs.Pair) -> None:
    logits = smollm2.subject(TEXTS[0])
    assert smollm2.subject.to_string(logits[0, -1].argmax()) == " Paris"
    check_tensor(logits, smollm2.reference(TEXTS[0]), "logits")


@pytest.mark.parametrize("writes", [False, True], ids=["returned", "in_place"])
def test_edits(smollm2: libs.Pair, writes: bool, everything: bool, seed: int) -> None:
    names = [name for name in smollm2.reference.hook_dict if not gate_of(name)]
    if not everything:
        names = random.Random(seed).sample(names, 8)
    tokens = smollm2.reference.to_tokens(TEXTS[0])
    # gentle: thirty layers make more of a wild edit's rounding than the tolerance, in either library
    for index, name in enumerate(names):
        check_edit(smollm2, name, tokens, seed + index, writes, gentle=True)
    edit = returned(seed, gentle=True)
    moved = smollm2.subject.run_with_hooks(tokens, fwd_hooks=[("blocks.5.hook_out", edit)])
    assert (moved - smollm2.subject(tokens)).abs().max() > 0.01


@pytest.mark.parametrize("what", [w for w in BODIES if not w.startswith("long")])
def test_text(smollm2: libs.Pair, what: str) -> None:
    print(f"{what}: {smollm2.same(BODIES[what], what)}")


def test_random_texts(smollm2: libs.Pair, seed: int) -> None:
    texts = random_texts(seed, 500)
    smollm2.same(lambda m: m.to_str_tokens(texts), "str tokens")
    smollm2.same(lambda m: m.to_tokens(texts), "tokens")
    smollm2.same(lambda m: m.to_string(m.to_tokens(texts, padding_side="left")), "strings")


def test_generation(smollm2: libs.Pair) -> None:
    """The same greedy and the same seeded draws, one text and several."""
    options = dict(max_new_tokens=12, verbose=False, stop_at_eos=False)
    smollm2.same(lambda m: m.generate(TEXTS[0], do_sample=False, **options))
    smollm2.same(lambda m: m.generate(TEXTS[:3], do_sample=False, **options))

    def drawn(model: object) -> object:
        torch.manual_seed(3)
        return model.generate(TEXTS[3], top_p=0.9, **options)  # type: ignore[attr-defined]

    smollm2.same(drawn)
