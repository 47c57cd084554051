"""The residual stream taken apart: stacks of what layers, heads and neurons wrote to it, from a
cache.

Pure array functions over cached values and the model's weights, for torch tensors and NumPy arrays.
In shapes, *rest stands for [batch, pos], or what is left of it after `pos_slice` and
`remove_batch_dim`.
"""

from __future__ import annotations

import logging
from typing import Any, Literal

from .array_types import Tensor
from .cached_norms import CachedNorms, as_slice
from .utilities.slice import Slice, SliceInput
from .utilities.tensors import library_of


class ResidualStacks(CachedNorms):
    """The methods of ActivationCache that take the residual stream apart."""

    has_embed: bool
    has_pos_embed: bool

    # whole layers

    def accumulated_resid(
        self,
        layer: int | None = None,
        incl_mid: bool = False,
        apply_ln: bool = False,
        pos_slice: Slice | SliceInput = None,
        mlp_input: bool = False,
        return_labels: bool = False,
    ) -> Any:
        """The residual stream at the input of every layer up to `layer`: [layers + 1, *rest,
        d_model].

        `incl_mid` adds the stream between attention and MLP; `mlp_input` ends with that of `layer`
        itself. With `apply_ln` the stack is normalised as input of `layer`; at the end of the model
        each entry gets statistics of its own (logit lens: multiply by W_U).

        Args:
            layer: up to which layer's input; None or -1 means the end of the model.
            pos_slice: which positions: an int drops the axis.
            return_labels: give (stack, labels), as "0_pre", "1_pre", "final_post".

        Raises:
            KeyError: what is needed is not in the cache.

        Example:
            >>> stack, labels = cache.accumulated_resid(return_labels=True)
            >>> tuple(stack.shape), labels
            ((4, 1, 6, 32), ['0_pre', '1_pre', '2_pre', 'final_post'])
            >>> lens = model.unembed(cache.accumulated_resid(apply_ln=True)[2])  # logits as of layer 1
            >>> tuple(lens.shape)
            (1, 6, 97)
        """
        cut, layer = as_slice(pos_slice), self._layer(layer)
        n_layers = self._model().cfg.n_layers
        keys: list[tuple[str, int]] = []
        for index in range(layer + 1):
            if index == n_layers:
                keys.append(("resid_post", n_layers - 1))
                continue
            keys.append(("resid_pre", index))
            if (incl_mid and index < layer) or (mlp_input and index == layer):
                keys.append(("resid_mid", index))
        labels = [
            "final_post" if name == "resid_post" else f"{index}_{name.removeprefix('resid_')}"
            for name, index in keys
        ]
        stack = _stack([cut.apply(self[key], dim=-2) for key in keys])
        if apply_ln:
            stack = self.apply_ln_to_stack(
                stack,
                layer,
                pos_slice=cut,
                mlp_input=mlp_input,
                has_batch_dim=self.has_batch_dim,
                recompute_ln=layer == n_layers,
            )
        return (stack, labels) if return_labels else stack

    def decompose_resid(
        self,
        layer: int | None = None,
        mlp_input: bool = False,
        mode: Literal["all", "mlp", "attn"] = "all",
        apply_ln: bool = False,
        pos_slice: Slice | SliceInput = None,
        incl_embeds: bool = True,
        return_labels: bool = False,
    ) -> Any:
        """What the embeddings and each attention and MLP layer before `layer` wrote: [parts, *rest,
        d_model].

        With mode "all" the parts add up to the residual stream there.

        Args:
            layer, pos_slice, return_labels, apply_ln: see `accumulated_resid`.
            mlp_input: up to the input of that layer's MLP.
            mode: "all", "mlp" or "attn".
            incl_embeds: the embeddings too.

        Raises:
            KeyError: what is needed is not in the cache.

        Example:
            >>> parts, labels = cache.decompose_resid(layer=1, return_labels=True)
            >>> labels
            ['embed', 'pos_embed', '0_attn_out', '0_mlp_out']
            >>> bool(abs(parts.sum(0) - cache["resid_pre", 1]).max() < 1e-4)
            True
        """
        cut, layer = as_slice(pos_slice), self._layer(layer)
        attn = mode != "mlp"
        mlp = mode != "attn" and not self._model().cfg.attn_only
        parts: list[tuple[Any, str]] = []
        if incl_embeds and self.has_embed:
            parts.append(("hook_embed", "embed"))
        if incl_embeds and self.has_pos_embed:
            parts.append(("hook_pos_embed", "pos_embed"))
        for index in range(layer):
            parts += [(("attn_out", index), f"{index}_attn_out")] * attn
            parts += [(("mlp_out", index), f"{index}_mlp_out")] * mlp
        if mlp_input and attn:
            parts.append((("attn_out", layer), f"{layer}_attn_out"))
        stack = _stack([cut.apply(self[key], dim=-2) for key, _ in parts])
        if apply_ln:
            stack = self.apply_ln_to_stack(stack, layer, pos_slice=cut, mlp_input=mlp_input)
        return (stack, [label for _, label in parts]) if return_labels else stack

    def stack_activation(
        self, activation_name: str, layer: int = -1, sublayer_type: str | None = None
    ) -> Tensor:
        """One activation of every layer before `layer`: [layers, ...].

        Example:
            >>> tuple(cache.stack_activation("pattern").shape)  # [layer, batch, head, query, key]
            (3, 1, 4, 6, 6)
        """
        layers = range(self._layer(layer))
        return _stack([self[activation_name, index, sublayer_type] for index in layers])

    # heads

    def compute_head_results(self) -> None:
        """Put `blocks.L.attn.hook_result` [*rest, head, d_model] of every layer into the cache,
        from z and W_O.

        Not needed when the run had `use_attn_result` on.
        """
        if self._ensure_head_results():
            logging.warning("Tried to compute head results when they were already cached")

    def _ensure_head_results(self) -> bool:
        """Compute what is missing; whether nothing was."""
        cfg = self._model().cfg
        complete = True
        for layer in range(cfg.n_layers):
            name = f"blocks.{layer}.attn.hook_result"
            cached = self.cache_dict.get(name)
            ndim = 4 if self.has_batch_dim else 3
            if cached is not None and cached.ndim == ndim and cached.shape[-2] == cfg.n_heads:
                continue
            complete = False
            weights = self._model().blocks[layer].attn.W_O
            self.cache_dict[name] = _head_results(self["z", layer, "attn"], weights)
        return complete

    def stack_head_results(
        self,
        layer: int = -1,
        return_labels: bool = False,
        incl_remainder: bool = False,
        pos_slice: Slice | SliceInput = None,
        apply_ln: bool = False,
    ) -> Any:
        """What each head before `layer` wrote: [layers * heads, *rest, d_model], labels "L0H0".

        `incl_remainder` adds the rest of the residual stream as a last entry.

        Args:
            layer, pos_slice, return_labels, apply_ln: see `accumulated_resid`.

        Example:
            >>> heads, labels = cache.stack_head_results(return_labels=True, pos_slice=-1)
            >>> tuple(heads.shape), labels[:2]
            ((12, 1, 32), ['L0H0', 'L0H1'])
        """
        cut, layer = as_slice(pos_slice), self._layer(layer)
        self._ensure_head_results()
        heads = range(self._model().cfg.n_heads)
        labels = [f"L{index}H{head}" for index in range(layer) for head in heads]
        rows = [cut.apply(self["result", index, "attn"], dim=-3) for index in range(layer)]
        stack = self._rows_first(rows, cut)
        if incl_remainder:
            rest = cut.apply(self["resid_post", layer - 1], dim=-2)
            stack = _with_remainder(stack, rest)
            labels.append("remainder")
        if apply_ln:
            stack = self.apply_ln_to_stack(stack, layer, pos_slice=cut)
        return (stack, labels) if return_labels else stack

    def _rows_first(self, rows: list[Any], cut: Slice, width: int | None = None) -> Any:
        """Join [*rest, row, width] arrays to [rows, *rest, width]; of none, an empty stack."""
        if rows:
            library = library_of(rows[0])
            return library.moveaxis(library.concatenate(rows, axis=-2), -2, 0)
        like = cut.apply(self["hook_embed"], dim=-2)
        shape = (0, *like.shape[:-1], like.shape[-1] if width is None else width)
        return library_of(like).zeros(shape, dtype=like.dtype)

    # neurons

    def get_neuron_results(
        self,
        layer: int,
        neuron_slice: Slice | SliceInput = None,
        pos_slice: Slice | SliceInput = None,
        project_output_onto: Tensor | None = None,
    ) -> Tensor:
        """What each neuron of `layer` wrote: [*rest, neuron, d_model].

        `project_output_onto` ([d_model] or [d_model, k]) multiplies it from the right without
        making the whole first: [*rest, neuron] or [*rest, neuron, k].

        Example:
            >>> tuple(cache.get_neuron_results(0, neuron_slice=[3, 5]).shape)  # [batch, pos, neuron, d_model]
            (1, 6, 2, 32)
        """
        neurons = as_slice(neuron_slice)
        acts = as_slice(pos_slice).apply(self["post", layer, "mlp"], dim=-2)
        acts = neurons.apply(acts, dim=-1)
        out = neurons.apply(self._model().blocks[layer].mlp.W_out, dim=0)
        if project_output_onto is not None:
            out = out @ project_output_onto
            if project_output_onto.ndim == 1:
                return acts * out
        return acts[..., None] * out

    def stack_neuron_results(
        self,
        layer: int,
        pos_slice: Slice | SliceInput = None,
        neuron_slice: Slice | SliceInput = None,
        return_labels: bool = False,
        incl_remainder: bool = False,
        apply_ln: bool = False,
        project_output_onto: Any = None,
        mlp_input: bool = False,
    ) -> Any:
        """What each neuron before `layer` wrote: [layers * neurons, *rest, d_model], labels "L0N0".

        That is large; `project_output_onto` ([d_model] or [d_model, k]) keeps only [layers *
        neurons, *rest] or [..., k]. `incl_remainder` adds the rest of the residual stream at the
        input of `layer` (with `mlp_input`: of its MLP) as a last entry.
        """
        layer = self._layer(layer)
        if incl_remainder and layer < 0:
            raise ValueError(
                f"layer must be >= 0 with incl_remainder=True (-1/None mean n_layers); got {layer}."
            )
        cut, neurons = as_slice(pos_slice), Slice.unwrap(neuron_slice)
        if neurons.mode == "int":
            neurons = Slice([neurons.slice])
        onto, vector = _as_columns(project_output_onto)
        numbers = neurons.indices(self._model().cfg.d_mlp)
        labels = [f"L{index}N{n}" for index in range(layer) for n in numbers]
        fold = apply_ln and onto is not None
        if fold:
            rows = self._normalised_neurons(layer, cut, neurons, onto, mlp_input)
        else:
            rows = [self.get_neuron_results(i, neurons, cut, onto) for i in range(layer)]
        stack = self._rows_first(rows, cut, None if onto is None else onto.shape[-1])
        if incl_remainder:
            key = ("resid_mid", layer) if mlp_input else ("resid_post", layer - 1)
            rest = cut.apply(self[key], dim=-2)
            if fold:
                rest = self.apply_ln_to_stack(rest[None], layer, mlp_input, cut)[0]
            stack = _with_remainder(stack, rest if onto is None else rest @ onto)
            labels.append("remainder")
        if apply_ln and not fold:
            stack = self.apply_ln_to_stack(stack, layer, mlp_input, cut)
        stack = stack[..., 0] if vector else stack
        return (stack, labels) if return_labels else stack

    def _normalised_neurons(
        self, layer: int, cut: Slice, neurons: Slice, onto: Any, mlp_input: bool
    ) -> list[Any]:
        """Neurons' outputs through the norm of `layer` and onto `onto`, neuron by neuron: the
        cached-scale norm is linear, so norm(a w) P = (a / scale) (w P' - mean(w) sum(P')), without
        the mean for RMS, where P' is P with rows multiplied by the norm's weights.
        """
        scale = self._cached_scale(layer, mlp_input, cut)
        gain = self._gain(layer, mlp_input)
        onto = onto if gain is None else gain[:, None] * onto
        rows = []
        for index in range(layer):
            out = neurons.apply(self._model().blocks[index].mlp.W_out, dim=0)
            projected = out @ onto
            if self._centres(layer):
                projected = projected - out.mean(axis=-1)[:, None] * onto.sum(axis=0)
            acts = cut.apply(self["post", index, "mlp"], dim=-2)
            rows.append((neurons.apply(acts, dim=-1) / scale)[..., None] * projected)
        return rows

    # everything

    def get_full_resid_decomposition(
        self,
        layer: int | None = None,
        mlp_input: bool = False,
        expand_neurons: bool = True,
        apply_ln: bool = False,
        pos_slice: Slice | SliceInput = None,
        return_labels: bool = False,
        project_output_onto: Any = None,
    ) -> Any:
        """The residual stream at the input of `layer`, taken wholly apart: [parts, *rest, d_model].

        In this order: heads, neurons (or MLP layers, with `expand_neurons` False), embed,
        pos_embed, and the biases together. `project_output_onto` as in `stack_neuron_results`,
        after the norm.
        """
        cut, layer = as_slice(pos_slice), self._layer(layer)
        cfg = self._model().cfg
        onto, vector = _as_columns(project_output_onto)

        def finish(stack: Any) -> Any:
            if apply_ln:
                stack = self.apply_ln_to_stack(stack, layer, mlp_input, cut)
            return stack if onto is None else stack @ onto

        heads, labels = self.stack_head_results(
            layer + mlp_input, pos_slice=cut, return_labels=True
        )
        parts = [finish(heads)]
        if not cfg.attn_only and layer > 0 and expand_neurons:
            neurons, names = self.stack_neuron_results(
                layer, cut, None, True, False, apply_ln, onto, mlp_input
            )
            parts.append(neurons)
            labels += names
        elif not cfg.attn_only and layer > 0:
            mlps, names = self.decompose_resid(
                layer, mlp_input, "mlp", False, cut, incl_embeds=False, return_labels=True
            )
            parts.append(finish(mlps))
            labels += names
        for name, there in (("embed", self.has_embed), ("pos_embed", self.has_pos_embed)):
            if there:
                parts.append(finish(cut.apply(self[f"hook_{name}"], dim=-2)[None]))
                labels.append(name)
        library = library_of(heads)
        bias = self._model().accumulated_bias(layer, mlp_input, include_mlp_biases=expand_neurons)
        parts.append(finish(library.broadcast_to(bias, (1, *heads.shape[1:]))))
        labels.append("bias")
        stack = library.concatenate(parts, axis=0)
        stack = stack[..., 0] if vector else stack
        return (stack, labels) if return_labels else stack


def _stack(parts: list[Any]) -> Any:
    if not parts:
        raise RuntimeError("there is nothing to stack: no layer, and no embedding, was asked for")
    return library_of(parts[0]).stack(parts, axis=0)


def _with_remainder(stack: Any, whole: Any) -> Any:
    """The stack with what is missing to `whole` as one more entry."""
    rest = whole - stack.sum(axis=0) if stack.shape[0] else whole
    return library_of(stack).concatenate([stack, rest[None]], axis=0)


def _head_results(z: Any, weights: Any) -> Any:
    """z [*rest, head, d_head] through W_O [head, d_head, d_model]: [*rest, head, d_model]."""
    library = library_of(z)
    heads_first = library.moveaxis(z, -2, 0)
    rows = heads_first.reshape(heads_first.shape[0], -1, heads_first.shape[-1])
    results = (rows @ weights).reshape(*heads_first.shape[:-1], weights.shape[-1])
    return library.moveaxis(results, 0, -2)


def _as_columns(onto: Any) -> tuple[Any, bool]:
    """A projection as [d_model, k], and whether it was a vector."""
    if onto is None or onto.ndim == 2:
        return onto, False
    return onto[:, None], True
