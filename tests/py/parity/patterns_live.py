"""Regular expressions of known tokenizers and random ones, and what Oniguruma makes of them.

Needs the package tokenizers, through whose Split and Replace the matches are seen. By itself it
writes the stored sample:

    python tests/py/parity/patterns_live.py
"""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tokenizers import Regex
from tokenizers.normalizers import Replace
from tokenizers.pre_tokenizers import Split

OUT = Path(__file__).resolve().parents[3] / "golens/tokenizer/oniguruma/testdata/patterns.json.gz"
CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
UPPER = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
LOWER = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"

KNOWN = [
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    rf"{CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}"
    rf"| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{SPACES}",
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
    rf"{CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{SPACES}",
    rf"{UPPER}{CONTRACTIONS}?|{LOWER}{CONTRACTIONS}?|\p{{N}}{{1,3}}"
    rf"| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{SPACES}",
    rf"{UPPER}|{LOWER}|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{SPACES}",
    # DeepSeek
    r"[\r\n]",
    r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-Ֆ]+",
    r"\s?[!-/:-~！-／：-～‘-‟　-。]+",
    r"\s+$",
    r"[一-龥ࠀ-一가-퟿]+",
    r"\p{N}{1,3}",
    r"[一-龥぀-ゟ゠-ヿ]+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    # Kimi and other kinds with the script Han
    r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*"
    r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}|\s+",
    # CLIP, BLOOM, StarCoder, Falcon, Whisper, T5, XGLM, ChatGLM, Phi, RWKV, Gemma, DBRX
    r"(?i)<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",
    r" ?[^(\s|[.,!?…。，、।۔،])]+",
    r"\d",
    r"[0-9][0-9][0-9]",
    r"[\p{P}\$\+<=>\^~\|`]+",
    r" {2,}",
    r"\s{2,}",
    r"(?<=\s)\S",
    r"(?:^|\n)\s*",
    r"\w+|[^\w\s]+",
    r"\b\w+\b",
    r"\p{Han}|\p{Hiragana}|\p{Katakana}",
    r"[^\S\r\n]+",
    r"(\s|[.,!?])+",
    r"\d{1,3}(?=(?:\d{3})*\b)",
    r"\p{N}(?=(?:\p{N}{3})+(?!\p{N}))",
    r"(?<=\p{N})(?=(?:\p{N}{3})+$)",
    r"[ \t]+$|^[ \t]+",
    r"\R|\h+",
    r"",
    r"|a",
]

ALPHABET = [
    *"aaabbbccABC  \n\n\r\t..,'-_0123ßſsSkKeéÉıiİIσςΣ",
    "\u212a",
    "\ufb00",
    "\ufb03",
    "f",
    "F",
    "\u0301",
    "\u00aa",
    "\u00b2",
    "\u00bd",
    "\u0130",
    "\u0149",
    "\u02bc",
    "n",
    "\u4e2d",
    "\u6587",
    "\u3042",
    "\u30ab",
    "\u0e01",
    "\u0627",
    "\u0660",
    "\u1e9e",
    "\u03b9",
    "\u0345",
    "\u1f80",
    "\u1f88",
    "\u0390",
    "\u200d",
    "\u00a0",
    "\u2028",
    "\u0085",
    "\U0001f600",
    "\U00010400",
    "\U00010428",
    "\ua7cb",
    "\x00",
    "\u0308",
    "\u03b1",
    "\u1fb3",
    "]",
    "[",
    "&",
    "^",
    "$",
    "|",
    "(",
    ")",
    "{",
    "}",
]
PLAIN = "abcABCsSkKifF0123 .,'_ßéıİσςſ中あ"


class Grammar:
    """Random patterns over the syntax of Oniguruma."""

    def __init__(self, seed: str) -> None:
        self.rng = random.Random(seed)

    def char(self) -> str:
        return re.sub(r"[\\.^$*+?{}\[\]()|]", lambda m: "\\" + m[0], self.rng.choice(PLAIN))

    def classes(self) -> str:
        return self.rng.choice(
            [r"\w", r"\W", r"\d", r"\D", r"\s", r"\S", r"\h", r"\H", r"\p{L}", r"\p{Lu}", r"\P{N}"]
            + [r"\p{^L}", r"\p{Han}", r"\p{Greek}", r"\p{Letter}", r"\p{White_Space}", r"\p{Word}"]
            + [r"\p{P}", r"\p{Alpha}", r"\p{Emoji}", r"\P{^Ll}", r"\p{Hira gana}", r"\p{Upper}"]
        )

    def bracket(self, depth: int = 0) -> str:
        rng = self.rng
        parts = []
        for _ in range(rng.randint(1, 3)):
            roll = rng.random()
            if roll < 0.35:
                parts.append(rng.choice("abcABCsSkKifF0123 .,'_ßéıİσςſ中あ"))
            elif roll < 0.55:
                low, high = sorted([rng.choice("abckmzAKZ09 é中ßſ"), rng.choice("abckmzAKZ09éÿ中")])
                parts.append(f"{low}-{high}")
            elif roll < 0.7:
                parts.append(self.classes())
            elif roll < 0.8:
                name = rng.choice("alpha digit upper lower space punct word xdigit print".split())
                parts.append(f"[:{rng.choice(['', '^'])}{name}:]")
            elif roll < 0.88 and depth < 2:
                parts.append(self.bracket(depth + 1))
            elif roll < 0.94 and depth < 2:
                parts.append("&&" + self.bracket(depth + 1))
            else:
                parts.append(
                    rng.choice([r"\n", r"\x41", r"\x{e9}", "-", r"\-", r"\]", "^", "&", "z-a"])
                )
        return f"[{rng.choice(['', '', '^'])}{''.join(parts)}]"

    def atom(self, depth: int) -> str:
        rng = self.rng
        roll = rng.random()
        if roll < 0.34:
            return "".join(self.char() for _ in range(rng.choice([1, 1, 2, 3])))
        if roll < 0.44:
            return self.classes()
        if roll < 0.58:
            return self.bracket()
        if roll < 0.63:
            return rng.choice([".", r"\R", r"\n", r"\x61", r"\u00e9", r"\N", r"\O"])
        if roll < 0.72:
            return rng.choice(["^", "$", r"\b", r"\B", r"\A", r"\z", r"\Z", r"\G"])
        if depth == 0:
            return self.char()
        inner = self.pattern(depth - 1)
        kind = rng.choice(
            ["(?:{})"] * 5
            + ["({})", "(?={})", "(?!{})", "(?<={})", "(?<!{})", "(?>{})", "(?i:{})", "(?i:{})"]
            + ["(?m:{})", "(?x: {} )", "(?<n>{})", "(?i){}", "(?-i:{})", "(?#c){}"]
        )
        return kind.replace("{}", inner)

    def quantified(self, depth: int) -> str:
        rng = self.rng
        out = self.atom(depth)
        while rng.random() < 0.3:
            out += rng.choice(
                ["*", "+", "?", "*?", "+?", "??", "*+", "++", "?+", "{2}", "{1,2}", "{,2}", "{1,}"]
                + ["{2}?", "{0,2}?", "{1,2}+", "{2,1}", "{1}", "{0}", "{,}", "{"]
            )
        return out

    def pattern(self, depth: int) -> str:
        rng = self.rng
        branches = []
        for _ in range(rng.choice([1, 1, 1, 2, 2, 3])):
            branches.append("".join(self.quantified(depth) for _ in range(rng.randint(0, 3) or 1)))
        if rng.random() < 0.04:
            branches.append("")
        return "|".join(branches)

    def text(self) -> str:
        rng = self.rng
        few = rng.sample(ALPHABET, rng.choice([3, 6, 20]))
        return "".join(rng.choice(few) for _ in range(rng.randint(1, 14)))


MARK = "\ue000"


def answers(pattern: str, texts: list[str]) -> dict[str, Any] | None:
    """What Oniguruma makes of a pattern: the ends of the matches that are not empty, and each text
    with a mark in the place of every match. None where it gives up on a text."""
    out: dict[str, Any] = {"pattern": pattern, "valid": True, "texts": texts}
    try:
        regex = Regex(pattern)
    except Exception:  # not all of its errors are ValueErrors
        return {**out, "valid": False}
    found, replace = Split(regex, "removed", invert=True), Replace(regex, MARK)
    try:
        out["matches"] = [
            [at for _, span in found.pre_tokenize_str(text) for at in span] for text in texts
        ]
        out["replaced"] = [replace.normalize_str(text) for text in texts]
    except BaseException as gave_up:  # a Rust panic is not an Exception
        if isinstance(gave_up, KeyboardInterrupt):
            raise
        return None
    return out


def write(path: Path, cases: Iterable[dict[str, Any] | None]) -> None:
    lines = [json.dumps(case, ensure_ascii=False) for case in cases if case is not None]
    path.write_bytes(gzip.compress("\n".join(lines).encode(), 9, mtime=0))


def cases(seed: int, patterns: int, texts: int) -> Iterator[dict[str, Any] | None]:
    """The known patterns and random ones."""
    grammar = Grammar(f"patterns/{seed}")
    for pattern in KNOWN:
        yield answers(pattern, [grammar.text() for _ in range(4 * texts)])
    for _ in range(patterns):
        yield answers(grammar.pattern(2), [grammar.text() for _ in range(texts)])


if __name__ == "__main__":
    write(OUT, cases(0, 1500, 5))
