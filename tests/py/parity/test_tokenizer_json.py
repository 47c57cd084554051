"""`Tokenizer` written as a tokenizer.json, whatever it was read from: Hugging Face reads one that does the same."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tokenizers")
pytest.importorskip("transformers")

import tokenizers
from transformer_lens_go import Tokenizer
from transformer_lens_go.tokenizer import ModelTokenizer
from transformers import AutoTokenizer

from .encodings import Tally, compare_texts, differing
from .tiny_tokenizers import save_tokenizer
from .tokenizer_folders import as_sentencepiece, model_folders
from .tokenizer_pairs import KINDS, TRAINED, Both
from .tokenizer_texts import texts_with

ADDED = [
    tokenizers.AddedToken("<l>", lstrip=True),
    "<new>",
    tokenizers.AddedToken("the", single_word=True),
]


SAMPLE = ["smollm2_gguf", "gpt2_folder", "bert_json", "llama3", "added", "roberta", "t5", "gemma"]


def samples(seed: int, everything: bool) -> list[str]:
    tokens = ["<new>", "<l>", "<s>", "</s>", "<pad>"]
    return [text for _, text in texts_with(tokens, seed, 0.1 if everything else 0.003)]


def check(ours: Any, theirs: Any, seed: int, everything: bool) -> None:
    tally = Tally()
    compare_texts(ours, theirs, samples(seed, everything), tally)
    assert not tally.wrong, "\n".join(tally.wrong)


def limits(core: Any) -> list[Any]:
    """The truncation and padding, and what they make of texts."""
    texts = ["a text of some words", "and one that is longer by some words than that one"]
    found = [vars_of(encoding) for encoding in core.encode_batch(texts)]
    return [core.truncation, core.padding, found]


def vars_of(encoding: Any) -> tuple[Any, ...]:
    return encoding.ids, encoding.attention_mask, encoding.offsets, encoding.special_tokens_mask


def test_read_by_hugging_face(both: Callable[[str], Both], seed: int, everything: bool) -> None:
    for name in KINDS if everything else SAMPLE:
        theirs, ours, _ = both(name)
        written = tokenizers.Tokenizer.from_str(ours.to_str())
        check(ours, written, seed, everything)
        check(Tokenizer.from_str(ours.to_str(pretty=True)), theirs, seed, everything)
        assert written.get_vocab() == theirs.get_vocab()
        if name in TRAINED:  # read from tokenizer.json: all that it says stays
            assert members(ours.to_str()) == members(theirs.to_str())


def members(text: str) -> Any:
    """A tokenizer.json without the order of members; what is null or empty is not told apart."""
    read = json.loads(text)
    for key in ("unk_token", "continuing_subword_prefix", "end_of_word_suffix"):
        read["model"][key] = read["model"].get(key) or None
    return read


@pytest.mark.parametrize("name", ["gpt2_folder", "bert_json", "llama2"])
def test_what_was_changed_is_written(
    name: str, both: Callable[[str], Both], seed: int, everything: bool, tmp_path: Path
) -> None:
    theirs, ours, _ = both(name)
    theirs = tokenizers.Tokenizer.from_str(theirs.to_str())
    ours = copy.deepcopy(ours)
    for core in (theirs, ours):
        core.add_tokens(ADDED)
        core.add_special_tokens(["<sp>"])
        core.enable_truncation(7, stride=1, strategy="longest_first", direction="left")
        core.enable_padding(direction="left", pad_id=1, pad_token="<pad>", pad_to_multiple_of=8)
    ours.save(tmp_path / "tokenizer.json")
    written = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert limits(written) == limits(theirs) == limits(ours)
    check(ours, written, seed, everything)
    ours.enable_padding(length=12)
    assert limits(tokenizers.Tokenizer.from_str(ours.to_str())) == limits(ours)
    ours.no_truncation()
    ours.no_padding()
    theirs.no_truncation()
    theirs.no_padding()
    check(pickle.loads(pickle.dumps(ours)), theirs, seed, everything)
    assert ours.__getstate__() == ours.to_str().encode()


def test_folders_without_a_tokenizer_json(tmp_path: Path, seed: int, everything: bool) -> None:
    for name, files in model_folders("nmt_nfkc").items():
        folder = tmp_path / name
        folder.mkdir()
        for file, content in files.items():
            (folder / file).write_bytes(content)
        theirs = AutoTokenizer.from_pretrained(str(folder)).backend_tokenizer
        theirs.no_truncation()
        theirs.no_padding()
        as_sentencepiece(name, files, theirs)
        written = Tokenizer.from_file(folder).to_str()
        check(tokenizers.Tokenizer.from_str(written), theirs, seed, everything)
        check(Tokenizer.from_str(written), theirs, seed, everything)


def test_exchanged_components(both: Callable[[str], Both]) -> None:
    theirs, ours, _ = both("gpt2")
    theirs, ours = tokenizers.Tokenizer.from_str(theirs.to_str()), copy.deepcopy(ours)
    around = tokenizers.processors.TemplateProcessing(
        single="$A <|endoftext|>",
        pair="$A <|endoftext|> $B:1",
        special_tokens=[("<|endoftext|>", theirs.token_to_id("<|endoftext|>"))],
    )
    for core in (theirs, ours):
        core.post_processor = around
        core.normalizer = tokenizers.normalizers.Lowercase()
        core.decoder = None
    assert differing(ours.encode("The Water", "B"), theirs.encode("The Water", "B")) is None
    assert ours.decode(ours.encode("The Water").ids) == theirs.decode(ours.encode("The Water").ids)
    assert ours.decoder is None and theirs.decoder is None


def test_saved_folders_are_opened_by_transformers(tmp_path: Path) -> None:
    for name, style in (("gpt2", "gpt2"), ("instruct", "instruct"), ("distinct", "distinct")):
        folder = tmp_path / name
        folder.mkdir()
        save_tokenizer(folder, style)
        ours = ModelTokenizer.from_pretrained(folder, add_bos_token=True)
        ours.add_special_tokens({"extra_special_tokens": ["<x>"]})
        ours.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}"
        ours.save_pretrained(tmp_path / "saved" / name)
        theirs = AutoTokenizer.from_pretrained(str(tmp_path / "saved" / name))
        for text in ("Hello<x> world", "", "When Mary"):
            assert theirs(text).input_ids == ours(text).input_ids
        assert dict(theirs.special_tokens_map) == dict(ours.special_tokens_map)
        for attribute in ("bos_token_id", "pad_token_id", "chat_template", "padding_side"):
            assert getattr(theirs, attribute) == getattr(ours, attribute), attribute
