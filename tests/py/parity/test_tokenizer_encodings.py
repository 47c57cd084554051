"""`Tokenizer` against tokenizers.Tokenizer, every attribute of every encoding: real vocabularies and trained kinds.

The sample of texts is small by default. With --all each tokenizer gets more than 20,000 texts, and pairs with
truncation and padding; the counts go into docs/parity.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("tokenizers")
pytest.importorskip("transformers")
pytest.importorskip("sentencepiece")

from .encodings import Tally, compare_texts
from .random_batches import compare_batches
from .table import COUNTED
from .tokenizer_pairs import KINDS, Both
from .tokenizer_texts import texts_with

SAMPLE, WHOLE = 0.005, 0.66  # of the generator's texts: about 170 and 21,000


def own_tokens(core: Any) -> list[str]:
    """Its added tokens; of many alike (T5's sentinels) a few."""
    return [token.content for token in core.get_added_tokens_decoder().values()][:40]


@pytest.mark.parametrize("name", KINDS)
def test_texts_and_batches(
    name: str,
    both: Callable[[str], Both],
    seed: int,
    everything: bool,
    record_property: Callable[[str, Any], None],
) -> None:
    theirs, ours, form = both(name)
    share = WHOLE if everything else SAMPLE
    samples = [text for _, text in texts_with(own_tokens(theirs), seed, share)]
    tally = Tally()
    compare_texts(ours, theirs, samples, tally)
    batches = compare_batches(ours, theirs, samples, f"{seed}/{name}", 500 if everything else 30)
    row = (tally.compared, tally.equal, batches.compared, batches.equal)
    record_property(COUNTED, (name, form, *row))
    assert not tally.wrong, "\n".join(tally.wrong)
    assert not batches.wrong, "\n".join(batches.wrong)
    assert ours.get_vocab() == theirs.get_vocab()
