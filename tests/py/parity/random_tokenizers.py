"""Random tokenizers: normalizers, pre-tokenizers, models, post-processors, decoders, put together with random options.

`random_tokenizer` gives the text of a tokenizer.json, its vocabulary trained on texts as the components cut them.
Hugging Face may refuse it: then so should whoever else reads it.
"""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Callable
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from .make_tokenizer_testdata import POSSESSIVE
from .tokenizer_texts import training_texts
from .tokenizers_live import BYTES, train_sentencepiece

LITERALS = [" ", "e", "th", "▁", "'", "\n", "é", "中", ".", "  ", "Ġ"]
REGEXES = [
    r"\s+",
    r" {2,}",
    r"\p{N}{1,3}",
    r"[^\s\p{L}\p{N}]+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)",
    r"\s+(?!\S)|\s+",
    r"[aeiou]+?",
    r" ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"[\r\n]+",
    r"\d",
    POSSESSIVE,
]
BEHAVIORS = ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]
Maker = Callable[[random.Random], dict[str, Any]]


def coin(rng: random.Random, chance: float = 0.5) -> bool:
    return rng.random() < chance


def pattern(rng: random.Random) -> dict[str, str]:
    if coin(rng):
        return {"String": rng.choice(LITERALS)}
    return {"Regex": rng.choice(REGEXES)}


def camel(behavior: str) -> str:
    return "".join(part.title() for part in behavior.split("_"))


@functools.cache
def charsmap(rules: str) -> str:
    """The character map of SentencePiece's rules, as tokenizer.json has it."""
    import base64

    from sentencepiece import sentencepiece_model_pb2 as pb

    trained = train_sentencepiece(model_type="unigram", normalization_rule_name=rules)
    spec = pb.ModelProto.FromString(trained).normalizer_spec
    return base64.b64encode(spec.precompiled_charsmap).decode("ascii")


NORMALIZERS: dict[str, Maker] = {
    **{
        kind: lambda _: {}
        for kind in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt", "ByteLevel")
    },
    "Strip": lambda r: {"strip_left": coin(r), "strip_right": coin(r)},
    "Prepend": lambda r: {"prepend": r.choice(["▁", " ", "x", "é"])},
    "Replace": lambda r: {"pattern": pattern(r), "content": r.choice(["", " ", "▁", "xy", "é"])},
    "Precompiled": lambda r: {
        "precompiled_charsmap": charsmap(r.choice(["nmt_nfkc", "nmt_nfkc_cf"]))
    },
    "BertNormalizer": lambda r: {
        "clean_text": coin(r),
        "handle_chinese_chars": coin(r),
        "strip_accents": r.choice([None, True, False]),
        "lowercase": coin(r),
    },
}


def byte_level(rng: random.Random) -> dict[str, Any]:
    return {
        "add_prefix_space": coin(rng),
        "trim_offsets": coin(rng),
        "use_regex": coin(rng, 0.7),
    }


def metaspace(rng: random.Random) -> dict[str, Any]:
    return {
        "replacement": rng.choice("▁▁▁_"),
        "prepend_scheme": rng.choice(["always", "first", "never"]),
        "split": coin(rng),
    }


PRE_TOKENIZERS: dict[str, Maker] = {
    "ByteLevel": byte_level,
    "Split": lambda r: {
        "pattern": pattern(r),
        "behavior": camel(r.choice(BEHAVIORS)),
        "invert": coin(r, 0.3),
    },
    "Metaspace": metaspace,
    **{
        kind: lambda _: {}
        for kind in ("Whitespace", "WhitespaceSplit", "BertPreTokenizer", "UnicodeScripts")
    },
    "Digits": lambda r: {"individual_digits": coin(r)},
    "Punctuation": lambda r: {"behavior": camel(r.choice(BEHAVIORS))},
    "CharDelimiterSplit": lambda r: {"delimiter": r.choice(" e.中")},
    "FixedLength": lambda r: {"length": r.choice([1, 2, 3, 7])},
}

DECODERS: dict[str, Maker] = {
    "ByteLevel": byte_level,
    "Replace": lambda r: {"pattern": pattern(r), "content": r.choice(["", " ", "▁", "xy"])},
    "WordPiece": lambda r: {"prefix": r.choice(["##", "▁", "e"]), "cleanup": coin(r)},
    "ByteFallback": lambda _: {},
    "Fuse": lambda _: {},
    "Strip": lambda r: {
        "content": r.choice([" ", "▁", "e"]),
        "start": r.choice([0, 1, 2]),
        "stop": r.choice([0, 0, 1]),
    },
    "Metaspace": metaspace,
    "BPEDecoder": lambda r: {"suffix": r.choice(["</w>", "e", ""])},
    "CTC": lambda r: {
        "pad_token": r.choice(["<pad>", "e"]),
        "word_delimiter_token": r.choice(["|", "▁"]),
        "cleanup": coin(r),
    },
}


def chain(rng: random.Random, kinds: dict[str, Maker], member: str, counts: list[int]) -> Any:
    """None, one component, or a Sequence of several."""
    parts = []
    for _ in range(rng.choice(counts)):
        kind = rng.choice(list(kinds))
        parts.append({"type": kind, **kinds[kind](rng)})
    if not parts:
        return None
    return parts[0] if len(parts) == 1 and coin(rng, 0.8) else {"type": "Sequence", member: parts}


def template(rng: random.Random, tokens: dict[str, int]) -> dict[str, Any]:
    used: dict[str, Any] = {}

    def special() -> list[dict[str, Any]]:
        out = []
        for _ in range(rng.choice([0, 1, 1, 2])):
            name = rng.choice(list(tokens))
            used[name] = {"id": name, "ids": [tokens[name]], "tokens": [name]}
            out.append({"SpecialToken": {"id": name, "type_id": rng.choice([0, 0, 1, 2])}})
        return out

    def text(name: str) -> list[dict[str, Any]]:
        return [{"Sequence": {"id": name, "type_id": rng.choice([0, 0, 1])}}]

    first = "BA" if coin(rng, 0.15) else "AB"
    single = special() + text("A") + special()
    pair = special() + text(first[0]) + special() + text(first[1]) + special()
    return {"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": used}


def post_processor(rng: random.Random, tokens: dict[str, int]) -> dict[str, Any]:
    def ends() -> dict[str, Any]:
        return {name: list(rng.choice(list(tokens.items()))) for name in ("sep", "cls")}

    return {
        "template": lambda: template(rng, tokens),
        "bert": lambda: {"type": "BertProcessing", **ends()},
        "roberta": lambda: {
            "type": "RobertaProcessing",
            **ends(),
            "trim_offsets": coin(rng),
            "add_prefix_space": coin(rng),
        },
        "bytes": lambda: {"type": "ByteLevel", **byte_level(rng)},
    }[rng.choice(["template", "template", "bert", "roberta", "bytes"])]()


SPECIAL = ["<unk>", "<s>", "</s>", "<pad>"]


def train(rng: random.Random, kind: str, normalizer: Any, pre: Any) -> dict[str, Any]:
    """The model of a kind, as tokenizer.json describes it."""
    core = Tokenizer(getattr(models, kind)())
    described = json.loads(core.to_str())
    core = Tokenizer.from_str(
        json.dumps({**described, "normalizer": normalizer, "pre_tokenizer": pre})
    )
    common: dict[str, Any] = {"special_tokens": SPECIAL, "show_progress": False}
    spelled = "ByteLevel" in json.dumps([normalizer, pre])
    alphabet = pre_tokenizers.ByteLevel.alphabet() if spelled else []
    size = rng.choice([300, 500, 800]) if kind != "Unigram" else 1500
    if kind in ("BPE", "WordPiece"):
        common |= {"initial_alphabet": alphabet, "limit_alphabet": rng.choice([80, 150, 400])}
        if coin(rng, 0.2):
            common["end_of_word_suffix"] = "</w>"
        if kind == "WordPiece" or coin(rng, 0.2):
            common["continuing_subword_prefix"] = "##"
    if kind == "Unigram":
        common |= {"initial_alphabet": alphabet, "unk_token": "<unk>", "max_piece_length": 8}
    named = "Bpe" if kind == "BPE" else kind
    trainer = getattr(trainers, f"{named}Trainer")(vocab_size=size, **common)
    samples = training_texts(seed=rng.randrange(10), count=150)
    core.train_from_iterator((text[:300] for text in samples), trainer)
    return json.loads(core.to_str())["model"]


def options(rng: random.Random, model: dict[str, Any]) -> dict[str, Any]:
    """The model with its options drawn anew, and with tokens of bytes in some."""
    kind = model["type"]
    if kind == "Unigram":
        if coin(rng, 0.5):
            model["byte_fallback"] = coin(rng, 0.8)
            scores = [-9.0, -12.5]
            model["vocab"] += [[token, rng.choice(scores)] for token in byte_tokens(rng)]
        if coin(rng, 0.1):
            model["unk_id"] = rng.choice([None, 5, 10**6])
        return model
    if kind == "BPE":
        model |= {
            "fuse_unk": coin(rng),
            "byte_fallback": coin(rng),
            "ignore_merges": coin(rng, 0.3),
            "dropout": rng.choice([None, None, 0.0]),
            "unk_token": rng.choice([None, "<unk>", "<unk>", "<none>"]),
        }
        if coin(rng, 0.3):
            kept = len(model["merges"]) * 2 // 3
            model["merges"] = model["merges"][:kept]  # words that only ignore_merges finds
        for token in byte_tokens(rng) if model["byte_fallback"] else ():
            model["vocab"].setdefault(token, len(model["vocab"]))
        return model
    model["unk_token"] = rng.choice(["<unk>", "<unk>", "<unk>", "<none>"])
    if kind == "WordPiece":
        model["max_input_chars_per_word"] = rng.choice([100, 5, 12])
    return model


def byte_tokens(rng: random.Random) -> list[str]:
    return BYTES if coin(rng, 0.7) else BYTES[: rng.choice([0, 128, 200])]


def added_tokens(rng: random.Random, vocab: dict[str, int]) -> list[dict[str, Any]]:
    size = max(vocab.values()) + 1
    out = [{"id": vocab[name], "content": name, "special": True} for name in SPECIAL]
    contents = ["<new>", "the", " a", "é", "E\u0301", "中", "<N>", "  ", "\n\n", "'s", "12", "Th"]
    for content in rng.sample(contents, rng.choice([0, 1, 3, 6])):
        index = vocab.get(content, size)
        size += index == size
        out.append({"id": index, "content": content, "special": coin(rng, 0.4)})
    flags = ("single_word", "lstrip", "rstrip")
    for token in out:
        token |= {name: coin(rng, 0.2) for name in flags}
        token["normalized"] = coin(rng, 0.5 if token["content"] not in SPECIAL else 0.1)
    return sorted(out, key=lambda token: token["id"])


def stored_limits(rng: random.Random) -> dict[str, Any]:
    cut = {
        "max_length": rng.choice([9, 20, 64]),
        "stride": rng.choice([0, 2]),
        "strategy": rng.choice(["LongestFirst", "OnlyFirst", "OnlySecond"]),
        "direction": rng.choice(["Right", "Left"]),
    }
    fill = {
        "strategy": rng.choice(["BatchLongest", {"Fixed": 24}]),
        "direction": rng.choice(["Right", "Left"]),
        "pad_to_multiple_of": rng.choice([None, 8]),
        "pad_id": 3,
        "pad_type_id": rng.choice([0, 1]),
        "pad_token": "<pad>",
    }
    return {
        "truncation": cut if coin(rng, 0.4) else None,
        "padding": fill if coin(rng, 0.4) else None,
    }


def post_processors(rng: random.Random, tokens: dict[str, int]) -> list[dict[str, Any]]:
    """None, one, or two of which one adds no tokens: the other kind of two is refused (see docs/tokenizers.md)."""
    posts = [post_processor(rng, tokens) for _ in range(rng.choice([0, 1, 1, 2]))]
    if len(posts) == 2:
        posts[rng.randrange(2)] = {"type": "ByteLevel", **byte_level(rng)}
    return posts


def random_tokenizer(rng: random.Random) -> str:
    """The text of a random tokenizer.json."""
    kind = rng.choice(["BPE", "BPE", "Unigram", "WordPiece", "WordLevel"])
    normalizer = chain(rng, NORMALIZERS, "normalizers", [0, 1, 1, 2, 3])
    pre = chain(rng, PRE_TOKENIZERS, "pretokenizers", [0, 1, 1, 2, 3])
    model = options(rng, train(rng, kind, normalizer, pre))
    vocab = model["vocab"]
    if kind == "Unigram":
        vocab = {token: index for index, (token, _) in enumerate(vocab)}
    posts = post_processors(rng, {name: vocab[name] for name in SPECIAL})
    post = {"type": "Sequence", "processors": posts} if len(posts) > 1 else None
    return json.dumps(
        {
            "version": "1.0",
            **stored_limits(rng),
            "added_tokens": added_tokens(rng, vocab),
            "normalizer": normalizer,
            "pre_tokenizer": pre,
            "post_processor": post if len(posts) != 1 else posts[0],
            "decoder": chain(rng, DECODERS, "decoders", [0, 1, 1, 2, 3]),
            "model": model,
        },
        ensure_ascii=False,
    )
