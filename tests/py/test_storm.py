"""A storm of hooks that raise, keep, edit, return, re-enter, add and remove: nothing grows, nothing leaks."""

from __future__ import annotations

import gc
import random
import resource
from typing import Any

import pytest
from tiny_models import Arrays, alive
from transformer_lens_go import TransformerBridge

pytest_plugins = ["tiny_models"]
pytestmark = pytest.mark.usefixtures("no_grad")

POINTS = (
    "hook_embed",
    "blocks.0.hook_resid_pre",
    "blocks.1.attn.hook_q",
    "blocks.1.attn.hook_pattern",
    "blocks.1.attn.hook_z",
    "blocks.2.hook_mlp_out",
    "blocks.2.hook_resid_post",
    "ln_final.hook_scale",
)


class Burst(Exception):
    pass


class Storm:
    """One run after another, each with some hooks that misbehave in ways drawn from a seed."""

    def __init__(self, model: Any, xp: Arrays, seed: int) -> None:
        self.model, self.xp, self.draw = model, xp, random.Random(seed)
        self.kept: list[Any] = []
        self.depth = 0
        self.raised = 0

    def raises(self, value: Any, hook: Any) -> None:
        raise Burst(hook.name)

    def keeps(self, value: Any, hook: Any) -> None:
        self.kept.append((value, self.xp.copy(value)))

    def edits(self, value: Any, hook: Any) -> None:
        value[..., 0] = 0.5

    def returns(self, value: Any, hook: Any) -> Any:
        return value * 0.5

    def reenters(self, value: Any, hook: Any) -> None:
        if self.depth < 2:
            self.depth += 1
            try:
                self.run()
            finally:
                self.depth -= 1

    def adds(self, value: Any, hook: Any) -> None:
        self.model.add_hook(self.draw.choice(POINTS), self.edits)

    def removes(self, value: Any, hook: Any) -> None:
        self.model.reset_hooks()

    def hooks(self) -> list[tuple[str, Any]]:
        sorts = (
            self.raises,
            self.keeps,
            self.edits,
            self.returns,
            self.reenters,
            self.adds,
            self.removes,
        )
        weights = (1, 3, 3, 3, 1, 2, 1)
        count = self.draw.randrange(1, 5)
        return list(
            zip(
                self.draw.choices(POINTS, k=count),
                self.draw.choices(sorts, weights, k=count),
                strict=True,
            )
        )

    def run(self) -> None:
        ids = self.xp.ids(self.draw.randrange(5), batch=self.draw.randrange(1, 3))
        try:
            if self.draw.random() < 0.3:
                with self.model.hooks(fwd_hooks=self.hooks()):
                    self.model.run_with_cache(ids)
            else:
                return_type = self.draw.choice(["logits", "loss", None])
                self.model.run_with_hooks(ids, fwd_hooks=self.hooks(), return_type=return_type)
        except Burst:
            self.raised += 1

    def settle(self) -> None:
        """Let go of everything, after a look at what was kept."""
        for value, copy in self.kept:
            assert self.xp.same(value, copy)
        self.kept.clear()
        self.model.reset_hooks()


def resident() -> int:
    """Pages of memory that the process has now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def test_a_thousand_runs(gpt2: Any, xp: Arrays) -> None:
    ids = xp.ids()
    clean = gpt2(ids)
    storm = Storm(gpt2, xp, seed=3)
    for _ in range(200):  # first runs fill pools and caches
        storm.run()
    storm.settle()
    before, memory = alive(), resident()
    for _ in range(4):
        for _ in range(200):
            storm.run()
        storm.settle()
        assert alive() == before
    assert storm.raised > 50
    gc.collect()
    assert resident() - memory < 24 << 20
    assert gpt2._engine.hooks.calls == {}
    assert gpt2.context_level == 0
    assert xp.same(gpt2(ids), clean)


def test_models_come_and_go(gpt2_folder: Any, xp: Arrays) -> None:
    def once() -> None:
        model = TransformerBridge.boot_transformers(gpt2_folder)
        model.add_hook("hook_embed", lambda value, hook: model.cfg.n_layers and None)  # a cycle
        model(xp.ids())
        model.W_Q.sum()

    once()
    before = alive()
    for _ in range(5):
        once()
    assert alive() == before
