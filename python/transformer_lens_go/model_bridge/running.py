"""Runs with hooks that are there for one run, or for one `with` block."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Literal

from ..array_types import ModelInput
from ..given import integer
from ..hook_changes import HooksForABlock
from ..hook_names import hook_pairs, place_of
from ..hook_points import HookPoint
from .exceptions import StopAtLayerException

__all__ = ["RunningMixin", "block_range", "is_outside"]

Hooks = Sequence[tuple[str | Callable[[str], bool], Callable[..., Any]]]
Direction = Literal["fwd", "bwd"]


def block_range(layers: int, start: int | None, stop: int | None) -> tuple[int | None, int | None]:
    """`start` and `stop` counted from the front."""
    bounds = (("start_at_layer", start), ("stop_at_layer", stop))
    count = [None if k is None else integer(name, k) for name, k in bounds]
    count = [None if k is None else k + layers if k < 0 else k for k in count]
    return count[0], count[1]


def is_outside(name: str, start: int | None, stop: int | None) -> bool:
    """Whether a hook point belongs to what a run from block `start` to block `stop` leaves out."""
    if start is not None and (
        name in ("hook_embed", "hook_pos_embed", "hook_tokens")
        or name.startswith(("embed.", "pos_embed."))
    ):
        return True
    parts = name.split(".")
    if parts[0] != "blocks" or not parts[1].isdigit():
        return False
    layer = int(parts[1])
    return (stop is not None and layer >= stop) or (start is not None and layer < start)


class RunningMixin:
    """Needs what HookingMixin and ForwardMixin have."""

    blocks: Any
    context_level: int
    _hook_dict: dict[str, HookPoint]
    _resolve: Any
    _sweep: Any
    _gated_by: Any
    check_hooks_to_add: Any
    forward: Any

    def hooks(
        self,
        fwd_hooks: Hooks = (),
        bwd_hooks: Hooks = (),
        reset_hooks_end: bool = True,
        clear_contexts: bool = False,
    ) -> AbstractContextManager[Any]:
        """Add hooks for the length of a `with` block; those that were there before stay.

        Each is (name or predicate on names, function). `clear_contexts` empties the points' `ctx` at the end.

        Args:
            fwd_hooks, bwd_hooks, clear_contexts: see `run_with_hooks`.
            reset_hooks_end: False leaves the hooks on the model.

        Returns:
            A context manager, which gives the model.

        Raises:
            KeyError: a name that is not there.
            ValueError: a point that a flag of the configuration switches off.

        Example:
            >>> seen = []
            >>> note = lambda pattern, hook: seen.append(hook.name)
            >>> with model.hooks(fwd_hooks=[(lambda name: name.endswith("hook_pattern"), note)]):
            ...     _ = model("Paris")
            >>> seen
            ['blocks.0.attn.hook_pattern', 'blocks.1.attn.hook_pattern', 'blocks.2.attn.hook_pattern']
        """

        def request() -> Iterator[tuple[HookPoint, Callable[..., Any], Direction]]:
            for name, point, hook, direction in self._requested("hooks", fwd_hooks, bwd_hooks):
                self.check_hooks_to_add(point, name, hook, dir=direction)
                yield point, hook, direction

        return HooksForABlock(self, request, reset_hooks_end, clear_contexts)

    def _requested(
        self, api: str, fwd_hooks: Hooks, bwd_hooks: Hooks
    ) -> Iterator[tuple[str, HookPoint, Callable[..., Any], Direction]]:
        """(name as it was asked for, point, function, direction) for each hook to add."""
        both: tuple[tuple[Direction, Hooks], ...] = (("fwd", fwd_hooks), ("bwd", bwd_hooks))
        for direction, hooks in both:
            for place, hook in hook_pairs(f"{direction}_hooks", hooks):
                place = place_of(place, self._hook_dict)
                if isinstance(place, str):
                    yield place, self._resolve(place), hook, direction
                else:
                    for point in self._sweep(api, place):
                        yield point._canonical, point, hook, direction

    def run_with_hooks(
        self,
        input: ModelInput | None = None,
        fwd_hooks: Hooks = (),
        bwd_hooks: Hooks = (),
        reset_hooks_end: bool = True,
        clear_contexts: bool = False,
        return_type: str | None = "logits",
        stop_at_layer: int | None = None,
        start_at_layer: int | None = None,
        remove_batch_dim: bool = False,
        **kwargs: Any,
    ) -> Any:
        """`forward` with hooks that are there for this run only.

        Each is (name or predicate on names, function); a function gets the value and `hook=` the point, and
        what it returns, unless None, replaces the value. With `remove_batch_dim` hooks see values without
        their first axis where that has length 1. Blocks left out by `start_at_layer` or `stop_at_layer` are
        not hooked.

        Args:
            input, return_type, stop_at_layer, start_at_layer: see `forward`, which gets the other keywords.
            fwd_hooks: (name or predicate on names, function) for each hook.
            bwd_hooks: NotImplementedError for now: gradients do not go through the engine.
            reset_hooks_end: False leaves the hooks on the model, until `reset_hooks`.
            clear_contexts: empty the points' `ctx` at the end.

        Returns:
            What `forward` returns.

        Raises:
            KeyError: a name that is not there; the error offers near ones.
            ValueError: a point that a flag of the configuration switches off.
            RuntimeError, TypeError: a hook returned what does not fit its point.

        Example:
            >>> def silence_head_2(z, hook):  # [batch, pos, head, d_head]
            ...     z[:, :, 2] = 0
            >>> hooks = [("blocks.0.attn.hook_z", silence_head_2)]
            >>> loss = model("The capital of France is", return_type="loss")
            >>> without = model.run_with_hooks("The capital of France is", return_type="loss", fwd_hooks=hooks)
            >>> bool(loss != without)
            True
        """
        if "names_filter" in kwargs:
            raise TypeError(
                "run_with_hooks() got an unexpected keyword argument 'names_filter'; use "
                "run_with_cache(names_filter=...) to scope caching."
            )
        bounds = block_range(len(self.blocks), start_at_layer, stop_at_layer)

        def request() -> Iterator[tuple[HookPoint, Callable[..., Any], Direction]]:
            requested = self._requested("run_with_hooks", fwd_hooks, bwd_hooks)
            for name, point, hook, direction in requested:
                if self._gated_by(point) is None and is_outside(point._canonical, *bounds):
                    continue
                call = partial(_without_batch, hook) if remove_batch_dim else hook
                self.check_hooks_to_add(point, name, call, dir=direction)
                yield point, call, direction

        with HooksForABlock(self, request, reset_hooks_end, clear_contexts):
            try:
                return self.forward(
                    input,
                    return_type=return_type,
                    stop_at_layer=stop_at_layer,
                    start_at_layer=start_at_layer,
                    **kwargs,
                )
            except StopAtLayerException as stop:  # a user's hook may raise it
                return stop.layer_output


def _without_batch(call: Callable[..., Any], value: Any, hook: HookPoint) -> Any:
    if value.ndim == 0 or value.shape[0] != 1:
        return call(value, hook=hook)
    given = value[0]
    result = call(given, hook=hook)
    return result[None] if result is not None and result.ndim == given.ndim else result
