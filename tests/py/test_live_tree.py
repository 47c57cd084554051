"""The live module tree: what is put in the place of a component or hook point, or hung on it, is what runs."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from tiny_models import D_MODEL, D_VOCAB, N_LAYERS, Arrays, alive
from transformer_lens_go.hook_points import HookPoint, Module

pytest_plugins = ["tiny_models"]
pytestmark = pytest.mark.usefixtures("no_grad")

PARTS = [
    "blocks.1",
    "blocks.1.ln1",
    "blocks.1.attn",
    "blocks.1.attn.q",
    "blocks.1.attn.v",
    "blocks.1.attn.o",
]
PARTS += [
    "blocks.1.ln2",
    "blocks.1.mlp",
    "blocks.1.mlp.in",
    "blocks.1.mlp.out",
    "embed",
    "ln_final",
    "unembed",
]
POINTS = [
    "blocks.1.hook_in",
    "blocks.1.attn.q.hook_out",
    "blocks.1.attn.hook_pattern",
    "blocks.1.attn.o.hook_in",
]
POINTS += ["blocks.1.ln2.hook_in", "blocks.1.mlp.hook_out", "blocks.2.hook_out", "unembed.hook_out"]


class Through(Module):
    """Calls what it stands in the place of, notes what it was given, and changes what came out."""

    def __init__(self, inner: Any, change: Any = None) -> None:
        super().__init__()
        self.inner = inner
        self.change = change
        self.calls: list[tuple[tuple, dict]] = []

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        self.calls.append((args, kwargs))
        out = self.inner(*args, **kwargs)
        if self.change is None:
            return out
        return (self.change(out[0]), *out[1:]) if isinstance(out, tuple) else self.change(out)


class Alone(Module):
    """Computes by itself."""

    def __init__(self, compute: Any) -> None:
        super().__init__()
        self.compute = compute

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.compute(*args, **kwargs)


class Spliced(Module):
    """What stands in the place of a hook point, with points of its own."""

    def __init__(self, compute: Any = lambda x: x) -> None:
        super().__init__()
        self.hook_given = HookPoint()
        self.hook_made = HookPoint()
        self.compute = compute

    def forward(self, x: Any) -> Any:
        return self.hook_made(self.compute(self.hook_given(x)))


def place(model: Any, path: str) -> tuple[Any, str]:
    *owner, short = path.split(".")
    for name in owner:
        model = model[int(name)] if name.isdigit() else getattr(model, name)
    return model, short


def get(model: Any, path: str) -> Any:
    owner, short = place(model, path)
    return owner[int(short)] if short.isdigit() else getattr(owner, short)


def put(model: Any, path: str, part: Any) -> Any:
    """Put a part at a path; returns what stood there."""
    owner, short = place(model, path)
    if short.isdigit():
        before = owner[int(short)]
        owner[int(short)] = part
    else:
        before = getattr(owner, short)
        setattr(owner, short, part)
    assert get(model, path) is part
    return before


def cached(model: Any, xp: Arrays, **options: Any) -> dict[str, Any]:
    _, cache = model.run_with_cache(xp.ids(), return_cache_object=False, **options)
    return cache


def trace(model: Any, xp: Arrays) -> list[tuple[str, Any]]:
    """Each point and value in the order in which hooks are called."""
    seen: list[tuple[str, Any]] = []
    with model.hooks([(lambda name: True, lambda v, hook: seen.append((hook.name, xp.copy(v))))]):
        model(xp.ids())
    return seen


@pytest.mark.parametrize("plan", ["", "plain"])
@pytest.mark.parametrize("path", PARTS)
def test_a_wrapper_that_changes_nothing(
    model: Any, xp: Arrays, path: str, plan: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRANSFORMER_LENS_GO_PLAN", plan)
    clean, kept, seen = model(xp.ids()), cached(model, xp), trace(model, xp)
    wrapper = Through(get(model, path))
    before = put(model, path, wrapper)
    assert xp.same(model(xp.ids()), clean)
    assert len(wrapper.calls) == 1
    now = cached(model, xp)
    assert list(now) == list(kept)
    assert all(xp.same(now[name], kept[name]) for name in kept)
    again = trace(model, xp)
    assert [name for name, _ in again] == [name for name, _ in seen]
    assert all(xp.same(a, b) for (_, a), (_, b) in zip(again, seen, strict=True))
    put(model, path, before)
    assert xp.same(model(xp.ids()), clean)
    assert len(wrapper.calls) == 3


@pytest.mark.parametrize("path", PARTS)
def test_what_a_wrapper_makes_is_what_counts(model: Any, xp: Arrays, path: str) -> None:
    def twice(value: Any, hook: Any = None) -> Any:
        return value * 2

    want = model.run_with_hooks(xp.ids(), fwd_hooks=[(f"{path}.hook_out", twice)])
    assert not xp.same(want, model(xp.ids()))
    put(model, path, Through(get(model, path), twice))
    assert xp.same(model(xp.ids()), want)


@pytest.mark.parametrize(
    "path", ["blocks.0.mlp", "blocks.2.ln2", "blocks.1.mlp.out", "blocks.1.attn"]
)
def test_a_part_that_computes_by_itself(model: Any, xp: Arrays, path: str) -> None:
    def nothing(value: Any, hook: Any = None) -> Any:
        return value * 0

    want = model.run_with_hooks(xp.ids(), fwd_hooks=[(f"{path}.hook_out", nothing)])
    width = (1, 1, D_MODEL)
    zeros = xp.array(np.zeros(width))
    put(model, path, Alone(lambda *_, **__: (zeros, None) if path.endswith("attn") else zeros))
    assert xp.same(model(xp.ids()), want)  # [1, 1, d_model] is broadcast
    assert not any(name.startswith(f"{path}.") for name in cached(model, xp))


def test_parts_in_parts(model: Any, xp: Arrays) -> None:
    clean = model(xp.ids())
    half = [(f"blocks.1.mlp.{name}.hook_out", lambda v, hook: v * 0.5) for name in ("in", "out")]
    want = model.run_with_hooks(xp.ids(), fwd_hooks=half)
    mlp = model.blocks[1].mlp
    inner = [
        put(model, f"blocks.1.mlp.{name}", Through(getattr(mlp, name), lambda v: v * 0.5))
        for name in ("in", "out")
    ]
    outer = Through(mlp)
    model.blocks[1].mlp = outer
    block = put(model, "blocks.1", Through(model.blocks[1]))
    assert xp.same(model(xp.ids()), want)
    assert len(outer.calls) == 1
    model.blocks[1] = block
    model.blocks[1].mlp = mlp
    for name, part in zip(("in", "out"), inner, strict=True):
        setattr(mlp, name, part)
    assert xp.same(model(xp.ids()), clean)


def test_a_part_of_another_layer(model: Any, xp: Arrays) -> None:
    clean = model(xp.ids())
    own, other = model.blocks[0].mlp, model.blocks[2].mlp
    normed: list[Any] = []
    want = model.run_with_hooks(
        xp.ids(),
        fwd_hooks=[
            ("blocks.0.mlp.hook_in", lambda v, hook: normed.append(xp.copy(v))),
            ("blocks.0.mlp.hook_out", lambda v, hook: other(normed[0])),
        ],
    )
    model.blocks[0].mlp = other
    seen: list[str] = []
    with model.hooks([("blocks.2.mlp.hook_pre", lambda v, hook: seen.append(hook.name))]):
        assert xp.same(model(xp.ids()), want)
    assert len(seen) == 2  # once for each place in which it stands
    model.blocks[0].mlp = own
    assert xp.same(model(xp.ids()), clean)


def test_what_components_are_given(gpt2: Any, llama: Any, xp: Arrays) -> None:
    mask = xp.array([[0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0]], "int64")
    for model, positional in ((gpt2, 1), (llama, 0)):
        clean = model(xp.ids(), attention_mask=mask)
        attn, block = Through(model.blocks[1].attn), Through(model.blocks[1])
        model.blocks[1].attn = attn
        model.blocks[1] = block
        assert xp.same(model(xp.ids(), attention_mask=mask), clean)
        ((args, kwargs),) = attn.calls
        assert len(args) == positional
        ((block_args, block_kwargs),) = block.calls
        seen = xp.numpy(kwargs["attention_mask"])
        assert seen.shape == (2, 1, 6, 6)
        assert [list(row) for row in (seen[0, 0] == 0).astype(int)[2:]] == [
            [0, 0, 1, 0, 0, 0], [0, 0, 1, 1, 0, 0], [0, 0, 1, 1, 1, 0], [0, 0, 1, 1, 1, 1],
        ]  # fmt: skip
        assert list(xp.numpy(kwargs["position_ids"])[0]) == [0, 0, 0, 1, 2, 3]
        assert (
            ("position_embeddings" in kwargs)
            == ("position_embeddings" in block_kwargs)
            == (model is llama)
        )
        assert len(block_args) == (4 if model is gpt2 else 1)
        with pytest.raises(NotImplementedError, match="a mask with four axes"):
            model.blocks[1].inner.attn.inner(
                xp.stream(), attention_mask=kwargs["attention_mask"] * 0
            )


def test_forward_reassigned_and_put_back(model: Any, xp: Arrays) -> None:
    clean = model(xp.ids())
    want = model.run_with_hooks(
        xp.ids(), fwd_hooks=[("blocks.0.hook_mlp_out", lambda v, hook: v * 3)]
    )
    mlp = model.blocks[0].mlp
    original = mlp.forward
    mlp.forward = lambda x: original(x) * 3
    assert xp.same(model(xp.ids()), want)
    assert xp.same(mlp(xp.stream()), original(xp.stream()) * 3)
    del mlp.forward
    assert xp.same(model(xp.ids()), clean)
    point = model.blocks[0].mlp.hook_out
    point.forward = lambda x: x * 3
    assert xp.same(model(xp.ids()), want)
    del point.forward
    assert xp.same(model(xp.ids()), clean)


def test_forward_of_a_class_reassigned(
    gpt2: Any, xp: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean = gpt2(xp.ids())
    hooks = [(f"blocks.{i}.hook_mlp_out", lambda v, hook: v * 3) for i in range(N_LAYERS)]
    want = gpt2.run_with_hooks(xp.ids(), fwd_hooks=hooks)
    cls = type(gpt2.blocks[0].mlp)
    original = cls.forward
    with monkeypatch.context() as patch:
        patch.setattr(
            cls, "forward", lambda self, *args, **kwargs: original(self, *args, **kwargs) * 3
        )
        assert xp.same(gpt2(xp.ids()), want)
    assert xp.same(gpt2(xp.ids()), clean)


@pytest.mark.parametrize("path", POINTS)
def test_a_module_in_the_place_of_a_hook_point(model: Any, xp: Arrays, path: str) -> None:
    clean, kept, names = model(xp.ids()), cached(model, xp), list(model.hook_dict)
    want = model.run_with_hooks(xp.ids(), fwd_hooks=[(path, lambda v, hook: v * 0.5 + 0.25)])
    spliced = Spliced(lambda x: x * 0.5 + 0.25)
    before = put(model, path, spliced)
    assert isinstance(before, HookPoint)
    assert xp.same(model(xp.ids()), want)
    own = [f"{path}.hook_given", f"{path}.hook_made"]
    assert path not in model.hook_dict
    assert set(own) < set(model.hook_dict)
    assert set(own) < set(model.mod_dict)
    cache = cached(model, xp)
    assert [name for name in cache if name in own] == own
    at, earlier = list(kept).index(path), list(cache)
    assert earlier.index(own[0]) == earlier.index(list(kept)[at - 1]) + 1  # in order of execution
    assert list(cached(model, xp, names_filter=own[1])) == own[1:]
    seen: list[str] = []
    out = model.run_with_hooks(
        xp.ids(), fwd_hooks=[(own[1], lambda v, hook: seen.append(hook.name) or v * 0)]
    )
    assert seen == own[1:]
    assert not xp.same(out, want)
    put(model, path, before)
    assert list(model.hook_dict) == names
    assert xp.same(model(xp.ids()), clean)


def test_aliases_name_the_same_place(model: Any, xp: Arrays) -> None:
    clean = model(xp.ids())
    for owner, alias, target in (
        (model.blocks[0], "hook_resid_post", "blocks.0.hook_out"),
        (model.blocks[1].attn, "hook_z", "blocks.1.attn.o.hook_in"),
        (model, "hook_embed", "embed.hook_out"),
    ):
        spliced = Spliced(lambda x: x * 2)
        before = getattr(owner, alias)
        setattr(owner, alias, spliced)
        assert get(model, target) is spliced is getattr(owner, alias)
        assert not xp.same(model(xp.ids()), clean)
        assert alias not in {
            name.rpartition(".")[2] for name in model.hook_dict if name.startswith(target)
        }
        setattr(owner, alias, before)
        assert xp.same(model(xp.ids()), clean)


def test_a_fresh_hook_point_in_the_place_of_the_models(model: Any, xp: Arrays) -> None:
    """As SAE libraries put things back."""
    clean, kept, names = model(xp.ids()), cached(model, xp), list(model.hook_dict)
    model.blocks[1].hook_out.add_hook(lambda v, hook: v * 0)
    put(model, "blocks.1.hook_out", Spliced())
    put(model, "blocks.1.hook_out", HookPoint())
    assert list(model.hook_dict) == names
    assert model.hook_dict["blocks.1.hook_resid_post"] is model.blocks[1].hook_out
    assert xp.same(model(xp.ids()), clean)  # the hook went with the point that it was on
    now = cached(model, xp)
    assert list(now) == list(kept)
    assert all(xp.same(now[name], kept[name]) for name in kept)
    seen: list[str] = []
    model.add_hook("blocks.1.hook_resid_post", lambda v, hook: seen.append(hook.name) or v * 0)
    out = model(xp.ids())
    assert seen == ["blocks.1.hook_out"]
    model.reset_hooks()
    assert not xp.same(out, clean)
    assert xp.same(model(xp.ids()), clean)


def test_layers_cut_off(model: Any, xp: Arrays) -> None:
    wrapper = Through(model.blocks[1].mlp, lambda v: v * 2)
    model.blocks[1].mlp = wrapper
    whole = model(xp.ids())
    middle = model(xp.ids(), stop_at_layer=2)
    assert xp.same(model(middle, start_at_layer=2), whole)
    assert len(wrapper.calls) == 2
    first = model(xp.ids(), stop_at_layer=1)
    assert xp.same(model(first, start_at_layer=1), whole)
    assert len(wrapper.calls) == 3
    assert xp.same(model.blocks[1](first)[0], middle)
    assert len(wrapper.calls) == 4
    block = Through(model.blocks[1])
    model.blocks[1] = block
    assert xp.same(model(xp.ids(), stop_at_layer=1), first)
    assert not block.calls


def test_changes_while_the_model_runs(model: Any, xp: Arrays) -> None:
    clean = model(xp.ids())
    later = [("blocks.2.hook_mlp_out", lambda v, hook: v * 0)]
    want = model.run_with_hooks(xp.ids(), fwd_hooks=later)
    own = model.blocks[2].mlp

    def replace(value: Any, hook: Any) -> None:
        model.blocks[2].mlp = Through(own, lambda v: v * 0)

    assert xp.same(
        model.run_with_hooks(xp.ids(), fwd_hooks=[("blocks.0.attn.hook_pattern", replace)]), want
    )
    assert xp.same(model(xp.ids()), want)

    class Restorer(Module):
        def __init__(self, inner: Any) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Any) -> Any:
            model.blocks[2].mlp = own
            model.set_use_attn_result(True)
            return self.inner(x)

    model.blocks[0].mlp = Restorer(model.blocks[0].mlp)
    out = model(xp.ids())
    np.testing.assert_allclose(xp.numpy(out), xp.numpy(clean), atol=2e-5)
    assert "blocks.2.attn.hook_result" in cached(model, xp)


def test_views_are_live(gpt2: Any, xp: Arrays) -> None:
    def halve(value: Any, hook: Any = None) -> None:
        value *= 0.5

    # ln1.hook_in is the stream itself: an edit in place there reaches the skip connection too
    want = gpt2.run_with_hooks(xp.ids(), fwd_hooks=[("blocks.1.ln1.hook_in", halve)])
    ln1 = gpt2.blocks[1].ln1

    class Halves(Module):
        def forward(self, x: Any) -> Any:
            halve(x)
            return ln1(x)

    _, cache = gpt2.run_with_cache(xp.ids())
    gpt2.blocks[1].ln1 = Halves()
    out, now = gpt2.run_with_cache(xp.ids())
    assert xp.same(out, want)
    assert xp.same(now["blocks.1.hook_in"], cache["blocks.1.hook_in"])  # what was kept stays
    gpt2.blocks[1].ln1 = Through(ln1)
    assert xp.same(gpt2.run_with_hooks(xp.ids(), fwd_hooks=[("blocks.1.ln1.hook_in", halve)]), want)


def test_the_input_itself_may_come_out(gpt2: Any, xp: Arrays) -> None:
    for path in ("blocks.0.mlp", "blocks.1.attn.o", "blocks.2.attn.v", "blocks.1.mlp.hook_out"):
        clean = gpt2(xp.ids())
        before = put(gpt2, path, Alone(lambda x: x))
        out = gpt2(xp.ids())
        assert xp.same(out, clean) == path.endswith("hook_out")
        assert np.isfinite(xp.numpy(out)).all()
        put(gpt2, path, before)
        assert xp.same(gpt2(xp.ids()), clean)


class Boom(Exception):
    pass


@pytest.mark.parametrize("error", [Boom, KeyboardInterrupt, SystemExit])
def test_exceptions_come_out_unchanged(model: Any, xp: Arrays, error: type[BaseException]) -> None:
    clean = model(xp.ids())
    raised = error("mine")

    def fail(x: Any) -> Any:
        raise raised

    for path in ("blocks.1.mlp", "blocks.1.hook_out", "blocks.1.mlp.out"):
        before = put(model, path, Alone(fail))
        wrapper = Through(model.blocks[1])
        block = put(model, "blocks.1", wrapper) if path == "blocks.1.mlp.out" else None
        held = alive()
        with pytest.raises(error) as caught:
            model.run_with_cache(xp.ids())
        assert caught.value is raised
        del caught
        raised.__traceback__ = None
        wrapper.calls.clear()
        assert alive() == held
        if block is not None:
            model.blocks[1] = block
        put(model, path, before)
        assert xp.same(model(xp.ids()), clean)


def test_what_cannot_stand_there(model: Any, xp: Arrays) -> None:
    clean = model(xp.ids())
    for path, result, error, text in (
        ("blocks.1.mlp", None, TypeError, r"at blocks.1.mlp returned NoneType; expected an array"),
        ("blocks.1.mlp", "text", TypeError, "returned str"),
        (
            "blocks.1.mlp",
            xp.array(np.zeros((2, 6, 3))),
            RuntimeError,
            r"blocks.1.mlp gave shape \[2 6 3\]",
        ),
        (
            "blocks.1.mlp",
            xp.array(np.zeros((5, 6, D_MODEL))),
            RuntimeError,
            r"given shape \[5 6 32\]",
        ),
        (
            "blocks.1.mlp",
            xp.array(np.zeros((2, 6, D_MODEL)), "int64"),
            RuntimeError,
            "returned int64",
        ),
        ("blocks.1.attn.q", xp.array(np.zeros((2, 6, 30))), RuntimeError, r"heads times 8"),
        ("embed", xp.ids(), RuntimeError, "returned int64"),
        ("blocks.1.hook_out", None, TypeError, "at blocks.1.hook_out returned NoneType"),
        ("blocks.1.mlp.hook_out", xp.array(np.zeros((2, 3))), RuntimeError, "given shape"),
    ):
        before = put(model, path, Alone(lambda x, result=result: result))
        with pytest.raises(error, match=text):
            model(xp.ids())
        put(model, path, before)
        assert xp.same(model(xp.ids()), clean)
    model.blocks[0].mlp = None
    with pytest.raises(TypeError, match=r"blocks.0.mlp is None"):
        model(xp.ids())


def test_parts_that_no_run_passes(gpt2: Any, xp: Arrays) -> None:
    for path in ("blocks.0.attn.qkv", "blocks.0.attn.hook_result"):
        before = put(gpt2, path, Alone(lambda x: x))
        with pytest.raises(NotImplementedError, match=path):
            gpt2(xp.ids())
        put(gpt2, path, before)
    gpt2.blocks[0].attn.q = Through(gpt2.blocks[0].attn.q)
    gpt2(xp.ids())
    gpt2.set_use_split_qkv_input(True)
    with pytest.raises(NotImplementedError, match=r"blocks.0.attn.q: it was replaced"):
        gpt2(xp.ids())
    with pytest.raises(NotImplementedError, match=r"blocks.0.attn.q: it was replaced"):
        gpt2.blocks[0].attn(xp.stream())
    gpt2.set_use_split_qkv_input(False)
    gpt2(xp.ids())


def test_attention_with_inputs_by_head(model: Any, xp: Arrays) -> None:
    for flag in ("split_qkv_input", "attn_in", "attn_result"):
        getattr(model, f"set_use_{flag}")(True)
        clean = model(xp.ids())
        attn = put(model, "blocks.1.attn", Through(model.blocks[1].attn))
        assert xp.same(model(xp.ids()), clean)
        model.blocks[1].attn = attn
        getattr(model, f"set_use_{flag}")(False)


def test_hooks_that_are_passed_by_are_told(model: Any, xp: Arrays) -> None:
    model.blocks[0].mlp = Alone(lambda x: x)
    with pytest.warns(
        UserWarning, match=r"hooks at blocks.0.mlp.out.hook_in were not called: Alone stands in"
    ):
        model.run_with_hooks(xp.ids(), fwd_hooks=[("blocks.0.mlp.hook_post", lambda v, hook: None)])
    with pytest.warns(
        UserWarning, match=r"nothing came by blocks.0.mlp.out.hook_in, blocks.0.mlp.hook_post"
    ):
        cached(model, xp, names_filter="blocks.0.mlp.hook_post")


def test_only_what_is_needed_runs(gpt2: Any, xp: Arrays) -> None:
    """Whoever computes a part is called in every run that comes by, as a hook is; what lies behind is not run."""
    wrapper = Through(gpt2.blocks[0].mlp)
    gpt2.blocks[0].mlp = wrapper
    cache = cached(gpt2, xp, names_filter="blocks.0.hook_resid_pre", return_type=None)
    assert list(cache) == ["blocks.0.hook_in", "blocks.0.hook_resid_pre"]
    assert len(wrapper.calls) == 1


def test_nothing_is_left_behind(model: Any, xp: Arrays) -> None:
    clean = model(xp.ids())

    def cycle() -> None:
        for path in ("blocks.1.mlp", "blocks.1.attn", "blocks.0"):
            before = put(model, path, Through(get(model, path)))
            assert xp.same(model(xp.ids()), clean)
            put(model, path, before)
        before = put(model, "blocks.1.hook_out", Spliced())
        model.run_with_cache(xp.ids())
        put(model, "blocks.1.hook_out", before)
        model.blocks[0].mlp.forward = model.blocks[0].mlp.forward
        model(xp.ids())
        del model.blocks[0].mlp.forward

    cycle()
    held = alive()
    for _ in range(300):
        cycle()
    assert alive() == held
    assert xp.same(model(xp.ids()), clean)


def test_many_threads(model: Any, xp: Arrays) -> None:
    model.blocks[1].mlp = Through(model.blocks[1].mlp)
    model.blocks[2].hook_in = Spliced()
    clean, results = model(xp.ids()), []

    def work() -> None:
        with xp.no_grad():
            results.extend(model.run_with_cache(xp.ids())[0] for _ in range(10))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 40
    assert all(xp.same(out, clean) for out in results)


def test_other_widths(gpt2: Any, xp: Arrays) -> None:
    gpt2.unembed = Alone(lambda x: x[..., :5] * 1)
    assert tuple(gpt2(xp.ids()).shape) == (2, 6, 5)
    gpt2.blocks[0] = Through(gpt2.blocks[0], lambda x: x[:1])
    assert tuple(gpt2(xp.ids()).shape) == (1, 6, 5)
    assert D_VOCAB > 5


def test_a_model_that_overrides_forward(gpt2: Any, xp: Arrays) -> None:
    class Doubled(type(gpt2)):  # type: ignore[misc]
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            return super().forward(*args, **kwargs) * 2

    clean, kept = model_and_cache(gpt2, xp)
    gpt2.__class__ = Doubled
    for out in (gpt2(xp.ids()), gpt2.run_with_hooks(xp.ids()), gpt2.run_with_cache(xp.ids())[0]):
        assert xp.same(out, clean * 2)
    now = cached(gpt2, xp)
    assert list(now) == list(kept)
    gpt2.__class__ = Doubled.__mro__[1]
    forward = gpt2.forward
    gpt2.forward = lambda *args, **kwargs: forward(*args, **kwargs) * 3
    assert xp.same(gpt2.run_with_cache(xp.ids())[0], clean * 3)
    del gpt2.forward
    assert xp.same(gpt2(xp.ids()), clean)


def model_and_cache(model: Any, xp: Arrays) -> tuple[Any, dict[str, Any]]:
    out, cache = model.run_with_cache(xp.ids())
    return out, cache.cache_dict


@pytest.mark.parametrize("path", ["blocks.1", "blocks.1.mlp", "blocks.1.hook_out", "ln_final"])
def test_tables_of_parts_written_directly(model: Any, xp: Arrays, path: str) -> None:
    """What takes torch's own `_modules` for the tree, as tools that swap layers do, is not ignored."""
    clean = model(xp.ids())
    owner, short = place(model, path)
    own = owner._modules[short]
    owner._modules[short] = Alone(lambda x, *args, **kwargs: x * 0)
    assert not xp.same(model(xp.ids()), clean)
    owner._modules.update({short: own})
    assert xp.same(model(xp.ids()), clean)
    for change in (
        lambda: owner._modules.pop(short),
        lambda: owner._modules.__delitem__(short),
        lambda: owner._modules.clear(),
        lambda: setattr(owner, "_modules", {}),
        lambda: model._modules.update(blocks=own),
    ):
        with pytest.raises(NotImplementedError, match="is not supported"):
            change()
    assert xp.same(model(xp.ids()), clean)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: setattr(m, "cfg", m.cfg),
        lambda m: setattr(m, "blocks", m.blocks[:2]),
        lambda m: delattr(m.blocks[0], "mlp"),
        lambda m: delattr(m.blocks[0], "hook_out"),
        lambda m: m.blocks.__delitem__(0),
        lambda m: m.blocks.insert(0, m.blocks[0]),
        lambda m: m.blocks.__setitem__(slice(0, 2), [m.blocks[0]] * 2),
        lambda m: setattr(m.blocks[0].attn, "W_Q", m.blocks[1].attn.W_Q),
        lambda m: setattr(m.blocks[0].attn.q, "weight", m.blocks[1].attn.q.weight),
    ],
)
def test_changes_that_cannot_be_honoured_are_refused(model: Any, xp: Arrays, change: Any) -> None:
    clean = model(xp.ids())
    with pytest.raises(NotImplementedError, match="is not supported: the engine would not see it"):
        change(model)
    assert xp.same(model(xp.ids()), clean)


def test_generation_runs_what_stands_there(model: Any, xp: Arrays) -> None:
    options = dict(max_new_tokens=4, do_sample=False, stop_at_eos=False, verbose=False)
    plain = model.generate(xp.ids(), **options)
    model.blocks[1].mlp = Through(model.blocks[1].mlp, lambda v: v * -3)
    model.blocks[2].hook_in = Spliced(lambda x: x * 0.5)
    cached_tokens = model.generate(xp.ids(), **options)
    assert xp.same(cached_tokens, model.generate(xp.ids(), use_past_kv_cache=False, **options))
    assert not xp.same(cached_tokens, plain)
    model.blocks[0].attn = Through(model.blocks[0].attn)
    with pytest.raises(
        NotImplementedError, match=r"blocks.0.attn: it was replaced.*without a cache"
    ):
        model.generate(xp.ids(), **options)
    assert xp.same(model.generate(xp.ids(), use_past_kv_cache=False, **options), cached_tokens)
