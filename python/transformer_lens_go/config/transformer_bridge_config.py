"""The configuration of a TransformerBridge: plain data that tells its model when a field is
written.
"""

from __future__ import annotations

import contextlib
import inspect
import math
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from .._engine import arrays
from .._engine.whole import whole
from ..given import brief
from ..utilities.activation_functions import SOFTCAP_DISABLED
from .transformer_lens_config import FLOAT32, TransformerLensConfig

OnWrite = Callable[[str, Any], None]


class TransformerBridgeConfig(TransformerLensConfig):
    """Every field of upstream's class of this name, with its defaults.

    A model's `cfg` is made by `from_engine`; then writes reach the model: `cfg.use_attn_result =
    True` is the same as `model.set_use_attn_result(True)`. Copies and unpickled configurations
    belong to no model.
    """

    __slots__ = ("_on_write",)

    # In the documented signature and no longer in 4.3.0's: taken, and stored where they are given.
    _documented = ("ungroup_grouped_query_attention", "eps_attr")
    ungroup_grouped_query_attention: ClassVar[bool] = False
    eps_attr: ClassVar[str] = "eps"

    _BRIDGE_MANAGED_HOOK_FLAGS = frozenset(
        {"use_attn_result", "use_attn_in", "use_hook_mlp_in", "use_split_qkv_input"}
    )

    def __init__(
        self,
        d_model: int,
        d_head: int,
        n_layers: int,
        n_ctx: int,
        n_heads: int = -1,
        d_vocab: int = -1,
        architecture: str | None = None,
        tokenizer_prepends_bos: bool = True,
        tokenizer_appends_eos: bool = False,
        default_padding_side: str | None = None,
        model_name: str = "custom",
        act_fn: str = "relu",
        eps: float = 1e-5,
        use_attn_scale: bool = True,
        attn_scale: float = -1.0,
        use_hook_mlp_in: bool = False,
        use_attn_in: bool = False,
        use_qk_norm: bool = False,
        use_local_attn: bool = False,
        original_architecture: str | None = None,
        from_checkpoint: bool = False,
        checkpoint_index: int | None = None,
        checkpoint_label_type: str | None = None,
        checkpoint_value: int | None = None,
        tokenizer_name: str | None = None,
        window_size: int | None = None,
        attn_types: list | None = None,
        init_mode: str = "gpt2",
        normalization_type: str | None = "LN",
        n_devices: int = 1,
        attention_dir: str = "causal",
        attn_only: bool = False,
        seed: int | None = None,
        initializer_range: float = -1.0,
        init_weights: bool = True,
        scale_attn_by_inverse_layer_idx: bool = False,
        final_rms: bool = False,
        d_vocab_out: int = -1,
        parallel_attn_mlp: bool = False,
        rotary_dim: int | None = None,
        n_params: int | None = None,
        use_hook_tokens: bool = False,
        gated_mlp: bool = False,
        dtype: Any = FLOAT32,
        post_embedding_ln: bool = False,
        rotary_base: int | float = 10000,
        trust_remote_code: bool = False,
        rotary_adjacent_pairs: bool = False,
        qk_norm_after_rope: bool = False,
        rotary_interleaved_cos_sin: bool = False,
        load_in_4bit: bool = False,
        num_experts: int | None = None,
        experts_per_token: int | None = None,
        n_key_value_heads: int | None = None,
        per_layer_head_dim: list | None = None,
        per_layer_num_key_value_heads: list | None = None,
        relative_attention_max_distance: int | None = None,
        relative_attention_num_buckets: int | None = None,
        decoder_start_token_id: int | None = None,
        scale_embedding: bool | None = None,
        tie_word_embeddings: bool = False,
        use_normalization_before_and_after: bool = False,
        attn_scores_soft_cap: float = SOFTCAP_DISABLED,
        output_logits_soft_cap: float = SOFTCAP_DISABLED,
        use_NTK_by_parts_rope: bool = False,
        NTK_by_parts_low_freq_factor: float = 1.0,
        NTK_by_parts_high_freq_factor: float = 4.0,
        NTK_by_parts_factor: float = 8.0,
        rmsnorm_uses_offset: bool = False,
        attn_implementation: str | None = None,
        is_audio_model: bool = False,
        is_visual_model: bool = False,
        is_stateful: bool = False,
        is_multimodal: bool = False,
        vision_hidden_size: int | None = None,
        vision_num_layers: int | None = None,
        vision_num_heads: int | None = None,
        mm_tokens_per_image: int | None = None,
        **kwargs: Any,
    ) -> None:
        values = dict(locals())
        object.__setattr__(self, "_on_write", None)
        documented = {name: kwargs.pop(name) for name in self._documented if name in kwargs}
        super().__init__(**{name: values[name] for name in _SHARED}, **kwargs)
        for name in _PARAMETERS:
            setattr(self, name, values[name])
            if name == "default_padding_side":
                self.split_attention_weights = False  # upstream's order of fields
        for name, value in documented.items():
            setattr(self, name, value)
        self.rotary_base = int(self.rotary_base)
        if self.dtype is None:
            self.dtype = FLOAT32
        self.__post_init__()

    def __post_init__(self) -> None:
        """Check the architecture, and derive what was left unset.

        Raises:
            ValueError: an architecture that is no string; a width that heads do not divide.
        """
        architecture = getattr(self, "architecture", None)
        if architecture is not None and not isinstance(architecture, str):
            raise ValueError(f"architecture must be a string, got {type(architecture)}")
        spread = getattr(self, "initializer_range", None)
        if spread is not None and spread < 0:
            gpt2 = self.init_mode == "gpt2"  # GPT-2's spread, in proportion to the width
            self.initializer_range = 0.8 / math.sqrt(self.d_model) if gpt2 else 1.0
        super().__post_init__()

    @classmethod
    def from_engine(
        cls, values: dict[str, Any], on_write: OnWrite | None = None
    ) -> TransformerBridgeConfig:
        """The configuration of an engine model: its values by name, and whom to tell of writes.

        `on_write(name, value)` decides alone what to store for the hook flags that change the
        graph; any other field is stored first. A bound method is held weakly, so that a model is
        not kept alive by its own configuration.
        """
        config = cls.__new__(cls)
        object.__setattr__(config, "_on_write", None)
        config.__dict__.update(values)
        config.dtype = arrays.dtype(values.get("dtype", "float32"))
        if on_write is not None:
            bound = inspect.ismethod(on_write)
            reference = weakref.WeakMethod(on_write) if bound else lambda: on_write
            object.__setattr__(config, "_on_write", reference)
        return config

    if TYPE_CHECKING:  # fields are set by name; those of a family are not declared anywhere

        def __getattr__(self, name: str) -> Any: ...

    @property
    def head_dim(self) -> int:
        """Hugging Face's name for `d_head`."""
        return self.d_head

    def __setattr__(self, name: str, value: Any) -> None:
        on_write = self._on_write() if self._on_write is not None else None
        if on_write is None:
            super().__setattr__(name, value)
        elif name in self._BRIDGE_MANAGED_HOOK_FLAGS:  # the model stores it
            on_write(name, value)
        else:
            before = self.__dict__.get(name, _MISSING)
            whole(self._write, self._write_back, on_write, name, value, before)

    def _write(self, on_write: Any, name: str, value: Any, before: Any) -> None:
        super().__setattr__(name, value)
        on_write(name, value)

    def _write_back(self, on_write: Any, name: str, value: Any, before: Any) -> None:
        """A write that the model refuses, or a signal interrupts, leaves the field as it was."""
        if before is _MISSING:
            self.__dict__.pop(name, None)
            return
        self.__dict__[name] = before
        with contextlib.suppress(ValueError, TypeError, NotImplementedError):  # it has that already
            on_write(name, before)

    def _set_bridge_managed_hook_flag(self, name: str, value: bool) -> None:
        """Store a flag that changes the graph; only the model's setters call this."""
        if name not in self._BRIDGE_MANAGED_HOOK_FLAGS:
            raise ValueError(
                f"{brief(name)} is not one of the flags that the model sets: "
                f"{sorted(self._BRIDGE_MANAGED_HOOK_FLAGS)}"
            )
        object.__setattr__(self, name, value)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__.copy()

    def __setstate__(self, state: dict[str, Any]) -> None:
        object.__setattr__(self, "_on_write", None)
        self.__dict__.update(state)


_MISSING = object()
_PARAMETERS = [
    name
    for name in inspect.signature(TransformerBridgeConfig).parameters
    if name not in ("self", "kwargs")
]
_SHARED = [
    name for name in inspect.signature(TransformerLensConfig).parameters if name in _PARAMETERS
]
