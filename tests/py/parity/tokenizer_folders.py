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

try:
    from .tokenizers_live import answers, bert, train_sentencepiece
except ImportError:  # run as a script
    from tokenizers_live import answers, bert, train_sentencepiece


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


def model_folders(rules: str) -> dict[str, dict[str, bytes]]:
    """Model folders without a tokenizer.json, as names and contents of files."""
    models_ = sentencepiece_files(rules)
    vocab = bert(lowercase=True).get_vocab()
    lines = "".join(token + "\r\n" for token in sorted(vocab, key=vocab.__getitem__)).encode()

    def config(**values: Any) -> bytes:
        return json.dumps(values).encode()

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


def folder_cases(work: Path, rules: str, samples: list[str]) -> dict[str, Any]:
    """Model folders and what transformers' AutoTokenizer makes of texts and pairs with them."""
    from transformers import AutoTokenizer

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
        out["folders"][name] = {
            "files": {file: place(content) for file, content in files.items()},
            "size": core.get_vocab_size(),
            "side": loaded.padding_side,
            "answers": answers(core, samples),
            "pairs": [core.encode(a, b).ids for a, b in itertools.pairwise(samples)],
        }
    return out


def sentencepiece_gguf(rules: str, samples: list[str]) -> Iterator[dict[str, Any]]:
    """GGUF metadata of SentencePiece vocabularies and what transformers makes of it."""
    from sentencepiece import sentencepiece_model_pb2 as pb
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
        yield {
            "model": model,
            "architecture": architecture,
            "tokens": tokens,
            "scores": scores,
            "token_types": kinds,
            "ids": [core.encode(text, add_special_tokens=False).ids for text in samples],
            "decoded": [core.decode(core.encode(text).ids) for text in samples],
        }
