"""Tokenizers read from files as they lie about: folders in old forms, SentencePiece models, GGUF metadata.

The SentencePiece models and what they are to give are stored with golens/tokenizer; make parity compares those
answers with transformers' and with SentencePiece's own.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from gguf_files import byte_level_metadata, sentencepiece_metadata, write_gguf
from stored_folders import files_of, folder_of, stored
from transformer_lens_go import Tokenizer
from transformer_lens_go.tokenizer import ModelTokenizer


def check_stored(name: str, where: Path) -> None:
    """A stored folder must give the stored ids, for every stored text."""
    tokenizer = ModelTokenizer.from_pretrained(folder_of(where / name, dict(files_of(name))))
    for text, answer in zip(stored()["texts"], stored()["folders"][name]["answers"], strict=True):
        assert tokenizer(text)["input_ids"] == answer["ids"], (name, text)
    assert len(tokenizer) == stored()["folders"][name]["size"]


@pytest.mark.parametrize("pre", ["smollm", "starcoder", "command-r"])
def test_fault_N6_gguf_kinds_that_cut_digits_off_first(pre: str, tmp_path: Path) -> None:
    core = Tokenizer.from_file(write_gguf(tmp_path / "m.gguf", byte_level_metadata(pre)))
    assert core.encode("a  1").tokens == ["a", "ĠĠ", "1"]
    assert core.encode("12 3").tokens == ["1", "2", "Ġ", "3"]


def test_fault_N6_words_that_are_tokens_stay_whole_where_the_kind_says_so(tmp_path: Path) -> None:
    unreachable = {"tokenizer.ggml.merges": ["Ġ Ġ"]}  # nothing merges a and b
    for pre, tokens in {"llama-bpe": ["ab"], "qwen2": ["a", "b"]}.items():
        file = write_gguf(tmp_path / f"{pre}.gguf", byte_level_metadata(pre, **unreachable))
        encoded = Tokenizer.from_file(file).encode("ab", add_special_tokens=False)
        assert encoded.tokens == tokens


@pytest.mark.parametrize("name", ["added_json", "added_llama", "added_gpt2", "not_read"])
def test_fault_N7_added_tokens_json_is_read(name: str, tmp_path: Path) -> None:
    check_stored(name, tmp_path)


@pytest.mark.parametrize("name", ["plain_bpe", "mistral_bpe", "fast_bpe", "plain_unigram"])
def test_fault_N8_a_model_file_without_a_class_marks_the_first_word(
    name: str, tmp_path: Path
) -> None:
    check_stored(name, tmp_path)
    tokenizer = ModelTokenizer.from_pretrained(tmp_path / name)
    assert tokenizer.tokenize("Hello")[0].startswith("▁")
    assert tokenizer.decode(tokenizer("Hello there")["input_ids"]) == "Hello there"


def test_fault_N9_a_byte_level_file_of_class_llama_has_no_bos_of_that_class(
    tmp_path: Path,
) -> None:
    check_stored("llama_byte_level", tmp_path)
    folder = tmp_path / "llama_byte_level"
    tokenizer = ModelTokenizer.from_pretrained(folder, add_bos_token=True)
    assert (tokenizer.bos_token, tokenizer.unk_token) == (None, None)
    assert max(tokenizer("Hello <s>")["input_ids"]) < 640
    said = {"tokenizer_class": "LlamaTokenizerFast", "bos_token": "a", "eos_token": "b"}
    folder_of(folder, {"tokenizer_config.json": said})
    tokenizer = ModelTokenizer.from_pretrained(folder)
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.unk_token) == ("a", "b", None)


@pytest.mark.parametrize("name", ["llama", "llama_legacy", "llama_no_prefix"])
def test_fault_N10_a_space_in_front_of_the_text_stays(name: str, tmp_path: Path) -> None:
    check_stored(name, tmp_path)
    tokenizer = ModelTokenizer.from_pretrained(tmp_path / name)
    for text in (" Hello", "  Hello", " ", "▁x"):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert tokenizer.decode(ids) == text.replace("▁", " ")


def test_fault_N10_a_space_in_front_of_the_text_stays_in_gguf(tmp_path: Path) -> None:
    core = Tokenizer.from_file(write_gguf(tmp_path / "m.gguf", sentencepiece_metadata()))
    for text, tokens in {"Hi": ["▁Hi"], " Hi": ["▁", "▁Hi"], "Hi</s> Hi": None}.items():
        got = core.encode(text, add_special_tokens=False).tokens
        assert got == (tokens or ["▁Hi", "</s>", "▁Hi"])


def test_fault_N10_add_space_prefix_counts(tmp_path: Path) -> None:
    said = {"tokenizer.ggml.add_space_prefix": False}
    core = Tokenizer.from_file(write_gguf(tmp_path / "m.gguf", sentencepiece_metadata(**said)))
    for text, tokens in {"Hi": ["Hi"], " Hi": ["▁Hi"]}.items():
        encoding = core.encode(text, add_special_tokens=False)
        assert encoding.tokens == tokens
        assert core.decode(encoding.ids) == text


def test_fault_N13_split_special_tokens_of_the_folder_counts(tmp_path: Path) -> None:
    files = files_of("added_json")
    config = json.loads(files["tokenizer_config.json"]) | {"split_special_tokens": True}
    folder = folder_of(tmp_path / "f", {**files, "tokenizer_config.json": config})
    tokenizer = ModelTokenizer.from_pretrained(folder)
    assert tokenizer.split_special_tokens
    assert len(tokenizer("<pad>")["input_ids"]) > 1
    assert len(tokenizer("<a>")["input_ids"]) == 1  # an added token that is not special
    assert len(tokenizer("<pad>", split_special_tokens=False)["input_ids"]) == 1
    assert len(Tokenizer.from_file(folder).encode("<pad>").ids) > 1
    tokenizer.save_pretrained(tmp_path / "g")
    assert ModelTokenizer.from_pretrained(tmp_path / "g").split_special_tokens


def test_fault_N13_extra_ids_of_t5_are_counted(tmp_path: Path) -> None:
    check_stored("t5_no_extra_ids", tmp_path)
    files = files_of("t5_no_extra_ids")
    base = stored()["folders"]["t5_no_extra_ids"]["size"]
    for count in (0, 7, 100):
        config = {"tokenizer_class": "T5Tokenizer", "extra_ids": count}
        folder = folder_of(tmp_path / str(count), {**files, "tokenizer_config.json": config})
        tokenizer = ModelTokenizer.from_pretrained(folder)
        assert len(tokenizer) == base + count
        extra = [t for t in tokenizer.extra_special_tokens if t.startswith("<extra_id_")]
        assert len(extra) == count
    config = {"tokenizer_class": "T5Tokenizer", "extra_ids": 10**12}
    folder = folder_of(tmp_path / "many", {**files, "tokenizer_config.json": config})
    with pytest.raises(ValueError, match="extra_ids is 1000000000000: expected"):
        ModelTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("name", ["code_llama", "unknown_class"])
def test_fault_F9_a_model_file_of_other_classes_is_opened(name: str, tmp_path: Path) -> None:
    check_stored(name, tmp_path)


def test_fault_F9_classes_that_number_pieces_otherwise_are_refused_by_name(tmp_path: Path) -> None:
    files = files_of("plain_unigram")
    config = {"tokenizer_class": "CamembertTokenizer"}
    folder = folder_of(tmp_path, {**files, "tokenizer_config.json": config})
    with pytest.raises(NotImplementedError, match="CamembertTokenizer"):
        ModelTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("file", ["vocab.txt", "tiktoken.model", "tekken.json"])
def test_fault_F9_vocabularies_that_are_not_read_are_refused_by_name(
    file: str, tmp_path: Path
) -> None:
    folder_of(tmp_path, {file: b"a\nb\n", "config.json": {"model_type": "llama"}})
    with pytest.raises(NotImplementedError, match=file):
        ModelTokenizer.from_pretrained(tmp_path)
