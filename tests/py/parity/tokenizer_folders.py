"""Model folders without a tokenizer.json, and GGUF metadata, with SentencePiece vocabularies trained here.

Needs the packages sentencepiece and transformers, whose answers are written beside them.
"""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sentencepiece import SentencePieceProcessor
from sentencepiece import sentencepiece_model_pb2 as pb
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

try:
    from .tokenizer_texts import training_texts
    from .tokenizers_live import answers, bert, train_sentencepiece
except ImportError:  # run as a script
    from tokenizer_texts import training_texts
    from tokenizers_live import answers, bert, train_sentencepiece


def digits_apart() -> pre_tokenizers.Sequence:
    """What `smollm` stands for in a GGUF file, and SmolLM2's own tokenizer.json has; transformers reads such a
    file as if it had no digits cut off.
    """
    spell = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), spell])


def spaces_kept(
    core: Tokenizer, scheme: str = "first", trim: bool = False, rules: bytes = b""
) -> None:
    """Handle spaces as SentencePiece does, which transformers does not: it loses the space of a text that begins
    with one, and without a class it knows puts none in front.
    """
    steps: list[Any] = [normalizers.Precompiled(rules)] if rules else []
    last: list[Any] = []
    core.pre_tokenizer = None  # type: ignore[assignment]
    if scheme != "never":
        core.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Metaspace(replacement=" ", prepend_scheme=scheme, split=False),
                pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="never", split=False),
            ]
        )
        last = [decoders.Strip(" ", 1, 0)]
    if trim:
        steps += [normalizers.Replace(Regex(r" +\z"), ""), normalizers.Replace(Regex(" {2,}"), " ")]
    else:
        steps.append(normalizers.Replace(" ", "▁"))
    core.normalizer = normalizers.Sequence(steps)
    core.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *last]
    )


def check_with_sentencepiece(core: Tokenizer, model: bytes, samples: list[str]) -> None:
    """The tokenizer must give SentencePiece's own ids for texts without special tokens; where there is a character
    map, of ASCII alone, as tokenizers looks up whole graphemes.
    """
    own = SentencePieceProcessor(model_proto=model)
    mapped = bool(_charsmap(model))
    special = [token.content for token in core.get_added_tokens_decoder().values()]
    checked = 0
    for text in samples:
        if any(token in text for token in special) or (mapped and not text.isascii()):
            continue
        got = core.encode(text, add_special_tokens=False).ids
        assert got == own.encode(text), (text, got, own.encode(text))
        checked += 1
    assert checked > 10


def sentencepiece_files(rules: str) -> dict[str, bytes]:
    """Trained .model files: Llama's kind of BPE, T5's and XLM-R's kinds of Unigram."""
    return {
        "bpe": train_sentencepiece(
            model_type="bpe",
            byte_fallback=True,
            vocab_size=2300,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            user_defined_symbols=["<think>"],
            control_symbols=["<ctl>"],
        ),
        "t5": train_sentencepiece(
            model_type="unigram",
            normalization_rule_name=rules,
            pad_id=0,
            eos_id=1,
            unk_id=2,
            bos_id=-1,
        ),
        "unigram": train_sentencepiece(model_type="unigram", normalization_rule_name=rules),
    }


def _json(**values: Any) -> bytes:
    return json.dumps(values).encode()


def _llama_kinds(model: bytes) -> dict[str, dict[str, bytes]]:
    """Classes that say little, or nothing, over Llama's kind of .model file."""

    def over(model_type: str, name: str) -> dict[str, bytes]:
        return {
            "tokenizer.model": model,
            "tokenizer_config.json": _json(tokenizer_class=name),
            "config.json": _json(model_type=model_type),
        }

    return {
        "mistral_bpe": {"tokenizer.model": model, "config.json": _json(model_type="mistral")},
        "fast_bpe": over("llama", "PreTrainedTokenizerFast"),
        "unknown_class": over("llama", "SomethingTokenizer"),
        "code_llama": over("llama", "CodeLlamaTokenizer"),
    }


def _with_added_tokens(model: bytes) -> dict[str, dict[str, bytes]]:
    """Folders with the older added_tokens.json, ids out of order, one of the tokens special."""
    core = byte_level_core()
    described = json.loads(core.to_str())["model"]
    merges = "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in described["merges"])
    size = core.get_vocab_size()

    def added(first: int) -> bytes:
        return json.dumps({"<b>": first + 1, "<pad>": first + 2, "<a>": first}).encode()

    said = {"pad_token": "<pad>"}
    return {
        "added_json": {
            "tokenizer.json": core.to_str().encode(),
            "added_tokens.json": added(size),
            "tokenizer_config.json": _json(tokenizer_class="PreTrainedTokenizerFast", **said),
        },
        "added_llama": {
            "tokenizer.model": model,
            "added_tokens.json": added(2300),
            "tokenizer_config.json": _json(tokenizer_class="LlamaTokenizer"),
            "special_tokens_map.json": _json(**said),
        },
        "added_gpt2": {
            "vocab.json": json.dumps(described["vocab"]).encode(),
            "merges.txt": merges.encode(),
            "added_tokens.json": json.dumps(
                {"<x>": 642, "<|endoftext|>": 640, "<y>": 641}
            ).encode(),
            "config.json": _json(model_type="gpt2"),
        },
        "not_read": {
            "tokenizer.json": core.to_str().encode(),
            "added_tokens.json": added(size),
            "tokenizer_config.json": _json(
                tokenizer_class="PreTrainedTokenizerFast",
                added_tokens_decoder={str(size): {"content": "<c>", "special": False}},
            ),
        },
        "llama_byte_level": {
            "tokenizer.json": core.to_str().encode(),
            "tokenizer_config.json": _json(tokenizer_class="LlamaTokenizerFast"),
            "config.json": _json(model_type="llama"),
        },
    }


def byte_level_core() -> Tokenizer:
    """A small byte-level tokenizer without special tokens, the same each time."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=640, initial_alphabet=alphabet, show_progress=False)
    core.train_from_iterator(training_texts(), trainer)
    return core


def model_folders(rules: str) -> dict[str, dict[str, bytes]]:
    """Model folders without a tokenizer.json, as names and contents of files."""
    models_ = sentencepiece_files(rules)
    vocab = bert(lowercase=True).get_vocab()
    lines = "".join(token + "\r\n" for token in sorted(vocab, key=vocab.__getitem__)).encode()

    config = _json
    named = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    cased = config(do_lower_case=False, strip_accents=True, tokenize_chinese_chars=False)
    return {
        "llama": {
            "tokenizer.model": models_["bpe"],
            "tokenizer_config.json": config(tokenizer_class="LlamaTokenizer"),
        },
        "llama_legacy": {
            "tokenizer.model": models_["bpe"],
            "tokenizer_config.json": config(
                tokenizer_class="LlamaTokenizerFast",
                legacy=True,
                add_bos_token=True,
                add_eos_token=True,
                **named,
            ),
        },
        "llama_no_prefix": {
            "tokenizer.model": models_["bpe"],
            "tokenizer_config.json": config(
                tokenizer_class="LlamaTokenizer", add_prefix_space=False, pad_token="<pad>"
            ),
        },
        "plain_bpe": {"tokenizer.model": models_["bpe"], "config.json": config(model_type="llama")},
        "plain_unigram": {
            "tokenizer.model": models_["unigram"],
            "tokenizer_config.json": config(tokenizer_class="PreTrainedTokenizerFast"),
        },
        "t5": {
            "spiece.model": models_["t5"],
            "tokenizer_config.json": config(tokenizer_class="T5Tokenizer"),
        },
        "xlm_roberta": {
            "sentencepiece.bpe.model": models_["unigram"],
            "tokenizer_config.json": config(tokenizer_class="XLMRobertaTokenizer"),
        },
        **_llama_kinds(models_["bpe"]),
        **_with_added_tokens(models_["bpe"]),
        "t5_no_extra_ids": {
            "spiece.model": models_["t5"],
            "tokenizer_config.json": config(tokenizer_class="T5Tokenizer", extra_ids=0),
        },
        "bert": {
            "vocab.txt": lines,
            "tokenizer_config.json": config(tokenizer_class="BertTokenizer"),
        },
        "bert_cased": {
            "vocab.txt": lines,
            "tokenizer_config.json": cased,
            "config.json": config(model_type="bert"),
        },
    }


_SPACED = [" Hello", "  two", "Hello  ", "▁x", "x<a> <b>y<pad> z", "<a>", "<x> <|endoftext|>1<y>"]

# folders whose spaces transformers does not handle as SentencePiece does
_SPACES: dict[str, dict[str, Any]] = {
    "llama": {"scheme": "first"},
    "llama_legacy": {"scheme": "always"},
    "plain_bpe": {"scheme": "first"},
    "mistral_bpe": {"scheme": "first"},
    "fast_bpe": {"scheme": "first"},
    "unknown_class": {"scheme": "first"},
    "code_llama": {"scheme": "first"},
    "added_llama": {"scheme": "first"},
    "plain_unigram": {"scheme": "first", "trim": True},
}


def _charsmap(model: bytes) -> bytes:
    return pb.ModelProto.FromString(model).normalizer_spec.precompiled_charsmap


def as_sentencepiece(name: str, files: dict[str, bytes], core: Tokenizer) -> None:
    """Have transformers' tokenizer of a folder handle spaces as SentencePiece does, where it does not."""
    if name in _SPACES:
        spaces_kept(core, **_SPACES[name], rules=_charsmap(files["tokenizer.model"]))


def folder_cases(work: Path, rules: str, samples: list[str]) -> dict[str, Any]:
    """Model folders and what transformers' AutoTokenizer makes of texts and pairs with them."""
    from transformers import AutoTokenizer

    samples = [*samples, *_SPACED]
    out: dict[str, Any] = {"texts": samples, "contents": [], "folders": {}}
    contents: list[str] = out["contents"]  # of files, each once

    def place(content: bytes) -> int:
        encoded = base64.b64encode(content).decode("ascii")
        if encoded not in contents:
            contents.append(encoded)
        return contents.index(encoded)

    for name, files in model_folders(rules).items():
        folder = work / name
        folder.mkdir(parents=True)
        for file, content in files.items():
            (folder / file).write_bytes(content)
        loaded = AutoTokenizer.from_pretrained(str(folder))
        core = loaded.backend_tokenizer
        core.no_truncation()
        core.no_padding()
        as_sentencepiece(name, files, core)
        if _SPACES.get(name, {}).get("scheme") == "first":
            check_with_sentencepiece(core, files["tokenizer.model"], samples)
        out["folders"][name] = {
            "files": {file: place(content) for file, content in files.items()},
            # transformers puts CodeLlama's tokens of infilling behind a vocabulary that has none
            "size": core.get_vocab_size(with_added_tokens=name != "code_llama"),
            "side": loaded.padding_side,
            "answers": answers(core, samples),
            "pairs": [core.encode(a, b).ids for a, b in itertools.pairwise(samples)],
        }
    return out


def sentencepiece_gguf(rules: str, samples: list[str]) -> Iterator[dict[str, Any]]:
    """GGUF metadata of SentencePiece vocabularies and what transformers makes of it."""
    from transformers.integrations.gguf.gguf_tokenizer_mapping import convert_gguf_tokenizer

    models_ = sentencepiece_files(rules)
    for model, architecture, file in [
        ("llama", "llama", "bpe"),
        ("llama", "phi3", "bpe"),
        ("llama", "gemma2", "bpe"),
        ("t5", "t5", "t5"),
    ]:
        pieces = pb.ModelProto.FromString(models_[file]).pieces
        tokens = [piece.piece for piece in pieces]
        scores = [piece.score for piece in pieces]
        kinds = [piece.type for piece in pieces]
        if architecture == "gemma2":
            # transformers would add those that are missing, with ids that no model has
            tokens[1:5] = ["<bos>", "<eos>", "<pad>", "<mask>"]
            kinds[4] = 3
        if model == "t5":
            tokens += [f"[PAD{n}]" for n in range(len(tokens), len(tokens) + 128)]
            scores += [-10000.0] * 128
            kinds += [5] * 128
        else:
            tokens.append("   ")
            scores.append(-9000.0)
            kinds.append(4)
        said = {"tokenizer_type": model, "tokens": tokens, "scores": scores, "token_type": kinds}
        core, _ = convert_gguf_tokenizer(architecture, said)
        if model == "llama" and architecture != "gemma2":
            spaces_kept(core, "always" if architecture == "phi3" else "first")
        yield {
            "model": model,
            "architecture": architecture,
            "tokens": tokens,
            "scores": scores,
            "token_types": kinds,
            "ids": [core.encode(text, add_special_tokens=False).ids for text in samples],
            "decoded": [core.decode(core.encode(text).ids) for text in samples],
        }
