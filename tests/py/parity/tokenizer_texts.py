"""Texts that tokenizers get wrong: a deterministic generator, by category.

The same seed gives the same texts on every machine: nothing is read from the system, and the random
numbers come from one `random.Random`. Run as a script it writes one JSON object a line.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence

try:
    from .text_pieces import CODE, EMOJI, FOREIGN, MARKS, SPACES, SPECIAL, SYMBOLS, WORDS
except ImportError:  # run as a script
    from text_pieces import CODE, EMOJI, FOREIGN, MARKS, SPACES, SPECIAL, SYMBOLS, WORDS


def _sentence(rng: random.Random) -> str:
    words = [rng.choice(WORDS) for _ in range(rng.randint(1, 18))]
    if rng.random() < 0.3:
        words[rng.randrange(len(words))] = rng.choice(FOREIGN)
    text = rng.choice([" ", " ", " ", "  "]).join(words)
    return (text[:1].upper() + text[1:] if rng.random() < 0.6 else text) + rng.choice(
        [".", "!", "?", ",", "", " ", "\n"]
    )


def prose(rng: random.Random) -> str:
    return rng.choice(["", "", " "]) + " ".join(_sentence(rng) for _ in range(rng.randint(1, 6)))


def code(rng: random.Random) -> str:
    text = "".join(rng.choice(CODE) for _ in range(rng.randint(1, 4)))
    start = rng.randrange(len(text))
    return text[start : start + rng.choice([10, 40, 120, 400])]


def foreign(rng: random.Random) -> str:
    return rng.choice(["", " ", "，", "\n", ""]).join(
        rng.choice(FOREIGN) for _ in range(rng.randint(1, 12))
    )


def cjk(rng: random.Random) -> str:
    ranges = [
        (0x4E00, 0x9FFF),
        (0x4E00, 0x9FFF),
        (0x3041, 0x30FF),
        (0xAC00, 0xD7A3),
        (0x3400, 0x4DBF),
        (0x20000, 0x2A6DF),
        (0x3000, 0x303F),
        (0xFF01, 0xFF5E),
    ]
    chars = [chr(rng.randint(*rng.choice(ranges))) for _ in range(rng.randint(1, 30))]
    return "".join(
        c + (rng.choice([" ", "1", "a", "\n"]) if rng.random() < 0.1 else "") for c in chars
    )


def mixed(rng: random.Random) -> str:
    pool = WORDS + FOREIGN + EMOJI + SYMBOLS
    return rng.choice(["", " "]) + rng.choice([" ", "", "  ", "\n"]).join(
        rng.choice(pool) for _ in range(rng.randint(1, 14))
    )


def emoji(rng: random.Random) -> str:
    return rng.choice(["", " ", "a", "  "]).join(
        rng.choice(EMOJI) for _ in range(rng.randint(1, 7))
    )


def combining(rng: random.Random) -> str:
    bases = "aeiounAEIOUsSקש\u0915ก각가한がパサ\u1100ＡÅÖệ\u0f40 1."
    return "".join(
        rng.choice(bases) + "".join(rng.choice(MARKS) for _ in range(rng.randint(0, 4)))
        for _ in range(rng.randint(1, 10))
    )


def forms(rng: random.Random) -> str:
    text = "".join(
        rng.choice("áéíóúñçÅśźżệộữ각힣がパΐὕ①ﬁ½Åabc ") for _ in range(rng.randint(1, 24))
    )
    return unicodedata.normalize(rng.choice(["NFC", "NFD", "NFKC", "NFKD"]), text)


def whitespace(rng: random.Random) -> str:
    words = ["a", "foo", " bar", "1", "42", ".", "x y", "é", "中", "😀", "'s"]
    return "".join(
        rng.choice(SPACES + words if rng.random() < 0.8 else SPACES)
        for _ in range(rng.randint(1, 12))
    )


def only_whitespace(rng: random.Random) -> str:
    return "".join(rng.choice(SPACES) for _ in range(rng.randint(1, 6)))


def digits(rng: random.Random) -> str:
    alphabet = "0123456789" * 4 + ".,- e:/²½٣१Ⅷ一\n"
    return rng.choice(["", " ", "$", "-", "x", "  "]) + "".join(
        rng.choice(alphabet) for _ in range(rng.randint(1, 30))
    )


def control(rng: random.Random) -> str:
    def one() -> str:
        return rng.choice(
            [
                chr(rng.randrange(0, 32)),
                chr(rng.randrange(0x7F, 0xA1)),
                "\0",
                "a",
                " b",
                "\n",
                "\ufffd",
                "\ufffe",
                "\uffff",
                "\ue000",
                "\U0010ffff",
                "\U000e0041",
            ]
        )

    return "".join(one() for _ in range(rng.randint(1, 16)))


def broken_utf8(rng: random.Random) -> str:
    data = bytes(
        rng.choice([rng.randrange(256), rng.randrange(128, 256), 97, 32])
        for _ in range(rng.randint(1, 25))
    )
    return data.decode("utf-8", "replace")


def any_unicode(rng: random.Random) -> str:
    out = []
    for _ in range(rng.randint(1, 14)):
        low, high = rng.choices(
            [
                (0x20, 0x250),
                (0x250, 0x3000),
                (0x3000, 0xD800),
                (0xE000, 0x10000),
                (0x10000, 0x20000),
                (0x20000, 0x110000),
            ],
            [30, 30, 15, 5, 17, 3],
        )[0]
        out.append(chr(rng.randrange(low, high)) + rng.choice(["", "", "", "", " "]))
    return "".join(out)


def special(rng: random.Random) -> str:
    pool = [*SPECIAL, " ", "  ", "\n", "a", "Hello world", "user", ".", "é", "中", "x1"]
    return "".join(rng.choice(pool) for _ in range(rng.randint(1, 9)))


def chat(rng: random.Random) -> str:
    turns = []
    for role in ["system", "user", "assistant"][: rng.randint(1, 3)]:
        turns.append(f"<|im_start|>{role}\n{prose(rng)}<|im_end|>\n")
    return "".join(turns)


def long_word(rng: random.Random) -> str:
    alphabet = rng.choice(["abcdefghij", "ab", "a", "aA1_", "é中a", "-=", "가나다"])
    return "".join(rng.choice(alphabet) for _ in range(rng.choice([90, 101, 255, 256, 400, 1500])))


def thai(rng: random.Random) -> str:
    """Letters, vowels before and above them, tone marks in any order, no spaces between words."""
    letters = "กขคงจชซญดตทนบปผพมยรลวสหอฮ"
    above = ["", "", "ิ", "ี", "ื", "ุ", "ู", "่", "้", "๊", "็", "์", "ำ", "ั"]
    return "".join(
        rng.choice(["", "", "เ", "แ", "โ", "ไ"])
        + rng.choice(letters)
        + rng.choice(above)
        + rng.choice(["", "", "", "า", "ะ", "่", " ", "ๆ", "๑๒", "ฯ", "a", "."])
        for _ in range(rng.randint(1, 25))
    )


def arabic(rng: random.Random) -> str:
    """Words with and without points, tatweel, ligatures' presentation forms, both directions' marks."""
    letters = "ابتثجحخدذرزسشصضطظعغفقكلمنهويىةءأإؤئپچگکیےٱ"
    points = ["", "", "", "َ", "ُ", "ِ", "ّ", "ْ", "ً", "ـ", "ٰ", "\u0655"]
    between = [" ", " ", "، ", "؟", "\u200f", "\u200c", "\u202b", " 123 ", "٤٥", "ﷺ", "ﻻ", "-"]
    words = (
        "".join(rng.choice(letters) + rng.choice(points) for _ in range(rng.randint(1, 8)))
        for _ in range(rng.randint(1, 9))
    )
    return "".join(word + rng.choice(between) for word in words)


def zero_width(rng: random.Random) -> str:
    unseen = (
        "\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f\u061c\u180e\u200e\u200f\u202a\u2066\u2069\ufe0f"
    )
    seen = ["a", "word", " ", " the", "é", "中", "1", ".", "'s", "👩", "क्", "\n", "fi"]
    return "".join(rng.choice(seen) + rng.choice(unseen) for _ in range(rng.randint(1, 12)))


def long_whitespace(rng: random.Random) -> str:
    def run() -> str:
        return rng.choice([" ", " ", "\n", "\t", "\r\n", " \n", "\u00a0", "\u3000"]) * rng.choice(
            [20, 64, 100, 257, 700]
        )

    words = ["", "a", "the", "42", "x=1", ".", "中", "<s>"]
    return "".join(rng.choice(words) + run() for _ in range(rng.randint(1, 3))) + rng.choice(words)


def crlf(rng: random.Random) -> str:
    ends = ["\r\n", "\r\n", "\r\n\r\n", "\n\r", "\r", " \r\n", "\r\n\t", "\r\r\n"]
    return "".join(_sentence(rng) + rng.choice(ends) for _ in range(rng.randint(1, 5)))


def nul(rng: random.Random) -> str:
    pool = ["\0", "\0\0", "a", " the", " ", "\n", "é", "中", "1", "<s>", "'s", "▁"]
    return "".join(rng.choice(pool) for _ in range(rng.randint(1, 9))) + "\0"


def surrogates(rng: random.Random) -> str:
    """What lossy decoding leaves of surrogates: lone, in pairs as three bytes each, at the ends of words."""
    lone = [chr(rng.randrange(0xD800, 0xE000)) for _ in range(4)]
    pool = [*lone, "\ud83d\ude00", "a", " word", " ", "é", "😀", "\n", "12"]
    text = "".join(rng.choice(pool) for _ in range(rng.randint(1, 8)))
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


CATEGORIES: dict[str, tuple[Callable[[random.Random], str], int]] = {
    "prose": (prose, 4000),
    "code": (code, 3500),
    "foreign": (foreign, 2000),
    "cjk": (cjk, 1500),
    "mixed": (mixed, 3000),
    "emoji": (emoji, 700),
    "combining": (combining, 1500),
    "forms": (forms, 800),
    "whitespace": (whitespace, 2500),
    "only_whitespace": (only_whitespace, 500),
    "digits": (digits, 1200),
    "control": (control, 700),
    "broken_utf8": (broken_utf8, 600),
    "any_unicode": (any_unicode, 2500),
    "special": (special, 2500),
    "chat": (chat, 200),
    "long_word": (long_word, 120),
    "thai": (thai, 600),
    "arabic": (arabic, 600),
    "zero_width": (zero_width, 500),
    "long_whitespace": (long_whitespace, 150),
    "crlf": (crlf, 400),
    "nul": (nul, 300),
    "surrogates": (surrogates, 300),
}

TINY = [
    "",
    " ",
    "  ",
    "\n",
    "\t",
    "\0",
    "a",
    "é",
    "中",
    "😀",
    "\u0301",
    "\u200d",
    "'",
    "'s",
    " 's",
    "\ufeff",
    "\r\n",
    " a",
    "a ",
    "Ġ",
    "\ufffd",
]


def texts(seed: int = 0, share: float = 1.0) -> Iterator[tuple[str, str]]:
    """Pairs of category and text; `share` scales how many there are of each category."""
    for text in TINY:
        yield "tiny", text
    for name, (make, count) in CATEGORIES.items():
        rng = random.Random(f"{seed}/{name}")
        for _ in range(max(1, round(count * share))):
            yield name, make(rng)


def own_special(rng: random.Random, tokens: Sequence[str]) -> str:
    """The tokens of one tokenizer inside text: with and without spaces, doubled, cut short, in other cases."""
    around = ["", "", " ", "  ", "\n", "a", " the ", ".", "é", "中", "\0", "1", "\u200b", "\u0301"]
    out = rng.choice(around)
    for _ in range(rng.randint(1, 5)):
        token = rng.choice(tokens)
        changed = rng.random()
        if changed < 0.1:
            token = token[: rng.randrange(len(token) + 1)]
        elif changed < 0.15:
            token = token.swapcase()
        elif changed < 0.25:
            token += token
        out += token + rng.choice(around)
    return out


def texts_with(
    tokens: Sequence[str], seed: int = 0, share: float = 1.0
) -> Iterator[tuple[str, str]]:
    """As `texts`, and some that have the given tokens in them."""
    yield from texts(seed, share)
    rng = random.Random(f"{seed}/own")
    for _ in range(max(8, round(1200 * share)) if tokens else 0):
        yield "own_special", own_special(rng, tokens)


MEGABYTE = 1 << 20


def _filled(parts: Iterator[str], size: int) -> str:
    """Parts one after another up to so many bytes of UTF-8."""
    out = []
    while size > 0:
        out.append(next(parts))
        size -= len(out[-1].encode("utf-8"))
    return "".join(out)


def megabytes(seed: int = 0, size: int = MEGABYTE) -> dict[str, str]:
    """Texts of a megabyte each, or of another size: those on which slow paths show."""
    rng = random.Random(f"{seed}/megabytes")

    def endless(make: Callable[[], str]) -> str:
        return _filled(iter(make, None), size)

    return {
        "prose": endless(lambda: prose(rng) + " "),
        "ab": "ab" * (size // 2),
        "spaces": " " * size,
        "newlines": "\n" * size,
        "letter": "a" * size,
        "cjk": endless(lambda: chr(rng.randint(0x4E00, 0x9FFF))),
        "emoji": endless(lambda: rng.choice(EMOJI)),
        "digits": endless(lambda: rng.choice("0123456789")),
        "word": endless(lambda: rng.choice("abcdefghijklmnopqrstuvwxyz")),
    }


def training_texts(seed: int = 1, count: int = 4000) -> list[str]:
    """Texts to train small tokenizers on: prose and code, and some of everything else."""
    rng = random.Random(f"train/{seed}")
    makers = [prose, prose, prose, code, code, foreign, cjk, mixed, combining, whitespace, digits]
    return [rng.choice(makers)(rng) for _ in range(count)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=1.0)
    args = parser.parse_args()
    for category, text in texts(args.seed, args.share):
        sys.stdout.write(json.dumps({"category": category, "text": text}) + "\n")


if __name__ == "__main__":
    main()
