"""Parts of a model that Python computes: components and hook points that are not the engine's own any more.

A part is Python's while something else stands in its place, its `forward` was assigned, or torch's hooks hang on it.
A run asks for it where it comes by; what the callee calls of the model runs within that run.
"""

from __future__ import annotations

import contextlib
import json
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from . import arrays, errors, masks, replace
from .compiled import go
from .inputs import in_rows
from .part_dict import PartDict

__all__ = ["Frame", "PartTable", "frame_of"]

# What enters a part beside its first value, by the engine's names.
_ROLES = {
    "positions": "positions",
    "mask": "mask",
    "rotary_emb.hook_cos": "cos",
    "rotary_emb.hook_sin": "sin",
}

_local = threading.local()


class Frame:
    """One call of a part: the run that waits for it, what ran within, and how many edges are kept so far."""

    __slots__ = ("model", "name", "ran", "run", "seen", "values", "window")

    def __init__(
        self, model: int, run: int, name: str, seen: int, values: dict[str, Any], window: int | None
    ) -> None:
        self.model = model
        self.run = run
        self.name = name
        self.seen = seen
        self.values = values
        self.window = window
        self.ran: set[str] = set()

    @property
    def is_native(self) -> bool:
        """Whether parts are called as those of a model from boot_native."""
        return self.window is None

    def mask(self) -> Any:
        """The attention mask that upstream would pass: [batch, 1, query, key], or the keys' in native models."""
        stream, keys = self.values["x"], self.values.get("mask")
        if self.window is None:
            return None if keys is None else in_rows(keys, "int64")
        return masks.for_components(keys, stream, self.window)

    def positions(self) -> Any:
        """Position ids [batch or 1, pos] as upstream would pass them, or None."""
        positions = self.values.get("positions")
        if not self.is_native or positions is None:
            return positions
        return arrays.expand(positions, tuple(self.values["x"].shape[:2]))

    def position_embeddings(self) -> tuple[Any, Any] | None:
        """(cos, sin), where the model has them."""
        return (self.values["cos"], self.values["sin"]) if "cos" in self.values else None


def _frames() -> list[Frame]:
    try:
        return _local.frames
    except AttributeError:
        _local.frames = []
        return _local.frames


def frame_of(model: int) -> Frame | None:
    """The innermost call of a part that this thread is in, if it is of that model."""
    frames = _frames()
    return frames[-1] if frames and frames[-1].model == model else None


class PartTable:
    """Which parts of one model Python computes. The engine is told of each change at once, also during a run."""

    def __init__(self, model: int, windows: list[int] | None, hooks: Any) -> None:
        """`windows`: how far back attention looks in each layer; None: parts are passed no mask that shows it."""
        self._model = model
        self._hooks = hooks
        self._windows = windows
        # No WeakValueDictionary: what it does when a part goes is Python, and would swallow a signal.
        self._owners: dict[str, weakref.ref[Any]] = {}
        self._kinds: dict[str, type] = {}  # the engine's own classes, by path
        self._forwards: dict[type, Callable[..., Any]] = {}  # how they compute
        self._watched: set[str] = set()  # that may be Python's
        self._is_behind = False  # whether a change may not have been told to `changed`
        self.replaced: set[str] = set()  # that the engine knows to be
        self.changed: Callable[[], None] = (
            _nothing  # called when something was replaced or put back
        )

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise NotImplementedError("a model of the engine cannot be copied or pickled")

    def window(self, path: str) -> int | None:
        """How far back attention looks in that part's block; 0: all the way; None: masks here are about keys alone."""
        if self._windows is None:
            return None
        parts = path.split(".")
        return self._windows[int(parts[1])] if parts[0] == "blocks" else 0

    def own(self, path: str, part: Any) -> None:
        """Let `part` be what the engine computes itself at that path, for as long as it stands there untouched."""
        cls = type(part)
        part.__dict__["_seat"] = (self, path)
        self._kinds[path] = cls
        self._forwards.setdefault(cls, cls.forward)

    def own_all(self, path: str, owner: Any) -> None:
        """Let what stands under that path be looked up in `owner`, a part that has parts."""
        self._owners[path] = weakref.ref(owner)
        owner.__dict__.update(
            _seat=(self, path), _modules=PartDict(owner.__dict__["_modules"], self, path)
        )

    def owner_of(self, path: str) -> tuple[Any, str]:
        """The engine's own part in which that path hangs, and its name there. KeyError when the part is gone."""
        name, _, short = path.rpartition(".")
        owner = self._owners[name]()
        if owner is None:
            raise KeyError(name)
        return owner, short

    def at(self, path: str) -> Any:
        """What stands at a path now."""
        owner, short = self.owner_of(path)
        return owner._modules[short]

    def standing(self) -> Iterator[tuple[str, Any]]:
        """What stands in the place of parts, by path; but for places that are gone themselves."""
        for path in sorted(self.replaced):
            with contextlib.suppress(KeyError):
                yield path, self.at(path)

    def watch(self, path: str) -> None:
        """Something at that path is about to be changed: if nobody gets to say so afterwards, the next run sees."""
        self._watched.add(path)
        self._is_behind = True

    def touch(self, path: str) -> None:
        """Something at that path was changed."""
        self.watch(path)
        self._update(path)
        self.changed()
        self._is_behind = False

    def settle(self) -> None:
        """Before a run: notice what was changed behind our back (hooks taken off, methods of classes assigned)."""
        if self._is_behind:
            self.changed()
            self._is_behind = False
        for cls, forward in self._forwards.items():
            if getattr(cls, "forward", None) is not forward:
                self._watched.update(path for path, kind in self._kinds.items() if kind is cls)
        for path in tuple(self._watched):
            self._update(path)

    def _update(self, path: str) -> None:
        try:
            own = self._is_engines(self.at(path), path)
        except KeyError:  # what it hung in is gone, and cannot run
            self._watched.discard(path)
            return
        if own == (path in self.replaced):
            errors.call(go.PartSet, self._model, path, not own)
            (self.replaced.discard if own else self.replaced.add)(path)
        if own:
            self._watched.discard(path)

    def _is_engines(self, part: Any, path: str) -> bool:
        own = {} if part is None else part.__dict__
        if own.get("_seat") != (self, path) or "forward" in own:
            return False
        if own.get("_forward_hooks") or own.get("_forward_pre_hooks"):
            return False
        return self._forwards[self._kinds[path]] is getattr(type(part), "forward", None)

    def call(self, run: int, dtype: str, live: list[Any] | None, edge: Any) -> int:
        """Compute the part that `run` waits for; answers as a callback of the engine does.

        `dtype` is the model's, `edge` makes the array of a handle, `live` collects what carries gradients.
        """
        told = json.loads(errors.call(go.PartArguments, run))
        name, part = told["name"], self.at(told["name"])
        if part is None:
            raise TypeError(
                f"{name} is None and cannot be called: put a module there, or the model's own part back"
            )
        values: dict[str, Any] = {}
        for value, handle in told["in"]:
            values["x" if not values else _ROLES.get(value) or str(value)] = edge(handle, name)
        frame = Frame(self._model, run, name, told["kept"], values, self.window(name))
        kind: Any = self._kinds[name]
        args, keywords = kind._arguments(frame)
        frames = _frames()
        depth = len(frames)
        try:
            frames.append(frame)
            result = part(*args, **keywords)
        finally:
            del frames[depth:]  # no call, which a signal could come behind
        self._say_what_was_passed_by(frame, part)
        outputs = kind._outputs(result)
        like = values["x"]
        if not (kind._is_point or arrays.is_floating(like)):
            like = arrays.zeros((0,), dtype)  # ids go in, floats come out
        for i, output in enumerate(outputs):
            replace.give(run, i, name, like, output)
        if live is not None:
            live.extend(a for a in (*values.values(), *outputs) if a.requires_grad)
        return 2

    def _say_what_was_passed_by(self, frame: Frame, part: Any) -> None:
        """Warn of hooks inside a part that whoever computed it did not run."""
        inside = frame.name + "."
        hooked = {point._seat[1] for _, point in self._hooks.calls.values()}
        silent = [
            point
            for point in sorted(hooked)
            if point.startswith(inside) and not any(point.startswith(f"{r}.") for r in frame.ran)
        ]
        if silent:
            shown = ", ".join(silent[:4]) + (", …" if len(silent) > 4 else "")
            warnings.warn(
                f"hooks at {shown} were not called: {type(part).__name__} stands in the place of "
                f"{frame.name}, and did not run that part of the model",
                stacklevel=2,
            )


def _nothing() -> None:
    pass
