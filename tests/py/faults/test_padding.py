"""Rows of padded batches: each is what its text is alone, bit for bit, whatever the other texts and their padding."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformer_lens_go import TransformerBridge
from transformer_lens_go._engine import arrays
from transformer_lens_go.utilities.logits_utils import penalize_repetition, sample_logits

from ..reference import DATA, to_numpy
from ..reference import model as stored

SIDES = ("left", "right")
BOS = (None, True, False)
# by how a row could be misread: texts begin with the pad token, have it in the middle, end with it
TEXTS = ["hello", "{pad}the dog", "the dog{pad} sat on the log and the mat", "the mat{pad}"]


def texts_of(m: Any) -> list[str]:
    return [text.format(pad=m.tokenizer.pad_token) for text in TEXTS]


def place(length: int, width: int, side: str) -> slice:
    """Where a row's own tokens are."""
    return slice(width - length, width) if side == "left" else slice(length)


@pytest.fixture(params=["gpt2", "llama"])
def m(request: pytest.FixtureRequest) -> Any:
    """GPT-2's tokenizer has one token as BOS, EOS and padding; the other's are three."""
    return stored(request.param)


@pytest.fixture
def appends_eos(tmp_path: Path) -> Any:
    """A model whose tokenizer writes EOS behind a text."""
    folder = shutil.copytree(DATA / "llama", tmp_path / "model")
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"add_eos_token": True}))
    return TransformerBridge.boot_transformers(folder)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("bos", BOS)
def test_fault_N1_a_row_of_a_batch_has_the_logits_of_its_text(m: Any, side: str, bos: Any) -> None:
    texts = texts_of(m)
    batch = to_numpy(m(texts, prepend_bos=bos, padding_side=side))
    for row, text in zip(batch, texts, strict=True):
        alone = to_numpy(m(text, prepend_bos=bos))[0]
        assert np.array_equal(row[place(len(alone), len(row), side)], alone), (text, side, bos)


@pytest.mark.parametrize("side", SIDES)
def test_fault_N1_a_row_of_a_batch_has_the_activations_of_its_text(m: Any, side: str) -> None:
    texts = texts_of(m)
    seen: list[np.ndarray] = []

    def look(value: Any, hook: Any) -> None:
        seen.append(to_numpy(value).copy())

    with m.hooks(fwd_hooks=[("blocks.1.attn.hook_z", look)]):
        _, cache = m.run_with_cache(texts, prepend_bos=False, padding_side=side)
    width = cache["resid_post", 0].shape[1]
    for index, text in enumerate(texts):
        _, alone = m.run_with_cache(text, prepend_bos=False)
        length = alone["resid_post", 0].shape[1]
        at = place(length, width, side)
        for name in ("hook_embed", "blocks.0.hook_resid_post", "blocks.1.attn.hook_v"):
            assert np.array_equal(to_numpy(cache[name])[index, at], to_numpy(alone[name])[0]), name
        pattern = to_numpy(cache["pattern", 1])[index][:, at, at]
        assert np.array_equal(pattern, to_numpy(alone["pattern", 1])[0])
        assert np.array_equal(seen[0][index, at], to_numpy(alone["z", 1])[0])


@pytest.mark.filterwarnings("ignore:the text begins with")
@pytest.mark.parametrize("bos", BOS)
def test_fault_N1_a_row_of_a_batch_goes_on_as_its_text(m: Any, bos: Any) -> None:
    texts = texts_of(m)
    options = {
        "max_new_tokens": 6,
        "do_sample": False,
        "stop_at_eos": False,
        "verbose": False,
        "return_type": "tokens",
        "output_logits": True,
        "prepend_bos": bos,
    }
    batch = m.generate(texts, **options)
    for index, text in enumerate(texts):
        alone = m.generate(text, **options)
        new = to_numpy(alone.sequences)[0, -6:]
        assert to_numpy(batch.sequences)[index, -6:].tolist() == new.tolist(), text
        for step, logits in enumerate(alone.logits):
            assert np.array_equal(to_numpy(batch.logits[step])[index], to_numpy(logits)[0])


@pytest.mark.parametrize("side", SIDES)
def test_fault_N1_tokens_behind_a_padded_batch_do_not_see_its_padding(m: Any, side: str) -> None:
    texts = texts_of(m)
    more = arrays.from_numpy(np.array([[5], [6], [7], [8]]))
    _, cache = m(texts, return_type="logits_and_cache", prepend_bos=False, padding_side=side)
    after = to_numpy(m(more, past_key_values=cache))
    for index, text in enumerate(texts):
        _, alone = m(text, return_type="logits_and_cache", prepend_bos=False)
        expected = to_numpy(m(more[index], past_key_values=alone))[0]
        if side == "left":
            assert np.array_equal(after[index], expected)
        else:  # padding lies between the keys, and they are summed in other groups
            assert np.allclose(after[index], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("side", SIDES)
def test_fault_N1_eos_that_the_tokenizer_appends_goes_from_every_row(
    appends_eos: Any, side: str
) -> None:
    assert appends_eos.cfg.tokenizer_appends_eos
    pad = appends_eos.tokenizer.pad_token_id
    texts = ["hello", "the dog sat on the log"]
    ids = to_numpy(appends_eos.to_tokens(texts, padding_side=side))
    loss = to_numpy(appends_eos(texts, return_type="loss", loss_per_token=True, padding_side=side))
    for index, text in enumerate(texts):
        alone = to_numpy(appends_eos.to_tokens(text))[0]
        assert alone[-1] != appends_eos.tokenizer.eos_token_id
        at = place(len(alone), ids.shape[1], side)
        assert ids[index, at].tolist() == alone.tolist()
        assert (np.delete(ids[index], np.arange(ids.shape[1])[at]) == pad).all()
        told = to_numpy(appends_eos(text, return_type="loss", loss_per_token=True))[0]
        assert np.array_equal(loss[index, place(len(told), loss.shape[1], side)], told)
        assert np.count_nonzero(loss[index]) == len(told)


@pytest.mark.parametrize("side", SIDES)
def test_fault_N1_a_text_without_tokens_is_named(m: Any, side: str) -> None:
    """Alone it is an error."""
    with pytest.raises(ValueError, match="at least one"):
        m("", prepend_bos=False)
    with pytest.warns(UserWarning, match="text 1 of 2 has no tokens"):
        batch = m(["hello", ""], prepend_bos=False, padding_side=side)
    assert np.array_equal(to_numpy(batch)[0], to_numpy(m("hello", prepend_bos=False))[0])
    with pytest.warns(UserWarning, match="text 1 of 2 has no tokens"):
        m.generate(["hello", ""], prepend_bos=False, stop_at_eos=False, verbose=False)


def _loss_alone(m: Any, texts: list[str], **options: Any) -> tuple[list[np.ndarray], float]:
    each = [
        to_numpy(m(t, return_type="loss", loss_per_token=True, prepend_bos=False, **options))[0]
        for t in texts
    ]
    return each, float(np.mean(np.concatenate(each), dtype=np.float64))


@pytest.mark.parametrize("side", SIDES)
def test_fault_N2_the_loss_is_the_mean_over_real_tokens(m: Any, side: str) -> None:
    texts = texts_of(m)
    each, mean = _loss_alone(m, texts)
    options = {"prepend_bos": False, "padding_side": side}
    assert float(m(texts, return_type="loss", **options)) == pytest.approx(mean, rel=1e-6)
    _, both = m(texts, return_type="both", **options)
    assert float(both) == pytest.approx(mean, rel=1e-6)
    batch = to_numpy(m(texts, return_type="loss", loss_per_token=True, **options))
    for row, alone in zip(batch, each, strict=True):
        at = place(len(alone), len(row), side)
        assert np.array_equal(row[at], alone)
        assert not np.delete(row, np.arange(len(row))[at]).any()


@pytest.mark.parametrize("side", SIDES)
def test_fault_N2_labels_are_not_counted_at_padding(m: Any, side: str) -> None:
    texts = texts_of(m)
    labels = m.to_tokens(texts, prepend_bos=False, padding_side=side)
    options = {"prepend_bos": False, "padding_side": side}
    plain = float(m(texts, return_type="loss", **options))
    assert float(m(texts, return_type="loss", labels=labels, **options)) == pytest.approx(plain)


def test_fault_N3_embeddings_stand_where_the_mask_says(m: Any) -> None:
    texts = texts_of(m)
    ids = m.to_tokens(texts, prepend_bos=False, padding_side="left")
    lengths = [m.to_tokens(text, prepend_bos=False).shape[1] for text in texts]
    width = ids.shape[1]
    mask = np.arange(width) >= (width - np.array(lengths))[:, None]
    mask = arrays.from_numpy(mask.astype(np.int64))
    embeds = m.embed(ids)
    assert np.array_equal(
        to_numpy(m(embeds, attention_mask=mask)), to_numpy(m(ids, attention_mask=mask))
    )
    for index, length in enumerate(lengths):
        row = to_numpy(m(embeds, attention_mask=mask))[index, -length:]
        assert np.array_equal(row, to_numpy(m(texts[index], prepend_bos=False))[0])
    _, cache = m.run_with_cache(ids, attention_mask=mask)
    on = to_numpy(m(cache["resid_pre", 1], start_at_layer=1, attention_mask=mask))
    ran = to_numpy(m(ids, attention_mask=mask))
    for index, length in enumerate(lengths):
        assert np.array_equal(on[index, -length:], ran[index, -length:])


def test_fault_N3_generation_from_embeddings_stands_where_the_mask_says(m: Any) -> None:
    ids = m.to_tokens(["hello", "the dog sat on the log"], prepend_bos=False, padding_side="left")
    width, length = ids.shape[1], m.to_tokens("hello", prepend_bos=False).shape[1]
    mask = np.ones(ids.shape, dtype=np.int64)
    mask[0, : width - length] = 0
    options = {"max_new_tokens": 4, "do_sample": False, "stop_at_eos": False, "verbose": False}
    new = m.generate(m.embed(ids), attention_mask=arrays.from_numpy(mask), **options)
    alone = m.generate(m.to_tokens("hello", prepend_bos=False), **options)
    assert to_numpy(new)[0].tolist() == to_numpy(alone)[0, -4:].tolist()


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("bos", BOS)
def test_fault_N4_input_to_embed_goes_on_as_the_run_of_the_texts(
    m: Any, side: str, bos: Any
) -> None:
    texts = texts_of(m)
    stream, tokens, _, mask = m.input_to_embed(texts, prepend_bos=bos, padding_side=side)
    whole = to_numpy(m(texts, prepend_bos=bos, padding_side=side))
    on = to_numpy(m(stream, start_at_layer=0, attention_mask=mask))
    assert (mask is None) == (side == "right")
    assert np.array_equal(
        to_numpy(tokens), to_numpy(m.to_tokens(texts, prepend_bos=bos, padding_side=side))
    )
    for index, text in enumerate(texts):
        at = place(m.to_tokens(text, prepend_bos=bos).shape[1], whole.shape[1], side)
        assert np.array_equal(on[index, at], whole[index, at])


@pytest.mark.parametrize("penalty", [{"repetition_penalty": 30.0}, {"freq_penalty": 30.0}])
def test_fault_N5_padding_is_not_penalised(m: Any, penalty: dict[str, float]) -> None:
    """The next token of a row is drawn from the same logits in any batch."""
    texts = ["hello", "the dog sat on the log and the mat"]
    ids = to_numpy(m.to_tokens(texts, prepend_bos=False, padding_side="left"))
    length = m.to_tokens("hello", prepend_bos=False).shape[1]
    pad = m.tokenizer.pad_token_id
    assert (ids[0, :-length] == pad).all()

    def prefer_padding(value: Any, hook: Any) -> Any:
        value[..., pad] = 40.0  # the likeliest token, unless it is penalised
        return value

    options = {
        "max_new_tokens": 1,
        "do_sample": "freq_penalty" in penalty,
        "top_k": 1,
        "stop_at_eos": False,
        "verbose": False,
        "return_type": "tokens",
        "prepend_bos": False,
        **penalty,
    }
    with m.hooks(fwd_hooks=[("unembed.hook_out", prefer_padding)]):
        alone = to_numpy(m.generate("hello", **options))[0, -1]
        batch = to_numpy(m.generate(texts, **options))[0, -1]
    assert alone == batch == pad


def test_fault_N5_hf_generate_does_not_penalise_padding(m: Any) -> None:
    if m.tokenizer.encode("hello")[0] == m.tokenizer.pad_token_id:
        pytest.skip("BOS is the same token, and a row's own")
    pad = m.tokenizer.pad_token_id

    def prefer_padding(value: Any, hook: Any) -> Any:
        value[..., pad] = 40.0
        return value

    options = {"max_new_tokens": 1, "do_sample": False, "stop_at_eos": False}
    with m.hooks(fwd_hooks=[("unembed.hook_out", prefer_padding)]):
        told = m.hf_generate(
            ["hello", "the dog sat on the log"],
            repetition_penalty=30.0,
            return_type="tokens",
            **options,
        )
    assert to_numpy(told)[0, -1] == pad


def test_fault_N5_penalties_take_a_mask() -> None:
    logits = arrays.from_numpy(np.array([[2.0, 1.9, -1.0]], dtype=np.float32))
    tokens = arrays.from_numpy(np.array([[0, 0, 2]]))
    mask = arrays.from_numpy(np.array([[0, 0, 1]]))
    assert to_numpy(penalize_repetition(logits, tokens, 2.0)).tolist() == [
        [1.0, pytest.approx(1.9), -2.0]
    ]
    assert to_numpy(penalize_repetition(logits, tokens, 2.0, mask)).tolist() == [
        [2.0, pytest.approx(1.9), -2.0]
    ]
    options = {"freq_penalty": 9.0, "top_k": 1, "tokens": tokens}
    assert to_numpy(sample_logits(logits, **options)).tolist() == [1]
    assert to_numpy(sample_logits(logits, attention_mask=mask, **options)).tolist() == [0]


def test_fault_N1_text_for_hf_generate_is_no_padding(m: Any) -> None:
    """The pad token within one text is text: transformers' guess is for ids."""
    text = f"the dog{m.tokenizer.pad_token} sat"
    options = {"max_new_tokens": 3, "do_sample": False, "stop_at_eos": False}
    ids = arrays.from_numpy(np.array([m.tokenizer(text)["input_ids"]]))
    whole = m.hf_generate(
        ids, attention_mask=arrays.from_numpy(np.ones(ids.shape, np.int64)), **options
    )
    told = m.hf_generate(text, output_logits=True, return_type="tokens", **options)
    assert to_numpy(told.sequences).tolist() == to_numpy(whole).tolist()


def test_fault_N1_padding_within_a_window_is_warned_of() -> None:
    """A window counts positions, as in transformers: tokens behind padding on the right would see less, silently."""
    model = TransformerBridge.boot_transformers(DATA / "mistral")
    options: dict[str, Any] = {"return_type": "logits_and_cache", "prepend_bos": False}
    texts = ["the dog", "the dog sat on the mat"]
    more = arrays.from_numpy(np.array([[5], [5]]))
    _, left = model(texts, padding_side="left", **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model(more, past_key_values=left)
    _, right = model(texts, padding_side="right", **options)
    with pytest.warns(UserWarning, match="padding between its tokens"):
        model(more, past_key_values=right)
