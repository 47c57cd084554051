"""HookedRootModule and HookPoint beyond what transformer_lens has.

The engine's registry behind them, copies and pickles, memory, messages, a model of the engine inside an own module.
"""

from __future__ import annotations

import copy
import gc
import io
import multiprocessing
import pickle
import random
import signal
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import transformer_lens_go as tl
from own_modules import Lab
from tiny_models import Arrays
from transformer_lens_go import HookedRootModule, HookPoint
from transformer_lens_go._engine import arrays, errors
from transformer_lens_go.hook_points import (
    DeviceType,
    HookFunction,
    HookIntrospectionMixin,
    LensHandle,
    Module,
    ModuleList,
    NamesFilter,
)

pytest_plugins = ["tiny_models"]

LAB = Lab("transformer_lens_go", arrays.torch)
RESID = "blocks.0.hook_resid_post"


class Two(HookedRootModule):
    """A module that can be pickled."""

    def __init__(self) -> None:
        super().__init__()
        self.first = HookPoint()
        self.parts = ModuleList([HookPoint()])
        self.setup()

    def forward(self, x: Any) -> Any:
        return self.parts[0](self.first(x) + 1)


def doubled(value: Any, hook: Any) -> Any:
    return value * 2


def remember(value: Any, hook: Any) -> None:
    hook.ctx["seen"] = hook.name


def x() -> Any:
    return LAB.array([[1.0, 2.0]])


def numbers(value: Any) -> list[Any]:
    return value.tolist()


# the engine's registry


def registered(point: HookPoint, direction: str = "fwd") -> list[int]:
    """What the engine says is to be called, in its order."""
    return point._own_place().order(direction)


def test_the_registry_and_the_lists_agree_whatever_is_done() -> None:
    rng = random.Random(0)
    net, log = Two(), []
    point = net.first
    live: list[tuple[int, bool, int | None]] = []  # what should be there: label, permanence, level
    for label in range(300):
        action = rng.choice(["add", "add", "add", "handle", "clear", "reset", "context"])
        permanent, level = rng.random() < 0.3, rng.choice([None, 0, 1, 2, -1])
        if action == "add":
            prepend = rng.random() < 0.3
            note = lambda value, hook, label=label: log.append(label)  # noqa: E731
            net.add_hook("first", note, is_permanent=permanent, level=level, prepend=prepend)
            live.insert(0 if prepend else len(live), (label, permanent, level))
        elif action == "handle" and live:
            at = rng.randrange(len(live))
            point.fwd_hooks[at].hook.remove()
            del live[at]
        elif action == "clear":
            point.remove_hooks("fwd", including_permanent=permanent, level=level)
            live = [h for h in live if (h[1] and not permanent) or level not in (None, h[2])]
        elif action == "reset" and rng.random() < 0.1:
            net.reset_hooks()
            live = [h for h in live if h[1]]
        elif action == "context":
            note = lambda value, hook, label=label: log.append(label)  # noqa: E731
            net.run_with_hooks(x(), fwd_hooks=[("first", note)])
            live = [h for h in live if h[1] or h[2] != 1]
        log.clear()
        net(x())
        assert log == [label for label, _, _ in live]
        assert [(h.is_permanent, h.context_level) for h in point.fwd_hooks] == [h[1:] for h in live]
        assert registered(point) == [h.hook.number for h in point.fwd_hooks]
    assert net.context_level == 0


def test_a_point_without_hooks_does_not_cross() -> None:
    net = Two()
    net(x())
    net.reset_hooks()
    net.remove_all_hook_fns(including_permanent=True)
    net.clear_contexts()
    assert net.list_hooks() == {}
    assert all(point._place is None for point in net.hook_points())


def test_a_handle_that_is_written_to_counts() -> None:
    point, log = HookPoint(), []
    handles = [point.add_hook(lambda v, hook, i=i: log.append(i), level=i) for i in range(3)]
    handles[0].is_permanent = True
    handles[1].context_level = 2
    point.remove_hooks(level=2)
    point(x())
    point.remove_hooks()
    point(x())
    assert log == [0, 0]
    assert registered(point) == [handles[0].hook.number]


def test_handles_that_user_code_made_are_removed_too() -> None:
    point, log = HookPoint(), []
    hung = point.register_forward_hook(lambda module, args, output: log.append("mine"))
    point.fwd_hooks.append(LensHandle(hung, is_permanent=True, context_level=3))
    point.remove_hooks()
    point(x())
    point.remove_hooks(including_permanent=True)
    point(x())
    assert log == ["mine"]
    assert point.fwd_hooks == []


def test_handles_are_context_managers_and_outlive_their_point() -> None:
    point, log = HookPoint(), []
    with point.add_hook(lambda v, hook: log.append(1)).hook:
        point(x())
    point(x())
    assert log == [1]
    handle = point.add_hook(remember)
    del point
    gc.collect()
    handle.hook.remove()


def test_a_reset_crosses_once_whatever_the_number_of_points(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from transformer_lens_go._engine import hooks

    net, crossings = LAB.net(), []
    net.add_hook(lambda name: True, remember, level=2)
    net.add_perma_hook(RESID, remember)
    remove = hooks.go.HookRemove
    monkeypatch.setattr(hooks.go, "HookRemove", lambda *a: crossings.append(a) or remove(*a))
    net.reset_hooks()
    assert len(crossings) == 1
    assert list(net.list_hooks()) == [RESID]
    assert registered(net.hook_dict[RESID]) == [net.hook_dict[RESID].fwd_hooks[0].hook.number]
    with pytest.raises(ValueError, match="no index of a point"):
        errors.call(remove, 0, "x 1")
    with pytest.raises(ValueError, match="no id of a hook"):
        errors.call(remove, 0, "1 x")


def test_a_subclass_of_hook_point_takes_its_own_hooks_off() -> None:
    class Mine(HookPoint):
        def remove_hooks(self, *args: Any, **options: Any) -> None:
            asked.append((args, options))
            super().remove_hooks(*args, **options)

    asked: list[Any] = []
    net = Two()
    net.first = Mine()
    net.setup()
    net.run_with_hooks(x(), fwd_hooks=[("first", doubled), ("parts.0", doubled)])
    assert asked == [(("both",), {"including_permanent": False, "level": 1})]
    assert net.list_hooks() == {}


# what is refused, and what is said


def test_nothing_is_half_added() -> None:
    net = LAB.net()
    adding: list[Callable[[], Any]] = [
        lambda: net.run_with_hooks(
            LAB.ids(), fwd_hooks=[(RESID, doubled), ("nonsense", doubled)], reset_hooks_end=False
        ),
        lambda: net.run_with_hooks(
            LAB.ids(), fwd_hooks=[(RESID, doubled), (RESID, 3)], reset_hooks_end=False
        ),
        lambda: net.add_hook(lambda name: True, doubled, level="high"),  # type: ignore[arg-type]
    ]
    if arrays.torch is None:
        adding.append(lambda: net.add_caching_hooks(incl_bwd=True))
    for add in adding:
        with pytest.raises((KeyError, TypeError, NotImplementedError)):
            add()
        assert net.list_hooks() == {}
        assert net.context_level == 0
        assert all(not point._forward_hooks for point in net.hook_points())


def test_a_check_that_refuses_leaves_nothing_behind() -> None:
    class Picky(type(LAB.net())):
        def check_hooks_to_add(
            self, hook_point: Any, hook_point_name: str, *args: Any, **kw: Any
        ) -> None:
            if hook_point_name == "hook_norm":
                raise ValueError("not at the norm")

    net = Picky(LAB, 0, 1)
    net.add_hook(RESID, remember)
    with pytest.raises(ValueError, match="not at the norm"):
        net.add_hook(lambda name: True, doubled)
    assert list(net.list_hooks()) == [RESID]
    assert len(net.hook_dict[RESID].fwd_hooks) == 1


def test_messages_say_what_to_do() -> None:
    net = LAB.net()
    with pytest.raises(
        KeyError, match=r"no part of this Net\. Did you mean 'blocks\.0\.hook_resid_post'"
    ):
        net.add_hook("blocks.0.hook_resid_pos", doubled)
    with pytest.raises(AssertionError, match=r"'blocks\.0\.attn' is a Attention, not a HookPoint"):
        net.add_hook("blocks.0.attn", doubled)
    with pytest.raises(AttributeError, match=r"Bare has no hook_dict yet: call self\.setup\(\)"):
        _ = type("Bare", (HookedRootModule,), {})().hook_dict
    with pytest.raises(AttributeError, match="nonsense"):
        _ = net.nonsense
    with pytest.raises(ImportError, match="import it from transformer_lens_go"):
        from transformer_lens_go.hook_points import HookedRootModule as _  # noqa: F401
    assert net.name is None
    assert tl.HookedRootModule is HookedRootModule
    assert issubclass(HookedRootModule, HookIntrospectionMixin)
    assert issubclass(HookedRootModule, Module)


def test_what_matches_nothing_warns() -> None:
    net = LAB.net()
    nothing: list[Callable[[], Any]] = [
        lambda: net.add_hook(lambda name: False, doubled),
        lambda: net.run_with_hooks(LAB.ids(), fwd_hooks=[(lambda name: False, doubled)]),
        lambda: net.run_with_cache(LAB.ids(), names_filter="nonsense"),
        lambda: net.add_caching_hooks(lambda name: False),
    ]
    for run in nothing:
        with pytest.warns(UserWarning, match="matched none of the") as caught:
            run()
        assert caught[0].filename == __file__


def test_what_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    net = LAB.net()
    net.cache_all({})
    net.cache_some({}, lambda name: True)
    assert [record.message.split()[0] for record in caplog.records] == ["cache_all", "cache_some"]
    if arrays.torch is not None:
        net.run_with_hooks(LAB.ids(), bwd_hooks=[(RESID, remember)])
        assert "before a backward pass can call them" in caplog.records[-1].message


def test_interrupts_come_out_and_leave_nothing_behind() -> None:
    net = Two()

    def interrupted(value: Any, hook: Any) -> None:
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), net.hooks(fwd_hooks=[("first", doubled)]):
        net.run_with_hooks(x(), fwd_hooks=[("parts.0", interrupted)])
    assert net.context_level == 0
    assert net.list_hooks() == {}
    assert numbers(net(x())) == [[2.0, 3.0]]


@pytest.mark.skipif(arrays.torch is not None, reason="torch has backward hooks")
def test_backward_hooks_need_torch() -> None:
    net = Two()
    with pytest.raises(NotImplementedError, match="backward hooks need torch"):
        net.add_hook("first", remember, dir="bwd")
    with pytest.raises(NotImplementedError, match="backward hooks need torch"):
        net.run_with_cache(x(), incl_bwd=True)
    with pytest.raises(ValueError, match="NumPy arrays are on the CPU"):
        net.run_with_cache(x(), device="cuda")
    assert net.list_hooks() == {}


# copies, pickles, memory


def test_pickles_keep_hooks_that_can_be_pickled() -> None:
    net = Two()
    plain = pickle.loads(pickle.dumps(net))
    assert numbers(plain(x())) == [[2.0, 3.0]]
    net.add_hook("first", doubled)
    net.add_perma_hook("parts.0", remember)
    net.parts[0].ctx["mine"] = 1
    loaded = pickle.loads(pickle.dumps(net))
    assert numbers(loaded(x())) == [[3.0, 5.0]]
    assert loaded.hook_dict["parts.0"] is loaded.parts[0]
    assert loaded.parts[0].ctx == {"mine": 1, "seen": "parts.0"}
    assert net.parts[0].ctx == {"mine": 1}
    assert registered(loaded.first) == [loaded.first.fwd_hooks[0].hook.number]
    assert registered(loaded.first) != registered(net.first)
    loaded.reset_hooks()
    assert numbers(loaded(x())) == [[2.0, 3.0]]
    assert [h.is_permanent for h in loaded.parts[0].fwd_hooks] == [True]
    assert numbers(net(x())) == [[3.0, 5.0]]
    net.add_hook("first", lambda value, hook: None)
    with pytest.raises((AttributeError, pickle.PicklingError)):
        pickle.dumps(net)


def test_a_copy_calls_hooks_with_its_own_points() -> None:
    net = Two()
    net.add_hook("first", remember)
    net.first.fwd_hooks[0].hook.remove()
    net.add_hook("first", remember, level=2)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        other(x())
        assert other.first.ctx == {"seen": "first"}
        assert net.first.ctx == {}
        other.first.fwd_hooks[0].hook.remove()
        assert not other.first.has_hooks()
        assert net.first.has_hooks(level=2)


def test_a_shallow_copy_shares_its_hooks_as_modules_do() -> None:
    point, log = HookPoint(), []
    point.add_hook(lambda value, hook: log.append(1))
    other = copy.copy(point)
    other(x())
    point.remove_hooks()
    other(x())
    assert log == [1]


def test_points_go_with_their_modules() -> None:
    from transformer_lens_go._engine.hooks import OwnPoint

    def made() -> int:
        return OwnPoint()._owned.id

    free = made()
    net = Two()
    net.first.add_hook(lambda value, hook, net=net: None)  # a hook closes over its module
    assert net.first._place is not None
    assert net.first._place._owned.id == free
    gone = weakref.ref(net)
    del net
    gc.collect()
    assert gone() is None
    assert made() == free


def test_hooks_in_a_forked_child() -> None:
    if "fork" not in multiprocessing.get_all_start_methods() or arrays.torch is not None:
        pytest.skip("no fork here, or torch's threads are in the way")
    net = Two()
    net.add_hook("first", doubled)

    def child(answers: Any) -> None:
        said = [numbers(net(x()))]
        try:
            net.add_hook("first", doubled)
        except RuntimeError as error:
            said.append(str(error))
        answers.put(said)

    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    process = context.Process(target=child, args=(answers,))
    process.start()
    value, error = answers.get(timeout=60)
    process.join(60)
    assert value == [[3.0, 5.0]]
    assert "forked" in error


@pytest.mark.skipif(arrays.torch is None, reason="needs torch")
def test_torch_saves_and_loads_modules() -> None:
    torch = arrays.torch
    net = LAB.net()
    buffer = io.BytesIO()
    torch.save(net.state_dict(), buffer)
    buffer.seek(0)
    other = LAB.net(seed=5)
    other.load_state_dict(torch.load(buffer))
    assert torch.equal(net(LAB.ids()), other(LAB.ids()))
    two = Two()
    two.add_hook("first", doubled)
    buffer = io.BytesIO()
    torch.save(two, buffer)
    buffer.seek(0)
    assert numbers(torch.load(buffer, weights_only=False)(x())) == [[3.0, 5.0]]


# a model of the engine inside


def make_probe(model: Any) -> Any:
    class Probe(HookedRootModule):
        def __init__(self) -> None:
            super().__init__()
            self.lm = model
            self.hook_score = HookPoint()
            self.setup()

        def forward(self, ids: Any, **options: Any) -> Any:
            return self.hook_score(self.lm(ids, **options).sum(-1))

    return Probe()


@pytest.mark.usefixtures("no_grad")
def test_a_model_of_the_engine_inside(model: Any, xp: Arrays) -> None:
    names, ids = list(model.hook_dict), xp.ids()
    alone, cached = model(ids), model.run_with_cache(ids)[1]
    probe = make_probe(model)
    clean, cache = probe.run_with_cache(ids)
    assert xp.same(clean, alone.sum(-1))
    fired = [name for name in cache if name.startswith("lm.")]
    assert fired == ["lm." + name for name in cached if "lm." + name in cache]
    assert {"lm.blocks.1.hook_in", "lm.unembed.hook_out"} <= set(cache)
    assert all(xp.same(cache[name], cached[name.removeprefix("lm.")]) for name in fired)

    log: list[str] = []
    edited = probe.run_with_hooks(
        ids,
        fwd_hooks=[
            ("lm.blocks.1.hook_in", lambda value, hook: log.append(hook.name)),
            ("lm.blocks.1.hook_in", doubled),
            ("hook_score", lambda value, hook: log.append(hook.name)),
        ],
    )
    assert log == ["lm.blocks.1.hook_in", "hook_score"]
    assert not xp.same(edited, clean)
    assert probe.list_hooks() == {}
    assert xp.same(probe(ids), clean)

    # the model still knows its own names, and runs its parts
    assert list(model.hook_dict) == names
    again = model.run_with_cache(ids)[1]
    assert list(again) == list(cached)
    assert xp.same(
        model.run_with_hooks(ids, fwd_hooks=[("blocks.1.hook_resid_pre", doubled)]).sum(-1), edited
    )
    assert xp.same(model.unembed(model.ln_final(cached["blocks.2.hook_out"])), alone)
    started = model.run_with_cache(cached["blocks.1.hook_in"], start_at_layer=1)[1]
    assert not any("blocks.0" in name or name == "embed.hook_in" for name in started)
    seen: list[str] = []
    model.run_with_hooks(
        cached["blocks.1.hook_in"],
        start_at_layer=1,
        fwd_hooks=[(lambda name: name.endswith("hook_in"), lambda v, hook: seen.append(hook.name))],
    )
    assert "lm.blocks.1.hook_in" in seen
    assert not any("blocks.0" in name for name in seen)


@pytest.mark.usefixtures("no_grad")
def test_levels_of_both(gpt2: Any, xp: Arrays) -> None:
    probe = make_probe(gpt2)
    point = gpt2.hook_dict["blocks.1.hook_in"]
    gpt2.add_hook("blocks.1.hook_in", remember)
    gpt2.add_perma_hook("blocks.1.hook_in", remember)
    with probe.hooks(fwd_hooks=[("lm.blocks.1.hook_in", remember)]):
        with gpt2.hooks(fwd_hooks=[("blocks.1.hook_in", remember)]):
            assert [h.context_level for h in point.fwd_hooks] == [None, None, 1, 1]
        assert len(point.fwd_hooks) == 3
    assert len(point.fwd_hooks) == 2
    probe.reset_hooks()
    assert [h.is_permanent for h in point.fwd_hooks] == [True]
    handle = point.fwd_hooks[0]
    handle.is_permanent = False
    gpt2.reset_hooks()
    assert point.fwd_hooks == []


def test_gradients_of_an_engine_model_are_still_refused(gpt2: Any, xp: Arrays) -> None:
    probe = make_probe(gpt2)
    with pytest.raises(NotImplementedError):
        probe.run_with_cache(xp.ids(), incl_bwd=True)
    with pytest.raises(NotImplementedError):
        probe.add_hook(lambda name: True, remember, dir="bwd")
    assert probe.list_hooks() == {}
    assert probe.context_level == 0


def test_a_point_of_a_model_is_not_copied(gpt2: Any) -> None:
    with pytest.raises(NotImplementedError):
        copy.deepcopy(gpt2.hook_dict["blocks.1.hook_in"])


def test_hook_conversions_on_a_model(gpt2: Any, xp: Arrays) -> None:
    class Halved:
        def convert(self, value: Any) -> Any:
            return value / 2

        def revert(self, value: Any) -> Any:
            return value * 2

    point, seen = gpt2.hook_dict["blocks.1.hook_in"], []
    point.add_hook(lambda value, hook: seen.append(xp.numpy(value).copy()))
    with xp.no_grad():
        gpt2(xp.ids())
        point.enable_reshape(Halved())  # for hooks that are there already, too
        gpt2(xp.ids())
        point.enable_reshape(None)
        gpt2(xp.ids())
    assert np.array_equal(seen[0] / 2, seen[1])
    assert np.array_equal(seen[0], seen[2])


def test_what_annotations_are_made_of() -> None:
    assert isinstance(doubled, HookFunction)
    assert not isinstance(3, HookFunction)
    named: NamesFilter = ["first"]
    device: DeviceType = None
    assert list(Two().run_with_cache(x(), names_filter=named, device=device)[1]) == named
