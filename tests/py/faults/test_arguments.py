"""Arguments of a kind that is none: masks not of 0 and 1, words for numbers, keys of caches, values without end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from transformer_lens_go import TransformerBridge
from transformer_lens_go.utilities import lm_cross_entropy_loss

from ..reference import DATA, to_library, to_numpy

TEXT = "the dog sat on the log"
IDS = np.array([[5, 6, 7]])


@pytest.fixture
def m() -> Any:
    return TransformerBridge.boot_transformers(DATA / "gpt2")


@pytest.mark.parametrize(
    "mask",
    [[[np.nan, 1, 1]], [[0.0, -np.inf, 0.0]], [[0, 0, -1]], [[2, 1, 1]], [[0.5, 1, 1]]],
    ids=["NaN", "added", "negative", "two", "half"],
)
def test_fault_U12_a_mask_is_of_0_and_1(m: Any, mask: list[list[float]]) -> None:
    ids, given = to_library(IDS), to_library(np.array(mask))
    for call in (
        lambda: m(ids, attention_mask=given),
        lambda: m(ids, attention_mask=given, return_type="loss"),
        lambda: m.run_with_cache(ids, attention_mask=given),
        lambda: m.generate(ids, attention_mask=given, verbose=False),
        lambda: m.hf_generate(ids, attention_mask=given),
        lambda: m.loss_fn(m(ids), ids, given),
        lambda: lm_cross_entropy_loss(m(ids), ids, given),
    ):
        with pytest.raises(ValueError, match=r"attention_mask has .* expected 0 at"):
            call()


@pytest.mark.parametrize("kind", ["bool", "uint8", "int64", "float32", "float64"])
def test_fault_U12_0_and_1_of_any_dtype_are_a_mask(m: Any, kind: str) -> None:
    mask = np.array([[0, 1, 1]])
    ids, want = to_library(IDS), to_library(mask)
    given = to_library(mask.astype(kind))
    assert np.array_equal(
        to_numpy(m(ids, attention_mask=given)), to_numpy(m(ids, attention_mask=want))
    )
    assert to_numpy(m.loss_fn(m(ids), ids, given)) == to_numpy(m.loss_fn(m(ids), ids, want))


@pytest.mark.parametrize("given", ["no", "False", 0, 1, [True]])
def test_fault_U12_prepend_bos_is_a_bool(m: Any, given: Any) -> None:
    for call in (
        m,
        m.to_tokens,
        m.to_str_tokens,
        lambda text, **kw: m.generate(text, verbose=False, **kw),
    ):
        with pytest.raises(TypeError, match="prepend_bos must be True, False or None, got"):
            call(TEXT, prepend_bos=given)
    m.to_tokens(TEXT, prepend_bos=np.bool_(False))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"temperature": "a"}, "temperature must be a number, got 'a'"),
        ({"top_p": "a"}, "top_p must be a number, got 'a'"),
        ({"top_k": [5]}, r"top_k must be a number, got \[5\]"),
        ({"repetition_penalty": "a"}, "repetition_penalty must be a number, got 'a'"),
        ({"max_new_tokens": 1.5}, "max_new_tokens must be an integer, got 1.5"),
        ({"max_new_tokens": "3"}, "max_new_tokens must be an integer, got '3'"),
        ({"eos_token_id": "x"}, "eos_token_id must be an id or a list of ids, got 'x'"),
        ({"eos_token_id": 1.5}, "eos_token_id must be an id or a list of ids, got 1.5"),
        ({"eos_token_id": ["x"]}, "eos_token_id must be an integer, got 'x'"),
    ],
    ids=str,
)
def test_fault_U12_words_in_the_place_of_numbers(
    m: Any, options: dict[str, Any], says: str
) -> None:
    ids = to_library(IDS)
    for call in (
        lambda: m.generate(ids, verbose=False, **options),
        lambda: next(m.generate_stream(ids, verbose=False, **options)),
        lambda: m.hf_generate(ids, **options),
    ):
        with pytest.raises(TypeError, match=says):
            call()


@pytest.mark.parametrize("temperature", [1e-300, 1e-45])
def test_fault_U12_a_temperature_that_no_logit_can_be_divided_by(
    m: Any, temperature: float
) -> None:
    ids = to_library(IDS)
    for call in (m.generate, m.hf_generate):
        with pytest.raises(ValueError, match=f"temperature={temperature} is too small"):
            call(ids, do_sample=True, temperature=temperature, max_new_tokens=1, stop_at_eos=False)
    m.generate(ids, temperature=1e-6, max_new_tokens=1, stop_at_eos=False, verbose=False)


@pytest.mark.parametrize("layer", ["1", 1.5, [1]])
def test_fault_U12_a_layer_is_an_integer(m: Any, layer: Any) -> None:
    stream = m.run_with_cache(TEXT)[1]["resid_pre", 1]
    for call in (m, m.run_with_cache, m.run_with_hooks):
        with pytest.raises(TypeError, match="stop_at_layer must be an integer, got"):
            call(TEXT, stop_at_layer=layer)
        with pytest.raises(TypeError, match="start_at_layer must be an integer, got"):
            call(stream, start_at_layer=layer)
    m(stream, start_at_layer=np.int64(1))


@pytest.mark.parametrize(
    "key",
    [("resid_pre", 0, 1, 2), ("scale", 0, 1), (0, "z"), (), [], {}, slice(0, 2), None, 5, ["z"]],
    ids=str,
)
def test_fault_U6_a_key_that_is_none_is_explained(m: Any, key: Any) -> None:
    _, cache = m.run_with_cache(TEXT)
    with pytest.raises(TypeError, match=r"cache\[…\] takes a name .* a short name with its layer"):
        cache[key]


LONG = "x" * 600_000


def test_fault_U12_no_message_is_without_end(m: Any) -> None:
    _, cache = m.run_with_cache(TEXT)
    many = [LONG] * 3
    for call in (
        lambda: cache[LONG],
        lambda: cache[many],
        lambda: m.add_hook(LONG, print),
        lambda: m.add_hook(many, print),
        lambda: m.add_hook("hook_embed", LONG),
        lambda: m.run_with_hooks(TEXT, fwd_hooks=LONG),
        lambda: m.run_with_hooks(TEXT, fwd_hooks=[LONG]),
        lambda: m.run_with_hooks(TEXT, fwd_hooks=[(LONG, print)]),
        lambda: m.run_with_hooks(TEXT, fwd_hooks=[("hook_embed", LONG)]),
        lambda: m.run_with_hooks(TEXT, fwd_hooks=[(5, print), many]),
        lambda: m.run_with_cache(TEXT, names_filter=LONG),
        lambda: m.run_with_cache(TEXT, names_filter=many),
        lambda: m(TEXT, return_type=LONG),
        lambda: m(TEXT, prepend_bos=LONG),
        lambda: m.to_tokens(TEXT, padding_side=LONG),
        lambda: m.to_single_token(LONG),
        lambda: m.generate(TEXT, temperature=LONG),
        lambda: m.list_hooks(dir=LONG),
        lambda: getattr(m, LONG),
        lambda: TransformerBridge.boot_transformers(LONG),
        lambda: TransformerBridge.boot_transformers(DATA / "gpt2", dtype=LONG),
        lambda: TransformerBridge.boot_transformers(DATA / "gpt2", device=LONG),
        lambda: m(TEXT, **{LONG: 1}),
    ):
        with pytest.raises(Exception) as raised:  # noqa: PT011 (of any kind: it is short)
            call()
        assert len(str(raised.value)) < 3000, type(raised.value)
