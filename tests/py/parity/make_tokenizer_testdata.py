"""Write the reference data of golens/tokenizer: small tokenizers, and what Hugging Face makes of texts.

Needs the packages tokenizers, transformers and sentencepiece:

    python tests/py/parity/make_tokenizer_testdata.py [--encodings]

With --encodings the tokenizers stay as they are, and only their encodings are written anew.
Run again with the same versions it writes the same bytes for the byte-level kinds; the trainers of
WordPiece, Unigram and of limited alphabets break ties differently each time, so the others differ.
"""

from __future__ import annotations

import functools
import gzip
import json
import os
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # trainers add up in the same order each time

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers.integrations.gguf.gguf_tokenizer_mapping import (
    GGUF_PRE_TOKENIZER_SPLITS,
    convert_gguf_tokenizer,
)

sys.path.insert(0, str(Path(__file__).resolve().parent))
from tokenizer_folders import digits_apart, folder_cases, sentencepiece_gguf
from tokenizer_texts import SPECIAL, texts, texts_with, training_texts
from tokenizers_live import BUILDERS, answers, batches, full, plain_copy

OUT = Path(__file__).resolve().parents[3] / "golens" / "tokenizer" / "testdata"
VOCAB = 640
CHAT = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
LLAMA3 = [
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
]
POSSESSIVE = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
)


def special(names: list[str]) -> list[AddedToken]:
    return [AddedToken(name, special=True, normalized=False) for name in names]


def template(single: str, core: Tokenizer) -> processors.TemplateProcessing:
    used = [(name, core.token_to_id(name)) for name in single.split(" ") if name != "$A"]
    return processors.TemplateProcessing(single=single, pair="$A $B:1", special_tokens=used)


def byte_level(
    pre: Any,
    added: list[AddedToken],
    post: Callable[[Tokenizer], Any] | None = None,
    normalizer: Any = None,
    ignore_merges: bool = False,
) -> Tokenizer:
    core = Tokenizer(models.BPE())
    if normalizer is not None:
        core.normalizer = normalizer
    core.pre_tokenizer = pre
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCAB, initial_alphabet=alphabet, show_progress=False)
    core.train_from_iterator(training_texts(), trainer)
    core.add_special_tokens([token for token in added if token.special])
    core.add_tokens([token for token in added if not token.special])
    core.post_processor = post(core) if post else processors.ByteLevel(trim_offsets=False)
    if not ignore_merges:
        return core
    # Words whose merges are missing: only ignore_merges can find them.
    described = json.loads(core.to_str())
    described["model"]["ignore_merges"] = True
    described["model"]["merges"] = described["model"]["merges"][:-80]
    return Tokenizer.from_str(json.dumps(described))


def split(pattern: str, prefix: bool = False) -> pre_tokenizers.Sequence:
    spell = pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=False)
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), spell])


def every_added_token() -> Tokenizer:
    added = [
        *special(["<s>", "<mask>"]),
        AddedToken("<lstrip>", lstrip=True, normalized=False),
        AddedToken("<rstrip>", rstrip=True, normalized=False),
        AddedToken("<both>", lstrip=True, rstrip=True, normalized=True),
        AddedToken("<word>", single_word=True),
        AddedToken("<normed>", normalized=True),
        AddedToken("é", normalized=True),
        AddedToken("e\u0301x", normalized=True),
        AddedToken("the water", normalized=True),
        AddedToken("the", single_word=True, normalized=False, lstrip=True),
    ]

    def post(core: Tokenizer) -> processors.Sequence:
        return processors.Sequence(
            [processors.ByteLevel(trim_offsets=True), template("<s> $A <mask>", core)]
        )

    return byte_level(
        pre_tokenizers.ByteLevel(add_prefix_space=False), added, post, normalizers.NFC()
    )


def sentence_piece_style(first: bool) -> Tokenizer:
    """Llama 2's form: byte fallback, and spaces marked by normalizers or by Metaspace."""
    byte_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
    core = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    core.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB + 150,
        special_tokens=["<unk>", "<s>", "</s>", *byte_tokens],
        limit_alphabet=90,
        show_progress=False,
    )
    core.train_from_iterator(training_texts(), trainer)
    described = json.loads(core.to_str())
    described["added_tokens"] = described["added_tokens"][:3]
    core = Tokenizer.from_str(json.dumps({**described, "pre_tokenizer": None}))
    if first:
        core.pre_tokenizer = pre_tokenizers.Metaspace(
            replacement="▁", prepend_scheme="first", split=False
        )
    else:
        core.normalizer = normalizers.Sequence(
            [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
        )
    core.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    core.post_processor = template("<s> $A", core)
    return core


def byte_level_builders() -> dict[str, Callable[[], Tokenizer]]:
    """The byte-level and Llama-2 kinds, by name; each is trained when it is called."""
    gpt2 = pre_tokenizers.ByteLevel(add_prefix_space=False)
    digits = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), gpt2])
    spaces = [AddedToken(" " * n, normalized=True) for n in range(8, 1, -1)]
    splits = GGUF_PRE_TOKENIZER_SPLITS
    return {
        "gpt2": lambda: byte_level(gpt2, special(["<|endoftext|>"])),
        "prefix": lambda: byte_level(
            pre_tokenizers.ByteLevel(add_prefix_space=True),
            special(["<s>"]),
            lambda _: processors.ByteLevel(trim_offsets=True),
        ),
        "smollm": lambda: byte_level(digits, special([*CHAT, "<repo_name>", "<file_sep>"])),
        "neox": lambda: byte_level(gpt2, special(CHAT) + spaces, normalizer=normalizers.NFC()),
        "llama3": lambda: byte_level(
            split(splits["llama-bpe"]),
            special(LLAMA3),
            lambda core: template("<|begin_of_text|> $A", core),
            ignore_merges=True,
        ),
        "qwen2": lambda: byte_level(
            split(splits["qwen2"]), special(CHAT), normalizer=normalizers.NFC()
        ),
        "gpt4o": lambda: byte_level(
            split(splits["gpt-4o"]), special(CHAT), normalizer=normalizers.NFD()
        ),
        "possessive": lambda: byte_level(split(POSSESSIVE), special(CHAT)),
        "added": lambda: every_added_token(),
        "llama2": lambda: sentence_piece_style(first=False),
        "llama2_first": lambda: sentence_piece_style(first=True),
    }


@functools.cache
def trained(name: str) -> str:
    """The tokenizer.json of a kind, trained once a process."""
    return (byte_level_builders() | BUILDERS)[name]().to_str()


def gguf_cases(samples: list[str]) -> Iterator[dict[str, Any]]:
    """GGUF metadata (in the words of golens' GGUFMeta) and what transformers makes of it, but for `smollm`."""
    for pre in ["gpt-2", "smollm", "llama-bpe", "qwen2", "tekken", "qwen35"]:
        core = byte_level(split(GGUF_PRE_TOKENIZER_SPLITS.get(pre, r"\p{L}+")), [])
        described = json.loads(core.to_str())["model"]
        tokens = [core.id_to_token(i) for i in range(core.get_vocab_size())]
        kinds = [1] * len(tokens)
        for token, kind in [
            ("<|endoftext|>", 3),
            ("<|im_start|>", 3),
            ("<think>", 4),
            ("<|中|>", 3),
            ("日本", 1),
            ("  ", 4),
        ]:
            tokens.append(token)
            kinds.append(kind)
        merges = [" ".join(pair) for pair in described["merges"]]
        said = {
            "tokenizer_type": "gpt2",
            "pre_tokenizer_type": pre,
            "tokens": tokens,
            "merges": merges,
            "token_type": kinds,
        }
        backend, _ = convert_gguf_tokenizer("llama", said)
        if pre == "smollm":
            backend.pre_tokenizer = digits_apart()
        yield {
            "pre": pre,
            "tokens": tokens,
            "merges": merges,
            "token_types": kinds,
            "ids": [backend.encode(s).ids for s in samples],
        }


def code_points() -> list[str]:
    """All of Unicode but the surrogates and the planes in which nothing is assigned."""
    return [
        chr(point) for point in [*range(0xD800), *range(0xE000, 0x33480), *range(0xE0000, 0xE0200)]
    ]


def checksum(parts: list[str]) -> int:
    return zlib.crc32("\n".join(parts).encode("utf-8"))


def unicode_tables() -> dict[str, dict[str, int]]:
    """Checksums over Unicode: which characters each class has, and what the normal forms are."""
    points = code_points()
    out: dict[str, dict[str, int]] = {"classes": {}, "forms": {}}
    text = "\ue001".join(points)  # a character that is in no class
    cutters = {
        rf"\p{{{name}}}": None for name in ["L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "N", "P", "S"]
    }
    for pattern in [*cutters, r"\s", r"\d"]:
        pieces = pre_tokenizers.Split(Regex(pattern), "removed", invert=True).pre_tokenize_str(text)
        out["classes"][pattern] = checksum([piece for piece, _ in pieces])
    folded = pre_tokenizers.Split(Regex("(?i:[sk])"), "removed", invert=True).pre_tokenize_str(text)
    out["classes"]["(?i:[sk])"] = checksum([piece for piece, _ in folded])
    digits = pre_tokenizers.Digits(individual_digits=True).pre_tokenize_str(text)
    out["classes"]["Digits"] = checksum(
        [piece for piece, (a, b) in digits if b - a == 1 and piece != "\ue001"]
    )
    for name, form in {"NFC": normalizers.NFC(), "NFD": normalizers.NFD()}.items():
        for context in ["{}", "a\u0345{}\u0334\u0301", "{}\u0338", "\u1100{}\u11a8"]:
            out["forms"][f"{name} {context}"] = checksum(
                [form.normalize_str(context.replace("{}", c)) for c in points]
            )
    out["normalizers"] = {}
    for normalizer in [
        normalizers.NFKC(),
        normalizers.NFKD(),
        normalizers.Lowercase(),
        normalizers.StripAccents(),
        normalizers.Nmt(),
        normalizers.ByteLevel(),
        normalizers.BertNormalizer(lowercase=True),
        normalizers.BertNormalizer(lowercase=False, handle_chinese_chars=False),
    ]:
        described = normalizer.__getstate__().decode()
        out["normalizers"][described] = checksum([normalizer.normalize_str("a\ue001".join(points))])
    out["pre_tokenizers"] = {}
    crowd = " ".join(f"a{c}b中{c}" for c in points)
    for cutter in [
        pre_tokenizers.Whitespace(),
        pre_tokenizers.WhitespaceSplit(),
        pre_tokenizers.BertPreTokenizer(),
        pre_tokenizers.Punctuation("contiguous"),
        pre_tokenizers.UnicodeScripts(),
    ]:
        described = cutter.__getstate__().decode()
        out["pre_tokenizers"][described] = checksum([p for p, _ in cutter.pre_tokenize_str(crowd)])
    return out


# Not stored, for their size: make parity compares them.
LIVE_ONLY = {"xlmr", "unigram_plain", "words_fixed"}


def more_cases(samples: list[str]) -> dict[str, Any]:
    """Fewer texts than the others get, and batches with truncation and padding."""
    samples = samples[::3]
    out: dict[str, Any] = {"texts": samples, "answers": {}, "batches": {}}
    for name, build in BUILDERS.items():
        if name in LIVE_ONLY:
            continue
        core = build()
        write(f"{name}.json.gz", json.loads(core.to_str()))
        out["answers"][name] = answers(core, samples)
        if name in {"bert", "bert_cased", "roberta", "t5", "unigram_bytes"}:
            short = [text for text in samples if len(text) < 60]
            out["batches"][name] = list(batches(core, short, 11, 8))
    return out


def stored_kinds() -> Iterator[tuple[str, Tokenizer]]:
    """The tokenizers that are in the folder now."""
    for name in byte_level_builders() | BUILDERS:
        if name not in LIVE_ONLY:
            raw = gzip.decompress((OUT / f"{name}.json.gz").read_bytes())
            yield name, Tokenizer.from_str(raw.decode("utf-8"))


def encodings() -> dict[str, Any]:
    """Everything in the encodings of a few texts, and batches with limits, by the stored tokenizers."""
    out: dict[str, Any] = {"texts": [], "answers": {}, "batches": {}}
    for category, text in texts_with(SPECIAL, seed=5, share=0.001):
        if len(text) < 120 and category not in ("prose", "code"):
            out["texts"].append(text)
    for name, core in stored_kinds():
        plain = plain_copy(core)
        out["answers"][name] = [full(plain.encode(text), overflow=False) for text in out["texts"]]
        short = [text for text in out["texts"] if len(text) < 60]
        out["batches"][name] = list(batches(core, short, 12, 4))
    return out


def write(name: str, value: Any) -> None:
    raw = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    (OUT / name).write_bytes(gzip.compress(raw, 9, mtime=0))


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    if sys.argv[1:] == ["--encodings"]:
        write("encodings.json.gz", encodings())
        return
    samples = [text for _, text in texts(seed=3, share=0.006) if len(text) < 500]
    samples += [*SPECIAL, "  ".join(SPECIAL), "x".join(SPECIAL)]
    samples += ["'ſ 'K 'LL", "\U00016d43\U00010d50a1", "a\U0001e2ec\u0301 \U00011935\U00011930"]
    cases = {}
    for name, build in byte_level_builders().items():
        core = build()
        write(f"{name}.json.gz", json.loads(core.to_str()))
        cases[name] = answers(core, samples)
    write("cases.json.gz", {"texts": samples, "answers": cases})
    write("more.json.gz", more_cases(samples))
    fewer = samples[::12]
    with tempfile.TemporaryDirectory() as work:
        write("folders.json.gz", folder_cases(Path(work), "identity", fewer))
    files = list(sentencepiece_gguf("identity", fewer))
    write("gguf_sentencepiece.json.gz", {"texts": fewer, "files": files})
    write("gguf.json.gz", {"texts": samples, "files": list(gguf_cases(samples))})
    write("encodings.json.gz", encodings())
    (OUT / "unicode.json").write_text(json.dumps(unicode_tables(), indent=1) + "\n")


if __name__ == "__main__":
    main()
