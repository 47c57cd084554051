"""One model of the engine, as the rest of the package sees it: what it consists of, its hooks and its weights."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from . import arrays, errors
from .compiled import glue, go, open_backend
from .hooks import HookTable
from .inputs import Borrowed, pinned
from .params import ParameterStore
from .parts import PartTable
from .tokenizer import EngineTokenizer

__all__ = ["EngineModel", "counts", "empty_cache"]


class EngineModel:
    """An open model. It is closed with its last reference, or by `close`.

    `cfg` holds the configuration by upstream's field names, `components` the tree, `points` every hook point by
    index (canonical `name`, and in `gate` the flag that it needs), `aliases` the other names of points.
    """

    def __init__(self, owned: glue.Owned) -> None:
        self._owned = owned
        self.handle: int = owned.id
        self.hooks = HookTable(self.handle)
        self._describe()

    def _describe(self) -> None:
        told = json.loads(_with_words(errors.call(go.ModelDescribe, self.handle)))
        self.warnings: list[str] = told["warnings"] or []
        self.cfg: dict[str, Any] = told["cfg"]
        self.dtype: str = self.cfg["dtype"]
        self.family: str = told["family"]
        self.components: list[dict[str, Any]] = told["components"]
        self.points: list[dict[str, Any]] = told["points"]
        self.windows = {size for size in told["windows"] or () if size}
        self.parts = PartTable(
            self.handle, None if self.family == "native" else told["windows"], self.hooks
        )
        self.aliases: list[tuple[str, str]] = [(a, c) for a, c in told["aliases"]]
        self.root_aliases = {alias: name for alias, name in self.aliases if "." not in alias}
        self.state_order: list[str] = told["state_dict"]
        shapes = {
            parameter["index"]: tuple(parameter["shape"])
            for component in self.components
            for parameter in component.get("params") or ()
        }
        self.params = ParameterStore(self.handle, shapes, self.dtype)

    @classmethod
    def open(
        cls,
        path: str,
        *,
        dtype: str = "float32",
        config_overrides: dict[str, Any] | None = None,
        n_ctx: int | None = None,
        load_weights: bool = True,
        name: str = "",
        tokenizer: bool = True,
    ) -> EngineModel:
        """The model of a Hugging Face folder or a GGUF file; without `tokenizer` the one beside the weights is left
        alone.
        """
        open_backend()
        options = {
            "path": path,
            "dtype": dtype,
            "config_overrides": config_overrides or {},
            "n_ctx": n_ctx,
            "load_weights": load_weights,
            "name": name,
            "no_tokenizer": not tokenizer,
        }
        return cls(_own(go.ModelOpen, options))

    @classmethod
    def from_state(
        cls,
        config: dict[str, Any],
        tensors: Mapping[str, Any],
        *,
        dtype: str = "float32",
        config_overrides: dict[str, Any] | None = None,
        n_ctx: int | None = None,
        name: str = "",
    ) -> EngineModel:
        """The model of a Hugging Face config and the tensors of its state dict, used in place where possible."""
        open_backend()
        with Borrowed() as borrowed:
            options = {
                "config": config,
                "tensors": {
                    key: borrowed.add(pinned(_in_rows(value))) for key, value in tensors.items()
                },
                "dtype": dtype,
                "config_overrides": config_overrides or {},
                "n_ctx": n_ctx,
                "name": name,
            }
            owned = _own(go.ModelFromState, options)
        return cls(owned)

    @classmethod
    def native(cls, config: dict[str, Any], *, name: str = "") -> EngineModel:
        """A model of upstream's native kind from its configuration; its weights are still to be drawn."""
        open_backend()
        return cls(_own(go.ModelNative, {"config": config, "name": name}))

    def set_config(self, key: str, value: Any) -> None:
        """Write one field; flags of hook points change what runs compute."""
        errors.call(go.ModelSetConfig, self.handle, key, json.dumps(value))

    def convert(self, dtype: str, follow: Callable[[str], None]) -> None:
        """Round the weights, as they are now, to another floating dtype, and compute in it from the next run on.

        `follow(dtype)` is told of the change, perhaps twice. A signal finds it made wholly, or not at all. ImportError
        where NumPy has no such dtype.
        """
        arrays.dtype(dtype)
        self.params.settle()

        def convert() -> None:
            errors.call(go.ModelConvert, self.handle, dtype, glue.Dispatcher(None))
            mirror()

        def mirror() -> None:
            while True:
                is_ = errors.call(go.ModelDType, self.handle)
                self.dtype = self.cfg["dtype"] = is_
                self.params.renew(is_)
                follow(is_)
                if errors.call(go.ModelDType, self.handle) == is_:  # else another thread's, too
                    return

        glue.whole(convert, mirror)

    def tokenizer(self) -> EngineTokenizer | None:
        """The tokenizer beside the weights; None when there is none. Raises what keeps one that is there from being
        read.
        """
        owned = glue.Owned(go.TokenizerClose, go.ModelTokenizer, self.handle)
        return EngineTokenizer(owned) if owned.id else None

    def close(self) -> None:
        """End the model; running it afterwards is an error. Arrays that it gave out stay valid."""
        self._owned.close()

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise NotImplementedError(
            "a model of the engine cannot be copied or pickled: boot it again from its weights, and use "
            "state_dict() and load_state_dict() for changed ones"
        )


def _own(make: Any, options: dict[str, Any]) -> glue.Owned:
    """A model made by these options; signals are looked for meanwhile."""
    return glue.Owned(go.ModelClose, make, json.dumps(options), glue.Dispatcher(None))


def _with_words(text: str) -> str:
    """JSON of the engine with Python's words for numbers that are not finite; the engine writes them as strings that
    begin with no character."""
    return re.sub('"\ufdd0(NaN|-?Infinity)"', r"\1", text)


def _in_rows(tensor: Any) -> Any:
    """A tensor of a state dict, in row-major order on the CPU, without its autograd graph."""
    if hasattr(tensor, "detach"):
        return tensor.detach().cpu().contiguous()
    return arrays.np.require(tensor, requirements=["C", "A", "W"])


def counts() -> dict[str, int]:
    """What the engine holds now: storages and their bytes, handles, exported tensors, models, runs; `PoolBytes`."""
    return json.loads(errors.call(go.Counts))


def empty_cache() -> None:
    """Gives the system the memory that the engine keeps for its next run.

    What a run no longer needs rests in the engine, because fresh memory costs more than most of the work done in it;
    what long nobody used goes back by itself as runs go on. This gives all of it back at once, as
    `torch.cuda.empty_cache` does: behind a large run, or where others need the memory. Arrays, caches and models that
    are alive keep theirs. Any thread may call it, also while models run.

    Raises:
        RuntimeError: In a forked child process.
    """
    errors.call(go.EmptyPool)
