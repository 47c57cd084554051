"""`Tokenizer` and `model.tokenizer` against tokenizers.Tokenizer and transformers' tokenizers, by their interfaces.

`test_tokenizers.py` compares what the Go side makes of many texts; here the same questions are asked in Python.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tokenizers")
pytest.importorskip("transformers")

import tokenizers
from transformer_lens_go import Tokenizer
from transformer_lens_go.tokenizer import ModelTokenizer
from transformers import AutoTokenizer

from .compare import Outcome
from .encodings import LISTS
from .make_tokenizer_testdata import trained
from .tokenizer_folders import as_sentencepiece, model_folders
from .tokenizer_texts import texts

KINDS = [
    "gpt2",
    "added",
    "llama2_first",
    "bert",
    "roberta",
    "gemma",
    "t5_nfkc",
    "unigram_bytes",
    "words",
]


def outcome(call: Callable[[], Any]) -> Outcome:
    """As compare.outcome; a panic in Rust, which is no Exception, is an error too."""
    try:
        return Outcome(call())
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return Outcome(error=error)  # type: ignore[arg-type]


def encoding(value: Any) -> dict[str, Any]:
    """Everything in an encoding, and everything in what overflowed of it."""
    row = {name: list(getattr(value, name)) for name in LISTS}
    row["n_sequences"] = value.n_sequences
    row["overflowing"] = [
        {name: list(getattr(part, name)) for name in LISTS[:-1]} for part in value.overflowing
    ]
    return row


def places(value: Any) -> list[Any]:
    """What the methods that find places in an encoding say."""
    out: list[Any] = []
    for at in range(len(value) + 1):
        out += [value.token_to_sequence(at), value.token_to_chars(at), value.token_to_word(at)]
    for text in range(value.n_sequences):
        for at in range(12):
            out += [value.char_to_token(at, text), value.char_to_word(at, text)]
            out += [value.word_to_tokens(at, text), value.word_to_chars(at, text)]
    return out


@pytest.fixture(scope="module")
def cores() -> dict[str, tuple[Any, Tokenizer]]:
    """Each kind of tokenizer in both libraries, as a file describes it."""
    described = {name: trained(name) for name in KINDS}
    return {
        name: (tokenizers.Tokenizer.from_str(text), Tokenizer.from_str(text))
        for name, text in described.items()
    }


def questions(rng: random.Random, samples: list[str], count: int) -> Iterator[Callable[[Any], Any]]:
    """Changes of a tokenizer and things asked of it, the same for both libraries."""
    short = [text for text in samples if len(text) < 120] or [""]
    for _ in range(count):
        pick = [rng.choice(short) for _ in range(4)]
        special = rng.random() < 0.7
        cut = {
            "max_length": rng.choice([5, 8, 13]),
            "stride": rng.choice([0, 0, 1]),
            "strategy": rng.choice(["longest_first", "only_first"]),
            "direction": rng.choice(["left", "right"]),
        }
        fill = {
            "direction": rng.choice(["left", "right"]),
            "pad_id": 1,
            "pad_type_id": rng.choice([0, 2]),
            "pad_token": "<pad>",
            "length": rng.choice([None, 9]),
            "pad_to_multiple_of": rng.choice([None, 4]),
        }
        one, two, three, four = pick
        yield rng.choice(
            [
                lambda t, cut=cut: (t.enable_truncation(**cut), t.truncation),
                lambda t: (t.no_truncation(), t.truncation),
                lambda t, fill=fill: (t.enable_padding(**fill), t.padding),
                lambda t: (t.no_padding(), t.padding),
                lambda t, a=one, s=special: encoding(t.encode(a, add_special_tokens=s)),
                lambda t, a=one, b=two, s=special: encoding(t.encode(a, b, add_special_tokens=s)),
                lambda t, a=one, b=two: places(t.encode(a, b)),
                lambda t, a=one: places(t.encode(a)),
                lambda t, p=pick: encoding(t.encode(p[:3], is_pretokenized=True)),
                lambda t, p=pick, s=special: [
                    encoding(e)
                    for e in t.encode_batch([p[0], (p[1], p[2]), p[3]], add_special_tokens=s)
                ],
                lambda t, p=pick: [
                    encoding(e) for e in t.encode_batch([(p[:2], p[2:])], is_pretokenized=True)
                ],
                lambda t, p=pick: t.decode_batch([t.encode(a).ids for a in p]),
                lambda t, a=three: t.decode(t.encode(a).ids[::2], skip_special_tokens=False),
                lambda t, a=four: [t.token_to_id(a), t.id_to_token(len(a)), t.id_to_token(10**6)],
                lambda t: [t.num_special_tokens_to_add(pair) for pair in (False, True)],
                lambda t: [
                    t.get_vocab_size(True),
                    t.get_vocab_size(False),
                    t.get_vocab(),
                    t.get_vocab(False),
                ],
            ]
        )


@pytest.mark.parametrize("name", KINDS)
def test_the_interface_of_tokenizers(
    name: str, cores: dict[str, tuple[Any, Tokenizer]], seed: int, everything: bool
) -> None:
    theirs, ours = cores[name]
    rng = random.Random(f"interface/{seed}/{name}")
    samples = [text for _, text in texts(seed, 0.02)]
    for number, ask in enumerate(questions(rng, samples, 400 if everything else 60)):
        got, want = outcome(lambda ask=ask: ask(ours)), outcome(lambda ask=ask: ask(theirs))
        if want.error is not None:
            assert got.error is not None, (name, number, theirs.truncation)
            continue
        assert got.error is None, (name, number, got.error)
        assert got.value == want.value, (name, number, theirs.truncation, theirs.padding)


def test_added_tokens(cores: dict[str, tuple[Any, Tokenizer]]) -> None:
    for theirs, ours in cores.values():
        answers = []
        for core, added in ((theirs, tokenizers.AddedToken), (ours, tokenizers.AddedToken)):
            core.no_truncation()
            core.no_padding()
            counts = [
                core.add_tokens(["<new>", "<new>", "a", ""]),
                core.add_special_tokens(["<sp>", "<new>"]),
                core.add_tokens(
                    [added("<l>", lstrip=True), added("w", single_word=True, normalized=False)]
                ),
            ]
            text = "a <new>x  <l><sp> w ww"
            ids = core.encode(text, add_special_tokens=False).ids
            decoder = core.get_added_tokens_decoder().items()
            answers.append(
                [
                    counts,
                    ids,
                    core.decode(ids),
                    core.get_vocab_size(),
                    sorted((i, t.content, t.special, t.normalized, t.lstrip) for i, t in decoder),
                ]
            )
            core.encode_special_tokens = True
            answers[-1].append(core.encode(text, add_special_tokens=False).ids)
        assert answers[0] == answers[1]


# transformers


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, ModelTokenizer]]:
    """Model folders opened by transformers and by us, with BOS in front of texts where there is one."""
    out: dict[str, tuple[Any, ModelTokenizer]] = {}
    where = tmp_path_factory.mktemp("folders")
    for name, files in model_folders("identity").items():
        folder = where / name
        folder.mkdir()
        for file, content in files.items():
            (folder / file).write_bytes(content)
        out[name] = open_both(folder)
        as_sentencepiece(name, files, out[name][0].backend_tokenizer)
    return out


def open_both(folder: Path, **options: Any) -> tuple[Any, ModelTokenizer]:
    theirs = AutoTokenizer.from_pretrained(str(folder), **options)
    ours = ModelTokenizer.from_pretrained(folder, **options)
    for tokenizer in (theirs, ours):
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.unk_token
    return theirs, ours


def plain(value: Any) -> Any:
    """Encodings as dicts of lists."""
    if hasattr(value, "keys"):
        return {key: plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        return [str(np.asarray(value).dtype), plain(value.tolist())]
    return list(map(plain, value)) if isinstance(value, (list, tuple)) else value


CALLS: list[dict[str, Any]] = [
    {},
    {"add_special_tokens": False},
    {"padding": True},
    {"padding": "longest", "pad_to_multiple_of": 8, "padding_side": "left"},
    {"padding": "max_length", "max_length": 20, "truncation": True},
    {"padding": "max_length", "max_length": 5},
    {"padding": "max_length"},
    {"truncation": True},
    {"max_length": 6},
    {"truncation": "only_first", "max_length": 9, "stride": 1, "return_overflowing_tokens": True},
    {"truncation": "longest_first", "max_length": 7, "return_special_tokens_mask": True},
    {"return_offsets_mapping": True, "return_length": True, "return_token_type_ids": True},
    {"return_attention_mask": False, "return_token_type_ids": False},
    {"padding": True, "return_tensors": "np"},
    {"padding": True, "return_tensors": "pt", "return_special_tokens_mask": True},
    {"padding": True, "truncation": True, "max_length": 8, "return_tensors": "pt"},
    {"return_tensors": "np"},
    {"truncation": True, "padding": True, "max_length": 7, "pad_to_multiple_of": 4},
    {"padding": "far"},
    {"truncation": "far"},
    {"split_special_tokens": True},
]


def test_calling_a_tokenizer(folders: dict[str, tuple[Any, ModelTokenizer]], seed: int) -> None:
    rng = random.Random(f"calls/{seed}")
    samples = [text for _, text in texts(seed, 0.01) if 0 < len(text) < 60]
    inputs: list[tuple[Any, ...]] = [
        ("Hello world",),
        ("",),
        ("a b", "c d"),
        (["one", "two three four five six", "<unk> </s> x"],),
        (["one", "two"], ["three four", "five"]),
        (rng.sample(samples, 5),),
        (["a"], ["b", "c"]),
        (["a"], "b"),
        (3,),
    ]
    for name, (theirs, ours) in folders.items():
        for given in inputs:
            for options in CALLS:
                got, want = (
                    outcome(lambda t=t, g=given, o=options: plain(t(*g, **o)))
                    for t in (ours, theirs)
                )
                where = (name, given, options)
                if want.error is not None:
                    assert got.error is not None, where
                    assert (
                        isinstance(got.error, type(want.error))
                        or "Panic" in type(want.error).__name__
                    ), where
                    continue
                assert got.error is None, (*where, got.error)
                assert got.value == want.value, where


# tokens of infilling that a vocabulary lacks are not put behind it (docs/differences.md)
DIFFERENT = {("code_llama", what) for what in ("size", "special", "set", "add", "extra")}


def test_the_rest_of_the_interface(
    folders: dict[str, tuple[Any, ModelTokenizer]], seed: int
) -> None:
    samples = [text for _, text in texts(seed, 0.005) if len(text) < 200]
    asked: dict[str, Callable[[Any], Any]] = {
        "size": lambda t: (len(t), t.vocab_size, t.get_vocab()),
        "special": lambda t: (t.special_tokens_map, t.all_special_tokens, t.all_special_ids),
        "roles": lambda t: [
            getattr(t, f"{role}_token{end}")
            for role in ("bos", "eos", "unk", "pad", "cls", "sep", "mask")
            for end in ("", "_id")
        ],
        "sides": lambda t: (t.padding_side, t.truncation_side, t.model_max_length, t.is_fast),
        "added": lambda t: (t.num_special_tokens_to_add(), t.num_special_tokens_to_add(pair=True)),
        "names": lambda t: list(t.model_input_names),
        "encode": lambda t: [t.encode(text) for text in samples],
        "decode": lambda t: [t.decode(t.encode(text)) for text in samples],
        "skip": lambda t: t.batch_decode(
            [t.encode(text) for text in samples], skip_special_tokens=True
        ),
        "clean": lambda t: [
            t.decode(t.encode("a . it is n't , so"), clean_up_tokenization_spaces=True)
        ],
        "flat": lambda t: (
            t.batch_decode([5, 6, 7]),
            t.decode(5),
            t.decode([[5], [6, 7]]),
            t.decode([]),
        ),
        "tokens": lambda t: [t.tokenize(text) for text in samples[:20]],
        "to ids": lambda t: (
            t.convert_tokens_to_ids(["a", "nothing here"]),
            t.convert_tokens_to_ids("a"),
        ),
        "to tokens": lambda t: (t.convert_ids_to_tokens([0, 1, 2, 9]), t.convert_ids_to_tokens(3)),
        "skipping": lambda t: t.convert_ids_to_tokens(list(range(12)), skip_special_tokens=True),
        "to string": lambda t: t.convert_tokens_to_string(t.tokenize("Hello wörld, ok")),
        "places": lambda t: [
            (
                e.char_to_token(0, 1),
                e.token_to_chars(0, 1),
                e.word_ids(0),
                e.sequence_ids(0),
                e.tokens(0),
            )
            for e in [t(["Hello wörld", "b"])]
        ],
        "words": lambda t: plain(t([["ab", "c d"], ["x"]], is_split_into_words=True, padding=True)),
        "target": lambda t: plain(t("a", text_target="b")),
        "extra": lambda t: (t.extra_special_tokens, t.extra_special_tokens_ids),
        "set": lambda t: (setattr(t, "sep_token", "a"), t.sep_token_id, t.special_tokens_map),
        "add": lambda t: (
            t.add_special_tokens({"cls_token": "<cls!>", "extra_special_tokens": ["<x1>", "<x2>"]}),
            t.cls_token_id,
            t.extra_special_tokens,
            t.add_tokens(["<new>", "a"]),
            t.encode("<x1>a <new>b<cls!>"),
            t.get_added_vocab(),
        ),
        "no role": lambda t: t.add_special_tokens({"nose_token": "a"}),
        "bos": lambda t: (
            setattr(t, "add_bos_token", True),
            t.encode("a b"),
            t.encode("a", "b"),
            t.add_bos_token,
        ),
        "eos": lambda t: (
            setattr(t, "add_eos_token", True),
            t.encode("a b"),
            t("a", "b").input_ids,
        ),
    }
    for name, (theirs, ours) in folders.items():
        for what, ask in asked.items():
            if (name, what) in DIFFERENT:
                continue
            got, want = (outcome(lambda t=t, ask=ask: ask(t)) for t in (ours, theirs))
            if want.error is not None:
                assert isinstance(got.error, type(want.error)), (name, what, got.error, want.error)
                continue
            assert got.error is None, (name, what, got.error)
            assert got.value == want.value, (name, what)
