"""A signal at every place where CPython looks for one: nothing leaks, nothing stays half made, nothing waits for ever.

`TRANSFORMER_LENS_GO_SHOTS=3000` gives each path so many shots.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from striking import Range
from tiny_models import Arrays, write_gpt2
from transformer_lens_go import HookedRootModule, HookPoint, TransformerBridge
from transformer_lens_go._engine import arrays, parts
from transformer_lens_go._engine.compiled import go
from transformer_lens_go._engine.past import Entry
from transformer_lens_go._engine.where import here
from transformer_lens_go.cache.key_value_cache import TransformerLensKeyValueCache
from transformer_lens_go.config import TransformerBridgeConfig
from transformer_lens_go.hook_points import Module
from transformer_lens_go.model_bridge.watching import watching

pytest_plugins = ["tiny_models"]
pytestmark = pytest.mark.usefixtures("no_grad")

Z, MLP, IN = "blocks.1.attn.hook_z", "blocks.0.hook_mlp_out", "blocks.0.hook_in"
FLAG = "use_attn_result"
GGUF = Path(__file__).resolve().parents[3] / "golens" / "checkpoint" / "testdata" / "gpt2.gguf"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = write_gpt2(tmp_path_factory.mktemp("signals") / "gpt2", n_layer=2)
    return TransformerBridge.boot_transformers(folder)


def note(value: Any, hook: Any) -> None:
    """A hook that changes nothing."""


def double(value: Any, hook: Any) -> Any:
    """A hook that changes the value."""
    return value * 2


def registered(model: Any) -> list[tuple[int, int]]:
    """(point, hook) for each hook that the engine knows."""
    found = []
    for index in range(len(model._engine.points)):
        listed = json.loads(go.HookList(model._engine.handle, index, 0))
        found += [(index, row["id"]) for row in listed]
    return found


def mirrored(model: Any) -> list[tuple[int, int]]:
    """(point, hook) for each hook that users see."""
    return [(p._index, h.hook.number) for p in model._own_points for h in p.fwd_hooks]


def state(model: Any, ids: Any) -> Callable[[], object]:
    """What of a model must be as before."""

    def now() -> object:
        hooks = registered(model)
        assert hooks == mirrored(model), "the registry and its mirror disagree"
        assert sorted(model._engine.hooks.calls) == sorted(hook for _, hook in hooks)
        return (
            hooks,
            model.context_level,
            parts._frames(),
            here.positions,
            watching(model),
            sorted(model._engine.parts.replaced),
            sorted(model.hook_dict),
            model.cfg.use_attn_result,
            model._engine.dtype,
            np.asarray(model(ids)).tobytes(),
        )

    return now


def at_hand(path: Callable[[], object], found: Callable[[], object], shots: int = 300) -> None:
    """At places of the path: the engine is given back what it made while the exception is still held."""
    Range(path, found).everywhere(shots, at_hand=True)


def both(path: Callable[[], object], found: Callable[[], object], shots: int = 150) -> None:
    """At places of the path, and by the clock."""
    shooting = Range(path, found)
    shooting.everywhere(shots)
    shooting.at_random(shots // 3)


def test_fault_M7_a_run_belongs_to_somebody_when_it_returns(small: Any, xp: Arrays) -> None:
    ids = xp.ids()
    both(lambda: small(ids), state(small, ids))


def test_fault_M7_run_with_cache(small: Any, xp: Arrays) -> None:
    ids = xp.ids()
    both(lambda: small.run_with_cache(ids), state(small, ids))


def test_fault_M7_nothing_waits_for_the_exception_to_go(small: Any, xp: Arrays) -> None:
    """An interpreter keeps the last exception, and its traceback every frame: a result must not hang on those."""
    ids, unchanged = xp.ids(), state(small, xp.ids())
    at_hand(lambda: small(ids), unchanged)
    at_hand(lambda: small.run_with_hooks(ids, fwd_hooks=[(Z, double)]), unchanged)
    keys = arrays.from_numpy(np.ones((1, 2, 2, 4), np.float32))
    entry = Entry.of(keys, keys)
    at_hand(lambda: entry.append(keys, keys, frozen=True), unchanged)
    at_hand(lambda: small.loss_fn(small(ids), ids), unchanged)


def test_fault_M7_loss(small: Any, xp: Arrays) -> None:
    ids = xp.ids()
    both(lambda: small(ids, return_type="loss"), state(small, ids))


def test_fault_M7_generate(small: Any, xp: Arrays) -> None:
    ids = xp.ids(batch=1)

    def path() -> None:
        small.generate(ids, max_new_tokens=3, do_sample=False, stop_at_eos=False, verbose=False)

    both(path, state(small, ids))


def test_fault_M8_run_with_hooks(small: Any, xp: Arrays) -> None:
    ids = xp.ids()
    hooks = [(Z, double), (lambda name: name.endswith("hook_in"), note), (Z, note)]
    both(lambda: small.run_with_hooks(ids, fwd_hooks=hooks), state(small, ids))


def test_fault_M8_hooks_for_a_block(small: Any, xp: Arrays) -> None:
    ids = xp.ids()

    def path() -> None:
        with (
            small.hooks([(MLP, double), (Z, note)], clear_contexts=True) as model,
            model.hooks([(Z, note)]),
        ):
            model(ids)

    both(path, state(small, ids))


def test_fault_M8_hooks_that_stay(small: Any, xp: Arrays) -> None:
    """Each is on, here and in the registry, or it is not."""
    ids = xp.ids()
    together = len(small._sweep("test", lambda name: name.endswith("hook_out")))
    unchanged = state(small, ids)

    def path() -> None:
        small.add_hook(Z, note)
        small.add_hook(lambda name: name.endswith("hook_out"), double)
        small.add_perma_hook(IN, note)
        small.hook_dict[IN].add_hook(note, prepend=True).hook.remove()
        small.hook_dict[IN].remove_hooks(including_permanent=True)
        small.add_caching_hooks(["hook_embed", Z])
        small.reset_hooks(including_permanent=True)

    def found() -> object:
        assert registered(small) == mirrored(small)
        doubled = [p for p in small._own_points if double in [h.user_hook for h in p.fwd_hooks]]
        assert len(doubled) in (0, together), "hooks that are added together are on or off together"
        small.reset_hooks(including_permanent=True)
        return unchanged()

    both(path, found, 250)


class Two(HookedRootModule):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = HookPoint(), HookPoint()
        self.setup()

    def forward(self, x: Any) -> Any:
        return self.second(self.first(x) * 2)


def test_fault_M8_hooks_on_a_users_own_module(xp: Arrays) -> None:
    net: Any = Two()
    x = xp.array([[1.0, 2.0]])

    def path() -> None:
        net.run_with_hooks(x, fwd_hooks=[("first", double), (lambda name: True, note)])
        net.run_with_cache(x)
        net.add_hook("second", note)
        net.reset_hooks()

    def found() -> object:
        for point in (net.first, net.second):
            numbers = [handle.hook.number for handle in point.fwd_hooks]
            assert point._own_place().order("fwd") == numbers
            assert list(point._forward_hooks) == [-number for number in numbers]
        level, counted = net.context_level, [len(p.fwd_hooks) for p in (net.first, net.second)]
        assert counted in ([0, 0], [0, 1]), "only the hook that stays may be there"
        net.reset_hooks()
        return level, np.asarray(net(x)).tobytes()

    both(path, found, 250)


def test_fault_M8_flags(small: Any, xp: Arrays) -> None:
    ids = xp.ids()
    unchanged = state(small, ids)

    def path() -> None:
        small.set_use_attn_result(True)
        small.set_use_attn_result(False)

    def found() -> object:
        cfg = json.loads(go.ModelDescribe(small._engine.handle))["cfg"]
        assert cfg[FLAG] == small.cfg.use_attn_result, "the engine and cfg disagree"
        small.set_use_attn_result(False)
        return unchanged()

    both(path, found, 60)


class Twice(Module):
    """The double of what a component gives, in the component's place."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.__dict__["inner"] = inner

    def forward(self, x: Any) -> Any:
        return self.inner(x) * 2


def test_fault_M8_parts_in_the_place_of_others(small: Any, xp: Arrays) -> None:
    """What stands in a place is what runs."""
    ids = xp.ids()
    own = small.blocks[0].mlp
    unchanged = state(small, ids)

    twice = Twice(own)

    def path() -> None:
        small.blocks[0].mlp = twice
        small(ids)
        small.blocks[0].mlp = own

    small.blocks[0].mlp = twice
    with_twice = np.asarray(small(ids)).tobytes()
    small.blocks[0].mlp = own

    def found() -> object:
        now = np.asarray(small(ids)).tobytes()
        assert (now == with_twice) == (small.blocks[0].mlp is twice)
        small.blocks[0].mlp = own
        return unchanged()

    both(path, found, 200)


def test_fault_M6_a_load_leaves_nothing(tmp_path: Path) -> None:
    folder = write_gpt2(tmp_path / "gpt2", n_layer=1)

    def path() -> None:
        model = TransformerBridge.boot_transformers(folder)
        assert model.W_E.shape[0] > 1
        assert model.blocks[0].attn.W_Q.shape[0] > 1
        model.close()

    both(path, lambda: None, 60)


def test_fault_M6_a_load_of_gguf() -> None:
    both(lambda: TransformerBridge.boot_transformers(GGUF), lambda: None, 60)


def test_fault_M6_a_live_model_of_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    if arrays.torch is None:
        pytest.skip("hf_model shares torch tensors")
    config = transformers.GPT2Config(n_layer=1, n_embd=16, n_head=2, vocab_size=20, n_positions=8)
    hf_model = transformers.GPT2LMHeadModel(config)

    def path() -> None:
        TransformerBridge.boot_transformers("gpt2", hf_model=hf_model)

    both(path, lambda: None, 60)


def test_fault_M6_a_native_model(xp: Arrays) -> None:
    config = TransformerBridgeConfig(
        d_model=8, d_head=4, n_layers=1, n_ctx=8, n_heads=2, d_vocab=11, act_fn="gelu", seed=1
    )
    both(lambda: TransformerBridge.boot_native(config, dtype="float16"), lambda: None, 60)


def test_fault_M6_tokenizers() -> None:
    from transformer_lens_go import Tokenizer

    text = json.dumps(
        {
            "model": {"type": "WordLevel", "vocab": {"a": 0, "b": 1, "?": 2}, "unk_token": "?"},
            "pre_tokenizer": {"type": "Whitespace"},
            "added_tokens": [],
        }
    )

    def path() -> None:
        tokenizer = Tokenizer.from_str(text)
        tokenizer.add_tokens(["c"])
        assert tokenizer.encode("a b c").ids == [0, 1, 3]
        assert tokenizer.decode([0, 1]) == "a b"

    both(path, lambda: None, 150)


def test_fault_M7_a_kv_cache_is_whole(small: Any, xp: Arrays) -> None:
    """A run has added its tokens to every layer and to the mask, or to none."""
    ids = xp.ids(pos=3)
    cache = TransformerLensKeyValueCache.init_cache(small.cfg, "cpu", 2)
    empty = cache.previous_attention_mask
    unchanged = state(small, ids)

    def path() -> None:
        small(ids, past_kv_cache=cache)
        small(ids, past_kv_cache=cache)
        reset()

    def reset() -> None:
        for entry in cache:
            entry._engine_entry().crop(0)
        cache.previous_attention_mask = empty

    def found() -> object:
        reset()
        return unchanged()

    def run() -> None:
        small(ids, past_kv_cache=cache)

    def agrees() -> object:
        lengths = {entry.past_keys.shape[1] for entry in cache}
        assert lengths == {cache.previous_attention_mask.shape[1]}, "layers and mask disagree"
        return found()

    reset()
    both(path, found, 100)
    Range(run, agrees).everywhere(200)  # struck before `agrees` resets it, layer by layer


def test_fault_M7_entries(xp: Arrays) -> None:
    keys = arrays.from_numpy(np.ones((1, 2, 2, 4), np.float32))

    def path() -> None:
        entry = Entry.of(keys, keys)
        entry.append(keys, keys, frozen=False)
        entry.crop(1)
        assert entry.get("keys").shape[1] == 1

    both(path, lambda: None, 150)
