"""Weights of the whole model: views of single ones, and stacks over the layers, which are copies."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

from .._engine import arrays
from .._engine.params import numel
from ..given import brief

__all__ = ["WeightsMixin"]


def _stacked(path: str, doc: str) -> property:
    def read(self: WeightsMixin) -> Any:
        return self._stack(path)

    return property(read, doc=doc)


class WeightsMixin:
    """Stacks copy the layers' weights (and carry gradients to them); change `blocks[i].attn.W_Q` instead.

    Layer by layer: e is d_head, m is d_mlp, g is the number of key-value heads.
    """

    cfg: Any
    blocks: Any
    embed: Any
    unembed: Any
    _engine: Any

    W_Q = _stacked("attn.W_Q", "[layer, head, d_model, e]")
    W_K = _stacked("attn.W_K", "[layer, g, d_model, e]")
    W_V = _stacked("attn.W_V", "[layer, g, d_model, e]")
    W_O = _stacked("attn.W_O", "[layer, head, e, d_model]")
    b_Q = _stacked("attn.b_Q", "[layer, head, e]")
    b_K = _stacked("attn.b_K", "[layer, g, e]")
    b_V = _stacked("attn.b_V", "[layer, g, e]")
    b_O = _stacked("attn.b_O", "[layer, d_model]")
    W_in = _stacked("mlp.W_in", "[layer, d_model, m]")
    W_out = _stacked("mlp.W_out", "[layer, m, d_model]")
    b_in = _stacked("mlp.b_in", "[layer, m]")
    b_out = _stacked("mlp.b_out", "[layer, d_model]")

    @property
    def W_gate(self) -> Any:
        """[layer, d_model, m]; None where MLPs have no gate."""
        return self._stack("mlp.W_gate") if self.cfg.gated_mlp else None

    @property
    def W_E(self) -> Any:
        """The embedding [d_vocab, d_model]: the weight itself."""
        return self.embed.W_E

    @property
    def W_U(self) -> Any:
        """The unembedding [d_model, d_vocab]: a view of the weight."""
        return self.unembed.W_U

    @property
    def b_U(self) -> Any:
        """The unembedding's bias [d_vocab]; zeros where there is none."""
        return self.unembed.b_U

    @property
    def W_pos(self) -> Any:
        """The learned position embedding [n_ctx, d_model]: the weight itself."""
        part = self.__dict__["_modules"].get("pos_embed")
        if part is None:
            raise AttributeError(
                "W_pos is only defined for models with a learned absolute positional embedding; this one "
                f"has positional_embedding_type={self.cfg.positional_embedding_type!r}."
            )
        return part.W_pos

    @property
    def W_E_pos(self) -> Any:
        """W_E above W_pos: [d_vocab + n_ctx, d_model]."""
        return arrays.concat([self.W_E, self.W_pos])

    def _stack(self, path: str) -> Any:
        return self.stack_params_for(path.partition(".")[0], path)[1]

    def blocks_with(self, submodule: str) -> list[tuple[int, Any]]:
        """(index, block) of the blocks that have a part of that name."""
        return [(i, block) for i, block in enumerate(self.blocks) if submodule in block.submodules]

    def stack_params_for(
        self, submodule: str, attr_path: str, reshape_fn: Callable[[Any], Any] | None = None
    ) -> tuple[list[int], Any]:
        """The weight at a path of the blocks that have `submodule`: their indices, and the stack."""
        matching = self.blocks_with(submodule)
        if not matching:
            raise ValueError(
                f"No blocks have submodule {brief(submodule)}. They have {sorted(self.blocks[0].submodules)}."
            )
        values = []
        for index, block in matching:
            value = functools.reduce(getattr, attr_path.split("."), block)
            if value is None:
                raise AttributeError(
                    f"blocks[{index}].{attr_path} is None — this checkpoint has no such parameter "
                    "(bias-free projection); use zeros where your analysis needs one."
                )
            values.append(value if reshape_fn is None else reshape_fn(value))
        return [index for index, _ in matching], arrays.stack(values)

    def block_hooks(self, layer_idx: int) -> list[str]:
        """The names of the hook points of a block, without the block's own."""
        prefix = f"blocks.{operator.index(layer_idx)}."
        names = self.hook_dict  # type: ignore[attr-defined]
        return sorted(name.removeprefix(prefix) for name in names if name.startswith(prefix))

    def block_submodules(self, layer_idx: int) -> list[str]:
        """The names of a block's parts."""
        return list(self.blocks[layer_idx].submodules)

    def layer_types(self) -> list[str]:
        """What each block consists of, without its norms: "attn+mlp"."""
        return [
            "+".join(name for name in block.submodules if not name.startswith("ln"))
            for block in self.blocks
        ]

    @property
    def n_params_total(self) -> int:
        """How many parameters the checkpoint has, tied ones counted once; nothing is handed out."""
        counted: list[tuple[int, ...]] = []
        for part in self.modules():  # type: ignore[attr-defined]
            indices = part.__dict__.get("_indices", {})
            joint = str(part.__dict__.get("name")).endswith(".qkv")  # the same memory as q, k and v
            tied = part is self.unembed and self.cfg.tie_word_embeddings
            if not joint and not tied:
                counted += [self._engine.params.shapes[index] for index in indices.values()]
        return numel(counted)

    def state_dict(
        self, destination: dict[str, Any] | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Any]:
        """Every weight by its path ("blocks.0.attn.q.weight"): the engine's own memory, not copies."""
        state = super().state_dict(  # type: ignore[misc]
            destination=destination, prefix=prefix, keep_vars=keep_vars
        )
        for name in self._engine.state_order:
            if prefix + name in state:  # else its part was replaced
                state[prefix + name] = state.pop(prefix + name)
        return state

    @property
    def all_head_labels(self) -> list[str]:
        """ "L0H0", "L0H1", … for every head."""
        return [f"L{i}H{h}" for i in range(self.cfg.n_layers) for h in range(self.cfg.n_heads)]

    @property
    def attn_head_labels(self) -> list[str]:
        """The labels of the heads of layers that have attention."""
        heads = range(self.cfg.n_heads)
        return [f"L{i}H{h}" for i, _ in self.blocks_with("attn") for h in heads]
