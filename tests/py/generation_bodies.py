"""What is asked of generation and of cached runs where results are stored: for torch tensors and NumPy arrays alike.

parity/make_generation_data.py asks transformer_lens, test_reference_generation.py asks transformer_lens_go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import reference as ref

IDS = np.array([[7, 41, 132, 9, 88], [250, 12, 3, 67, 30]])
MASK = np.array([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]])


def ids(rows: slice = slice(None), columns: slice = slice(None)) -> Any:
    return ref.to_library(np.ascontiguousarray(IDS[rows, columns]))


def greedy(model: Any, given: Any, **options: Any) -> Any:
    options = dict(max_new_tokens=14, stop_at_eos=False, verbose=False) | options
    return model.generate(given, do_sample=False, **options)


def chunks(model: Any) -> Any:
    """The last logits of two runs behind a cache."""
    _, cache = model(ids(columns=slice(3)), return_type="logits_and_cache")
    logits = [
        model(ids(columns=slice(at, at + 1)), past_key_values=cache)[:, -1, :40] for at in (3, 4)
    ]
    # transformers drops what has left a sliding window: the last two are there in every family
    return [*logits, cache.layers[1].keys[:, :, -2:, :2], cache.layers[0].values[:, :, -2:, :3]]


BODIES: dict[str, Callable[[Any], Any]] = {
    "greedy": lambda m: greedy(m, ids()),
    "no cache": lambda m: greedy(m, ids(), use_past_kv_cache=False),
    "repetition": lambda m: greedy(m, ids(), repetition_penalty=1.5),
    "masked": lambda m: greedy(m, ids(), attention_mask=ref.to_library(MASK)),
    "texts": lambda m: greedy(m, ref.TEXTS, return_type="tokens"),
    "text": lambda m: greedy(m, ref.TEXTS[0]),
    "stop string": lambda m: greedy(m, ref.TEXTS[0], stop_strings="e", return_type="tokens"),
    "eos": lambda m: greedy(m, ids(), stop_at_eos=True, eos_token_id=int(greedy(m, ids())[0, 8])),
    "stream": lambda m: list(
        m.generate_stream(
            ids(),
            max_new_tokens=7,
            max_tokens_per_yield=3,
            do_sample=False,
            stop_at_eos=False,
            verbose=False,
        )
    ),
    "chunks": chunks,
}
