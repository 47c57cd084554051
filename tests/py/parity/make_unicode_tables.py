"""Write the tables of Unicode that golens/tokenizer reads, as the package tokenizers shows that it has them.

    python tests/py/parity/make_unicode_tables.py

Its parts know several versions of Unicode (the normal forms 9.0, lower case 17.0), so each is asked about every code
point. Three files are written; all numbers are hexadecimal but combining classes.

- unicode_sets.txt, unicode_scripts.txt: a name, a colon, and ranges of code points. Of scripts, and of what cutting
  into grapheme clusters needs (Unicode 17.0), which cannot be asked for one by one, the names and the latter's ranges
  are those that the present files list.
- unicode_lower.txt: ranges of letters (/2: every second one) with how far away their lower case is.
- unicode_forms.txt.gz: lines of the normal forms. `c=a b`: a and b compose c. `c:a ...`: c becomes these for good.
  `c~a ...`: so does it in the compatibility forms alone. `class: ...`: ranges of a combining class.
"""

from __future__ import annotations

import gzip
import textwrap
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

from tokenizers import normalizers, pre_tokenizers

OUT = Path(__file__).resolve().parents[3] / "golens" / "tokenizer"
POINTS = [*range(0xD800), *range(0xE000, 0x110000)]

Ranges = list[tuple[int, int]]
Table = dict[str, Ranges]

# Not measured: the sets of Unicode Standard Annex 29.
GRAPHEMES = (
    "linker conjunctExtend Control Extend Extended_Pictographic InCB_Consonant Prepend SpacingMark L V T"
    " Regional_Indicator"
).split()
TWO_LETTERS = ord("İ")  # the one letter whose lower case is two


# ---- sets ----


def ranges(points: Iterable[int]) -> Ranges:
    found: Ranges = []
    for point in points:
        if found and found[-1][1] + 1 == point:
            found[-1] = found[-1][0], point
        else:
            found.append((point, point))
    return found


def words(found: Ranges) -> list[str]:
    return [f"{lo:X}" if lo == hi else f"{lo:X}-{hi:X}" for lo, hi in found]


def read(name: str) -> Table:
    """A file of sets as it is now."""
    table: Table = {}
    at = ""
    for word in (OUT / name).read_text().split():
        if word.endswith(":"):
            at = word[:-1]
            table[at] = []
        else:
            lo, _, hi = word.partition("-")
            table[at].append((int(lo, 16), int(hi or lo, 16)))
    return table


def written(table: Table) -> str:
    lines = []
    for name, found in table.items():
        text = " ".join([f"{name}:", *words(found)])
        lines += textwrap.wrap(text, 100, subsequent_indent=" ", break_on_hyphens=False)
    return "\n".join(lines) + "\n"


def removed_by(normalizer: normalizers.Normalizer) -> Ranges:
    return ranges(p for p in POINTS if normalizer.normalize_str(chr(p)) == "")


def parts_of(cutter: pre_tokenizers.PreTokenizer, around: str) -> dict[int, int]:
    """Into how many parts each code point is cut, with the same text on both sides."""
    return {p: len(cutter.pre_tokenize_str(f"{around}{chr(p)}{around}")) for p in POINTS}


def sets() -> str:
    bert = normalizers.BertNormalizer
    off = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    alone = parts_of(pre_tokenizers.Punctuation(), "a")
    joined = parts_of(pre_tokenizers.Whitespace(), "a")
    digits = parts_of(pre_tokenizers.Digits(individual_digits=True), "a")
    table = {
        "punctuation": ranges(p for p in POINTS if alone[p] == 3),
        "unclean": removed_by(bert(**{**off, "clean_text": True})),
        "nonspacing": removed_by(bert(**{**off, "strip_accents": True})),
        "combining": removed_by(normalizers.StripAccents()),
        "numeric": ranges(p for p in POINTS if digits[p] == 3),
        "word": ranges(p for p in POINTS if joined[p] == 1),
    }
    present = read("unicode_sets.txt")
    return written({**table, **{name: present[name] for name in GRAPHEMES}})


# ---- scripts ----


def script_of(point: int, samples: dict[str, str], guess: str | None) -> str | None:
    """The script whose sample text does not part from a character, or None when no text does."""
    cut = pre_tokenizers.UnicodeScripts().pre_tokenize_str
    # What has no script goes with both neighbours. Kana count as Han there: the guess tells them apart.
    if len(cut(samples["Latin"] + chr(point) + samples["Latin"])) == 1 and guess != "Latin":
        if len(cut(samples["Greek"] + chr(point) + samples["Greek"])) == 1:
            return None
        return "Latin"
    for name in [guess, *samples]:
        if name is not None and len(cut(samples[name] + chr(point))) == 1:
            return name
    raise ValueError(f"U+{point:04X} is of a script that unicode_scripts.txt does not name")


def scripts() -> str:
    present = read("unicode_scripts.txt")
    guesses = {
        p: name for name, found in present.items() for lo, hi in found for p in range(lo, hi + 1)
    }
    samples = {name: chr(found[0][0]) for name, found in present.items()}
    points: dict[str, list[int]] = {name: [] for name in present}
    for point in POINTS:
        name = script_of(point, samples, guesses.get(point))
        if name is not None:
            points[name].append(point)
    return written({name: ranges(found) for name, found in points.items()})


# ---- lower case ----


def lower() -> str:
    to_lower = normalizers.Lowercase().normalize_str
    pairs = [(p, to_lower(chr(p))) for p in POINTS if to_lower(chr(p)) != chr(p)]
    assert [p for p, text in pairs if len(text) != 1] == [TWO_LETTERS]
    left = {p: ord(text) - p for p, text in pairs if p != TWO_LETTERS}
    out = []
    while left:
        start = next(iter(left))
        delta = left[start]
        step = 2 if left.get(start + 1) != delta and left.get(start + 2) == delta else 1
        stop = start
        while left.get(stop) == delta:
            del left[stop]
            stop += step
        last = stop - step
        assert not any(p < last for p in left), "ranges would overlap"
        span = (
            f"{start:X}" if start == last else f"{start:X}-{last:X}" + ("/2" if step == 2 else "")
        )
        out.append(f"{span}:{delta:+X}")
    return "\n".join(textwrap.wrap(" ".join(out), 100, break_on_hyphens=False)) + "\n"


# ---- normal forms ----


def is_hangul(point: int) -> bool:
    """Syllables of Hangul are taken apart and composed by arithmetic."""
    return 0xAC00 <= point < 0xAC00 + 11172


def codes(text: str) -> str:
    return " ".join(f"{ord(char):X}" for char in text)


def decompositions() -> list[str]:
    nfc, nfd, nfkd = (
        form().normalize_str for form in (normalizers.NFC, normalizers.NFD, normalizers.NFKD)
    )
    lines = []
    for point in POINTS:
        char = chr(point)
        canonical, compatible = nfd(char), nfkd(char)
        if is_hangul(point):
            continue
        if canonical != char:
            first = nfc(canonical[:-1])
            if len(canonical) > 1 and len(first) == 1 and nfc(first + canonical[-1]) == char:
                lines.append(f"{point:X}={codes(first + canonical[-1])}")
            else:
                assert nfc(char) != char
                lines.append(f"{point:X}:{codes(canonical)}")
        if compatible != canonical:
            lines.append(f"{point:X}~{codes(compatible)}")
    return lines


def classes() -> list[str]:
    """Combining classes: Unicode's, where the normalizer knows the character, as its order of marks shows."""
    nfd = normalizers.NFD().normalize_str
    known: dict[int, int] = {}
    for point in POINTS:
        char, of = chr(point), unicodedata.combining(chr(point))
        if nfd(char) != char:
            continue
        # \u0334 is of class 1, \u0345 of the last.
        if (
            nfd(f"{char}\u0334") != f"{char}\u0334"
            or nfd(f"\u0345{char}") != f"\u0345{char}"
            or (char in "\u0334\u0345")
        ):
            assert of != 0, f"U+{point:04X} is newer than Python's unicodedata"
            known[point] = of
    samples = {of: chr(point) for point, of in known.items()}
    for point, of in known.items():
        for other, sample in samples.items():
            both = sample + chr(point)
            assert (nfd(both) != both) == (other > of), f"U+{point:04X} is not of class {of}"
    return [
        f"class{of}: " + " ".join(words(ranges(p for p in known if known[p] == of)))
        for of in sorted(samples)
    ]


def forms() -> str:
    return "\n".join(decompositions() + classes()) + "\n"


TABLES: dict[str, Callable[[], str]] = {
    "unicode_sets.txt": sets,
    "unicode_scripts.txt": scripts,
    "unicode_lower.txt": lower,
    "unicode_forms.txt.gz": forms,
}


def stored(name: str) -> str:
    """What a file has now."""
    data = (OUT / name).read_bytes()
    return (gzip.decompress(data) if name.endswith(".gz") else data).decode()


def main() -> None:
    for name, make in TABLES.items():
        data = make().encode()
        if name.endswith(".gz"):
            data = gzip.compress(data, 9, mtime=0)
        (OUT / name).write_bytes(data)
        print(f"{name}: {len(data)} bytes")


if __name__ == "__main__":
    main()
