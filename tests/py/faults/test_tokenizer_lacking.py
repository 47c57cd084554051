"""Models whose own tokenizer is missing or cannot be read, and SentencePiece models opened by themselves."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf_files import byte_level_metadata, write_gguf
from stored_folders import files_of, stored
from tiny_models import write_gpt2
from transformer_lens_go import Tokenizer, TransformerBridge
from transformer_lens_go.tokenizer import ModelTokenizer

LAYERS, HEADS, WIDTH, INNER, WORDS, LENGTH = 1, 2, 16, 32, 99, 32


def llama_gguf(path: Path, **tokenizer: Any) -> Path:
    """A tiny llama with the tokenizer's metadata that is given."""
    draw = np.random.default_rng(0).standard_normal
    block = {
        "attn_q": (WIDTH, WIDTH),
        "attn_k": (WIDTH, WIDTH),
        "attn_v": (WIDTH, WIDTH),
        "attn_output": (WIDTH, WIDTH),
        "ffn_gate": (INNER, WIDTH),
        "ffn_up": (INNER, WIDTH),
        "ffn_down": (WIDTH, INNER),
        "attn_norm": (WIDTH,),
        "ffn_norm": (WIDTH,),
    }
    shapes = {"token_embd": (WORDS, WIDTH), "output_norm": (WIDTH,), "output": (WORDS, WIDTH)}
    shapes |= {f"blk.0.{name}": shape for name, shape in block.items()}
    metadata = {
        "general.architecture": "llama",
        "llama.context_length": LENGTH,
        "llama.embedding_length": WIDTH,
        "llama.block_count": LAYERS,
        "llama.feed_forward_length": INNER,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": HEADS,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.freq_base": 10000.0,
        "llama.rope.dimension_count": WIDTH // HEADS,
        "llama.vocab_size": WORDS,
    }
    tensors = {f"{name}.weight": draw(shape) for name, shape in shapes.items()}
    return write_gguf(path, metadata | tokenizer, tensors)


@pytest.fixture
def mine(tmp_path: Path) -> ModelTokenizer:
    """A tokenizer of the caller's own."""
    return ModelTokenizer.from_pretrained(write_gguf(tmp_path / "mine.gguf", byte_level_metadata()))


UNKNOWN = {
    "unknown kind": byte_level_metadata("mystery"),
    "unknown model": byte_level_metadata(**{"tokenizer.ggml.model": "rwkv"}),
}
BROKEN = {
    "no vocabulary": byte_level_metadata(**{"tokenizer.ggml.tokens": None}),
    "BOS out of range": byte_level_metadata(**{"tokenizer.ggml.bos_token_id": 5000}),
    "a merge of nothing": byte_level_metadata(**{"tokenizer.ggml.merges": ["q q"]}),
}


@pytest.mark.parametrize("what", ["nothing", *UNKNOWN, *BROKEN])
def test_fault_F7_gguf_without_a_readable_tokenizer_loads_with_the_callers(
    what: str, tmp_path: Path, mine: ModelTokenizer
) -> None:
    file = llama_gguf(tmp_path / "model.gguf", **(UNKNOWN | BROKEN).get(what, {}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = TransformerBridge.boot_transformers(file, tokenizer=mine)
    assert model.tokenizer is mine
    assert tuple(model("ab  1").shape) == (1, 5, WORDS)  # BOS, ab, two spaces, 1


@pytest.mark.parametrize("what", list(UNKNOWN))
def test_fault_F7_gguf_with_an_unknown_tokenizer_loads_with_a_warning(
    what: str, tmp_path: Path, mine: ModelTokenizer
) -> None:
    file = llama_gguf(tmp_path / "model.gguf", **UNKNOWN[what])
    with pytest.warns(UserWarning, match=r"tokenizer of .* cannot be read.*pass tokenizer="):
        model = TransformerBridge.boot_transformers(file)
    assert model.tokenizer is None
    assert tuple(model(np.array([[1, 2, 3]])).shape) == (1, 3, WORDS)
    with pytest.raises(AssertionError, match=r"the one beside the weights cannot be read \(.+\)"):
        model.to_tokens("ab")
    model.tokenizer = mine
    assert model.to_tokens("ab").shape[-1] == 2


@pytest.mark.parametrize("what", list(BROKEN))
def test_fault_F7_gguf_with_a_broken_tokenizer_says_how_to_load_it(
    what: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="tokenizer") as caught:
        TransformerBridge.boot_transformers(llama_gguf(tmp_path / "model.gguf", **BROKEN[what]))
    assert any("pass tokenizer=" in note for note in caught.value.__notes__)


def test_fault_F7_gguf_without_a_tokenizer_is_as_a_folder_without_one(tmp_path: Path) -> None:
    folder = write_gpt2(tmp_path / "gpt2")
    for source in (llama_gguf(tmp_path / "model.gguf"), folder):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = TransformerBridge.boot_transformers(source)
        assert model.tokenizer is None
        with pytest.raises(AssertionError, match="none was found beside the weights"):
            model.to_tokens("ab")


@pytest.mark.parametrize(
    "files",
    [
        {"tokenizer.model": b"YQ== 0\nYg== 1\n"},
        {"vocab.txt": b"[UNK]\n"},
        {"spiece.model": b"x", "tokenizer_config.json": b'{"tokenizer_class": "PegasusTokenizer"}'},
    ],
    ids=lambda files: next(iter(files)),
)
def test_fault_F9_folders_with_a_tokenizer_that_is_not_read_say_so(
    files: dict[str, bytes], tmp_path: Path, mine: ModelTokenizer
) -> None:
    folder = write_gpt2(tmp_path)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    with pytest.warns(UserWarning, match="cannot be read"):
        model = TransformerBridge.boot_transformers(folder)
    assert model.tokenizer is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert TransformerBridge.boot_transformers(folder, tokenizer=mine).tokenizer is mine


@pytest.mark.parametrize("name", ["plain_bpe", "plain_unigram"])
def test_fault_F10_a_sentencepiece_model_is_opened_by_itself(name: str, tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.model"
    file.write_bytes(files_of(name)["tokenizer.model"])
    core = Tokenizer.from_file(file)
    for text, answer in zip(stored()["texts"], stored()["folders"][name]["answers"], strict=True):
        assert core.encode(text).ids == answer["ids"]
    opened = ModelTokenizer.from_pretrained(file)
    assert (opened.bos_token, opened.eos_token, opened.unk_token) == ("<s>", "</s>", "<unk>")
    again = Tokenizer.from_str(core.to_str())
    assert again.encode(" Hello").ids == core.encode(" Hello").ids


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        (b"YQ== 0\nYg== 1\n", NotImplementedError, "tiktoken"),
        (b"hello", ValueError, "not a SentencePiece model"),
        (b"", ValueError, "not a tokenizer.json"),
        (b"[1, 2]", ValueError, "not a tokenizer.json"),
        (json.dumps({"a": 1}).encode(), ValueError, "not a tokenizer.json"),
    ],
    ids=["tiktoken", "text", "empty", "list", "other JSON"],
)
def test_fault_F10_what_is_no_tokenizer_is_named(
    content: bytes, error: type[Exception], says: str, tmp_path: Path
) -> None:
    file = tmp_path / "tokenizer.model"
    file.write_bytes(content)
    with pytest.raises(error, match=says):
        Tokenizer.from_file(file)
