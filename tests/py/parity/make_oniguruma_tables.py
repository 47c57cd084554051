"""Write the tables of golens/tokenizer/oniguruma: the properties of characters and their case folding.

Needs the package tokenizers, whose Oniguruma is asked for every name that the present table lists:

    python tests/py/parity/make_oniguruma_tables.py

A property is a line: its names, a colon, and the gaps and lengths of its ranges in hexadecimal. The
folding is a line for each set of characters that are equal when case is ignored, and for each
character that equals several, with these.
"""

from __future__ import annotations

import gzip
from pathlib import Path

from tokenizers import Regex
from tokenizers.pre_tokenizers import Split

OUT = Path(__file__).resolve().parents[3] / "golens" / "tokenizer" / "oniguruma"

# \w outside of brackets takes the characters below 256 from another table than inside.
OUTSIDE = "outsideword"


def code_points() -> list[int]:
    """All that is assigned, and of the planes where nothing is, every 64th and their ends."""
    whole = [*range(0xD800), *range(0xE000, 0x33480), *range(0xE0000, 0xE0200)]
    rest = [*range(0x33480, 0xE0000), *range(0xE0200, 0x110000)]
    sparse = [at for at in rest if at % 64 == 0 or at % 0x10000 >= 0xFFF0 or at % 0x10000 < 16]
    return sorted(whole + sparse)


POINTS = code_points()
TEXT = "".join(map(chr, POINTS))


def ranges(expression: str) -> list[tuple[int, int]]:
    """The ranges of code points that a class of one character has."""
    cut = Split(Regex(f"(?:{expression})+"), "removed", invert=True)
    out = []
    for _, (start, end) in cut.pre_tokenize_str(TEXT):
        lo, hi = POINTS[start], POINTS[end - 1]
        if lo < 0xD800 <= hi:
            out += [(lo, 0xD7FF), (0xE000, hi)]
        else:
            out.append((lo, hi))
    return out


def encoded(found: list[tuple[int, int]]) -> str:
    at, words = 0, []
    for lo, hi in found:
        words += [f"{lo - at:x}", f"{hi - lo:x}"]
        at = hi + 1
    return " ".join(words)


def write(name: str, lines: list[str]) -> None:
    data = gzip.compress("\n".join(lines).encode(), 9, mtime=0)
    (OUT / name).write_bytes(data)
    print(f"{name}: {len(lines)} lines, {len(data)} bytes")


def property_names() -> list[str]:
    with gzip.open(OUT / "properties.txt.gz", "rt") as lines:
        names = [name for line in lines for name in line.split(":")[0].split()]
    return sorted(name for name in names if name != OUTSIDE)


def properties(names: list[str]) -> None:
    sets: dict[str, list[str]] = {encoded(ranges(r"\w")): [OUTSIDE]}
    for name in names:
        sets.setdefault(encoded(ranges(rf"[\p{{{name}}}]")), []).append(name)
    write("properties.txt.gz", sorted(f"{' '.join(names)}:{text}" for text, names in sets.items()))


def folding() -> None:
    cased = ranges(r"[\p{Cased}\p{Changes_When_Casefolded}\p{M}]")
    candidates = "".join(chr(at) for lo, hi in cased for at in range(lo, hi + 1))
    seen: set[int] = set()
    lines = []
    for code in map(ord, candidates):
        equal = [] if code in seen else equal_to(code, candidates)
        if len(equal) > 1:
            seen.update(equal)
            lines.append(" ".join(f"{at:x}" for at in equal))
    for code in POINTS:
        several = chr(code).casefold()
        if len(several) > 1:
            found = Split(Regex(rf"(?i)\A[\x{{{code:x}}}]\z"), "removed").pre_tokenize_str(several)
            assert found == [], f"U+{code:04X} does not equal {several!r}"
            lines.append(f"{code:x}=" + " ".join(f"{ord(char):x}" for char in several))
    write("folding.txt.gz", lines)


def equal_to(code: int, candidates: str) -> list[int]:
    """The single characters that equal one when case is ignored."""
    cut = Split(Regex(rf"(?i)[\x{{{code:x}}}]"), "removed", invert=True)
    found = cut.pre_tokenize_str(candidates)
    return [ord(candidates[start]) for _, (start, end) in found if end - start == 1]


if __name__ == "__main__":
    folding()
    properties(property_names())
