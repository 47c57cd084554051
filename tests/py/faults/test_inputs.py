"""What models take as input, and what they say of numbers that make no sense."""

from __future__ import annotations

import importlib.util
import warnings
from collections import UserDict
from typing import Any

import numpy as np
import pytest
from transformer_lens_go import TransformerBridge
from transformer_lens_go._engine import arrays
from transformer_lens_go.utilities import lm_cross_entropy_loss
from transformer_lens_go.utilities.logits_utils import sample_logits

from ..reference import DATA, to_library, to_numpy, uses_torch
from ..reference import model as stored

TEXTS = ["hello", "the dog sat on the log"]
GREEDY = {"max_new_tokens": 3, "do_sample": False, "stop_at_eos": False}


@pytest.fixture(params=["gpt2", "llama"])
def m(request: pytest.FixtureRequest) -> Any:
    return stored(request.param)


def same(one: Any, other: Any) -> None:
    assert np.array_equal(to_numpy(one), to_numpy(other))


# encodings


def encodings(m: Any) -> dict[str, Any]:
    """One batch, padded on the right, in every form that is one."""
    kind = "pt" if uses_torch() else "np"
    ours = m.tokenizer(TEXTS, padding=True, padding_side="right", return_tensors=kind)
    lists = m.tokenizer(TEXTS, padding=True, padding_side="right")
    found = {
        "ours": ours,
        "lists": lists,
        "dict": dict(ours),
        "other": UserDict(dict(ours)),
        "NumPy": m.tokenizer(TEXTS, padding=True, padding_side="right", return_tensors="np"),
        "with more": {**ours, "token_type_ids": ours["input_ids"] * 0, "length": [1, 2]},
    }
    if importlib.util.find_spec("transformers"):
        from transformers import BatchEncoding

        found["transformers"] = BatchEncoding(dict(ours))
    return found


def test_fault_U9_a_model_takes_what_a_tokenizer_gave(m: Any) -> None:
    for name, encoding in encodings(m).items():
        ids, mask = (
            to_library(np.asarray(encoding[column])) for column in ("input_ids", "attention_mask")
        )
        want = m(ids, attention_mask=mask)
        loss = m(ids, attention_mask=mask, return_type="loss")
        same(m(encoding), want)
        same(m(**encoding), want)
        same(m(encoding, return_type="loss"), loss)
        same(m(**encoding, return_type="loss"), loss)
        for call in (m.run_with_hooks, lambda *a, **k: m.run_with_cache(*a, **k)[0]):
            same(call(encoding), want)
            same(call(**encoding), want)
        _, cache = m.run_with_cache(encoding, names_filter="blocks.0.hook_resid_post")
        same(cache["resid_post", 0], m(ids, attention_mask=mask, stop_at_layer=1))
        assert len(encoding) >= 2, f"{name} was changed"


def test_fault_U9_a_model_goes_on_from_what_a_tokenizer_gave(m: Any) -> None:
    for encoding in encodings(m).values():
        ids, mask = (
            to_library(np.asarray(encoding[column])) for column in ("input_ids", "attention_mask")
        )
        want = m.generate(ids, attention_mask=mask, verbose=False, **GREEDY)
        same(m.generate(encoding, verbose=False, **GREEDY), want)
        same(m.generate(**encoding, verbose=False, **GREEDY), want)
        same(m.hf_generate(encoding, **GREEDY), want)
        same(m.hf_generate(**encoding, **GREEDY), want)
        pieces = m.generate_stream(**encoding, verbose=False, **GREEDY)
        same(arrays.concat(list(pieces), 1), want)


def test_fault_U9_an_encoding_of_one_text_is_a_row(m: Any) -> None:
    encoding = m.tokenizer(TEXTS[1])
    assert isinstance(encoding["input_ids"][0], int)
    same(m(encoding), m(to_library(np.array([encoding["input_ids"]]))))
    same(m(**encoding), m(encoding))
    stream, ids, _, mask = m.input_to_embed(encoding)
    assert tuple(ids.shape) == tuple(mask.shape)
    same(stream, m(ids, stop_at_layer=0))


def test_fault_U9_labels_of_an_encoding_count(m: Any) -> None:
    ids = m.to_tokens(TEXTS[1])
    labels = to_numpy(ids).copy()
    labels[:, :4] = -100
    given = {"input_ids": ids, "labels": to_library(labels)}
    want = m(ids, labels=to_library(labels), return_type="loss")
    same(m(given, return_type="loss"), want)
    same(m(**given, return_type="loss"), want)


def test_fault_U9_what_is_no_input_is_named(m: Any) -> None:
    ids = m.to_tokens(TEXTS[1])
    mask = to_library(np.ones(ids.shape, np.int64))
    ragged = m.tokenizer(TEXTS)
    for call, error, says in (
        (
            lambda: m({"tokens": ids}),
            TypeError,
            "got dict: .*'input_ids' that are; this one has .'tokens'",
        ),
        (lambda: m({}), TypeError, "this one has nothing"),
        (lambda: m(), TypeError, "needs an input: text"),
        (lambda: m(ids, input_ids=ids), TypeError, "two inputs"),
        (
            lambda: m({"input_ids": ids, "attention_mask": mask}, attention_mask=mask),
            ValueError,
            "attention_mask twice",
        ),
        (lambda: m(ragged), ValueError, "padding=True"),
        (lambda: m(**ragged), ValueError, "padding=True"),
        (lambda: m({"input_ids": ids, "speed": 3}), TypeError, "speed"),
        (lambda: m.generate({"input_ids": ids, "speed": 3}), TypeError, "speed"),
        (lambda: m.generate_stream(ids, speed=3).__next__(), TypeError, "generate_stream.*speed"),
    ):
        with pytest.raises(error, match=says):
            call()


# arrays as NumPy has them and torch does not


def test_fault_U13_ids_of_any_byte_order_and_direction(m: Any) -> None:
    ids = np.array([[5, 7, 9, 11], [6, 8, 10, 12]])
    want = m(to_library(ids))
    read_only = ids.copy()
    read_only.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for given in (
            ids.astype(">i8"),
            ids.astype(">i4"),
            ids.astype(">u2"),
            np.ascontiguousarray(ids[:, ::-1])[:, ::-1],
            np.ascontiguousarray(ids[::-1])[::-1],
            read_only,
            ids.astype([("a", "i4"), ("b", "i1")])["a"] * 0 + ids.astype("i4"),
        ):
            same(m(given), want)
        packed = np.zeros(ids.shape, [("a", "i1"), ("ids", "<i4")])
        packed["ids"] = ids
        same(m(packed["ids"]), want)


def test_fault_U13_masks_positions_labels_and_embeddings_likewise(m: Any) -> None:
    ids = np.array([[5, 7, 9, 11], [6, 8, 10, 12]])
    mask = np.array([[0, 1, 1, 1], [1, 1, 1, 1]])
    labels = np.array([[1, 2, 3, -100], [4, 5, 6, 7]])
    positions = np.array([[1, 2, 3, 4]])

    def odd(array: np.ndarray) -> list[np.ndarray]:
        return [
            array.astype(array.dtype.newbyteorder(">")),
            np.ascontiguousarray(array[..., ::-1])[..., ::-1],
        ]

    for kind, array in (("attention_mask", mask), ("labels", labels), ("position_ids", positions)):
        want = m(to_library(ids), return_type="loss", **{kind: to_library(array)})
        for given in odd(array):
            same(m(ids, return_type="loss", **{kind: given}), want)
    embeds = to_numpy(m.embed(to_library(ids))).copy()
    for given in odd(embeds):
        same(m(given), m(to_library(embeds)))
        same(m(given, start_at_layer=1), m(to_library(embeds), start_at_layer=1))
    for given in odd(ids):
        same(
            m.generate(given, verbose=False, **GREEDY),
            m.generate(to_library(ids), verbose=False, **GREEDY),
        )
        assert m.to_string(given) == m.to_string(ids)


# numbers that make no sense


def test_fault_U12_a_layer_that_is_not_there(m: Any) -> None:
    ids, layers = m.to_tokens(TEXTS[1]), m.cfg.n_layers
    for layer in (layers + 1, 99, -layers - 1):
        for call in (m, m.run_with_cache, m.run_with_hooks):
            with pytest.raises(ValueError, match=rf"stop_at_layer={layer}.* {layers} layers"):
                call(ids, stop_at_layer=layer)
    same(m(ids, stop_at_layer=layers), m(ids))
    same(m(ids, stop_at_layer=-1), m(ids, stop_at_layer=layers - 1))


def test_fault_U12_the_loss_of_one_token_is_warned_of(m: Any) -> None:
    one = to_library(np.array([[5]]))
    mask = to_library(np.array([[0, 0, 1], [0, 0, 1]]))
    three = to_library(np.array([[5, 6, 7], [5, 6, 7]]))
    nothing = to_library(np.full((2, 3), -100))
    for call in (
        lambda: m(one, return_type="loss"),
        lambda: m(one, return_type="both")[1],
        lambda: m(three, return_type="loss", attention_mask=mask),
        lambda: m(three, return_type="loss", labels=nothing),
        lambda: m.loss_fn(m(one), one),
        lambda: lm_cross_entropy_loss(m(one), one),
    ):
        with pytest.warns(UserWarning, match="mean over nothing") as told:
            assert np.isnan(to_numpy(call()))
        assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert m(one, return_type="loss", loss_per_token=True).shape == (1, 0)
        m(three, return_type="loss")


def test_fault_U12_a_text_that_is_cut_is_warned_of_once(m: Any) -> None:
    n_ctx = m.cfg.n_ctx
    long = " the" * (n_ctx + 9)
    fits = " the" * 3
    with pytest.warns(UserWarning, match=rf"cut to the {n_ctx} of the model's context") as told:
        assert m.to_tokens([long, fits, long]).shape[1] == n_ctx
    assert len(told) == 1
    assert told[0].filename == __file__
    with pytest.warns(UserWarning, match="cut to the"):
        m(long)
    exact = m.to_string(m.to_tokens(long, prepend_bos=False, truncate=False)[0, : n_ctx - 1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        m.to_tokens(long, truncate=False)
        assert m.to_tokens(exact).shape[1] <= n_ctx
        m.to_tokens([fits, fits])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"temperature": -1.0}, "temperature has to be 0 .* or greater, got -1.0"),
        ({"temperature": float("nan")}, "temperature has to be"),
        ({"repetition_penalty": 0.0}, "repetition_penalty has to be greater than 0"),
        ({"repetition_penalty": -2.0}, "repetition_penalty has to be greater than 0"),
        ({"freq_penalty": -1.0}, "freq_penalty has to be non-negative"),
        ({"top_k": 0}, "top_k has to be greater than 0"),
        ({"top_k": -3}, "top_k has to be greater than 0"),
        ({"top_p": 0.0}, r"top_p has to be in \(0, 1\]"),
        ({"top_p": 1.5}, r"top_p has to be in \(0, 1\]"),
    ],
)
def test_fault_U12_a_way_to_choose_tokens_that_there_is_not(
    m: Any, options: dict[str, float], says: str
) -> None:
    ids = m.to_tokens(TEXTS[1])
    for sample in (True, False):
        with pytest.raises(ValueError, match=says):
            m.generate(ids, do_sample=sample, stop_at_eos=False, verbose=False, **options)
    with pytest.raises(ValueError, match=says):
        next(m.generate_stream(ids, stop_at_eos=False, verbose=False, **options))
    with pytest.raises(ValueError, match=says):
        sample_logits(to_library(np.zeros((1, 5), np.float32)), tokens=ids, **options)
    with pytest.raises(AssertionError):  # what transformer_lens raises for some of them
        m.generate(ids, stop_at_eos=False, verbose=False, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0.0},
        {"temperature": -1.0},
        {"repetition_penalty": 0.0},
        {"top_k": -1},
        {"top_p": 1.5},
        {"top_p": -0.5},
    ],
)
def test_fault_U12_hf_generate_likewise(m: Any, options: dict[str, float]) -> None:
    name, value = next(iter(options.items()))
    with pytest.raises(ValueError, match=rf"{name} has to be .*, got {value}"):
        m.hf_generate(m.to_tokens(TEXTS[1]), 2, stop_at_eos=False, **options)


def test_fault_U12_the_context_of_a_model_whose_tokenizer_says_no_mask() -> None:
    """The warning asks no more of a tokenizer than the ids."""

    class Words:
        padding_side = "left"
        bos_token = eos_token = pad_token = "<pad>"
        bos_token_id = eos_token_id = pad_token_id = 0

        def get_vocab(self) -> dict[str, int]:
            return {"<pad>": 0}

        def encode(self, text: str) -> list[int]:
            return [3] * len(text.split())

        def decode(self, row: Any, **_: Any) -> str:
            return "x" * len(row)

        batch_decode = decode

        def __call__(self, text: Any, max_length: int | None = None, **_: Any) -> Any:
            if isinstance(text, str):
                return {"input_ids": self.encode(text)}
            rows = [self.encode(one)[:max_length] for one in text]
            width = max(map(len, rows))
            return {"input_ids": np.array([[0] * (width - len(row)) + row for row in rows])}

    m = TransformerBridge.boot_transformers(DATA / "llama", tokenizer=Words())
    with pytest.warns(UserWarning, match="1 of 2 texts of 140 tokens was cut"):
        ids = m.to_tokens(["a " * 140, "a b"], prepend_bos=False)
    assert ids.shape == (2, m.cfg.n_ctx)
    short = m("a b", prepend_bos=False)
    batch = m(["a b", "a b c d e"], prepend_bos=False)
    same(batch[0, -2:], short[0])
