"""What encoding texts gave: one array of numbers (see TokenizerEncode in pybind/encodings.go), read by columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .tokenizer import EngineTokenizer

__all__ = ["Asked", "EncodedBatch"]

_LEAN = ("ids", "type_ids", "attention_mask", "special_tokens_mask")
_COLUMNS = (*_LEAN, "begins", "ends", "word_ids", "sequence_ids")
_PLACES = {name: place for place, name in enumerate(_COLUMNS)}

Asked = tuple[str, str, str]
"""What was asked, as it crosses into the engine: options, numbers of words, texts."""


class EncodedBatch:
    """The encodings of a batch of texts. Where they were not asked for in detail, offsets, words and the
    spelling of tokens are made for the whole batch when first looked at.
    """

    __slots__ = ("_asked", "_engine", "_head", "_numbers", "_surface", "_total")

    def __init__(self, engine: EngineTokenizer, asked: Asked, detailed: bool) -> None:
        self._engine = engine
        self._asked = None if detailed else asked
        self._numbers = engine.numbers(asked, detailed)
        self._head, self._total = self._numbers[0], self._numbers[1]
        self._surface: dict[int, str] | None = None

    @property
    def has_post_processor(self) -> bool:
        """Whether the tokenizer finishes encodings in any way."""
        return self._engine.info["post_processor"]

    def parts(self) -> list[list[tuple[int, int]]]:
        """For each encoding where it begins and ends in the columns, and then what overflowed of it."""
        head = self._numbers[2 : self._head].tolist()
        if head[:2] == [1, 1]:  # one text, nothing of it cut off
            return [[(0, self._total)]]
        out, at, place = [], 1, 0
        for _ in range(head[0]):
            row = []
            for length in head[at + 1 : at + 1 + head[at]]:
                row.append((place, place + length))
                place += length
            at += 1 + head[at]
            out.append(row)
        return out

    def column(self, name: str, begin: int, end: int) -> list[int]:
        """A stretch of a column."""
        which = _PLACES[name]
        if which >= len(_LEAN):
            self._look_closer()
        at = self._head + which * self._total
        return self._numbers[at + begin : at + end].tolist()

    def tokens(self, begin: int, end: int) -> list[str]:
        """The spelling of a stretch of tokens."""
        surface, known = self._spellings(), self._engine.spellings
        ids = self.column("ids", begin, end)
        if not surface:
            return [known[index] or "" for index in ids]
        return [
            surface[at] if at in surface else known[index] or ""
            for at, index in enumerate(ids, begin)
        ]

    def _look_closer(self) -> None:
        if self._asked is not None:
            self._numbers = self._engine.numbers(self._asked, True)
            self._asked = None

    def _spellings(self) -> dict[int, str]:
        """The tokens that read other than their id says, by their number."""
        if self._surface is None:
            self._look_closer()
            at = self._head + len(_COLUMNS) * self._total
            count = self._numbers[at]
            places = self._numbers[at + 1 : at + 1 + 2 * count].tolist()
            text = self._numbers[at + 1 + 2 * count :].tobytes()
            self._surface, done = {}, 0
            for token, size in zip(places[::2], places[1::2], strict=True):
                self._surface[token] = text[done : done + size].decode()
                done += size
        return self._surface
