"""One run of the engine: the question it is asked, the hooks it calls on the way, and the answer."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from . import arrays, closing, errors, replace
from .compiled import glue, go
from .inputs import Borrowed
from .model import EngineModel
from .parts import frame_of
from .past import Past
from .where import here

__all__ = ["Answer", "Question", "planned", "run"]

closing.wait_at_exit()

_PART = -1  # the hook id with which the engine asks for a part
_ARRAYS = ("tokens", "attention_mask", "positions", "embeds", "resid", "wanted")


@dataclass(slots=True)
class Question:
    """What is given, what is wanted, and which hook points (by index) to keep.

    Given is one of `tokens` [b, p], `embeds` [b, p, d], `resid` [b, p, d] entering block `start`, or the
    `arguments` of one `component` that runs by itself. `output` is "logits", "resid" (entering block `stop`),
    "component" or "none".
    """

    tokens: Any = None
    attention_mask: Any = None
    positions: Any = None
    embeds: Any = None
    resid: Any = None
    wanted: Any = None  # positions [1 or b, n] whose logits are wanted; None: all
    start: int | None = None
    stop: int | None = None
    component: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    output: str = "logits"
    keep: Sequence[int] | str = ()
    past: Past | None = None  # keys and values of earlier tokens; the run adds its own
    within: int = 0  # the run that waits for what this one computes, and keeps edges of

    def text(self, lent: Borrowed) -> str:
        """The question as the engine reads it, with handles for the arrays."""
        asked: dict[str, Any] = {"output": self.output, "keep": self.keep, "call": True}
        if os.environ.get("TRANSFORMER_LENS_GO_PLAN") == "plain":
            asked["plain"] = True
        for name in _ARRAYS:
            array = getattr(self, name)
            if array is not None:
                asked[name] = lent.add(array)
        if self.past is not None:
            asked["past"] = self.past.asked()
        if self.start is not None:
            asked["start"] = self.start
        if self.stop is not None:
            asked["stop"] = self.stop
        if self.component is not None:
            handles = {name: lent.add(array) for name, array in self.arguments.items()}
            asked["component"] = {"name": self.component, "args": handles}
        if self.within:
            asked["within"] = self.within
        return json.dumps(asked)

    def positions_of_input(self) -> range | None:
        """Where in the whole sequence the input stands; None where a component runs by itself."""
        for given in (self.tokens, self.embeds, self.resid):
            if given is not None:
                first = 0 if self.past is None else self.past.length
                return range(first, first + given.shape[1])
        return None

    def floating_inputs(self) -> list[Any]:
        """The given arrays that may carry gradients."""
        given = [self.embeds, self.resid, *self.arguments.values()]
        return [array for array in given if array is not None and array.is_floating_point()]


class Answer(glue.Owned):
    """What a run gave: the engine's until the end of the block. What is taken of it stays."""

    __slots__ = (
        "_known",
        "live",
    )  # `live`: the tensors on which its gradients depend; None when gradients are off

    def _told(self) -> dict[str, Any]:
        try:
            return self._known
        except AttributeError:
            self._known: dict[str, Any] = json.loads(str(self.told))
            return self._known

    @property
    def seen(self) -> int:
        """How many edges were kept when the run ended, also by the run that it was within."""
        return self._told()["seen"]

    def output(self, name: str = "the output") -> Any:
        """The output's array, part of the autograd graph where gradients are on; None when none was wanted."""
        handle = self._told()["output"]
        return _edge(partial(arrays.view, handle), name, self.live) if handle else None

    def extra(self, name: str = "the output") -> list[Any]:
        """Further outputs, such as the pattern of an attention layer, part of the autograd graph likewise."""
        handles = self._told()["extra"]
        return [_edge(partial(arrays.view, handle), name, self.live) for handle in handles]

    def kept(self) -> list[tuple[int, Any]]:
        """(point, array) for each kept point in execution order; never part of the autograd graph."""
        view, pairs = arrays.view, iter(self._told()["kept"])
        return [(point, view(handle)) for point, handle in zip(pairs, pairs, strict=True)]


def run(model: EngineModel, question: Question) -> Answer:
    """Ask the engine. What a hook raises comes out unchanged, and ends the run."""
    frame = None if question.component is None else frame_of(model.handle)
    if frame is None:
        model.parts.settle()
    else:
        question.within = frame.run
        frame.ran.add(str(question.component))
    live = _live_at_start(model, question)
    dispatch = _plain(model) if live is None else _grad(model, live)
    outer = here.positions
    if frame is None:  # else the positions are those of the run around
        here.positions = question.positions_of_input()
    try:
        answer = _ask(model.handle, question, dispatch)
    finally:
        here.positions = outer
    answer.live = live
    if frame is not None:
        frame.seen = answer.seen
    return answer


def planned(model: EngineModel, question: Question) -> dict[str, Any]:
    """What `run` would do; see `PlanTell` in pybind/plans.go."""
    model.parts.settle()
    with Borrowed() as lent:
        return json.loads(errors.call(go.PlanTell, model.handle, question.text(lent)))


def _ask(model: int, question: Question, dispatch: Callable[[int, int, int], int]) -> Answer:
    with Borrowed() as lent:
        # no name for the answer, by which the traceback of a signal's exception could hold it
        return Answer(None, go.Run, model, question.text(lent), glue.Dispatcher(dispatch))


def _live_at_start(model: EngineModel, question: Question) -> list[Any] | None:
    """The tensors on which the run's gradients depend; None when gradients are off."""
    model.params.settle()
    if arrays.torch is None or not arrays.torch.is_grad_enabled():
        return None
    live = [array for array in question.floating_inputs() if array.requires_grad]
    if model.params.any_requires_grad():
        from .autograd import anchor

        live.append(anchor())
    return live


def _edge(make: Callable[[], Any], name: str, live: list[Any] | None) -> Any:
    """The array of an edge; where anything it depends on carries gradients, as the output of a segment."""
    if not live:
        return make()
    from .autograd import Segment

    return Segment.apply(make, name, *live)


def _plain(model: EngineModel) -> Callable[[int, int, int], int]:
    """Calls hooks without autograd. This is the path that every hook's cost is measured on."""
    view, find, put = arrays.view, model.hooks.calls.get, replace.put
    start, in_order = arrays.start, arrays.in_order

    def dispatch(run: int, hook: int, tensor: int) -> int:
        record = find(hook)
        if record is None:  # a part, or a hook that was taken off
            if hook == _PART:
                return model.parts.call(run, model.dtype, None, _view_only)
            return 0
        call, point = record
        given = view(tensor)
        address = start(given)
        result = call(given, hook=point)
        if start(given) != address or not in_order(given):
            given, result = _became(given, view(tensor), result)
        if result is None or result is given:
            return 0
        return put(run, point, given, result)

    return dispatch


def _became(given: Any, whole: Any, result: Any) -> tuple[Any, Any]:
    """What a hook was given and what it returned, where the tensor itself may have become another meanwhile.

    After `value.data = other`, `value.set_(other)` or `value.transpose_(1, 2)` the hook has as good as returned it.
    `whole` is a view of what the hook was given.
    """
    if arrays.place(given) == arrays.place(whole):
        return given, result
    return whole, given if result is None else result


def _view_only(handle: int, name: str) -> Any:
    return arrays.view(handle)


def _grad(model: EngineModel, live: list[Any]) -> Callable[[int, int, int], int]:
    """Calls hooks with tensors that are part of the autograd graph; what they make of them joins `live`."""
    calls = model.hooks.calls

    def part_edge(handle: int, name: str) -> Any:
        value = arrays.view(handle)
        if not value.is_floating_point():
            return value
        return _edge(lambda: value, f"what went into {name}", live)

    def dispatch(run: int, hook: int, tensor: int) -> int:
        record = calls.get(hook)
        if record is None:
            if hook == _PART:
                return model.parts.call(run, model.dtype, live, part_edge)
            return 0
        call, point = record
        given = _edge(partial(arrays.view, tensor), f"the hook at {point.name}", live)
        address = arrays.start(given)
        result = call(given, hook=point)
        if arrays.start(given) != address or not arrays.in_order(given):
            given, result = _became(given, arrays.view(tensor), result)
        if result is None or result is given:
            if given.requires_grad:
                live.append(given)
            return 0
        result = replace.fit(point.shown_name, point._resize, given, result)
        if result.requires_grad:
            live.append(result)
        return replace.put(run, point, given, result.detach())

    return dispatch
