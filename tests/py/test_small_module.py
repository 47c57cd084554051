"""The modules that stand in for torch's where it is not installed, beside torch's own where it is."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from transformer_lens_go._engine import arrays, small_containers, small_module

SMALL = SimpleNamespace(
    Module=small_module.Module,
    ModuleList=small_containers.ModuleList,
    ModuleDict=small_containers.ModuleDict,
    array=lambda values: np.array(values, np.float32),
    parameter=lambda array: array,
)
LIBRARIES = {"small": SMALL}
if arrays.torch is not None:
    LIBRARIES["torch"] = SimpleNamespace(
        Module=arrays.torch.nn.Module,
        ModuleList=arrays.torch.nn.ModuleList,
        ModuleDict=arrays.torch.nn.ModuleDict,
        array=arrays.torch.tensor,
        parameter=arrays.torch.nn.Parameter,
    )


@pytest.fixture(params=list(LIBRARIES))
def nn(request: pytest.FixtureRequest) -> Any:
    return LIBRARIES[request.param]


def scale(nn: Any, factor: float = 2.0) -> Any:
    class Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_parameter("factor", nn.parameter(nn.array([factor])))
            self.register_buffer("seen", nn.array([1.0]))
            self.register_buffer("scratch", nn.array([0.0]), persistent=False)

        def forward(self, x: Any, *, shift: float = 0.0) -> Any:
            if x is None:
                raise ValueError("nothing to scale")
            return x * self.factor[0].item() + shift

        def extra_repr(self) -> str:
            return "by a factor"

    return Scale()


def tree(nn: Any) -> Any:
    class Tree(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = scale(nn)
            self.same = self.first
            self.rest = nn.ModuleList([scale(nn, 3.0), scale(nn, 5.0)])
            self.named = nn.ModuleDict({"a": scale(nn, 7.0)})
            self.register_module("nothing", None)

    return Tree()


def test_hooks_in_order(nn: Any) -> None:
    module, noted = scale(nn), []

    def note(name: str, result: Any = None) -> Callable[..., Any]:
        def hook(_: Any, *given: Any) -> Any:
            noted.append((name, *given))
            return result

        return hook

    module.register_forward_pre_hook(note("before", 3.0))
    module.register_forward_pre_hook(note("first"), prepend=True)
    module.register_forward_pre_hook(note("both", ((4.0,), {"shift": 1.0})), with_kwargs=True)
    module.register_forward_hook(note("after"))
    module.register_forward_hook(note("last", 10.0), with_kwargs=True)
    gone = module.register_forward_hook(note("front", 8.5), prepend=True)
    assert module(1.0, shift=0.5) == 10.0
    assert noted == [
        ("first", (1.0,)),
        ("before", (1.0,)),
        ("both", (3.0,), {"shift": 0.5}),
        ("front", (4.0,), 9.0),
        ("after", (4.0,), 8.5),
        ("last", (4.0,), {"shift": 1.0}, 8.5),
    ]
    gone.remove()
    gone.remove()
    noted.clear()
    with module.register_forward_hook(note("within")):
        module(1.0)
    module(1.0)
    assert [name for name, *_ in noted].count("within") == 1
    assert not any(name == "front" for name, *_ in noted)


def test_hooks_that_are_always_called(nn: Any) -> None:
    module, noted = scale(nn), []
    module.register_forward_hook(lambda m, args, out: noted.append(("plain", out)))
    module.register_forward_hook(
        lambda m, args, out: noted.append(("always", out)), always_call=True
    )
    with pytest.raises(ValueError, match="nothing to scale"):
        module(None)
    assert noted == [("always", None)]
    noted.clear()
    assert module(1.0) == 2.0
    assert noted == [("plain", 2.0), ("always", 2.0)]

    def fail(*_: Any) -> None:
        raise KeyError("hook")

    module.register_forward_hook(fail, prepend=True)
    noted.clear()
    with pytest.raises(KeyError):
        module(1.0)
    assert [name for name, _ in noted] == ["always"]


def test_pre_hooks_that_answer_wrongly(nn: Any) -> None:
    module = scale(nn)
    module.register_forward_pre_hook(lambda m, args, kwargs: 3.0, with_kwargs=True)
    with pytest.raises(RuntimeError):
        module(1.0)


def test_the_tree(nn: Any) -> None:
    module = tree(nn)
    paths = ["", "first", "rest", "rest.0", "rest.1", "named", "named.a"]
    assert [name for name, _ in module.named_modules()] == paths
    assert [name for name, _ in module.named_children()] == ["first", "rest", "named"]
    every = [name for name, _ in module.named_modules(remove_duplicate=False)]
    assert every == [*paths[:2], "same", *paths[2:]]
    leaves = ["first", "rest.0", "rest.1", "named.a"]
    assert [name for name, _ in module.named_parameters()] == [f"{p}.factor" for p in leaves]
    assert [name for name, _ in module.named_buffers()] == [
        f"{p}.{name}" for p in leaves for name in ("seen", "scratch")
    ]
    assert len(list(module.buffers())) == 8
    assert sorted(module.state_dict()) == sorted(
        f"{p}.{name}" for p in [*leaves, "same"] for name in ("factor", "seen")
    )
    assert module.get_submodule("rest.1") is module.rest[1]
    assert module.get_submodule("") is module
    assert module.get_parameter("named.a.factor") is module.named["a"].factor
    assert module.get_buffer("first.seen") is module.first.seen
    for read in (
        lambda: module.get_submodule("rest.2"),
        lambda: module.get_submodule("nothing"),
        lambda: module.get_parameter("first.seen"),
        lambda: module.get_buffer("first.factor"),
        lambda: module.absent,
    ):
        with pytest.raises(AttributeError):
            read()
    assert {"first", "rest", "nothing"} < set(dir(module))
    seen: list[Any] = []
    assert module.apply(seen.append) is module
    assert seen[-1] is module
    assert module.train().training
    assert not module.eval().rest[0].training


def test_names_that_cannot_be(nn: Any) -> None:
    module = tree(nn)
    for name in ("", "a.b"):
        with pytest.raises(KeyError):
            module.add_module(name, scale(nn))
    with pytest.raises(TypeError):
        module.add_module("part", 3)
    with pytest.raises(TypeError):
        module.first = 3
    module.first = None
    assert module.first is None
    del module.first
    assert not hasattr(module, "first")


def test_states(nn: Any) -> None:
    module, other = tree(nn), tree(nn)
    state = {name: value * 0 + 1 for name, value in module.state_dict().items()}
    other.load_state_dict(state)
    assert all(float(value[0]) == 1 for value in other.state_dict().values())
    for wrong in (
        {**state, "more": state["first.factor"]},
        {"first.factor": state["first.factor"]},
    ):
        with pytest.raises(RuntimeError):
            other.load_state_dict(wrong)
        other.load_state_dict(wrong, strict=False)


def test_lists(nn: Any) -> None:
    parts = [scale(nn, float(i)) for i in range(5)]
    held = nn.ModuleList(parts[:2])
    assert held.append(parts[2]) is held
    held += [parts[3]]
    held.extend([parts[4]])
    assert list(held) == parts
    assert len(held) == 5
    assert held[-1] is parts[4]
    assert list(held[1:3]) == parts[1:3]
    assert parts[1] in held
    assert held.pop(0) is parts[0]
    del held[0]
    held.insert(1, parts[0])
    assert list(held) == [parts[2], parts[0], parts[3], parts[4]]
    assert [name for name, _ in held.named_children()] == ["0", "1", "2", "3"]
    held[-1] = parts[1]
    assert held[3] is parts[1]
    del held[1:3]
    assert list(held) == [parts[2], parts[1]]
    for index in (2, -3):
        with pytest.raises(IndexError):
            held[index]
        with pytest.raises(IndexError):
            held[index] = parts[0]


def test_dicts(nn: Any) -> None:
    a, b = scale(nn), scale(nn)
    held = nn.ModuleDict({"a": a})
    held.update({"b": b, "a": b})
    assert list(held.keys()) == ["a", "b"]
    assert list(held.values()) == [b, b]
    assert dict(held.items())["a"] is b
    assert held.pop("a") is b
    assert "a" not in held
    held["c"] = a
    assert list(held) == ["b", "c"]
    del held["b"]
    held.clear()
    assert len(held) == 0


def test_copies_are_their_own(nn: Any) -> None:
    module = nn.ModuleList([nn.ModuleDict({"a": nn.ModuleList()})])
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert other[0]["a"] is not module[0]["a"]
        other[0]["a"].append(scale(nn))
        assert len(module[0]["a"]) == 0


def test_printed(nn: Any) -> None:
    text = repr(tree(nn))
    assert text.splitlines()[:2] == ["Tree(", "  (first): Scale(by a factor)"]
    assert "    (a): Scale(by a factor)" in text
    assert repr(scale(nn)) == "Scale(by a factor)"


def test_what_computes_nothing(nn: Any) -> None:
    with pytest.raises(NotImplementedError):
        nn.Module()(3)
