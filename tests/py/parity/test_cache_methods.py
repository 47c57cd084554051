"""The methods of ActivationCache: the residual stream taken apart, names, slices of the batch.

The reference leaves out the weights of norms that are not folded (docs/differences.md), so what goes through norms is
compared on models whose norms have weights of one, and once more with weights written into what reads the norm.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch

from . import libs, tiny
from .compare import check_same
from .conftest import SEED
from .tiny_tokenizers import save_tokenizer

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


@pytest.fixture(scope="module")
def even(tmp_path_factory: pytest.TempPathFactory, reference: libs.Lib, subject: libs.Lib) -> Any:
    """even(kind): as `pair`, of a checkpoint whose norms have weights of one."""
    kept: dict[str, libs.Pair] = {}

    def make(kind: str) -> libs.Pair:
        if kind not in kept:
            folder = tmp_path_factory.mktemp(kind)
            model = tiny.build(kind, SEED)
            for name, parameter in model.named_parameters():
                if parameter.ndim == 1 and name.endswith("weight"):
                    parameter.data.fill_(1.0)
            model.save_pretrained(str(folder))
            save_tokenizer(folder, tiny.KINDS[kind].tokenizer)
            kept[kind] = libs.Pair(reference.boot(folder), subject.boot(folder))
        return kept[kind]

    return make


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
def test_stacks(kind: str, batchless: bool, even: Callable[[str], libs.Pair], seed: int) -> None:
    both = caches(even(kind), seed, 1 if batchless else 3, batchless)
    for method, options in calls():
        both.same(lambda c: getattr(c, method)(**options), f"{method}({options})")  # noqa: B023


@pytest.mark.parametrize("columns", [None, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_projections(
    kind: str, columns: int | None, even: Callable[[str], libs.Pair], seed: int
) -> None:
    models = even(kind)
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
def test_logit_attributions(kind: str, even: Callable[[str], libs.Pair], seed: int) -> None:
    both = caches(even(kind), seed, 3)
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
def test_weights_of_norms_are_those_of_the_reference_folded(
    kind: str, pair: Callable[[str], libs.Pair], seed: int
) -> None:
    """The reference's stack times the norm's weights, in place of what compatibility mode folds."""
    models = pair(kind)
    both = caches(models, seed, 2)
    for layer, into_mlp in ((0, True), (1, False), (1, True), (2, False)):
        norm = models.reference.ln_final
        if layer < 2:
            norm = getattr(models.reference.blocks[layer], "ln2" if into_mlp else "ln1")
        at = {"layer": layer, "mlp_input": into_mlp, "apply_ln": True}
        want = both.reference.decompose_resid(**at) * norm.weight
        check_same(both.subject.decompose_resid(**at), want, f"{at}")
    tokens = tiny.random_tokens(seed, (2,))
    directions = models.reference.tokens_to_residual_directions(tokens)
    stack = both.reference.decompose_resid(apply_ln=True, pos_slice=-1)
    want = (stack * models.reference.ln_final.weight * directions).sum(-1)
    parts = both.subject.decompose_resid(pos_slice=-1)
    check_same(both.subject.logit_attrs(parts, tokens, pos_slice=-1), want, "attributions")


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
