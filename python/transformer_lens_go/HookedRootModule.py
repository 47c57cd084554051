"""HookedRootModule: the base class of a user's own module whose HookPoints can be hooked and cached by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Literal

from ._engine import arrays
from .given import brief
from .hook_changes import AllOrNone, HooksForABlock, remove_from_all
from .hook_names import (
    hook_pairs,
    names_of_filter,
    near_names,
    place_of,
    predicate_of,
    warn_of_no_match,
    warn_of_unmatched,
)
from .hook_points import (
    DeviceType,
    HookFunction,
    HookIntrospectionMixin,
    HookPoint,
    Module,
    NamesFilter,
)
from .utilities.slice import Slice, SliceInput
from .utilities.tensors import remove_batch_dim as drop_batch_dim

__all__ = ["HookedRootModule"]

Place = str | Callable[[str], bool]
Hooks = Sequence[tuple[Place, Callable[..., Any]]]
Direction = Literal["fwd", "bwd"]

_BY_HEAD = ("hook_q", "hook_k", "hook_v", "hook_z", "hook_result")


class HookedRootModule(HookIntrospectionMixin, Module):
    """A module whose activations can be watched and edited by the names of its HookPoints.

    A subclass defines its layers and HookPoints in `__init__`, calls `setup()` at the end of it, and passes values
    through the HookPoints in `forward`. It is a torch module in every way; without torch it is a small module class
    over NumPy arrays (`hook_points.Module`), and has no backward hooks.

    Hooks that are added by `add_hook` stay until `reset_hooks`. `run_with_hooks`, `run_with_cache` and `hooks` take
    theirs off at the end: with those a forgotten hook cannot spoil a later run. Backward hooks must stay until
    `backward()` has been called: use `hooks` around both, or `reset_hooks_end=False`.
    """

    name: str | None
    mod_dict: dict[str, Any]
    hook_dict: dict[str, HookPoint]

    def __init__(self, *args: Any) -> None:
        super().__init__()
        self.is_caching = False
        self.context_level = 0

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "name":  # of a module that is part of no other
                return None
            if name not in ("mod_dict", "hook_dict"):
                raise
        raise AttributeError(
            f"{type(self).__name__} has no {name} yet: call self.setup() at the end of __init__, after all layers "
            "and HookPoints are defined",
            name=name,
            obj=self,
        )

    def setup(self) -> None:
        """Give every part its path as its `name`, and list them in `mod_dict`, the HookPoints in `hook_dict` too.

        To be called at the end of `__init__`, and again whenever parts were added or replaced.
        """
        mod_dict: dict[str, Any] = {}
        hook_dict: dict[str, HookPoint] = {}
        for name, module in self.named_modules():
            if name == "":
                continue
            module.name = name
            mod_dict[name] = module
            if isinstance(module, HookPoint):
                hook_dict[name] = module
        self.mod_dict, self.hook_dict = mod_dict, hook_dict

    def hook_points(self) -> Iterable[HookPoint]:
        """The HookPoints, in the order of `hook_dict`."""
        return self.hook_dict.values()

    # removing

    def remove_all_hook_fns(
        self,
        direction: Literal["fwd", "bwd", "both"] = "both",
        including_permanent: bool = False,
        level: int | None = None,
    ) -> None:
        """Take the hooks of that direction, permanence and level (None: of every level) off every point."""
        remove_from_all(self.hook_points(), direction, including_permanent, level)

    def clear_contexts(self) -> None:
        """Give every hook point an empty `ctx`."""
        for point in self.hook_points():
            point.clear_context()

    def reset_hooks(
        self,
        clear_contexts: bool = True,
        direction: Literal["fwd", "bwd", "both"] = "both",
        including_permanent: bool = False,
        level: int | None = None,
    ) -> None:
        """Take hooks off every point, and empty the points' `ctx` unless told not to."""
        if clear_contexts:
            self.clear_contexts()
        self.remove_all_hook_fns(direction, including_permanent, level=level)
        self.is_caching = False

    # adding

    def check_hooks_to_add(
        self,
        hook_point: HookPoint,
        hook_point_name: str,
        hook: HookFunction,
        dir: Direction = "fwd",
        is_permanent: bool = False,
        prepend: bool = False,
    ) -> None:
        """Called by `add_hook` before each hook is added: override it to raise for hooks that must not be."""

    def check_and_add_hook(
        self,
        hook_point: HookPoint,
        hook_point_name: str,
        hook: HookFunction,
        dir: Direction = "fwd",
        is_permanent: bool = False,
        level: int | None = None,
        prepend: bool = False,
    ) -> None:
        """Add a hook to a point if `check_hooks_to_add` lets it pass."""
        self.check_hooks_to_add(
            hook_point, hook_point_name, hook, dir=dir, is_permanent=is_permanent, prepend=prepend
        )
        hook_point.add_hook(hook, dir=dir, is_permanent=is_permanent, level=level, prepend=prepend)

    def add_hook(
        self,
        name: Place,
        hook: HookFunction,
        dir: Direction = "fwd",
        is_permanent: bool = False,
        level: int | None = None,
        prepend: bool = False,
    ) -> None:
        """Add a hook to the point of that name, or to every point whose name a predicate accepts.

        If one cannot be added, none is. Raises KeyError for a name that is not in `mod_dict`, AssertionError for
        the name of a part that is no HookPoint, and what `HookPoint.add_hook` raises.
        """
        name = place_of(name, self.hook_dict)
        if isinstance(name, str):
            point = self._part(name)
            if not isinstance(point, HookPoint):
                raise AssertionError(
                    f"{brief(name)} is a {type(point).__name__}, not a HookPoint; "
                    "the HookPoints are the keys of hook_dict"
                )
            points = [(name, point)]
        else:
            points = self._matching("add_hook", name)
        options: dict[str, Any] = dict(
            dir=dir, is_permanent=is_permanent, level=level, prepend=prepend
        )
        with AllOrNone() as together:
            for point_name, point in points:
                together.note(
                    point, partial(self.check_and_add_hook, point, point_name, hook, **options)
                )
            together.is_done = True

    def add_perma_hook(self, name: Place, hook: HookFunction, dir: Direction = "fwd") -> None:
        """Add a hook that `reset_hooks` leaves in place."""
        self.add_hook(name, hook, dir=dir, is_permanent=True)

    def _part(self, name: str) -> Any:
        if name not in self.mod_dict:
            hint = near_names(name, self.hook_dict)
            raise KeyError(f"{brief(name)} is no part of this {type(self).__name__}.{hint}")
        return self.mod_dict[name]

    def _matching(self, api: str, predicate: Any) -> list[tuple[str, Any]]:
        """(name, point) for each hook point whose name the predicate accepts."""
        if not callable(predicate):
            raise TypeError(f"expected a hook name or a predicate on names, got {brief(predicate)}")
        found = [(name, point) for name, point in self.hook_dict.items() if predicate(name)]
        if not found:
            warn_of_no_match(api, self.hook_dict)
        return found

    # running

    def hooks(
        self,
        fwd_hooks: Hooks = [],  # noqa: B006 (never written to; upstream's signature)
        bwd_hooks: Hooks = [],  # noqa: B006
        reset_hooks_end: bool = True,
        clear_contexts: bool = False,
    ) -> AbstractContextManager[Any]:
        """Add hooks for the length of a `with` block, at a context level of its own.

        Each is (name or predicate on names, function). At the end every hook of that level goes that is not
        permanent, whoever added it; `clear_contexts` then empties the points' `ctx` too. If one cannot be added,
        none is. Raises KeyError for a name that is not in `mod_dict`, TypeError for a part that takes no hooks.
        """
        request = partial(self._requested, "hooks", fwd_hooks, bwd_hooks)
        return _HooksOfALevel(self, request, reset_hooks_end, clear_contexts)

    def _requested(
        self, api: str, fwd_hooks: Hooks, bwd_hooks: Hooks
    ) -> list[tuple[Any, Callable[..., Any], Direction]]:
        requested: list[tuple[Any, Callable[..., Any], Direction]] = []
        points: list[Any]
        both: tuple[tuple[Direction, Hooks], ...] = (("fwd", fwd_hooks), ("bwd", bwd_hooks))
        for direction, hooks in both:
            for place, hook in hook_pairs(f"{direction}_hooks", hooks):
                place = place_of(place, self.hook_dict)
                if not isinstance(place, str):
                    points = [point for _, point in self._matching(api, place)]
                else:
                    points = [self._hookable(place)]
                for point in points:
                    requested.append((point, hook, direction))
        return requested

    def _hookable(self, name: str) -> Any:
        part = self._part(name)
        if isinstance(part, HookedRootModule) or not hasattr(part, "add_hook"):
            raise TypeError(
                f"Expected a module with add_hook, got {type(part)} under {brief(name)}"
            )
        return part

    def run_with_hooks(
        self,
        *model_args: Any,
        fwd_hooks: Hooks = [],  # noqa: B006
        bwd_hooks: Hooks = [],  # noqa: B006
        reset_hooks_end: bool = True,
        clear_contexts: bool = False,
        **model_kwargs: Any,
    ) -> Any:
        """`forward` with hooks that are there for this run only; returns what `forward` does.

        Each is (name or predicate on names, function). Only a forward pass is run: for backward hooks,
        `reset_hooks_end=False` leaves them until `reset_hooks`. The other arguments are those of `forward`.
        """
        if len(bwd_hooks) > 0 and reset_hooks_end:
            _log(
                "run_with_hooks takes its backward hooks off before a backward pass can call them: pass "
                "reset_hooks_end=False, or use hooks() around the run and backward()."
            )
        with self.hooks(fwd_hooks, bwd_hooks, reset_hooks_end, clear_contexts) as hooked:
            return hooked.forward(*model_args, **model_kwargs)

    def run_with_cache(
        self,
        *model_args: Any,
        names_filter: NamesFilter = None,
        device: DeviceType = None,
        remove_batch_dim: bool = False,
        incl_bwd: bool = False,
        reset_hooks_end: bool = True,
        clear_contexts: bool = False,
        pos_slice: Slice | SliceInput = None,
        **model_kwargs: Any,
    ) -> tuple[Any, dict[str, Any]]:
        """Run the module and keep activations: (what it returns, {name: activation}).

        Args:
            names_filter: a name, a list of names, or a predicate on names; None keeps everything.
            device: where to keep the activations; None leaves them where they are.
            remove_batch_dim: drop a first axis of length 1. An AssertionError when the first argument has a batch
                of another size.
            incl_bwd: call `backward()` on the result, which must be a scalar, and keep gradients too, as
                `name + "_grad"`.
            reset_hooks_end: False leaves the hooks behind, which cache later runs into the same dict.
            clear_contexts: empty the points' `ctx` at the end.
            pos_slice: which positions to keep: of the third axis from the end where heads come after it (hook_q,
                hook_k, hook_v, hook_z, hook_result), else of the second.
        """
        if remove_batch_dim and model_args and _is_tensor(model_args[0]):
            batch = model_args[0].shape[0] if model_args[0].ndim > 0 else 1
            if batch != 1:
                raise AssertionError(
                    f"Cannot remove batch dimension from cache with batch size {batch}: remove_batch_dim "
                    "needs a batch of 1"
                )
        cache, forward, backward = self.get_caching_hooks(
            names_filter, incl_bwd, device, remove_batch_dim, pos_slice=pos_slice
        )
        with self.hooks(forward, backward, reset_hooks_end, clear_contexts):
            output = self(*model_args, **model_kwargs)
            if incl_bwd:
                output.backward()
        return output, cache

    # caching

    def get_caching_hooks(
        self,
        names_filter: NamesFilter = None,
        incl_bwd: bool = False,
        device: DeviceType = None,
        remove_batch_dim: bool = False,
        cache: dict | None = None,
        pos_slice: Slice | SliceInput = None,
    ) -> tuple[dict, list, list]:
        """(cache, forward hooks, backward hooks) for `hooks` or `run_with_hooks`; nothing is added yet.

        A hook caches under its point's name, a backward one under that with "_grad" behind it. Raises ValueError
        for a `names_filter` or `pos_slice` of another kind than `run_with_cache` takes.
        """
        cache = {} if cache is None else cache
        positions = Slice.unwrap(pos_slice)
        names_filter = names_of_filter(names_filter, self.hook_dict)
        matches = predicate_of(names_filter)
        self.is_caching = True
        names = [name for name in self.hook_dict if matches(name)]
        if not names and names_filter is not None:
            warn_of_no_match("get_caching_hooks", self.hook_dict)
        elif isinstance(names_filter, list):
            warn_of_unmatched("get_caching_hooks", names_filter, self.hook_dict)
        options = (cache, positions, device, remove_batch_dim)
        forward = [(name, partial(_keep, *options, "")) for name in names]
        backward = [(name, partial(_keep, *options, "_grad")) for name in names if incl_bwd]
        return cache, forward, backward

    def add_caching_hooks(
        self,
        names_filter: NamesFilter = None,
        incl_bwd: bool = False,
        device: DeviceType = None,
        remove_batch_dim: bool = False,
        cache: dict | None = None,
    ) -> dict:
        """Add hooks that cache every later run into the dict that is returned, until `reset_hooks`.

        Raises AssertionError for a `names_filter` that is no name, list of names or predicate.
        """
        try:
            cache, forward, backward = self.get_caching_hooks(
                names_filter, incl_bwd, device, remove_batch_dim, cache
            )
        except ValueError as error:
            raise AssertionError(str(error)) from None
        both: tuple[tuple[Direction, list], ...] = (("fwd", forward), ("bwd", backward))
        with AllOrNone() as together:
            for direction, hooks in both:
                for name, hook in hooks:
                    together.add(self.hook_dict[name], hook, dir=direction)
            together.is_done = True
        return cache

    def cache_all(
        self,
        cache: dict | None,
        incl_bwd: bool = False,
        device: DeviceType = None,
        remove_batch_dim: bool = False,
    ) -> None:
        """The old name of `add_caching_hooks` for everything."""
        _log("cache_all is deprecated: use add_caching_hooks or run_with_cache")
        self.add_caching_hooks(None, incl_bwd, device, remove_batch_dim, cache)

    def cache_some(
        self,
        cache: dict | None,
        names: Callable[[str], bool],
        incl_bwd: bool = False,
        device: DeviceType = None,
        remove_batch_dim: bool = False,
    ) -> None:
        """The old name of `add_caching_hooks` for names that a predicate accepts."""
        _log("cache_some is deprecated: use add_caching_hooks or run_with_cache")
        self.add_caching_hooks(names, incl_bwd, device, remove_batch_dim, cache)


class _HooksOfALevel(HooksForABlock):
    """Hooks that go with all others of their level."""

    def _remove(self) -> None:
        if not self.is_done:
            self.take_off()
        if self._reset:
            self.owner.reset_hooks(
                self._clear_contexts, including_permanent=False, level=self.level
            )

    def _clear(self) -> None:
        """`reset_hooks` did."""


def _log(message: str) -> None:
    import logging  # not at the top: it is most of what importing this file would cost

    logging.warning(message)


def _is_tensor(value: Any) -> bool:
    kind = arrays.np.ndarray if arrays.torch is None else arrays.torch.Tensor
    return isinstance(value, kind)


def _keep(
    cache: dict,
    positions: Slice,
    device: Any,
    without_batch: bool,
    suffix: str,
    tensor: Any,
    hook: Any,
) -> None:
    """The hook that caches one value, detached but not copied."""
    if hook.name is None:
        raise RuntimeError("a hook point without a name cannot be cached: call setup()")
    kept = tensor
    if arrays.torch is not None:
        kept = tensor.detach().to(device)
    elif device is not None and str(device) != "cpu":
        raise ValueError(f"device={brief(device)}: NumPy arrays are on the CPU")
    if without_batch:
        kept = drop_batch_dim(kept)
    axis = -3 if hook.name.endswith(_BY_HEAD) else -2
    if positions.mode != "identity" and kept.ndim >= -axis:
        kept = positions.apply(kept, dim=axis)
    cache[hook.name + suffix] = kept
