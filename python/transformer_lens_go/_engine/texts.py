"""Many texts as one string, which is how they cross into the engine and back (see pybind/texts.go)."""

from __future__ import annotations

from collections.abc import Sequence

from ..given import brief

__all__ = ["pack", "unpack"]


def pack(texts: Sequence[str]) -> str:
    """Texts as "LENGTHS;NULS;TEXT", in characters. TypeError for what is no text: lone surrogates are none."""
    try:
        text = "".join(texts)
    except TypeError:
        wrong = next(text for text in texts if not isinstance(text, str))
        raise TypeError(
            f"expected text to tokenize, got {type(wrong).__name__}: {brief(wrong)}"
        ) from None
    if not text.isascii():
        _refuse_surrogates(texts, text)
    lengths = str(len(text)) if len(texts) == 1 else ",".join(map(str, map(len, texts)))
    if "\0" not in text:
        return f"{lengths};;{text}"
    nuls = ",".join(str(place) for place, char in enumerate(text) if char == "\0")
    return f"{lengths};{nuls};{text.replace(chr(0), ' ')}"


def _refuse_surrogates(texts: Sequence[str], text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        bad = next(text for text in texts if any("\ud800" <= c <= "\udfff" for c in text))
        raise TypeError(
            f"text with an unpaired surrogate cannot be tokenized: {brief(bad)}"
        ) from None


def unpack(packed: str) -> list[str]:
    """The texts that the engine packed."""
    lengths, nuls, text = packed.split(";", 2)
    if nuls:
        chars = list(text)
        for place in map(int, nuls.split(",")):
            chars[place] = "\0"
        text = "".join(chars)
    if "," not in lengths:
        return [text] if lengths else []
    out, at = [], 0
    for length in map(int, lengths.split(",")):
        out.append(text[at : at + length])
        at += length
    return out
