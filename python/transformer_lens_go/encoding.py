"""`Encoding`: the tokens of a text or of a pair of texts, with the interface of `tokenizers.Encoding`.

A view of an `EncodedBatch` of the engine; it copies a column of numbers into a list when it is asked for.
"""

from __future__ import annotations

from typing import Any

from ._engine.encoded import EncodedBatch

_COLUMNS = (
    "ids",
    "type_ids",
    "attention_mask",
    "special_tokens_mask",
    "offsets",
    "tokens",
    "word_ids",
    "sequence_ids",
)


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
        self._fixed: dict[str, list] = {}
        self.n_sequences = n_sequences
        self.overflowing = [Encoding(batch, [part], n_sequences) for part in parts[1:]]

    def _column(self, name: str) -> list:
        if self._batch is None:
            return list(self._fixed[name])
        return self._batch.column(name, self._begin, self._end)

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
            return list(self._fixed["tokens"])
        return self._batch.tokens(self._begin, self._end)

    @property
    def offsets(self) -> list[tuple[int, int]]:
        """The characters of its text that each token stands for, half open; (0, 0) for added tokens."""
        if self._batch is None:
            return list(self._fixed["offsets"])
        return list(zip(self._column("begins"), self._column("ends"), strict=True))

    @property
    def word_ids(self) -> list[int | None]:
        """The number of each token's word within its text; None for added tokens."""
        if self._batch is None:
            return list(self._fixed["word_ids"])
        return [None if word < 0 else word for word in self._column("word_ids")]

    words = word_ids

    @property
    def sequence_ids(self) -> list[int | None]:
        """Which text, 0 or 1, each token is from; None for added tokens."""
        if self._batch is None:
            return list(self._fixed["sequence_ids"])
        if self._is_untold():
            return [0] * len(self)
        return [None if text < 0 else text for text in self._column("sequence_ids")]

    def _is_untold(self) -> bool:
        """Whether nobody told the text from what is around it: then all is the text, padding and the place
        behind the last token too, as tokenizers have it.
        """
        return (
            self._batch is not None and self.n_sequences == 1 and not self._batch.has_post_processor
        )

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

    def __len__(self) -> int:
        return self._end - self._begin

    def __repr__(self) -> str:
        return (
            f"Encoding(num_tokens={len(self)}, attributes=[ids, type_ids, tokens, offsets, "
            "attention_mask, special_tokens_mask, overflowing])"
        )

    def __getstate__(self) -> dict[str, Any]:
        fixed = {name: getattr(self, name) for name in _COLUMNS}
        return {"fixed": fixed, "sequences": self.n_sequences, "overflowing": self.overflowing}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._batch, self._fixed = None, state["fixed"]
        self._begin, self._end = 0, len(self._fixed["ids"])
        self.n_sequences, self.overflowing = state["sequences"], state["overflowing"]


def _at(values: list, index: int) -> Any:
    return values[index] if 0 <= index < len(values) else None
