"""`run_with_cache`, and hooks that cache."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal, overload

from .._engine import arrays
from ..ActivationCache import ActivationCache
from ..array_types import ModelInput, Tensor
from ..given import brief
from ..hook_changes import AllOrNone, HooksForABlock
from ..hook_names import (
    names_of_filter,
    near_names,
    outside_of_package,
    predicate_of,
    warn_of_unmatched,
)
from ..hook_points import HookPoint, NamesFilter
from ..utilities.slice import Slice, SliceInput
from ..utilities.tensors import remove_batch_dim as drop_batch_dim
from .forward import ForwardMixin, Kept
from .running import block_range, is_outside
from .watching import Notes, Watching

__all__ = ["CachingMixin"]

Names = list[list[str]]  # by the point's index: the names under which to cache it


class CachingMixin:
    """Needs what HookingMixin, RunningMixin and ForwardMixin have."""

    cfg: Any
    blocks: Any
    check_hooks_to_add: Any
    clear_contexts: Any
    _engine: Any
    _points: list[HookPoint]
    _own_points: list[HookPoint]
    _index_of: Any
    _told_of: Any
    forward: Any
    _hook_dict: dict[str, HookPoint]
    _names: Names  # every name of each point, the canonical one first
    _answer: Any
    _gated_by: Any
    _warn_of_sweep: Any
    _warn_if_silent: Any
    context_level: int

    @overload
    def run_with_cache(
        self,
        input: ModelInput | None = None,
        return_cache_object: Literal[True] = True,
        *args: Any,
        **kwargs: Any,
    ) -> tuple[Any, ActivationCache]: ...

    @overload
    def run_with_cache(
        self, input: ModelInput, return_cache_object: Literal[False], *args: Any, **kwargs: Any
    ) -> tuple[Any, dict[str, Tensor]]: ...

    def run_with_cache(
        self,
        input: ModelInput | None = None,
        return_cache_object: bool = True,
        remove_batch_dim: bool = False,
        names_filter: NamesFilter = None,
        stop_at_layer: int | None = None,
        start_at_layer: int | None = None,
        pos_slice: Slice | SliceInput = None,
        incl_bwd: bool = False,
        reset_hooks_end: bool = True,
        clear_contexts: bool = False,
        **kwargs: Any,
    ) -> tuple[Any, Any]:
        """Run the model and keep activations: (what `forward` returns, ActivationCache or dict).

        The cache holds them in order of execution under every name they have, detached from the autograd
        graph. Nothing is copied: they are the memory that the engine computed into.

        Args:
            input: see `forward`.
            names_filter: a name, a list of names, or a predicate on names; None keeps everything.
            pos_slice: which positions to keep.
            remove_batch_dim: drop the batch axis; the batch must be 1.
            reset_hooks_end: False leaves hooks behind that cache later runs into the same dict.
            device: a keyword: where to keep the activations.
            incl_bwd: gradients too; not there yet.
            start_at_layer, stop_at_layer: see `forward`; blocks that are left out are not cached.
            clear_contexts: empty the points' `ctx` at the end.
            return_cache_object: False gives a dict in place of an ActivationCache.

        The other keywords are those of `forward`.

        Raises:
            KeyError: no name of `names_filter` is there; the error offers near ones.
            ValueError: a `names_filter` of another kind.
            NotImplementedError: `incl_bwd=True`, which needs gradients through the engine.

        Example:
            >>> logits, cache = model.run_with_cache("The capital of France is")
            >>> tuple(cache["pattern", 0].shape)  # [batch, head, query, key]
            (1, 4, 6, 6)
            >>> _, cache = model.run_with_cache("Paris", names_filter="blocks.1.hook_resid_post")
            >>> tuple(cache["resid_post", 1].shape)  # [batch, pos, d_model]
            (1, 2, 32)
        """
        self._reject_backward(incl_bwd, stop_at_layer)
        positions, device = Slice.unwrap(pos_slice), kwargs.pop("device", None)
        names_filter = names_of_filter(names_filter, self._hook_dict)
        names = self._chosen(names_filter, start_at_layer, stop_at_layer)
        keep = [index for index, chosen in enumerate(names) if chosen]
        kwargs.update(start_at_layer=start_at_layer, stop_at_layer=stop_at_layer)
        output, kept, batch = self._kept_run(names_filter is None, keep, input, kwargs)
        if positions.mode != "identity" or device is not None:
            kept = [
                (index, _stored(value, self._points[index], positions, device))
                for index, value in kept
            ]
        cache: dict[str, Any] = {}
        for index, value in kept:
            for name in names[index]:
                cache[name] = value
        self._warn_of_missing(names_filter, cache, names)
        if clear_contexts:
            for index in keep:
                self._points[index].clear_context()
        if not reset_hooks_end:
            self._leave_hooks(cache, names, positions, device)
        if not return_cache_object and not remove_batch_dim:
            return output, cache
        activations = ActivationCache(cache, self)
        if remove_batch_dim:
            activations.remove_batch_dim(batch_size=batch)
        return output, activations if return_cache_object else activations.cache_dict

    def _kept_run(
        self, everything: bool, keep: list[int], input: Any, kwargs: dict[str, Any]
    ) -> tuple[Any, Kept, int]:
        """What `forward` returns, the values at the points `keep` in order of execution, and the batch size."""
        own = len(self._own_points)
        bounded = kwargs["start_at_layer"] is not None or kwargs["stop_at_layer"] is not None
        asked: Any = [index for index in keep if index < own]
        if everything and not bounded:
            asked = "all"
        notes = Notes(self._engine.handle)

        def request() -> Iterator[tuple[HookPoint, Callable[..., Any], str]]:
            for index in keep:
                if index >= own:
                    yield self._points[index], partial(notes.take, index), "fwd"

        with HooksForABlock(self, request, True, False):  # hooks that run see a level of their own
            if "forward" not in self.__dict__ and type(self).forward is ForwardMixin.forward:
                output, kept, batch = self._answer(asked, input, **kwargs)
            else:
                with Watching(self, asked) as seen:
                    output = self.forward(input, **kwargs)
                kept, batch = seen.kept, seen.batch
        return output, notes.among(kept), batch

    def _warn_of_missing(self, names_filter: Any, cache: dict[str, Any], names: Names) -> None:
        """Say so when a point was asked for by name that whoever computes its part passed by."""
        if not self._engine.parts.replaced or not isinstance(names_filter, (str, list)):
            return
        missing = [name for chosen in names for name in chosen if name not in cache]
        if missing:
            warnings.warn(
                f"run_with_cache: nothing came by {', '.join(missing[:6])}: what stands in the place of "
                f"{', '.join(sorted(self._engine.parts.replaced))} did not run that part of the model",
                stacklevel=outside_of_package(),
            )

    def _reject_backward(self, incl_bwd: bool, stop_at_layer: int | None) -> None:
        if not incl_bwd:
            return
        if stop_at_layer is not None:
            raise ValueError(
                "incl_bwd=True cannot be combined with stop_at_layer: the run returns the residual stream "
                "at that layer, not a scalar to call backward() on."
            )
        if arrays.torch is None or not arrays.torch.is_grad_enabled():
            raise ValueError(
                "incl_bwd=True needs autograd: torch, with gradients enabled (no torch.no_grad())."
            )
        raise NotImplementedError(
            "incl_bwd=True: gradients through the engine are not in this version yet"
        )

    def _chosen(self, names_filter: NamesFilter, start: int | None, stop: int | None) -> Names:
        """The names under which each point is to be cached; empty for points that are not."""
        names = self._names if names_filter is None else self._filtered(names_filter)
        if start is None and stop is None:
            return names
        bounds = block_range(len(self.blocks), start, stop)
        return [[name for name in chosen if not is_outside(name, *bounds)] for chosen in names]

    def _filtered(self, names_filter: Any) -> Names:
        wanted = self._wanted(names_filter)
        chosen: Names = [[] for _ in self._points]
        gated: list[str] = []
        for index in sorted({self._index_of(self._hook_dict[name]) for name in wanted}):
            here = [name for name in self._names[index] if name in wanted]
            if self._gated_by(self._points[index]) is None:
                chosen[index] = here
            else:
                gated += here
        self._warn_of_sweep("run_with_cache", bool(wanted) or not callable(names_filter), gated)
        return chosen

    def _wanted(self, names_filter: Any) -> set[str]:
        """The names that a filter means. An alias asked for by name means the canonical name too."""
        if callable(names_filter):
            return {name for name in self._hook_dict if names_filter(name)}
        if not isinstance(names_filter, (str, list)):
            raise ValueError("names_filter must be a string, list of strings, or callable")
        asked = [names_filter] if isinstance(names_filter, str) else names_filter
        known = [name for name in asked if name in self._hook_dict]
        for name in known:
            self._warn_if_silent(name, self._hook_dict[name])
        if asked and not known:
            raise KeyError(
                f"names_filter {brief(names_filter)} matched no hook points on this model; check the name "
                f"against model.hook_dict.{near_names(str(asked[0]), self._hook_dict)}"
            )
        warn_of_unmatched("run_with_cache", asked, self._hook_dict)
        return {*known, *(self._hook_dict[name]._canonical for name in known)}

    def _leave_hooks(self, cache: dict, names: Names, positions: Slice, device: Any) -> None:
        """Have later runs cache into the same dict: one hook for each name, as upstream has them."""
        level = self.context_level + 1
        with AllOrNone() as together:
            for index, chosen in enumerate(names):
                if self._gated_by(self._points[index]) is None:
                    for name in chosen:
                        keep = partial(_keep, cache, [name], positions, device, False)
                        together.add(self._points[index], keep, level=level)
            together.is_done = True

    # hooks that cache

    def get_caching_hooks(
        self,
        names_filter: NamesFilter = None,
        incl_bwd: bool = False,
        device: Any = None,
        remove_batch_dim: bool = False,
        cache: dict | None = None,
        pos_slice: Slice | SliceInput = None,
    ) -> tuple[dict, list, list]:
        """(cache, forward hooks, backward hooks) for `hooks` or `run_with_hooks`; nothing is added yet.

        Values are cached under the canonical name, and under the aliases that the filter accepts.
        """
        cache = {} if cache is None else cache
        positions = Slice.unwrap(pos_slice)
        names_filter = names_of_filter(names_filter, self._hook_dict)
        matches = predicate_of(names_filter)
        if isinstance(names_filter, (str, list)):
            asked = [names_filter] if isinstance(names_filter, str) else names_filter
            warn_of_unmatched("get_caching_hooks", asked, self._hook_dict)
        forward, backward = [], []
        for point, names in zip(self._points, self._names, strict=True):
            matched = [name for name in names if matches(name)]
            if not matched or not self._is_worth_caching(point, names_filter):
                continue
            keys = [point._canonical, *(matched if names_filter is not None else ())]
            keys = list(dict.fromkeys(keys))
            keep = partial(_keep, cache, keys, positions, device, remove_batch_dim)
            forward.append((matched[0], keep))
            if incl_bwd:
                gradients = [f"{key}_grad" for key in keys]
                keep = partial(_keep, cache, gradients, positions, device, remove_batch_dim)
                backward.append((matched[0], keep))
        return cache, forward, backward

    def _is_worth_caching(self, point: HookPoint, names_filter: NamesFilter) -> bool:
        """Whether a hook there could ever be called; what was asked for by name is not second-guessed."""
        if isinstance(names_filter, (str, list)):
            return True
        if self._told_of(point).get("silent"):
            return False
        return names_filter is not None or self._gated_by(point) is None

    def add_caching_hooks(
        self,
        names_filter: NamesFilter = None,
        incl_bwd: bool = False,
        device: Any = None,
        remove_batch_dim: bool = False,
        cache: dict | None = None,
    ) -> dict:
        """Add hooks that cache every later run into the dict that is returned, until `reset_hooks`."""
        names_filter = names_of_filter(names_filter, self._hook_dict)
        cache, forward, backward = self.get_caching_hooks(
            names_filter, incl_bwd, device, remove_batch_dim, cache
        )
        gated = [name for name, _ in forward if self._gated_by(self._hook_dict[name]) is not None]
        with AllOrNone() as together:
            for direction, hooks in (("fwd", forward), ("bwd", backward)):
                for name, hook in hooks:
                    if name not in gated:
                        point = self._hook_dict[name]
                        self.check_hooks_to_add(point, name, hook, dir=direction)
                        together.add(point, hook, dir=direction)
            together.is_done = True
        self._warn_of_sweep("add_caching_hooks", bool(forward) or not callable(names_filter), gated)
        return cache

    def cache_all(
        self,
        cache: dict | None,
        incl_bwd: bool = False,
        device: Any = None,
        remove_batch_dim: bool = False,
    ) -> None:
        """The old name of `add_caching_hooks` for everything."""
        self._warn_of_old_name("cache_all")
        self.add_caching_hooks(None, incl_bwd, device, remove_batch_dim, cache)

    def cache_some(
        self,
        cache: dict | None,
        names: Callable[[str], bool],
        incl_bwd: bool = False,
        device: Any = None,
        remove_batch_dim: bool = False,
    ) -> None:
        """The old name of `add_caching_hooks` for names that a predicate accepts."""
        self._warn_of_old_name("cache_some")
        self.add_caching_hooks(names, incl_bwd, device, remove_batch_dim, cache)

    def _warn_of_old_name(self, name: str) -> None:
        warnings.warn(
            f"{name} is deprecated; use run_with_cache or add_caching_hooks.",
            DeprecationWarning,
            stacklevel=3,
        )


def _stored(value: Any, point: HookPoint, positions: Slice, device: Any) -> Any:
    """What to cache of a value: its positions, in memory of their own, on the device."""
    if positions.mode != "identity" and value.ndim >= 2:
        name = point._canonical
        axis = -2 if name.endswith(("hook_pattern", "hook_attn_scores")) else 1
        value = positions.apply(value, dim=axis if point.pos_dim is None else point.pos_dim)
        value = value.clone() if arrays.torch is not None else value.copy()
    if device is None:
        return value
    if arrays.torch is not None:
        return value.to(device)
    if str(device) != "cpu":
        raise ValueError(f"device={brief(device)}: NumPy arrays are on the CPU")
    return value


def _keep(
    cache: dict,
    keys: list[str],
    positions: Slice,
    device: Any,
    without_batch: bool,
    tensor: Any,
    hook: HookPoint,
) -> None:
    """The hook that caches one value. The engine never writes to memory that somebody else holds."""
    kept = tensor.detach() if arrays.torch is not None else tensor
    kept = _stored(kept, hook, positions, device)
    if without_batch:
        kept = drop_batch_dim(kept)
    for key in keys:
        cache[key] = kept
