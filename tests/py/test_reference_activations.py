"""Every activation of stored checkpoints: names, order, shapes, values, and what an edit of each does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from .reference import (
    GATES,
    LIBRARY,
    NAMES,
    TOLERANCE,
    check,
    edit_hook,
    fingerprint,
    gate_of,
    model,
    reference,
    relative_error,
    to_numpy,
)

pytestmark = pytest.mark.parametrize("name", NAMES)


def test_hook_names(name: str) -> None:
    want = reference(name).facts["hook_dict"]
    got = {key: point.name for key, point in model(name).hook_dict.items()}
    assert got == want
    assert list(got) == list(want)


def test_everything_cached(name: str) -> None:
    stored, m = reference(name), model(name)
    logits, cache = m.run_with_cache(stored.ids())
    stored.check(logits, "logits")
    assert list(cache.keys()) == stored.facts["cached"]
    canonical = stored.facts["hook_dict"]
    for key in cache.keys():
        want = stored.arrays[f"cache/{canonical[key]}"]
        check(cache[key], want, f"{name}: {key}")
        assert np.shares_memory(to_numpy(cache[key]), to_numpy(cache[canonical[key]])), key


def test_one_at_a_time(name: str) -> None:
    """An activation asked for alone is what it is among all the others, and needs no logits."""
    stored, m = reference(name), model(name)
    for key in stored.facts["cached"]:
        nothing, cache = m.run_with_cache(stored.ids(), names_filter=key, return_type=None)
        assert nothing is None
        canonical = stored.facts["hook_dict"][key]
        assert set(cache.keys()) == {key, canonical}
        check(cache[key], stored.arrays[f"cache/{canonical}"], f"{name}: {key} alone")


@pytest.mark.parametrize("gate", list(dict.fromkeys(GATES.values())))
def test_gated(name: str, gate: str) -> None:
    stored, m = reference(name), model(name)
    wanted = [key for key in m.hook_dict if gate_of(key) == gate and key.startswith("blocks.1")]
    getattr(m, f"set_{gate}")(True)
    try:
        logits, cache = m.run_with_cache(stored.ids(), names_filter=wanted)
    finally:
        getattr(m, f"set_{gate}")(False)
    stored.check(logits, "logits")
    assert set(wanted) <= set(cache.keys())
    for key in wanted:
        want = stored.arrays[f"gated/{stored.facts['hook_dict'][key]}"]
        check(cache[key], want, f"{name}: {key}")


def _run_edit(m: Any, tokens: Any, index: int, edit: list[Any]) -> Any:
    hook_name, gate, writes, _ = edit
    if gate:
        getattr(m, f"set_{gate}")(True)
    try:
        return m.run_with_hooks(tokens, fwd_hooks=[(hook_name, edit_hook(index, writes))])
    finally:
        if gate:
            getattr(m, f"set_{gate}")(False)


def test_edits(name: str) -> None:
    stored, m = reference(name), model(name)
    clean = fingerprint(stored.arrays["logits"])
    wrong, visible = [], 0
    for row, edit in enumerate(stored.facts["edits"]):
        if edit[3] and LIBRARY == "transformer_lens":
            continue
        # both edits of a hook point, returned and in place, make the same change
        got = fingerprint(_run_edit(m, stored.ids(), row // 2, edit))
        want = stored.arrays["edits"][row]
        visible += not np.allclose(want, clean, atol=1e-3)
        error = relative_error(got, want)
        if not error <= TOLERANCE:
            wrong.append(f"{edit[0]} {'in place' if edit[2] else 'returned'}: {error:.3g}")
    assert visible > 0.9 * len(stored.facts["edits"])
    assert not wrong, f"{name}: relative errors of the logits after an edit\n" + "\n".join(wrong)
    check(m(stored.ids()), stored.arrays["logits"], f"{name}: logits after all the edits")
