"""Text and tokens: BOS, padding and truncation, and the tokenizer that a model has."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformer_lens_go import TransformerBridge
from transformer_lens_go.utilities import get_attention_mask, get_tokens_with_bos_removed

from .reference import DATA, model, to_library, to_numpy, uses_torch

# style of tokenizer → a checkpoint that has it
SAME = "gpt2"  # BOS, EOS and padding are one token
DISTINCT = "llama"  # each its own
TEXT = "When Mary and John went to the store"
ODD = ["naïve café 日本語 🙂", "a\x00b", "tab\tand\n\nnewlines ", "", " lead", "e\u0301"]


@pytest.fixture
def fresh() -> Any:
    return TransformerBridge.boot_transformers(DATA / DISTINCT)


@pytest.fixture
def without_bos(tmp_path: Path) -> Any:
    """A model whose tokenizer has EOS and padding but no BOS."""
    folder = shutil.copytree(DATA / DISTINCT, tmp_path / "model")
    about = json.loads((folder / "tokenizer_config.json").read_text())
    del about["bos_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(about))
    return TransformerBridge.boot_transformers(folder)


def ids(value: Any) -> list:
    return to_numpy(value).tolist()


@pytest.mark.parametrize("name", [SAME, DISTINCT])
def test_bos_is_there_unless_told_otherwise(name: str) -> None:
    m = model(name)
    bare = ids(m.to_tokens(TEXT, prepend_bos=False))
    assert ids(m.to_tokens(TEXT)) == [[m.tokenizer.bos_token_id, *bare[0]]]
    assert ids(m.to_tokens(TEXT, prepend_bos=True)) == ids(m.to_tokens(TEXT))
    assert ids(m.to_tokens("")) == [[m.tokenizer.bos_token_id]]
    assert to_numpy(m.to_tokens("", prepend_bos=False)).shape == (1, 0)


def test_a_family_may_do_without_bos() -> None:
    m = model("qwen2")
    assert m.cfg.default_prepend_bos is False
    assert ids(m.to_tokens(TEXT)) == ids(m.to_tokens(TEXT, prepend_bos=False))
    assert ids(m.to_tokens(TEXT, prepend_bos=True))[0][0] == m.tokenizer.bos_token_id


def test_a_tokenizer_without_bos_uses_eos(without_bos: Any) -> None:
    m = without_bos
    assert m.cfg.tokenizer_prepends_bos is False
    assert m.tokenizer.bos_token_id == m.tokenizer.eos_token_id
    bare = ids(m.to_tokens(TEXT, prepend_bos=False))
    assert ids(m.to_tokens(TEXT)) == [[m.tokenizer.eos_token_id, *bare[0]]]


def test_tokens_are_the_users_kind_of_array() -> None:
    tokens = model(SAME).to_tokens(TEXT)
    assert uses_torch() == hasattr(tokens, "requires_grad")
    assert to_numpy(tokens).dtype == np.int64


@pytest.mark.parametrize("name", [SAME, DISTINCT])
@pytest.mark.parametrize("prepend_bos", [True, False])
def test_padding(name: str, prepend_bos: bool) -> None:
    m = model(name)
    texts = ["hello", TEXT, ""]
    alone = [ids(m.to_tokens(text, prepend_bos=prepend_bos))[0] for text in texts]
    width = max(map(len, alone))
    fill = [[m.tokenizer.pad_token_id] * (width - len(row)) for row in alone]
    right = [row + f for row, f in zip(alone, fill, strict=True)]
    left = [f + row for row, f in zip(alone, fill, strict=True)]
    assert ids(m.to_tokens(texts, prepend_bos=prepend_bos)) == right
    assert ids(m.to_tokens(texts, prepend_bos=prepend_bos, padding_side="right")) == right
    assert ids(m.to_tokens(texts, prepend_bos=prepend_bos, padding_side="left")) == left


def test_padding_side_of_the_tokenizer(fresh: Any) -> None:
    fresh.tokenizer.padding_side = "left"
    assert ids(fresh.to_tokens(["hello", TEXT])) == ids(
        fresh.to_tokens(["hello", TEXT], padding_side="left")
    )
    with pytest.raises(ValueError, match="middle"):
        fresh.to_tokens(["a", "bcd"], padding_side="middle")


def test_truncation(fresh: Any) -> None:
    n_ctx, long = fresh.cfg.n_ctx, "a b " * 500
    whole = ids(fresh.to_tokens(long, truncate=False))[0]
    assert len(whole) > n_ctx
    assert ids(fresh.to_tokens(long)) == [whole[:n_ctx]]
    # the room for BOS is taken before BOS is dropped, as in transformer_lens
    assert ids(fresh.to_tokens(long, prepend_bos=False)) == [whole[1:n_ctx]]
    fresh.tokenizer.truncation_side = "left"
    assert ids(fresh.to_tokens(long)) == [whole[:1] + whole[len(whole) - n_ctx + 1 :]]


@pytest.mark.parametrize("text", ODD)
def test_text_survives(text: str) -> None:
    m = model(DISTINCT)
    tokens = m.to_tokens(text, prepend_bos=False)
    assert m.to_string(tokens) == [text]
    assert m.to_string(tokens[0]) == text
    assert m.to_string(ids(tokens)[0]) == text


def test_unpaired_surrogates_are_refused() -> None:
    with pytest.raises(TypeError, match="surrogate"):
        model(DISTINCT).to_tokens("a\ud800")


def test_to_string_shapes() -> None:
    m = model(DISTINCT)
    one = ids(m.to_tokens("hello", prepend_bos=False))[0]
    assert m.to_string([one, one]) == ["hello", "hello"]
    assert m.to_string(one[0]) == m.to_string(to_library(np.array(one[0]))) == "he"
    with pytest.raises(ValueError, match=r"\(1, 1, 2\)"):
        m.to_string(np.zeros((1, 1, 2), dtype=np.int64))


def test_to_str_tokens() -> None:
    m = model(DISTINCT)
    tokens = m.to_tokens(TEXT)
    parts = m.to_str_tokens(TEXT)
    assert "".join(parts) == m.tokenizer.bos_token + TEXT
    assert parts == m.to_str_tokens(tokens) == m.to_str_tokens(tokens[0])
    assert parts == m.to_str_tokens(to_numpy(tokens))
    assert m.to_str_tokens(TEXT, prepend_bos=False) == parts[1:]
    assert m.to_str_tokens(["hello", tokens]) == [m.to_str_tokens("hello"), parts]
    for wrong, error in [
        (3, ValueError),
        ([3], ValueError),
        (m.to_tokens(["a", "b"]), AssertionError),
    ]:
        with pytest.raises(error):
            m.to_str_tokens(wrong)


def test_single_tokens() -> None:
    m = model(DISTINCT)
    index = m.to_single_token(" the")
    assert m.to_single_str_token(index) == " the"
    assert m.to_single_str_token(np.int64(index)) == " the"
    with pytest.raises(AssertionError, match=r"not a single token.*It is 2"):
        m.to_single_token(" the the")
    with pytest.raises(AssertionError):
        m.to_single_token("")
    with pytest.raises(AssertionError):
        m.to_single_str_token("a")


def test_token_positions() -> None:
    m = model(DISTINCT)
    text = "the cat and the dog and the mat"
    tokens = m.to_tokens(text)
    first, last = (m.get_token_position(" the", text, mode=mode) for mode in ("first", "last"))
    assert m.to_str_tokens(text)[first] == m.to_str_tokens(text)[last] == " the"
    assert 0 < first < last
    assert m.get_token_position(" the", tokens) == m.get_token_position(" the", tokens[0]) == first
    assert m.get_token_position(tokens[0, first], tokens) == first
    assert m.get_token_position(" the", text, prepend_bos=False) == first - 1
    with pytest.raises(AssertionError, match="does not occur"):
        m.get_token_position("q", text)
    with pytest.raises(AssertionError, match="shape"):
        m.get_token_position(" the", m.to_tokens([text, text]))
    with pytest.raises(ValueError, match="first"):
        m.get_token_position(" the", text, mode="middle")


def test_no_tokenizer(fresh: Any) -> None:
    fresh.tokenizer = None
    assert fresh.tokenizer is None
    for use in (fresh.to_tokens, fresh.to_string, fresh.to_str_tokens, fresh.to_single_token):
        with pytest.raises(AssertionError, match="without a tokenizer"):
            use("hello")


def test_what_is_no_tokenizer_is_refused(fresh: Any) -> None:
    with pytest.raises(AssertionError, match="batch_decode"):
        fresh.tokenizer = object()
    with pytest.raises(AssertionError, match="padding_side"):
        fresh.set_tokenizer(fresh.tokenizer, default_padding_side="up")


class Letters:
    """A tokenizer with Hugging Face's interface: one id a letter, no BOS of its own."""

    bos_token = eos_token = pad_token = None
    bos_token_id = eos_token_id = pad_token_id = property(
        lambda self: None if self.eos_token is None else 0
    )
    padding_side = "left"
    vocab = ("<|endoftext|>", *"abcdefgh")

    def get_vocab(self) -> dict[str, int]:
        return {token: index for index, token in enumerate(self.vocab)}

    def encode(self, text: str) -> list[int]:
        head, tail = ([0], text[13:]) if text.startswith("<|endoftext|>") else ([], text)
        return head + [self.vocab.index(letter) for letter in tail]

    def decode(self, row: Any, **_: Any) -> str:
        return "".join(self.vocab[i] for i in row)

    def batch_decode(self, rows: Any, **_: Any) -> list[str]:
        return [self.decode(row) for row in rows]

    def __call__(self, text: Any, padding_side: str = "left", **options: Any) -> dict[str, Any]:
        self.options = options
        if isinstance(text, str):
            return {"input_ids": self.encode(text)}
        rows = [self.encode(t)[: options["max_length"]] for t in text]
        width = max(map(len, rows))
        fill = [[0] * (width - len(row)) for row in rows]
        if padding_side == "right":
            return {"input_ids": np.array([r + f for r, f in zip(rows, fill, strict=True)])}
        return {"input_ids": np.array([f + r for r, f in zip(rows, fill, strict=True)])}


def test_a_tokenizer_passed_in_is_used_as_it_is() -> None:
    letters = Letters()
    m = TransformerBridge.boot_transformers(DATA / DISTINCT, tokenizer=letters)
    assert m.tokenizer is letters
    assert letters.padding_side == "left"
    assert letters.bos_token == letters.pad_token == letters.eos_token == "<|endoftext|>"
    assert m.cfg.tokenizer_prepends_bos is False
    assert ids(m.to_tokens(["ab", "abc"])) == [[0, 0, 1, 2], [0, 1, 2, 3]]
    assert ids(m.to_tokens(["ab", "abc"], prepend_bos=False)) == [[0, 1, 2], [1, 2, 3]]
    assert m.to_str_tokens("ab") == ["<|endoftext|>", "a", "b"]
    assert letters.options["return_tensors"] == "np"


def test_another_tokenizer_later(fresh: Any) -> None:
    fresh.tokenizer = Letters()
    assert fresh.cfg.d_vocab == fresh.cfg.d_vocab_out == 9
    assert fresh.to_single_token("b") == 2


@pytest.mark.skipif(
    not (importlib.util.find_spec("transformers") and uses_torch()), reason="needs transformers"
)
def test_a_hugging_face_tokenizer_gives_the_same_ids() -> None:
    from transformers import AutoTokenizer

    ours = model(DISTINCT)
    theirs = TransformerBridge.boot_transformers(
        DATA / DISTINCT, tokenizer=AutoTokenizer.from_pretrained(str(DATA / DISTINCT))
    )
    texts = [TEXT, *ODD]
    for options in ({}, {"prepend_bos": False}, {"padding_side": "left"}):
        assert ids(theirs.to_tokens(texts, **options)) == ids(ours.to_tokens(texts, **options))
    assert theirs.to_str_tokens(texts) == ours.to_str_tokens(texts)


# masks and BOS in batches of ids


def test_attention_masks() -> None:
    same, distinct = model(SAME), model(DISTINCT)
    for m in (same, distinct):
        tokens = m.to_tokens(["hello", TEXT], padding_side="left")
        mask = to_numpy(get_attention_mask(m.tokenizer, tokens, True, "left"))
        assert mask[0].sum() == to_numpy(m.to_tokens("hello")).shape[1]
        assert mask[1].all()
        assert (np.diff(mask[0]) >= 0).all()
    tokens = distinct.to_tokens(["hello", TEXT])
    mask = to_numpy(get_attention_mask(distinct.tokenizer, tokens, True))
    assert (np.diff(mask[0]) <= 0).all()
    assert mask[0].sum() == to_numpy(distinct.to_tokens("hello")).shape[1]


def test_removing_a_bos_that_is_not_there() -> None:
    m = model(DISTINCT)
    with pytest.raises(ValueError, match=r"1 left-padded row\(s\)"):
        get_tokens_with_bos_removed(
            m.tokenizer, to_library(np.array([[3, 0, 5], [3, 7, 5]])), "left"
        )
