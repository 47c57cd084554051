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
from collections.abc import Callable, Iterator


def _words(text: str) -> list[str]:
    return text.split(" ")


WORDS = _words(
    "the of and to in a is that it was for on are as with his they at be this from have "
    "or by one had not but what all were when we there can an your which their said if "
    "do will each about how up out them then she many some so these would other into has "
    "more her two like him see time could no make than first been its who now people my "
    "made over did down only way find use may water long little very after words called "
    "just where most know Paris France capital London don't we'll IT'S I'm I'M you've "
    "they're he'd SHE'D let's 'tis o'clock rock'n'roll tokenization interpretability "
    "attention residual stream transformer activation patching logit hook"
)

FOREIGN = _words(
    "naïve café Ångström Straße ÀÉÎ ßẞ İstanbul ıI œuvre çédille żółć příliš žluťoučký "
    "kůň Đặng ngữ Привет мир Ελλάδα ὀδύσσεια ς שלום עולם مرحبا العربية हिन्दी नमस्ते ไทย "
    "ภาษา தமிழ் ქართული አማርኛ 中文 汉字漢字 日本語 ひらがな カタカナ ｶﾞ 한국어 각 ㄱㅏ བོད་ မြန်မာ ខ្មែរ ᚠᚢᚦ 𐍈 "
    "𝒜𝓫𝔠 𠀀𠮷 Ａｂｃ１２３ ①②Ⅷ½² ﬁﬂ ŉ ǆ K Å Ω"
)

EMOJI = [
    "😀",
    "👍🏿",
    "👩‍👩‍👧‍👦",
    "👨🏽‍💻",
    "🏳️‍🌈",
    "❤️",
    "🇫🇷",
    "🇩🇪🇯🇵",
    "1️⃣",
    "🧑‍🚀",
    "☕",
    "✂️",
    "🤷‍♀️",
    "\U0001fae0",
    "🏴\U000e0067\U000e0062\U000e007f",
]

SYMBOLS = _words(
    ". , ; : ! ? ... !!! ?! -- — – - ( ) [ ] { } < > << >> <= != == => -> // /* */ # ## "
    "@x %d & && | || * ** + ++ = ~ ` ``` ' '' \" \"\" \\ \\n / ^ $ $5 €10 £ ¥ § © ® ™ ° « » “ "
    "” ‘ ’ … • · ¿ ¡ _ __init__ 's 'S 'LL 'ſ 'ret ʼn http://a.b/c?d=e&f=1#g x@y.org 3.14 "
    "1,000.50 1e-9 0xFF 2024-01-31 10:45:07 ½ ² ٣ १२३ 12345678901234567890"
)

SPACES = [
    " ",
    "  ",
    "   ",
    "    ",
    " " * 8,
    " " * 17,
    " " * 33,
    "\t",
    "\t\t",
    "\n",
    "\n\n",
    "\n\n\n",
    "\r\n",
    "\r",
    "\r\n\r\n",
    " \n",
    "\n ",
    "\u00a0",
    "\u3000",
    "\u2003",
    "\u2009\u200a",
    "\x0b",
    "\x0c",
    "\u2028",
    "\u2029",
    "\u0085",
    "\u200b",
    "\ufeff",
    "\u1680",
    "\x1c",
]

MARKS = [
    "\u0300",
    "\u0301",
    "\u0302",
    "\u0308",
    "\u030a",
    "\u0323",
    "\u0327",
    "\u0328",
    "\u0338",
    "\u0345",
    "\u035c",
    "\u05b7",
    "\u05bc",
    "\u064e",
    "\u0651",
    "\u093c",
    "\u094d",
    "\u0e48",
    "\u0f71",
    "\u0f72",
    "\u1161",
    "\u11a8",
    "\u3099",
    "\u309a",
    "\u20d7",
    "\u200c",
    "\u200d",
    "\ufe0f",
    "\ufe0e",
    "\u08ca",
    "\u1abf",
    "\U0001e2ec",
    "\u0898",
    "\U00011930",
]

SPECIAL = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|eot_id|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<s>",
    "</s>",
    "<unk>",
    "<pad>",
    "<mask>",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "[UNK]",
    "<repo_name>",
    "<file_sep>",
    "<|endoftext",
    "|endoftext|>",
    "<|im_start|",
    "<0x0A>",
    "<0xE4>",
    "▁",
    "▁▁",
    "Ġ",
    "ĠĠ",
    "Ċ",
    "ĉ",
    "##ing",
    "</w>",
    "<extra_id_0>",
    "<lstrip>",
    "<rstrip>",
    "<both>",
    "<word>",
    "<normed>",
]

CODE = [
    "def forward(self, x: torch.Tensor) -> torch.Tensor:\n    return self.ln(x + self.attn(x))\n",
    "for (int i = 0; i < n; ++i) {\n\tsum += a[i] * b[i];\r\n}\n",
    'if err := json.Unmarshal(raw, &cfg); err != nil {\n\t\treturn nil, fmt.Errorf("%w", err)\n\t}\n',
    "SELECT COUNT(*) FROM users WHERE name LIKE '%o''k%' AND age >= 18;\n",
    "<div class=\"a b\" id='x'>&nbsp;<br/></div>\n",
    'let mut v: Vec<u8> = vec![0x1F, 0b1010, 1_000];\n    println!("{:?}", v);\n',
    '{"key": [1, 2.5, -3e10, null, true], "nested": {"a": "\\u00e9"}}',
    "$ pip install --upgrade foo==1.2.3  # comment\n",
    'class A(B):\n\n    """Doc."""\n\n    x = 1\n        \n',
    "a_b.c->d::e[f]?.g!==h<<1>>>2|3&~4^5%6\n",
    "# -*- coding: utf-8 -*-\nimport os, sys\nfrom .x import (y,\n              z)\n",
]


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
