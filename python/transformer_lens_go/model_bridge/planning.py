"""`model.plan`: what a run would do, without running it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from html import escape
from itertools import groupby
from textwrap import wrap
from typing import Any, Literal

from .._engine.run import planned
from ..array_types import ModelInput
from ..hook_changes import HooksForABlock
from ..hook_names import names_of_filter
from ..hook_points import HookPoint, NamesFilter
from ..summaries import in_bytes
from .running import Hooks

__all__ = ["Plan", "PlanStep", "PlanningMixin"]

_LAYER = re.compile(r"blocks\.(\d+)\.")


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One step of a plan. Types are texts such as "float32 [1, 5, 64]"; "" is an input that is absent."""

    name: str
    """The value it makes: a hook point's name, or the engine's own for values between them."""
    kind: Literal["operation", "fused", "hook point", "replaced"]
    op: str
    """The operation; "" at hook points, and where a module of the user's computes."""
    inside: tuple[str, ...]
    """Values inside a fusion or a replaced part: nobody looks at them, so they are not made one by one."""
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    called: bool
    """Hooks are called here."""
    kept: bool
    """The value is kept (cached)."""
    operations: int
    """Operations of floating point."""
    bytes: int
    """Memory taken for what it makes; what is shared with its inputs takes none."""
    scratch: int
    """Memory that it takes beside that, and lets go of at its end."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do. What hooks and replaced parts take for themselves is not in the sums."""

    steps: tuple[PlanStep, ...]
    skipped: tuple[str, ...]
    """Values that are not computed, as nothing that is asked for depends on them."""
    operations: int
    """Operations of floating point, in all."""
    allocated: int
    """Bytes taken in all."""
    peak: int
    """Bytes that are alive at once, kept ones included; weights are not counted."""
    kept: int
    """Bytes that stay: what is cached and returned."""

    @property
    def fused(self) -> tuple[PlanStep, ...]:
        """The steps that stand for several operations."""
        return tuple(step for step in self.steps if step.kind == "fused")

    def _title(self) -> str:
        return (
            f"{len(self.steps)} steps ({len(self.fused)} fused), {len(self.skipped)} values skipped; "
            f"{self.operations / 1e9:.3g} billion operations; {in_bytes(self.allocated)} taken, "
            f"{in_bytes(self.peak)} at once, {in_bytes(self.kept)} kept"
        )

    def __str__(self) -> str:
        rows = [("step", "does", "makes", "operations", "memory"), *map(_row, self.steps)]
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        lines = ["  ".join(map(str.ljust, row, [*widths, 0])).rstrip() for row in rows]
        if self.skipped:
            lines += ["", *wrap(f"skipped: {_by_layer(self.skipped)}", 120)]
        return "\n".join([f"Plan: {self._title()}", *lines])

    def __repr__(self) -> str:
        return f"<Plan: {self._title()}>"

    def _repr_html_(self) -> str:
        head = "".join(
            f"<th>{name}</th>" for name in ("step", "does", "makes", "operations", "memory")
        )
        rows = (
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in _row(step)) + "</tr>"
            for step in self.steps
        )
        skipped = ""
        if self.skipped:
            names = escape(_by_layer(self.skipped))
            skipped = (
                f"<details><summary>{len(self.skipped)} values skipped</summary>{names}</details>"
            )
        return (
            f"<p>{escape(self._title())}</p><table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}"
            f"</tbody></table>{skipped}"
        )


def _by_layer(names: Iterable[str]) -> str:
    """Names in order, those of a layer counted, and layers that have as many told together."""
    told: list[list[Any]] = []  # a name, or the first and last layer and how many names each has
    for layer, group in groupby(names, _layer_of):
        listed = list(group)
        if layer is None:
            told += [[name] for name in listed]
            continue
        number, count = int(layer), len(listed)
        if told and len(told[-1]) > 1 and told[-1][1:] == [number - 1, count]:
            told[-1][1] = number
        else:
            told.append([number, number, count])
    return ", ".join(_told_layers(*item) if len(item) > 1 else item[0] for item in told)


def _layer_of(name: str) -> str | None:
    found = _LAYER.match(name)
    return None if found is None else found[1]


def _told_layers(first: int, last: int, count: int) -> str:
    if first == last:
        return f"{count} of blocks.{first}"
    return f"{count} each of blocks.{first} to blocks.{last}"


def _row(step: PlanStep) -> tuple[str, str, str, str, str]:
    does = [step.op] if step.op else []
    if step.kind == "fused":
        does.append(f"for {len(step.inside) + 1} values")
    elif step.kind == "replaced":
        does.append("what you put in its place")
    does += ["calls hooks"] * step.called + ["keeps"] * step.kept
    memory = in_bytes(step.bytes) if step.bytes else ""
    return (
        step.name,
        ", ".join(does),
        ", ".join(step.outputs),
        f"{step.operations:,}" if step.operations else "",
        memory,
    )


class PlanningMixin:
    """Needs what CachingMixin has."""

    _engine: Any
    _points: list[HookPoint]
    _own_points: list[HookPoint]
    _hook_dict: dict[str, HookPoint]
    _asked: Any
    _chosen: Any
    _requested: Any
    check_hooks_to_add: Any

    def plan(
        self,
        input: ModelInput | None = None,
        *,
        cache: bool = False,
        names_filter: NamesFilter = None,
        fwd_hooks: Hooks = (),
        stop_at_layer: int | None = None,
        start_at_layer: int | None = None,
        **kwargs: Any,
    ) -> Plan:
        """What a run with these arguments would do: nothing runs, and no hook is called.

        Args:
            input: see `forward`, which the other keywords are those of.
            cache: as `run_with_cache` runs; a `names_filter` says so too.
            names_filter: which activations are kept; see `run_with_cache`.
            fwd_hooks: hooks that would be there for this run; see `run_with_hooks`.
            stop_at_layer, start_at_layer: see `forward`.

        Returns:
            A `Plan`: print it, or look at it in a notebook.

        Raises:
            What the run itself would raise for its arguments.

        Example:
            >>> plan = model.plan("Paris", names_filter="blocks.0.hook_resid_post", return_type=None)
            >>> any(name.startswith("blocks.1") for name in plan.skipped)  # nothing of it is asked for
            True
            >>> [step.name for step in plan.steps if step.kept]
            ['blocks.0.hook_out']
        """
        keep: list[int] = []
        if cache or names_filter is not None:
            names = self._chosen(
                names_of_filter(names_filter, self._hook_dict), start_at_layer, stop_at_layer
            )
            own = len(self._own_points)
            keep = [index for index, chosen in enumerate(names) if chosen and index < own]

        def request() -> Iterator[tuple[HookPoint, Callable[..., Any], str]]:
            for name, point, hook, direction in self._requested("plan", fwd_hooks, ()):
                self.check_hooks_to_add(point, name, hook, dir=direction)
                yield point, hook, direction

        kwargs.update(start_at_layer=start_at_layer, stop_at_layer=stop_at_layer)
        with HooksForABlock(self, request, True, False):
            question, _, _, _ = self._asked(keep, input, **kwargs)
            return _told(planned(self._engine, question))


def _told(answer: dict[str, Any]) -> Plan:
    return Plan(
        steps=tuple(_step(step) for step in answer["steps"]),
        skipped=_texts(answer["skipped"]),
        operations=answer["operations"],
        allocated=answer["allocated"],
        peak=answer["peak"],
        kept=answer["kept"],
    )


def _step(told: dict[str, Any]) -> PlanStep:
    return PlanStep(
        told["name"],
        told["kind"],
        told["op"],
        _texts(told["inside"]),
        _texts(told["in"]),
        _texts(told["out"]),
        told["called"],
        told["kept"],
        told["operations"],
        told["bytes"],
        told["scratch"],
    )


def _texts(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(values)
