"""`transformer_lens_go.Tokenizer`, which stands alone with the interface of `tokenizers.Tokenizer`."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformer_lens_go import Tokenizer
from transformer_lens_go.core_tokenizer import AddedToken
from transformer_lens_go.encoding import Encoding

from .reference import DATA

FILE = DATA / "llama" / "tokenizer.json"
TEXT = "When Mary and John went to the store"


def described(**changes: Any) -> str:
    """A small WordPiece tokenizer.json."""
    vocab = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "un", "##able", "##s", "cat", "中"]
    return json.dumps(
        {
            "version": "1.0",
            "added_tokens": [{"id": i, "content": vocab[i], "special": True} for i in range(4)],
            "normalizer": {
                "type": "BertNormalizer",
                "clean_text": True,
                "handle_chinese_chars": True,
                "strip_accents": None,
                "lowercase": True,
            },
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]},
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
            "model": {
                "type": "WordPiece",
                "unk_token": "[UNK]",
                "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100,
                "vocab": {token: i for i, token in enumerate(vocab)},
            },
            **changes,
        }
    )


@pytest.fixture
def words() -> Tokenizer:
    return Tokenizer.from_str(described())


def test_an_encoding(words: Tokenizer) -> None:
    got = words.encode("Unable cats 中x")
    assert got.ids == [1, 4, 5, 7, 6, 8, 0, 2]
    assert got.tokens == ["[CLS]", "un", "##able", "cat", "##s", "中", "[UNK]", "[SEP]"]
    assert got.offsets == [(0, 0), (0, 2), (2, 6), (7, 10), (10, 11), (12, 13), (13, 14), (0, 0)]
    assert got.attention_mask == [1] * 8
    assert got.special_tokens_mask == [1, 0, 0, 0, 0, 0, 0, 1]
    assert got.type_ids == [0] * 8
    assert got.word_ids == got.words == [None, 0, 0, 1, 1, 2, 3, None]
    assert got.sequence_ids == [None, 0, 0, 0, 0, 0, 0, None]
    assert len(got) == 8
    assert got.n_sequences == 1
    assert got.overflowing == []
    assert "num_tokens=8" in repr(got)
    assert words.encode("Unable", add_special_tokens=False).ids == [4, 5]


def test_places_in_an_encoding(words: Tokenizer) -> None:
    got = words.encode("cats", "unable 中")
    assert got.n_sequences == 2
    assert got.type_ids == [0, 0, 0, 0, 1, 1, 1, 1]
    assert (got.token_to_sequence(1), got.token_to_sequence(4), got.token_to_sequence(3)) == (
        0,
        1,
        None,
    )
    assert (got.char_to_token(3), got.char_to_token(0, 1), got.char_to_token(9, 1)) == (2, 4, None)
    assert (got.word_to_tokens(0), got.word_to_tokens(0, 1), got.word_to_tokens(7)) == (
        (1, 3),
        (4, 6),
        None,
    )
    assert (got.word_to_chars(0, 1), got.char_to_word(7, 1)) == ((0, 6), 1)
    assert (got.token_to_chars(5), got.token_to_word(5), got.token_to_chars(0)) == ((2, 6), 0, None)
    twin = pickle.loads(pickle.dumps(got))
    assert (twin.ids, twin.tokens, twin.offsets, twin.word_to_tokens(0, 1)) == (
        got.ids,
        got.tokens,
        got.offsets,
        (4, 6),
    )


def test_encodings_are_changed(words: Tokenizer) -> None:
    got = words.encode("unable cats", "cat")
    ids, size = got.ids, len(got)
    got.truncate(4, stride=1)
    assert (got.ids, got.n_sequences, got.sequence_ids) == (ids[:4], 1, [0] * 4)
    assert [part.ids for part in got.overflowing] == [ids[3:7], ids[6:]][: -(-(size - 4) // 3)]
    got.pad(6, direction="left", pad_id=3, pad_token="[PAD]")
    assert got.ids == [3, 3, *ids[:4]]
    assert got.attention_mask == [0, 0, 1, 1, 1, 1]
    assert got.tokens[:3] == ["[PAD]", "[PAD]", "[CLS]"]
    assert got.offsets[:2] == [(0, 0), (0, 0)]
    assert all(len(part) == 6 for part in got.overflowing)
    got.pad(2)
    assert len(got) == 6
    first, second = (words.encode(text, add_special_tokens=False) for text in ("cat", "unable"))
    both = Encoding.merge([first, second])
    assert both.ids == first.ids + second.ids
    assert both.offsets == [(0, 3), (3, 5), (5, 9)]
    assert Encoding.merge([first, second], growing_offsets=False).offsets[1:] == second.offsets
    assert Encoding.merge([]).ids == []
    second.set_sequence_id(1)
    assert 1 in second.sequence_ids
    assert pickle.loads(pickle.dumps(second)).sequence_ids == second.sequence_ids
    second.truncate(0)
    assert (second.ids, [len(part) for part in second.overflowing]) == ([], [2])


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (lambda e: e.truncate(2, stride=2), ValueError, "stride 2"),
        (lambda e: e.truncate(2, direction="up"), ValueError, "'up'"),
        (lambda e: e.truncate(-1), OverflowError, "-1"),
        (lambda e: e.pad(9, direction="up"), ValueError, "'up'"),
    ],
)
def test_changes_that_cannot_be(
    words: Tokenizer, change: Callable[[Encoding], Any], error: type, says: str
) -> None:
    encoding = words.encode("unable cats")
    ids = encoding.ids
    with pytest.raises(error, match=says):
        change(encoding)
    assert encoding.ids == ids


def test_batches(words: Tokenizer) -> None:
    texts = ["cat", "cats unable", "", "中" * 40]
    assert [e.ids for e in words.encode_batch(texts)] == [words.encode(t).ids for t in texts]
    mixed = words.encode_batch(["cat", ("cat", "cats")])
    assert [e.ids for e in mixed] == [words.encode("cat").ids, words.encode("cat", "cats").ids]
    assert words.encode_batch([]) == []
    many = words.encode_batch(["unable " * (n % 7) for n in range(500)])
    assert [len(e) for e in many] == [2 + 2 * (n % 7) for n in range(500)]
    spread = words.encode_batch([["Cats cat", "x"], []], is_pretokenized=True)
    assert spread[0].word_ids == [None, 0, 0, 0, 1, None]
    assert spread[0].offsets[1:5] == [(0, 3), (3, 4), (5, 8), (0, 1)]
    assert spread[1].ids == [1, 2]
    pairs = words.encode_batch([(["cat", "s"], ["x"])], is_pretokenized=True)
    assert pairs[0].ids == words.encode(["cat", "s"], ["x"], is_pretokenized=True).ids


def test_padding_and_truncation(words: Tokenizer) -> None:
    assert words.padding is None
    words.enable_padding(pad_id=3, pad_token="[PAD]", direction="left", pad_to_multiple_of=4)
    assert words.padding == {
        "length": None,
        "pad_to_multiple_of": 4,
        "pad_id": 3,
        "pad_token": "[PAD]",
        "pad_type_id": 0,
        "direction": "left",
    }
    one, two = words.encode_batch(["cat", ("cat cat", "cats")])
    assert [len(one), len(two)] == [8, 8]
    assert one.ids == [3] * 5 + [1, 7, 2]
    assert one.attention_mask == [0] * 5 + [1] * 3
    assert one.tokens[0] == "[PAD]"
    words.no_padding()
    words.enable_truncation(5, stride=1)
    got = words.encode("cat cats unable")
    assert got.ids == [1, 7, 7, 6, 2]
    assert [part.ids for part in got.overflowing] == [[1, 6, 4, 5, 2]]
    assert words.truncation == {
        "max_length": 5,
        "stride": 1,
        "strategy": "longest_first",
        "direction": "right",
    }
    words.no_truncation()
    assert len(words.encode("cat cats unable")) == 7


def test_a_file_has_padding_and_truncation_of_its_own() -> None:
    tokenizer = Tokenizer.from_str(
        described(
            truncation={"direction": "Left", "max_length": 4, "strategy": "OnlyFirst", "stride": 0},
            padding={
                "strategy": {"Fixed": 6},
                "direction": "Right",
                "pad_to_multiple_of": None,
                "pad_id": 3,
                "pad_type_id": 1,
                "pad_token": "[PAD]",
            },
        )
    )
    assert tokenizer.encode("cat cats").ids == [1, 7, 6, 2, 3, 3]
    assert tokenizer.truncation["direction"] == "left"
    assert tokenizer.padding["length"] == 6


def test_decoding(words: Tokenizer) -> None:
    ids = words.encode("unable cats").ids
    assert words.decode(ids) == "unable cats"
    assert words.decode(ids, skip_special_tokens=False) == "[CLS] unable cats [SEP]"
    assert words.decode_batch([ids, [], [999_999]]) == ["unable cats", "", ""]


def test_vocabulary(words: Tokenizer) -> None:
    assert words.token_to_id("##able") == 5
    assert words.token_to_id("nothing") is None
    assert words.token_to_id("a\0b") is None
    assert words.id_to_token(5) == "##able"
    assert words.id_to_token(99) is None
    assert words.get_vocab_size() == len(words.get_vocab()) == 9
    assert words.add_tokens(["<a>", "cat", "<a>"]) == 2
    assert words.add_special_tokens([AddedToken("<b>", rstrip=True)]) == 1
    assert words.get_vocab_size() == 11
    assert words.get_vocab_size(with_added_tokens=False) == len(words.get_vocab(False)) == 9
    assert words.get_added_tokens_decoder()[10] == AddedToken(
        "<b>", rstrip=True, special=True, normalized=True
    )
    assert words.encode("un<a>un<b>  ", add_special_tokens=False).ids == [4, 9, 4, 10]
    words.encode_special_tokens = True
    assert 10 not in words.encode("un<a>un<b>", add_special_tokens=False).ids
    assert words.num_special_tokens_to_add(False) == 2
    assert words.num_special_tokens_to_add(True) == 3


def test_copies(words: Tokenizer) -> None:
    words.add_tokens(["<a>"])
    words.enable_padding(length=7)
    for twin in (copy.deepcopy(words), pickle.loads(pickle.dumps(words))):
        assert twin.encode("x<a>").ids == words.encode("x<a>").ids
        twin.no_padding()
        twin.add_tokens(["<b>"])
        assert len(words.encode("x<b>")) == 7
        assert twin.get_vocab_size() == words.get_vocab_size() + 1


def test_where_tokenizers_come_from(tmp_path: Path) -> None:
    ids = Tokenizer.from_file(FILE).encode(TEXT).ids
    assert Tokenizer.from_str(FILE.read_text()).encode(TEXT).ids == ids
    assert Tokenizer.from_buffer(FILE.read_bytes()).encode(TEXT).ids == ids
    assert Tokenizer.from_file(FILE.parent).encode(TEXT).ids == ids
    with pytest.raises(FileNotFoundError):
        Tokenizer.from_file(tmp_path / "none.json")
    for broken, error, match in [
        ("{", ValueError, "tokenizer.json"),
        ("\0", ValueError, "NUL"),
        ("[]", ValueError, "tokenizer"),
        (described(model={"type": "Riddle"}), NotImplementedError, "Riddle"),
        (described(normalizer={"type": "Riddle"}), NotImplementedError, "Riddle"),
        (
            described(model={"type": "BPE", "vocab": {}, "merges": [["a", "b"]]}),
            ValueError,
            "merge 0",
        ),
    ]:
        with pytest.raises(error, match=match):
            Tokenizer.from_str(broken)
    with pytest.raises(TypeError, match="bytes"):
        Tokenizer.from_str(b"{}")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="from_file"):
        Tokenizer("BPE")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (lambda t: t.encode(3), TypeError),
        (lambda t: t.encode("a\ud800"), TypeError),
        (lambda t: t.encode(["a", "b"]), TypeError),
        (lambda t: t.encode("a", is_pretokenized=True), TypeError),
        (lambda t: t.encode_batch("abc"), TypeError),
        (lambda t: t.encode_batch([("a", "b", "c")]), TypeError),
        (lambda t: t.decode([-1]), OverflowError),
        (lambda t: t.decode(["a"]), TypeError),
        (lambda t: t.decode([1.5]), TypeError),
        (lambda t: t.decode(3), TypeError),
        (lambda t: t.id_to_token(-1), OverflowError),
        (lambda t: t.enable_truncation(4, stride=5), ValueError),
        (lambda t: t.enable_truncation(4, strategy="x"), ValueError),
        (lambda t: t.enable_truncation(4, direction="x"), ValueError),
        (lambda t: t.enable_truncation(-4), OverflowError),
        (lambda t: t.enable_padding(direction="x"), ValueError),
        (lambda t: t.enable_padding(length="x"), TypeError),
        (lambda t: t.add_tokens([3]), TypeError),
    ],
)
def test_what_is_refused(words: Tokenizer, wrong: Callable[[Tokenizer], Any], error: type) -> None:
    before = (words.truncation, words.padding, words.get_vocab_size())
    with pytest.raises(error):
        wrong(words)
    assert (words.truncation, words.padding, words.get_vocab_size()) == before


def test_any_text_goes_through(words: Tokenizer) -> None:
    for text in ["", "\0", "a\0b", "\n\r\t", "é\u0301", "🙂", '<>&\u2028"\\', "x" * 100_000]:
        got = words.encode(text)
        assert len(got.tokens) == len(got.ids) == len(got.offsets)
    wild = Tokenizer.from_file(FILE)
    for text in ["a\0b", '<>&"\\\u2028\x7f', "🙂é"]:
        assert wild.decode(wild.encode(text).ids) == text


def test_many_texts_cross_at_once() -> None:
    wild = Tokenizer.from_file(FILE)
    texts = ["é\0é", "", "\0", "plain", "1,2;3", ";;", "🙂\0\0中", " ", "\0;5,\0"]
    alone = [wild.encode(text, add_special_tokens=False) for text in texts]
    together = wild.encode_batch(texts, add_special_tokens=False)
    assert [e.ids for e in together] == [e.ids for e in alone]
    assert [e.offsets for e in together] == [e.offsets for e in alone]
    rows = [e.ids for e in together]
    assert wild.decode_batch(rows) == [wild.decode(row) for row in rows] == texts
    assert wild.encode_batch([]) == []
    assert wild.decode_batch([]) == []
    assert wild.decode_batch([[], rows[0]]) == ["", texts[0]]
    fast = wild.encode_batch_fast(texts, add_special_tokens=False)
    assert [(e.ids, e.tokens, e.offsets) for e in fast] == [
        (e.ids, e.tokens, e.offsets) for e in alone
    ]
