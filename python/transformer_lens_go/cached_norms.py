"""The norms of a run applied again, to parts of the residual stream: by the scales that the run
cached.
"""

from __future__ import annotations

import abc
from typing import Any

import numpy as np

from .array_types import Array, Tensor
from .utilities.slice import Slice, SliceInput

_NORMS = ("LN", "LNPre", "RMS", "RMSPre")


class CachedNorms(abc.ABC):
    """The methods of ActivationCache that go through norms."""

    cache_dict: dict[str, Any]
    has_batch_dim: bool
    model: Any
    _came_from: str | None

    @abc.abstractmethod
    def __getitem__(self, key: str | tuple) -> Any:
        """An activation by full or short name."""

    def _model(self) -> Any:
        if self.model is None:
            raise AttributeError(
                "this needs the model that the activations came from"
                f"{f' ({self._came_from})' if self._came_from else ''}, and cache.model is None; set "
                "it again"
            )
        return self.model

    def _layer(self, layer: int | None) -> int:
        """`layer`, where None and -1 mean the number of layers: the input of the unembedding."""
        return self._model().cfg.n_layers if layer is None or layer == -1 else layer

    def apply_ln_to_stack(
        self,
        residual_stack: Tensor,
        layer: int | None = None,
        mlp_input: bool = False,
        pos_slice: Slice | SliceInput = None,
        batch_slice: Slice | SliceInput = None,
        has_batch_dim: bool = True,
        recompute_ln: bool = False,
    ) -> Tensor:
        """A stack [parts, *rest, d_model] as the norm before `layer` leaves it: centred (LayerNorm
        only), divided by the scale that the whole stream had there, and multiplied by the norm's
        weights where it has some, so that parts still add up. A bias of the norm belongs to no part:
        the parts of the whole stream add up to `hook_out` of the norm without its bias.

        `layer` None is the final norm, `mlp_input` the norm before the MLP. The slices are those
        already applied to the stack's positions, and those to apply to its examples. `recompute_ln`
        gives each part its own statistics at the final norm instead.

        Raises:
            KeyError: the scale of that norm is not in the cache.

        Example:
            >>> parts = cache.decompose_resid()
            >>> tuple(cache.apply_ln_to_stack(parts).shape)
            (8, 1, 6, 32)
        """
        cut, examples, layer = as_slice(pos_slice), as_slice(batch_slice), self._layer(layer)
        model = self._model()
        if has_batch_dim:
            residual_stack = examples.apply(residual_stack, dim=1)
        if model.cfg.normalization_type not in _NORMS:
            return residual_stack
        if recompute_ln and layer == model.cfg.n_layers and hasattr(model, "ln_final"):
            rows = residual_stack.reshape(1, -1, residual_stack.shape[-1])
            return model.ln_final(rows).reshape(residual_stack.shape)
        if self._centres(layer):
            whole: Any = residual_stack  # a tensor or a NumPy array
            residual_stack = whole - whole.mean(axis=-1, keepdims=True)
        residual_stack = residual_stack / self._cached_scale(layer, mlp_input, cut, examples)
        gain = self._gain(layer, mlp_input)
        return residual_stack if gain is None else residual_stack * gain

    def _centres(self, layer: int) -> bool:
        """Whether the norm before `layer` subtracts the mean."""
        cfg = self._model().cfg
        return cfg.normalization_type in ("LN", "LNPre") and not (
            layer == cfg.n_layers and cfg.final_rms
        )

    def _norm(self, layer: int, mlp_input: bool) -> str:
        """The name of the norm before `layer`, or before its MLP."""
        final = layer == self._model().cfg.n_layers
        return "ln_final" if final else f"blocks.{layer}.ln{2 if mlp_input else 1}"

    def _gain(self, layer: int, mlp_input: bool) -> Any:
        """The weights [d_model] of that norm, not part of the autograd graph; None where it has
        none, or they are folded into what reads it.
        """
        norm: Any = self._model()
        for part in self._norm(layer, mlp_input).split("."):
            norm = norm[int(part)] if part.isdigit() else getattr(norm, part)
        gain: Any = getattr(norm, "w", None)
        return gain.detach() if hasattr(gain, "detach") else gain

    def _cached_scale(
        self, layer: int, mlp_input: bool, cut: Slice, examples: Slice | None = None
    ) -> Any:
        name = f"{self._norm(layer, mlp_input)}.hook_scale"
        if name not in self.cache_dict:
            raise KeyError(
                f"Cached LN scale not found at '{name}'. apply_ln operations need it in the cache: "
                "include it in names_filter, or use apply_ln=False"
            )
        scale = cut.apply(self.cache_dict[name], dim=-2)
        return examples.apply(scale) if examples is not None and self.has_batch_dim else scale

    def logit_attrs(
        self,
        residual_stack: Tensor,
        tokens: str | int | Array,
        incorrect_tokens: str | int | Array | None = None,
        pos_slice: Slice | SliceInput = None,
        batch_slice: Slice | SliceInput = None,
        has_batch_dim: bool = True,
    ) -> Tensor:
        """What each part of a stack [parts, *rest, d_model] adds to the logit of `tokens`: [parts,
        *rest].

        `tokens` is a string or id for all, ids [batch] for one token an example, [batch, pos] for
        one a position, or [pos]-like ids ([1, pos] where both lengths agree). With
        `incorrect_tokens`, of the same shape, it is the difference of the two logits. Slices as in
        `apply_ln_to_stack`.

        Parts that add up to the residual stream add up to the logit (or the difference) less what
        is the same for every input: the bias of the final norm times the directions,
        `model.ln_final.b @ (W_U[:, token] - W_U[:, incorrect])`, and `b_U` at the tokens. Norms
        without a bias, as Llama's, leave nothing over where there is no `b_U` either.

        Raises:
            ValueError: `incorrect_tokens` of another shape.

        Example:
            >>> parts = cache.decompose_resid(pos_slice=-1)
            >>> tuple(cache.logit_attrs(parts, "Paris", "is", pos_slice=-1).shape)  # of each part
            (8, 1)
        """
        examples = as_slice(batch_slice)
        directions = self._model().tokens_to_residual_directions(tokens)
        if incorrect_tokens is not None:
            if _shape(tokens) != _shape(incorrect_tokens):
                raise ValueError(
                    "tokens and incorrect_tokens must have the same shape, got "
                    f"{_shape(tokens)} and {_shape(incorrect_tokens)}"
                )
            wrong = self._model().tokens_to_residual_directions(incorrect_tokens)
            directions = directions - wrong
        stack = self.apply_ln_to_stack(
            residual_stack,
            layer=-1,
            pos_slice=pos_slice,
            batch_slice=examples,
            has_batch_dim=has_batch_dim,
        )
        one_an_example = has_batch_dim and examples.mode != "int" and directions.ndim == 2
        if one_an_example and stack.ndim == 4 and directions.shape[0] == stack.shape[1]:
            directions = directions[:, None]
        return (stack * directions).sum(axis=-1)


def as_slice(given: Slice | SliceInput) -> Slice:
    """A Slice of anything a Slice is made of; an int drops its axis."""
    return given if isinstance(given, Slice) else Slice(given)


def _shape(tokens: Any) -> tuple[int, ...]:
    return () if isinstance(tokens, str) else tuple(np.shape(tokens))
