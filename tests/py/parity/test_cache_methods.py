"""The methods of ActivationCache: the residual stream taken apart, names, slices of the batch."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch

from . import libs, tiny

KINDS = ["gpt2", "llama_gqa"]
LAYERS = (None, -1, 0, 1, 2)
POSITIONS = (None, -1, (1, 4), [0, 2])
FLAGS = (False, True)


def caches(models: libs.Pair, seed: int, batch: int, batchless: bool = False) -> libs.Pair:
    """The caches of one run of both models."""
    tokens = tiny.random_tokens(seed, (batch, 6))
    made = []
    for model in (models.reference, models.subject):
        _, cache = model.run_with_cache(tokens)
        made.append(cache.remove_batch_dim() if batchless else cache)
    return libs.Pair(*made)


def calls() -> list[tuple[str, dict[str, Any]]]:
    """Methods and arguments, all combinations that mean something."""
    found: list[tuple[str, dict[str, Any]]] = []
    for layer, position, norm, mid in itertools.product(LAYERS, POSITIONS, FLAGS, FLAGS):
        at = {"layer": layer, "pos_slice": position, "apply_ln": norm, "return_labels": True}
        found.append(("stack_head_results", {**at, "incl_remainder": mid}))
        found.append(
            ("stack_neuron_results", {**at, "incl_remainder": mid, "neuron_slice": [3, 0]})
        )
        for into_mlp in FLAGS if layer in (0, 1) else (False,):
            here = {**at, "mlp_input": into_mlp}
            found.append(("accumulated_resid", {**here, "incl_mid": mid}))
            found.append(("get_full_resid_decomposition", {**here, "expand_neurons": mid}))
            found += [("decompose_resid", {**here, "mode": m}) for m in ("all", "mlp", "attn")]
    found.append(("stack_activation", {"activation_name": "pattern"}))
    found.append(("get_neuron_results", {"layer": 1, "neuron_slice": 2, "pos_slice": (0, 3)}))
    return found


@pytest.mark.parametrize("batchless", FLAGS, ids=["batch", "no batch"])
@pytest.mark.parametrize("kind", KINDS)
def test_stacks(kind: str, batchless: bool, pair: Callable[[str], libs.Pair], seed: int) -> None:
    both = caches(pair(kind), seed, 1 if batchless else 3, batchless)
    for method, options in calls():
        both.same(lambda c: getattr(c, method)(**options), f"{method}({options})")  # noqa: B023


@pytest.mark.parametrize("columns", [None, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_projections(
    kind: str, columns: int | None, pair: Callable[[str], libs.Pair], seed: int
) -> None:
    models = pair(kind)
    both = caches(models, seed, 2)
    width = models.reference.cfg.d_model
    generator = torch.Generator().manual_seed(seed)
    onto = torch.randn((width,) if columns is None else (width, columns), generator=generator)
    for layer, norm, flag in itertools.product((0, 1, 2), FLAGS, FLAGS):
        at = {"layer": layer, "apply_ln": norm, "project_output_onto": onto}
        both.same(lambda c: c.stack_neuron_results(**at, incl_remainder=flag), f"neurons {at}")  # noqa: B023
        both.same(
            lambda c: c.get_full_resid_decomposition(**at, expand_neurons=flag),  # noqa: B023
            f"decomposition {at}",
        )
    both.same(lambda c: c.get_neuron_results(1, project_output_onto=onto))


@pytest.mark.parametrize("kind", KINDS)
def test_logit_attributions(kind: str, pair: Callable[[str], libs.Pair], seed: int) -> None:
    both = caches(pair(kind), seed, 3)
    shapes = [(3,), (3, 6), (1, 6), (6,), ()]
    targets = [" the", 7, *(tiny.random_tokens(seed + n, shape) for n, shape in enumerate(shapes))]
    for tokens, rows in itertools.product(targets, (None, 0, [0, 2])):
        other = "a" if isinstance(tokens, str) else tokens + 1
        for wrong in (None, other, torch.zeros(2, 2).long()):
            both.same(
                lambda c: c.logit_attrs(c.decompose_resid(), tokens, wrong, batch_slice=rows),  # noqa: B023
                f"{tokens} against {wrong}, rows {rows}",
            )


@pytest.mark.parametrize("kind", KINDS)
def test_mapping(kind: str, pair: Callable[[str], libs.Pair], seed: int) -> None:
    both = caches(pair(kind), seed, 3)
    keys = [
        ("q", 0), ("resid_post", -1), ("scale", 0, "ln1"), "embed", "q0", ("attn", 1), "scale",
        ("normalized", 1, "ln2"), ("mlp_out", 0, "b"), ("post", 0, "m"), ("rot_q", 1), "nonsense",
        ("q", 9), ("q", -9), "blocks.0.hook_in", ("embed",), ("embed", None),
    ]  # fmt: skip
    for key in keys:
        both.same(lambda c: c[key], f"{key}")  # noqa: B023
    both.same(lambda c: [list(c), len(c), list(c.keys()), "hook_embed" in c, ("q", 0) in c])
    for rows in (0, 2, [0, 2], (1, 3), None, 5):
        both.same(lambda c: dict(c.apply_slice_to_batch_dim(rows).items()), f"rows {rows}")  # noqa: B023
    both.same(lambda c: c.remove_batch_dim(), "three examples")
