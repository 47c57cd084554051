"""`Encoding`: the tokens of a text or of a pair of texts, with the interface of `tokenizers.Encoding`.

A view of an `EncodedBatch` of the engine: it copies a column of numbers into a list when it is asked for. Changed
or pickled it has lists of its own (`encoding_edits.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ._engine.encoded import EncodedBatch
from .encoding_edits import COLUMNS, Tokens, filled, joined, parts, ranges_of
from .given import brief


class Encoding:
    """The tokens of a text or of a pair of texts. Every list has an entry for each token."""

    __slots__ = ("_batch", "_begin", "_end", "_fixed", "n_sequences", "overflowing")

    n_sequences: int
    """1 for a text, 2 for a pair."""
    overflowing: list[Encoding]
    """What truncation cut off, in parts as long as what was left."""

    def __init__(self, batch: EncodedBatch, parts: list[tuple[int, int]], n_sequences: int) -> None:
        self._batch: EncodedBatch | None = batch
        self._begin, self._end = parts[0]
        self._fixed: Tokens | None = None
        self.n_sequences = n_sequences
        self.overflowing = [Encoding(batch, [part], n_sequences) for part in parts[1:]]

    def _column(self, name: str) -> list:
        if self._batch is None:
            return self._own(name)
        return self._batch.column(name, self._begin, self._end)

    def _own(self, name: str) -> list:
        assert self._fixed is not None
        return list(self._fixed.columns[name])

    @property
    def ids(self) -> list[int]:
        """Token ids."""
        return self._column("ids")

    @property
    def type_ids(self) -> list[int]:
        """Which text of a pair a token belongs to, by the post-processor's reckoning."""
        return self._column("type_ids")

    @property
    def attention_mask(self) -> list[int]:
        """1, and 0 for padding."""
        return self._column("attention_mask")

    @property
    def special_tokens_mask(self) -> list[int]:
        """1 for tokens that were put around texts and for padding, else 0."""
        return self._column("special_tokens_mask")

    @property
    def tokens(self) -> list[str]:
        """Tokens as the vocabulary spells them; what a Unigram model does not know as the text has it."""
        if self._batch is None:
            return self._own("tokens")
        return self._batch.tokens(self._begin, self._end)

    @property
    def offsets(self) -> list[tuple[int, int]]:
        """The characters of its text that each token stands for, half open; (0, 0) for added tokens."""
        if self._batch is None:
            return self._own("offsets")
        return list(zip(self._column("begins"), self._column("ends"), strict=True))

    @property
    def word_ids(self) -> list[int | None]:
        """The number of each token's word within its text; None for added tokens."""
        if self._batch is None:
            return self._own("word_ids")
        return [None if word < 0 else word for word in self._column("word_ids")]

    words = word_ids

    @property
    def sequence_ids(self) -> list[int | None]:
        """Which text, 0 or 1, each token is from; None for added tokens."""
        if self._fixed is not None:
            return self._fixed.sequence_ids()
        if self._is_untold():
            return [0] * len(self)
        return [None if text < 0 else text for text in self._column("sequence_ids")]

    def _is_untold(self) -> bool:
        """Whether nobody told the text from what is around it: then all is the text, padding and the place
        behind the last token too, as tokenizers have it.
        """
        if self._batch is None:
            return self._fixed is None or not self._fixed.ranges
        return self.n_sequences == 1 and not self._batch.has_post_processor

    def token_to_sequence(self, token_index: int) -> int | None:
        """The text that a token is from."""
        if self._is_untold():
            return 0 if 0 <= token_index <= len(self) else None
        return _at(self.sequence_ids, token_index)

    def token_to_word(self, token_index: int) -> int | None:
        """The word that a token is part of."""
        if self.token_to_sequence(token_index) is None:
            return None
        return _at(self.word_ids, token_index)

    def token_to_chars(self, token_index: int) -> tuple[int, int] | None:
        """The characters that a token stands for."""
        if self.token_to_sequence(token_index) is None:
            return None
        return _at(self.offsets, token_index)

    def word_to_tokens(self, word_index: int, sequence_index: int = 0) -> tuple[int, int] | None:
        """The tokens of a word, first and one past the last."""
        found = [
            at
            for at, (text, word) in enumerate(zip(self.sequence_ids, self.word_ids, strict=True))
            if text == sequence_index and word == word_index
        ]
        return (found[0], found[-1] + 1) if found else None

    def word_to_chars(self, word_index: int, sequence_index: int = 0) -> tuple[int, int] | None:
        """The characters of a word."""
        tokens = self.word_to_tokens(word_index, sequence_index)
        if tokens is None:
            return None
        offsets = self.offsets
        return offsets[tokens[0]][0], offsets[tokens[1] - 1][1]

    def char_to_token(self, char_pos: int, sequence_index: int = 0) -> int | None:
        """The token that stands for a character of a text."""
        for at, (text, (begin, end)) in enumerate(
            zip(self.sequence_ids, self.offsets, strict=True)
        ):
            if text == sequence_index and begin <= char_pos < end:
                return at
        return None

    def char_to_word(self, char_pos: int, sequence_index: int = 0) -> int | None:
        """The word that a character of a text is part of."""
        token = self.char_to_token(char_pos, sequence_index)
        return None if token is None else self.token_to_word(token)

    # changes

    def pad(
        self,
        length: int,
        direction: str = "right",
        pad_id: int = 0,
        pad_type_id: int = 0,
        pad_token: str = "[PAD]",
    ) -> None:
        """Fill up to `length` tokens, what overflowed too. ValueError for a direction that is none."""
        left = _is_left(direction)
        values: dict[str, Any] = dict.fromkeys(COLUMNS, 0)
        values.update(ids=pad_id, type_ids=pad_type_id, tokens=pad_token)
        values.update(offsets=(0, 0), word_ids=None, special_tokens_mask=1)
        for encoding in (self, *self.overflowing):
            encoding._become(filled(encoding._tokens(), length, left, values))

    def truncate(self, max_length: int, stride: int = 0, direction: str = "right") -> None:
        """Cut to `max_length` tokens; the rest, in parts that share `stride` tokens, is what overflows.

        The parts are one text each, whatever they were of before. ValueError for a direction that is none, and
        for a stride that leaves no room.
        """
        left = _is_left(direction)
        if max_length < 0 or stride < 0:
            raise OverflowError(
                f"max_length={max_length}, stride={stride}: expected no negative number"
            )
        if len(self) <= max_length:
            return
        if max_length == 0:
            whole = _made(self._tokens())
            whole.overflowing = self.overflowing
            self._become(Tokens())
            self.overflowing = [whole]
            return
        if stride >= max_length:
            raise ValueError(f"stride {stride} must be less than max_length={max_length}")
        cut = parts(self._tokens(), max_length, stride, left)
        self._become(cut[0])
        self.overflowing = [_made(part) for part in cut[1:]]

    @staticmethod
    def merge(encodings: Sequence[Encoding], growing_offsets: bool = True) -> Encoding:
        """One encoding of several; their offsets go on from one to the next with `growing_offsets`.

        Each part that overflows of one goes with each that overflows of the others.
        """
        merged, overflowing = Tokens(), []
        for encoding in encodings:
            tokens = encoding._tokens()
            others = [other._tokens() for other in encoding.overflowing]
            overflowing = [
                joined(mine, theirs, growing_offsets)
                for mine in overflowing
                for theirs in (tokens, *others)
            ] + [joined(merged, theirs, growing_offsets) for theirs in others]
            merged = joined(merged, tokens, growing_offsets)
        made = _made(merged)
        made.overflowing = [_made(part) for part in overflowing]
        return made

    def set_sequence_id(self, sequence_id: int) -> None:
        """Say that all tokens are of the text of that number."""
        tokens = self._tokens()
        tokens.ranges[sequence_id] = (0, len(tokens))
        self._become(tokens)

    def _tokens(self) -> Tokens:
        """The tokens in lists that may be changed."""
        if self._fixed is not None:
            return Tokens(dict(self._fixed.columns), dict(self._fixed.ranges))
        columns = {name: getattr(self, name) for name in COLUMNS}
        if self._is_untold():
            return Tokens(columns)
        empty = dict.fromkeys(range(self.n_sequences), (0, 0))  # a text may have no tokens
        return Tokens(columns, {**empty, **ranges_of(self.sequence_ids)})

    def _become(self, tokens: Tokens) -> None:
        self._batch, self._fixed = None, tokens
        self._begin, self._end = 0, len(tokens)
        self.n_sequences = tokens.n_sequences

    def __len__(self) -> int:
        return self._end - self._begin

    def __repr__(self) -> str:
        return (
            f"Encoding(num_tokens={len(self)}, attributes=[ids, type_ids, tokens, offsets, "
            "attention_mask, special_tokens_mask, overflowing])"
        )

    def __getstate__(self) -> dict[str, Any]:
        return {
            "tokens": self._tokens(),
            "sequences": self.n_sequences,
            "overflowing": self.overflowing,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._become(state["tokens"])
        self.n_sequences, self.overflowing = state["sequences"], state["overflowing"]


def _made(tokens: Tokens) -> Encoding:
    out = Encoding.__new__(Encoding)
    out._become(tokens)
    out.overflowing = []
    return out


def _is_left(direction: str) -> bool:
    if direction not in ("left", "right"):
        raise ValueError(f"unknown direction {brief(direction)}: expected 'left' or 'right'")
    return direction == "left"


def _at(values: list, index: int) -> Any:
    return values[index] if 0 <= index < len(values) else None
