"""Hooks: when they are called and in which order, what they see, and what their edits do."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import transformer_lens_go as tl
from tiny_models import D_MODEL, D_VOCAB, N_LAYERS, Arrays
from transformer_lens_go.hook_points import HookPoint

Z = "blocks.1.attn.hook_z"
RESID = "blocks.1.hook_resid_pre"

pytest_plugins = ["tiny_models"]
pytestmark = pytest.mark.usefixtures("no_grad")


def noting(log: list[str], name: str) -> Any:
    def hook(value: Any, hook: HookPoint) -> None:
        log.append(name)

    return hook


# when, and in which order


def test_order_is_that_of_registration_with_prepended_first(model: Any, xp: Arrays) -> None:
    log: list[str] = []
    point = model.hook_dict[Z]
    model.add_hook(Z, noting(log, "first"))
    model.add_perma_hook(Z, noting(log, "permanent"))
    point.add_hook(noting(log, "prepended"), prepend=True)
    with model.hooks(fwd_hooks=[(Z, noting(log, "context"))]):
        model(xp.ids())
    assert log == ["prepended", "first", "permanent", "context"]
    assert [handle.is_permanent for handle in point.fwd_hooks] == [False, False, True]


def test_a_context_removes_its_own_hooks_only(model: Any, xp: Arrays) -> None:
    log: list[str] = []
    model.add_hook(Z, noting(log, "mine"))
    with model.hooks(fwd_hooks=[(Z, noting(log, "outer"))]):
        assert model.context_level == 1
        model.run_with_hooks(xp.ids(), fwd_hooks=[(Z, noting(log, "inner"))])
        model(xp.ids())
    model(xp.ids())
    assert log == ["mine", "outer", "inner", "mine", "outer", "mine"]
    assert model.context_level == 0


def test_hooks_stay_when_asked_to(model: Any, xp: Arrays) -> None:
    log: list[str] = []
    model.run_with_hooks(xp.ids(), fwd_hooks=[(Z, noting(log, "a"))], reset_hooks_end=False)
    model(xp.ids())
    assert log == ["a", "a"]
    model.reset_hooks()
    model(xp.ids())
    assert log == ["a", "a"]


def test_reset_keeps_permanent_hooks_and_empties_contexts(model: Any, xp: Arrays) -> None:
    log: list[str] = []
    model.add_perma_hook(Z, noting(log, "permanent"))
    model.add_hook(Z, noting(log, "other"))
    model.hook_dict[Z].ctx["seen"] = 1
    model.reset_hooks()
    assert model.hook_dict[Z].ctx == {}
    model(xp.ids())
    assert log == ["permanent"]
    model.reset_hooks(including_permanent=True)
    model(xp.ids())
    assert log == ["permanent"]
    assert not any(point.has_hooks() for point in model.hook_points())


def test_levels_and_directions_choose_what_is_removed(model: Any) -> None:
    point = model.hook_dict[Z]
    for level in (None, 1, 2):
        point.add_hook(noting([], "x"), level=level)
    point.add_hook(noting([], "x"), level=1, is_permanent=True)
    assert point.has_hooks(level=1)
    point.remove_hooks(level=1)
    assert [h.context_level for h in point.fwd_hooks] == [None, 2, 1]
    model.remove_all_hook_fns("bwd", including_permanent=True)
    assert len(point.fwd_hooks) == 3
    model.remove_all_hook_fns(level=2)
    assert [h.context_level for h in point.fwd_hooks] == [None, 1]
    assert not point.has_hooks("bwd")
    assert point.has_hooks("both", including_permanent=False)


def test_a_handle_takes_its_hook_off(model: Any, xp: Arrays) -> None:
    log: list[str] = []
    point = model.hook_dict[Z]
    handles = [point.add_hook(noting(log, name)) for name in "abc"]
    for handle in point.fwd_hooks:
        if handle is handles[1]:
            handle.hook.remove()
    handles[1].hook.remove()
    model(xp.ids())
    assert log == ["a", "c"]
    assert point.fwd_hooks == [handles[0], handles[2]]
    assert list(model.list_hooks()) == ["blocks.1.attn.o.hook_in", Z]
    assert model.list_hooks(Z)[Z] == point.fwd_hooks
    assert model.list_hooks(lambda name: "hook_q" in name) == {}


def test_a_predicate_hooks_each_point_once(gpt2: Any, xp: Arrays) -> None:
    seen: list[str] = []
    gpt2.add_hook(
        lambda name: "attn.o.hook_in" in name or "hook_z" in name,
        lambda z, hook: seen.append(hook.name),
    )
    gpt2(xp.ids())
    assert seen == [f"blocks.{layer}.attn.o.hook_in" for layer in range(N_LAYERS)]


def test_hooks_added_and_removed_by_hooks_count_at_once(model: Any, xp: Arrays) -> None:
    log: list[str] = []

    def add(value: Any, hook: HookPoint) -> None:
        log.append("first")
        model.add_hook("blocks.2.hook_resid_pre", noting(log, "added"))
        model.hook_dict["blocks.2.hook_resid_post"].remove_hooks()

    model.add_hook(RESID, add)
    model.add_hook("blocks.2.hook_resid_post", noting(log, "removed"))
    model(xp.ids())
    assert log == ["first", "added"]


def test_a_flag_set_by_a_hook_counts_at_once(model: Any, xp: Arrays) -> None:
    seen: list[tuple[int, ...]] = []
    ids = xp.ids()
    want = model(ids)

    def enable(value: Any, hook: HookPoint) -> None:
        if not model.cfg.use_attn_result:
            model.set_use_attn_result(True)
            model.add_hook("blocks.2.attn.hook_result", lambda r, hook: seen.append(tuple(r.shape)))

    model.add_hook(RESID, enable)
    got = model(ids)
    assert seen in ([], [(2, 6, 4, D_MODEL)])  # from here on, or from the next run on
    model(ids)
    assert seen[-1] == (2, 6, 4, D_MODEL)
    np.testing.assert_allclose(xp.numpy(got), xp.numpy(want), rtol=1e-4, atol=1e-5)


# what they see


def test_a_hook_sees_its_point(model: Any, xp: Arrays) -> None:
    def hook(value: Any, hook: HookPoint) -> None:
        hook.ctx["shape"] = tuple(value.shape)
        hook.ctx["layer"] = hook.layer()
        hook.ctx["name"] = hook.name

    model.add_hook(Z, hook)
    model(xp.ids())
    assert model.hook_dict[Z].ctx == {
        "shape": (2, 6, 4, 8),
        "layer": 1,
        "name": "blocks.1.attn.o.hook_in",
    }
    assert model.blocks[1].attn.hook_z is model.hook_dict[Z]
    with pytest.raises(ValueError, match="invalid literal"):
        model.hook_dict["hook_embed"].layer()
    with pytest.raises(ValueError, match="Name cannot be None"):
        HookPoint().layer()


def test_kept_values_do_not_change(model: Any, xp: Arrays) -> None:
    kept: list[Any] = []
    copies: list[Any] = []

    def keep(value: Any, hook: HookPoint) -> None:
        kept.append(value)
        copies.append(xp.copy(value))

    def edit(value: Any, hook: HookPoint) -> None:
        value[:] = 7

    for name in (Z, RESID, "blocks.1.hook_mlp_out", "blocks.1.hook_resid_post"):
        model.add_hook(name, keep)
        model.add_hook(name, edit)
    model.add_hook("blocks.2.hook_resid_pre", edit)
    model(xp.ids())
    assert len(kept) == 4
    assert all(xp.same(one, other) for one, other in zip(kept, copies, strict=True))


# what edits do


def test_in_place_and_returned_edits_agree(model: Any, xp: Arrays) -> None:
    def in_place(z: Any, hook: HookPoint) -> None:
        z[:, :, 2] = 0

    def returned(z: Any, hook: HookPoint) -> Any:
        z = xp.copy(z)
        z[:, :, 2] = 0
        return z

    ids = xp.ids()
    clean = model(ids)
    one = model.run_with_hooks(ids, fwd_hooks=[(Z, in_place)])
    other = model.run_with_hooks(ids, fwd_hooks=[(Z, returned)])
    assert xp.same(one, other)
    assert not xp.same(one, clean)
    assert xp.same(model(ids), clean)


@pytest.mark.parametrize("give_back", ["nothing", "itself", "a view of itself"])
def test_hooks_that_change_nothing_change_nothing(model: Any, xp: Arrays, give_back: str) -> None:
    hooks = {
        "nothing": lambda value, hook: None,
        "itself": lambda value, hook: value,
        "a view of itself": lambda value, hook: value[:],
    }
    ids = xp.ids()
    clean = model(ids)
    everywhere = [(lambda name: not name.endswith("_input"), hooks[give_back])]
    with pytest.warns(UserWarning, match="gated-off"):
        got = model.run_with_hooks(ids, fwd_hooks=everywhere)
    assert xp.same(got, clean)


def test_later_hooks_see_what_earlier_ones_made(model: Any, xp: Arrays) -> None:
    seen: list[float] = []
    model.add_hook(Z, lambda z, hook: z * 0 + 3)
    model.add_hook(Z, lambda z, hook: seen.append(float(z.max())))
    model.add_hook(Z, lambda z, hook: z + 1)
    _, cache = model.run_with_cache(xp.ids(), names_filter=Z)
    assert seen == [3.0]
    assert float(cache[Z].min()) == 4.0


def test_what_broadcasts_is_broadcast(model: Any, xp: Arrays) -> None:
    ids = xp.ids()
    mean = model.run_with_hooks(ids, fwd_hooks=[(Z, lambda z, hook: z.mean(0, keepdims=True))])
    full = model.run_with_hooks(
        ids, fwd_hooks=[(Z, lambda z, hook: z * 0 + z.mean(0, keepdims=True))]
    )
    assert xp.same(mean, full)
    zero = model.run_with_hooks(ids, fwd_hooks=[(Z, lambda z, hook: xp.array(0.0))])
    assert xp.same(zero, model.run_with_hooks(ids, fwd_hooks=[(Z, lambda z, hook: z * 0)]))


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_floating_results_are_cast(model: Any, xp: Arrays, dtype: str) -> None:
    value = np.random.default_rng(1).standard_normal((2, 6, 4, 8)).astype("float16")
    ids = xp.ids()
    got = model.run_with_hooks(ids, fwd_hooks=[(Z, lambda z, hook: xp.array(value, dtype))])
    want = model.run_with_hooks(ids, fwd_hooks=[(Z, lambda z, hook: xp.array(value, "float32"))])
    assert xp.same(got, want)


def test_strided_results_are_read_as_they_are(model: Any, xp: Arrays) -> None:
    value = np.random.default_rng(1).standard_normal((2, 6, 4, 8)).astype("float32")
    turned = xp.array(value.swapaxes(0, 3).copy()).swapaxes(0, 3)
    ids = xp.ids()
    got = model.run_with_hooks(ids, fwd_hooks=[(Z, lambda z, hook: turned)])
    assert xp.same(got, model.run_with_hooks(ids, fwd_hooks=[(Z, lambda z, hook: xp.array(value))]))


def test_the_stream_may_change_its_batch(model: Any, xp: Arrays) -> None:
    ids = xp.ids()
    cut = model.run_with_hooks(ids, fwd_hooks=[(RESID, lambda x, hook: x[1:])])
    assert tuple(cut.shape) == (1, 6, D_VOCAB)
    assert xp.same(cut, model(ids[1:]))


def test_the_stream_may_change_its_length(gpt2: Any, xp: Arrays) -> None:
    ids = xp.ids()
    cut = gpt2.run_with_hooks(ids, fwd_hooks=[(RESID, lambda x, hook: x[:, :4])])
    assert tuple(cut.shape) == (2, 4, D_VOCAB)
    assert xp.same(cut, gpt2(ids[:, :4]))


def test_ids_may_be_edited(model: Any, xp: Arrays) -> None:
    ids, other = xp.ids(0), xp.ids(1)
    before = xp.copy(ids)

    def in_place(tokens: Any, hook: HookPoint) -> None:
        tokens[:] = other

    want = model(other)
    assert xp.same(
        model.run_with_hooks(ids, fwd_hooks=[("embed.hook_in", lambda t, hook: other)]), want
    )
    assert xp.same(model.run_with_hooks(ids, fwd_hooks=[("embed.hook_in", in_place)]), want)
    assert xp.same(ids, before)


def test_hooks_may_run_the_model_again(model: Any, xp: Arrays) -> None:
    ids = xp.ids()
    plain = model(ids)
    inner: list[Any] = []

    def again(z: Any, hook: HookPoint) -> Any:
        if len(inner) < 3:
            place = len(inner)
            inner.append(None)
            inner[place] = model(ids)  # with this hook on it: three deep
        return z * 0.5

    halved = model.run_with_hooks(ids, fwd_hooks=[(Z, lambda z, hook: z * 0.5)])
    outer = model.run_with_hooks(ids, fwd_hooks=[(Z, again)])
    assert xp.same(outer, halved)
    assert all(xp.same(value, halved) for value in inner)
    assert xp.same(model(ids), plain)


def test_batch_axis_removed_for_hooks(model: Any, xp: Arrays) -> None:
    shapes: list[tuple[int, ...]] = []

    def hook(z: Any, hook: HookPoint) -> Any:
        shapes.append(tuple(z.shape))
        return z * 0

    one = model.run_with_hooks(xp.ids(batch=1), fwd_hooks=[(Z, hook)], remove_batch_dim=True)
    two = model.run_with_hooks(xp.ids(batch=2), fwd_hooks=[(Z, hook)], remove_batch_dim=True)
    assert shapes == [(6, 4, 8), (2, 6, 4, 8)]
    assert tuple(one.shape) == (1, 6, D_VOCAB)
    assert tuple(two.shape) == (2, 6, D_VOCAB)


def test_what_a_run_leaves_out_is_not_hooked(model: Any, xp: Arrays) -> None:
    log: list[str] = []
    hooks = [
        (name, noting(log, name))
        for name in ("hook_embed", "blocks.0.hook_in", "blocks.1.hook_in", "blocks.2.hook_in")
    ]
    model.run_with_hooks(xp.ids(), fwd_hooks=hooks, stop_at_layer=1)
    assert log == ["hook_embed", "blocks.0.hook_in"]
    log.clear()
    model.run_with_hooks(xp.stream(), fwd_hooks=hooks, start_at_layer=1, stop_at_layer=-1)
    assert log == ["blocks.1.hook_in"]


def test_several_threads_run_one_model(model: Any, xp: Arrays) -> None:
    ids = [xp.ids(seed) for seed in range(4)]
    want = [model(one) for one in ids]
    wrong: list[int] = []
    calls: list[int] = []
    model.add_hook(Z, lambda z, hook: calls.append(1))

    def work(index: int) -> None:
        with xp.no_grad():
            for _ in range(20):
                if not xp.same(model(ids[index]), want[index]):
                    wrong.append(index)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(calls) == 80


# points that need a flag, and points that never fire


def test_gated_points_name_their_setter(model: Any, xp: Arrays) -> None:
    name = "blocks.0.attn.hook_result"
    for add in (
        lambda: model.add_hook(name, noting([], "x")),
        lambda: model.run_with_hooks(xp.ids(), fwd_hooks=[(name, noting([], "x"))]),
    ):
        with pytest.raises(
            ValueError, match=r"use_attn_result is False. Call set_use_attn_result\(True\)"
        ):
            add()
    with pytest.warns(UserWarning, match="skipped 3 gated-off"):
        model.add_hook(lambda n: n.endswith("attn.hook_result"), noting([], "x"))
    assert not model.list_hooks()


@pytest.mark.parametrize(
    ("flag", "name", "shape"),
    [
        ("use_attn_result", "blocks.0.attn.hook_result", (2, 6, 4, D_MODEL)),
        ("use_split_qkv_input", "blocks.0.hook_q_input", (2, 6, 4, D_MODEL)),
        ("use_attn_in", "blocks.0.hook_attn_in", (2, 6, 4, D_MODEL)),
        ("use_hook_mlp_in", "blocks.0.hook_mlp_in", (2, 6, D_MODEL)),
    ],
)
def test_flags_switch_points_on_and_off(
    model: Any, xp: Arrays, flag: str, name: str, shape: tuple[int, ...]
) -> None:
    ids = xp.ids()
    clean = xp.numpy(model(ids))
    getattr(model, f"set_{flag}")(True)
    assert getattr(model.cfg, flag) is True
    logits, cache = model.run_with_cache(ids)
    assert tuple(cache[name].shape) == shape
    np.testing.assert_allclose(xp.numpy(logits), clean, rtol=1e-3, atol=1e-4)
    edited = model.run_with_hooks(ids, fwd_hooks=[(name, lambda x, hook: x * 0)])
    assert not np.allclose(xp.numpy(edited), clean, atol=1e-2)
    setattr(model.cfg, flag, False)
    assert name not in model.run_with_cache(ids)[1]


def test_two_flags_exclude_each_other(model: Any) -> None:
    model.cfg.use_attn_in = True
    with pytest.raises(
        ValueError, match=r"Call set_use_attn_in\(False\) before enabling use_split_qkv_input"
    ):
        model.set_use_split_qkv_input(True)
    assert not model.cfg.use_split_qkv_input
    model.set_use_attn_in(False)
    model.set_use_split_qkv_input(True)
    with pytest.raises(ValueError, match="mutually exclusive"):
        model.cfg.use_attn_in = True


def test_a_point_that_never_fires_says_so(llama: Any, xp: Arrays) -> None:
    with pytest.warns(UserWarning, match=r"'hook_pos_embed' exists, but .* never fire"):
        llama.run_with_hooks(xp.ids(), fwd_hooks=[("hook_pos_embed", noting([], "x"))])


def test_a_predicate_that_matches_nothing_warns(model: Any, xp: Arrays) -> None:
    nothing = lambda name: name == "blocks.0.hook_rseid_pre"  # noqa: E731
    for run in (
        lambda: model.add_hook(nothing, noting([], "x")),
        lambda: model.run_with_hooks(xp.ids(), fwd_hooks=[(nothing, noting([], "x"))]),
        lambda: model.run_with_cache(xp.ids(), names_filter=nothing),
    ):
        with pytest.warns(UserWarning, match="matched none of the") as caught:
            run()
        assert caught[0].filename == __file__


# points of users' own modules


def test_a_hook_point_is_a_module_by_itself(xp: Arrays) -> None:
    point = HookPoint()
    value = xp.stream()
    assert point(value) is value
    point.add_hook(lambda x, hook: x * 2)
    point.add_hook(lambda x, hook: x + 1, prepend=True)
    assert xp.same(point(value), (value + 1) * 2)
    point.remove_hooks()
    assert point(value) is value
    assert repr(point) == "HookPoint()"


def test_an_engine_point_can_be_called_too(model: Any, xp: Arrays) -> None:
    value = xp.stream()
    model.add_hook(RESID, lambda x, hook: x * 3)
    assert xp.same(model.hook_dict[RESID](value), value * 3)
    assert repr(model.hook_dict[RESID]) == "HookPoint(name='blocks.1.hook_in', 1 fwd)"


def test_alias_names_call_a_hook_once_for_each(xp: Arrays) -> None:
    names: list[str] = []

    def hook(value: Any, hook: Any) -> Any:
        names.append(hook.name)
        return value + 1

    point = HookPoint()
    point.add_hook(hook, alias_names=["blocks.2.a", "blocks.2.b"])
    assert xp.same(point(xp.array([1.0])), xp.array([3.0]))
    assert names == ["blocks.2.a", "blocks.2.b"]


def test_conversions_stand_between_point_and_hook(xp: Arrays) -> None:
    class Doubled:
        def convert(self, value: Any) -> Any:
            return value * 2

        def revert(self, value: Any) -> Any:
            return value / 2

    point = HookPoint()
    point.enable_reshape(Doubled())
    point.add_hook(lambda x, hook: x + 1)
    assert xp.same(point(xp.array([1.0])), xp.array([1.5]))


def test_misuse_of_points(model: Any) -> None:
    point = model.hook_dict[Z]
    for bad in (
        lambda: point.add_hook(noting([], "x"), dir="sideways"),
        lambda: point.has_hooks(dir="sideways"),
        lambda: point.remove_hooks(dir="sideways"),
        lambda: model.add_hook(Z, noting([], "x"), dir="sideways"),
        lambda: model.reset_hooks(direction="sideways"),
    ):
        with pytest.raises(ValueError, match="Invalid direction sideways"):
            bad()
    with pytest.raises(TypeError, match="a hook must be callable, got int"):
        point.add_hook(3)
    with pytest.raises(NotImplementedError, match="backward hooks"):
        point.add_hook(noting([], "x"), dir="bwd")
    assert point.fwd_hooks == []
    assert point.bwd_hooks == []


def test_the_package_has_what_scripts_import() -> None:
    assert tl.hook_points.HookPoint is tl.HookPoint
    with pytest.raises(ImportError, match="HookedTransformer is part of transformer_lens"):
        from transformer_lens_go import HookedTransformer  # noqa: F401
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = tl.nonsense
