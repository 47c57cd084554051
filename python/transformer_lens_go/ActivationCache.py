"""The activations of one run, by name: a mapping with short names, and what can be computed from
it.
"""

from __future__ import annotations

import copy
import logging
import re
from collections import Counter
from collections.abc import Callable, ItemsView, Iterator, KeysView, ValuesView
from typing import Any

import numpy as np

from ._engine import arrays
from .array_types import Tensor
from .given import brief
from .hook_names import missing
from .residual_stacks import ResidualStacks
from .summaries import as_html, as_text
from .utilities.components_utils import get_act_name
from .utilities.slice import Slice, SliceInput
from .utilities.tensors import is_torch_tensor

_IN_LAYER = re.compile(r"blocks\.(\d+)\.(?:attn\.|mlp\.)?hook_(\w+)$")


class ActivationCache(ResidualStacks):
    """Activations by full name, in order of execution, with short names as keys too.

    `cache["blocks.3.attn.hook_pattern"]`, `cache["pattern", 3]` and `cache["pattern", 3, "attn"]`
    are the same; a negative layer counts from the last; `cache["scale", 0, "ln1"]` names a norm.

    Shapes, of a model with `n_heads` heads and without the batch axis after `remove_batch_dim`: q,
    k, v, z [batch, pos, head, d_head]; pattern, attn_scores [batch, head, query_pos, key_pos];
    result [batch, pos, head, d_model]; pre, post [batch, pos, d_mlp]; residual stream, attn_out,
    mlp_out, embed, normalized [batch, pos, d_model]; scale [batch, pos, 1].

    `cache_dict` is the dict itself and may be changed. `model` is what methods read weights from;
    set it to None to let the model go. A deep copy has activations of its own and the same model. A
    pickle, also by `torch.save`, leaves the model out and keeps its name: set `model` again for
    methods that read weights.
    """

    def __init__(self, cache_dict: dict[str, Any], model: Any, has_batch_dim: bool = True) -> None:
        self.cache_dict = cache_dict
        self.model = model
        self.has_batch_dim = has_batch_dim
        self.has_embed = "hook_embed" in cache_dict
        self.has_pos_embed = "hook_pos_embed" in cache_dict
        self._came_from: str | None = None
        self._n_layers: int | None = None  # where the model is not there to say it

    # copies

    def __copy__(self) -> ActivationCache:
        """A cache with the same dict, of the same model."""
        new = type(self).__new__(type(self))
        vars(new).update(vars(self))
        return new

    def __deepcopy__(self, memo: dict[int, Any]) -> ActivationCache:
        """A cache with copies of the activations, of the same model."""
        new = memo[id(self)] = copy.copy(self)
        new.cache_dict = copy.deepcopy(self.cache_dict, memo)
        return new

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: everything but the model, of which the name is kept."""
        state = self.__dict__.copy()
        cfg = getattr(state.pop("model"), "cfg", None)
        if cfg is not None:
            state["_came_from"] = getattr(cfg, "model_name", None)
            state["_n_layers"] = getattr(cfg, "n_layers", None)
        return state | {"model": None}

    # mapping

    def __getitem__(self, key: str | tuple) -> Tensor:
        if isinstance(key, str) and key in self.cache_dict:
            return self.cache_dict[key]
        name = self._full_name(key)
        if name not in self.cache_dict:
            raise KeyError(missing(name, self.cache_dict, self.model, self._n_layers))
        return self.cache_dict[name]

    def _full_name(self, key: Any) -> str:
        if isinstance(key, str):
            return get_act_name(key)
        parts: tuple[Any, ...] = key if isinstance(key, tuple) else ()
        name, layer, place = (*parts, None, None, None)[:3]
        if not (
            len(parts) <= 3
            and isinstance(name, str)
            and isinstance(layer, (int, np.integer, type(None)))
            and isinstance(place, (str, type(None)))
        ):
            raise TypeError(
                f'cache[…] takes a name ("blocks.0.attn.hook_z"), or a short name with its layer '
                f'("z", 0), and where it lies ("scale", 0, "ln1"); got {brief(key)}'
            )
        if layer is not None and layer < 0:
            layers = self._n_layers if self._n_layers is not None else self._model().cfg.n_layers
            layer = layers + layer
        return get_act_name(name, None if layer is None else int(layer), place)

    def __contains__(self, key: object) -> bool:
        return key in self.cache_dict

    def __len__(self) -> int:
        return len(self.cache_dict)

    def __iter__(self) -> Iterator[str]:
        return iter(self.cache_dict)

    def keys(self) -> KeysView[str]:
        """Full names, in order of execution."""
        return self.cache_dict.keys()

    def values(self) -> ValuesView[Any]:
        """Activations, in order of execution."""
        return self.cache_dict.values()

    def items(self) -> ItemsView[str, Any]:
        """(full name, activation) pairs, in order of execution."""
        return self.cache_dict.items()

    # showing

    def __repr__(self) -> str:
        return as_text(self._title(), self.cache_dict)

    def _repr_html_(self) -> str:
        return as_html(self._title(), self.cache_dict)

    def _title(self) -> str:
        return f"ActivationCache{'' if self.has_batch_dim else ' without a batch axis'}"

    def _ipython_key_completions_(self) -> list[str | tuple[str, int]]:
        """What may stand in `cache[…]`: full names, and short ones with their layer."""
        keys: list[str | tuple[str, int]] = list(self.cache_dict)
        for name in self.cache_dict:
            match = _IN_LAYER.match(name)
            if match and get_act_name(match[2], int(match[1])) == name:
                keys.append((match[2], int(match[1])))
        return keys

    # batch axis

    def _batch_size(self) -> int:
        """The leading length that most entries have: a few have none, or 1, or one of their own."""
        lengths = Counter(value.shape[0] for value in self.cache_dict.values() if value.ndim > 0)
        return lengths.most_common(1)[0][0] if lengths else 1

    def _each(self, change: Callable[[Any], Any]) -> dict[str, Any]:
        """What `change` makes of each activation: of one that has several names once."""
        changed: dict[int, Any] = {}
        made = {}
        for name, value in self.cache_dict.items():
            if id(value) not in changed:
                changed[id(value)] = change(value)
            made[name] = changed[id(value)]
        return made

    def remove_batch_dim(self, batch_size: int | None = None) -> ActivationCache:
        """Drop the batch axis of a cache of one example, in place.

        `batch_size` is found from the entries unless given.

        Raises:
            AssertionError: the batch is not 1.

        Example:
            >>> _, cache = model.run_with_cache("The capital of France is")
            >>> tuple(cache.remove_batch_dim()["resid_post", 0].shape)  # [pos, d_model]
            (6, 32)
        """
        if not self.has_batch_dim:
            logging.warning("Tried removing batch dimension after already having removed it.")
            return self
        size = self._batch_size() if batch_size is None else batch_size
        if size != 1:
            raise AssertionError(f"Cannot remove batch dimension from cache with batch size {size}")
        self.cache_dict.update(self._each(lambda v: v[0] if v.ndim > 0 and v.shape[0] == 1 else v))
        self.has_batch_dim = False
        return self

    def apply_slice_to_batch_dim(self, batch_slice: Slice | SliceInput) -> ActivationCache:
        """A new cache of the selected examples; an int drops the batch axis.

        Example:
            >>> _, both = model.run_with_cache(["Paris is", "France is"])
            >>> tuple(both.apply_slice_to_batch_dim(1)["resid_post", 0].shape)  # [pos, d_model]
            (3, 32)
        """
        if not self.has_batch_dim:
            raise AssertionError("Cannot index into a cache without a batch dim")
        if not isinstance(batch_slice, Slice):
            batch_slice = Slice(batch_slice)
        size = self._batch_size()
        chosen = self._each(
            lambda v: batch_slice.apply(v, dim=0) if v.ndim > 0 and v.shape[0] == size else v
        )
        return ActivationCache(chosen, self.model, has_batch_dim=batch_slice.mode != "int")

    # torch

    def to(self, device: Any) -> ActivationCache:
        """Move every activation to `device`, in place. NumPy arrays stay on the CPU."""
        if str(device) != "cpu" and not all(map(is_torch_tensor, self.cache_dict.values())):
            raise ValueError(
                f"NumPy activations live on the CPU and cannot move to {brief(device)}"
            )
        self.cache_dict = self._each(lambda v: v.to(device) if is_torch_tensor(v) else v)
        return self

    def toggle_autodiff(self, mode: bool = False) -> None:
        """Switch torch's gradients on or off for the whole process.

        It changes more than this cache: `with torch.no_grad():` around the code in question is
        safer.
        """
        if arrays.torch is None:
            raise RuntimeError(
                "toggle_autodiff switches torch's gradients, and torch is not in use"
            )
        logging.warning("Changed the global state, set autodiff to %s", mode)
        arrays.torch.set_grad_enabled(mode)

    # not there yet

    def logit_lens(self, **kwargs: Any) -> Any:
        """Not there yet."""
        raise NotImplementedError(
            "ActivationCache.logit_lens is not there yet; "
            "model.unembed(cache.accumulated_resid(apply_ln=True)[layer]) gives one layer's logits"
        )

    def ssm_layers(self, mixer_type: Any = None) -> list[int]:
        """Not there yet: no state-space model is supported."""
        raise NotImplementedError(
            "ActivationCache.ssm_layers: no state-space model is supported yet"
        )

    def compute_ssm_effective_attention(
        self,
        layer: int | None = None,
        include_dt_scaling: bool = False,
        per_state_coord: bool = False,
    ) -> Any:
        """Not there yet: no state-space model is supported."""
        raise NotImplementedError(
            "ActivationCache.compute_ssm_effective_attention: no state-space model is supported yet"
        )

    def compute_ssm_state(self, layer: int | None = None, time_step: int | None = None) -> Any:
        """Not there yet: no state-space model is supported."""
        raise NotImplementedError(
            "ActivationCache.compute_ssm_state: no state-space model is supported yet"
        )
