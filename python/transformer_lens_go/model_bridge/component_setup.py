"""Builds the tree of components from what the engine says about its model."""

from __future__ import annotations

from typing import Any

from .._engine.model import EngineModel
from .._engine.module import EngineList
from ..hook_points import HookPoint
from . import generalized_components
from .generalized_components import GeneralizedComponent
from .generalized_components.base import View
from .model_point import ModelPoint

__all__ = ["setup_components"]

# Hook points whose values upstream's modules pass on with heads side by side, and hooks see by head.
_BY_HEAD = (".attn.q.hook_out", ".attn.k.hook_out", ".attn.v.hook_out", ".attn.o.hook_in")


def setup_components(engine: EngineModel, cfg: Any) -> tuple[dict[str, Any], list[HookPoint]]:
    """The top-level parts by name, and the hook points by the engine's index."""
    points: list[HookPoint] = []
    for index, told in enumerate(engine.points):
        d_head = cfg.d_head if told["name"].endswith(_BY_HEAD) else None
        points.append(ModelPoint(engine.hooks, index, told, d_head))
    parts = _build(engine, cfg, points)
    for alias, canonical in engine.aliases:
        owner, _, short = alias.rpartition(".")
        if owner:
            parts[owner]._aliases[short] = canonical
    return {name: part for name, part in parts.items() if "." not in name}, points


def _build(engine: EngineModel, cfg: Any, points: list[HookPoint]) -> dict[str, Any]:
    """Every component by its path, each hung into its parent."""
    parameters = {
        (told["name"], parameter["name"]): parameter["index"]
        for told in engine.components
        for parameter in told.get("params") or ()
    }
    parts: dict[str, Any] = {}
    for told in engine.components:
        name = told["name"]
        hooks: list[int] = told.get("hooks") or []
        part = _component_class(told)(name, cfg)
        part._bind(
            engine,
            {points[i].name.rpartition(".")[2]: points[i] for i in hooks},
            {p["name"]: p["index"] for p in told.get("params") or ()},
            {view["name"]: _view(view, parameters) for view in told.get("views") or ()},
        )
        parts[name] = part
        engine.parts.own_all(name, part)
        engine.parts.own(name, part)
        for point in part._points.values():
            engine.parts.own(point.name, point)
        _hang(engine, part, name, parts)
    return parts


def _hang(
    engine: EngineModel, part: GeneralizedComponent, name: str, parts: dict[str, Any]
) -> None:
    owner, _, short = name.rpartition(".")
    if not owner:
        return
    if short.isdigit():
        if owner not in parts:
            parts[owner] = EngineList((), f"the list of {owner}")
            engine.parts.own_all(owner, parts[owner])
        parts[owner]._modules[short] = part
    else:
        parts[owner]._add_part(short, part)


def _component_class(told: dict[str, Any]) -> type[GeneralizedComponent]:
    if told["class"] not in generalized_components.__all__:
        raise RuntimeError(
            f"the engine describes {told['name']} as a {told['class']}, which this package does not "
            "know: the engine and the package are of different versions"
        )
    return getattr(generalized_components, told["class"])


def _view(told: dict[str, Any], parameters: dict[tuple[str, str], int]) -> View:
    kind, shape = told.get("kind", "stored"), tuple(told.get("shape") or ())
    if kind != "stored":
        return View(kind, shape)
    index = parameters[told["component"], told["param"]]
    return View(kind, shape, index, tuple(told["strides"]), told.get("offset", 0))
