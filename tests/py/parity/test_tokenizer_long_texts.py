"""`Tokenizer` against tokenizers.Tokenizer on long texts: nine kinds, a megabyte each with --all."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest.importorskip("tokenizers")
pytest.importorskip("transformers")
pytest.importorskip("sentencepiece")

from .encodings import Tally, differing
from .tokenizer_pairs import KINDS, Both
from .tokenizer_texts import MEGABYTE, megabytes


@pytest.mark.parametrize("name", KINDS)
def test_long_texts(name: str, both: Callable[[str], Both], seed: int, everything: bool) -> None:
    theirs, ours, _ = both(name)
    tally = Tally()
    for kind, text in megabytes(seed, MEGABYTE if everything else MEGABYTE >> 7).items():
        got, want = ours.encode(text), theirs.encode(text)
        difference = differing(got, want)
        if ours.decode(got.ids) != theirs.decode(want.ids):
            difference = difference or "decoded"
        tally.add(kind, difference)
    assert not tally.wrong, "\n".join(tally.wrong)
