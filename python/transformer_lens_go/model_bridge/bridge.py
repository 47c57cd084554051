"""TransformerBridge: a model of the engine with transformer_lens' interface. Its methods live beside this file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from .._engine import arrays
from .._engine.model import EngineModel
from .._engine.module import EngineList, EnginePart, Module
from .._not_built import names_of
from ..config import TransformerBridgeConfig
from ..given import brief
from ..hook_names import near_names
from ..hook_points import HookIntrospectionMixin
from .caching import CachingMixin
from .component_setup import setup_components
from .directions import DirectionsMixin
from .flags import FlagsMixin
from .forward import ForwardMixin
from .generalized_components.base import ABSENT
from .generalized_components.embedding import EmbeddingBridge
from .generalized_components.normalization import NormalizationBridge
from .generalized_components.pos_embed import PosEmbedBridge
from .generalized_components.rotary_embedding import RotaryEmbeddingBridge
from .generalized_components.unembedding import UnembeddingBridge
from .generation import GenerationMixin
from .hf_generation import HFGenerationMixin
from .hooking import HookingMixin
from .later import LaterMixin
from .live_tree import LiveTreeMixin
from .loading import boot_transformers
from .native import NativeMixin, boot_native
from .placement import PlacementMixin
from .planning import PlanningMixin
from .running import RunningMixin
from .text import TextMixin
from .tree import describe, parts_of
from .weights import WeightsMixin

__all__ = ["TransformerBridge"]


class TransformerBridge(
    ForwardMixin,
    RunningMixin,
    CachingMixin,
    PlanningMixin,
    HookingMixin,
    FlagsMixin,
    WeightsMixin,
    TextMixin,
    GenerationMixin,
    HFGenerationMixin,
    DirectionsMixin,
    NativeMixin,
    LaterMixin,
    LiveTreeMixin,
    HookIntrospectionMixin,
    PlacementMixin,
    EnginePart,
    Module,
):
    """A language model whose every activation can be watched and edited.

    Made by `TransformerBridge.boot_transformers(folder, .gguf file, or repository id)`, or by
    `boot_native(config)` with random weights. Parts are attributes
    (`model.blocks[3].attn.W_Q`) and can be called by themselves; hook points have names (`model.hook_dict`).
    """

    cfg: TransformerBridgeConfig
    embed: EmbeddingBridge
    pos_embed: PosEmbedBridge  # where positions are learned
    rotary_emb: RotaryEmbeddingBridge  # where they rotate queries and keys
    blocks: EngineList
    ln_final: NormalizationBridge
    unembed: UnembeddingBridge

    boot_transformers = staticmethod(boot_transformers)
    boot_native = staticmethod(boot_native)

    hook_aliases: ClassVar[dict[str, Any]] = {
        "hook_embed": "embed.hook_out",
        "hook_pos_embed": ["pos_embed.hook_out", "rotary_emb.hook_out"],
        "hook_unembed": "unembed.hook_out",
    }

    def __init__(
        self, model: Any, adapter: Any = None, tokenizer: Any = None, *, driver: Any = None
    ) -> None:
        if not isinstance(model, EngineModel):
            raise TypeError(
                f"TransformerBridge is made by boot_transformers, not of a {type(model).__name__}: for a "
                "model in memory, TransformerBridge.boot_transformers(name, hf_model=model)"
            )
        super().__init__()
        self.__dict__.update(
            training=False,
            context_level=0,
            compatibility_mode=False,
            _engine=model,
            _tokenizer=None,
        )
        self.__dict__["cfg"] = TransformerBridgeConfig.from_engine(model.cfg, self._on_config_write)
        parts, points = setup_components(model, self.cfg)
        self.__dict__["_own_points"] = points
        self._modules.update(parts)
        model.parts.own_all("", self)
        self._watch_tree()
        if tokenizer is not None:
            self.set_tokenizer(tokenizer)

    def close(self) -> None:
        """Let go of the engine's model now rather than with the last reference; it cannot run afterwards."""
        self._engine.close()

    def _engine_part(self) -> str:
        return "the model"

    def _parameter_indices(self) -> Iterator[int]:
        """All of the engine's parameters, also of parts in whose place something else stands."""
        return iter(self._engine.params.shapes)

    def _is_engine_name(self, name: str) -> bool:
        return name == "cfg"

    def __setattr__(self, name: str, value: Any) -> None:
        engine = self.__dict__.get("_engine")
        canonical = None if engine is None else engine.root_aliases.get(name)
        if engine is None or canonical is None:
            super().__setattr__(name, value)
        else:
            owner, short = engine.parts.owner_of(canonical)
            setattr(owner, short, value)

    def __getattr__(self, name: str) -> Any:
        engine = self.__dict__.get("_engine")
        if engine is not None and name in engine.root_aliases:
            return engine.parts.at(engine.root_aliases[name])
        if name in ABSENT:
            raise AttributeError(f"{type(self).__name__} has no {name}: {ABSENT[name]}")
        described = getattr(type(self), name, None)
        if isinstance(described, property) and described.fget is not None:
            described.fget(self)  # raises again what brought us here, which Python has dropped
        try:
            return super().__getattr__(name)
        except AttributeError:
            hint = near_names(name, self._hook_dict) if name.startswith("hook_") else ""
            text = (
                f"{type(self).__name__!r} object has no attribute {brief(name)}{hint and '.'}{hint}"
            )
            raise AttributeError(text, name=name, obj=self) from None

    def __dir__(self) -> list[str]:
        roots = (name for name in self._hook_dict if "." not in name)
        return sorted({*super().__dir__(), *self._modules, *roots})

    def __str__(self) -> str:
        lines = ["TransformerBridge:"]

        def add(parts: dict[str, Any], depth: int) -> None:
            for name, part in parts.items():
                shown = part[0] if hasattr(part, "__len__") else part
                lines.append(f"{'  ' * depth}{name}: {type(shown).__name__}")
                add(parts_of(shown), depth + 1)

        add(self._modules, 1)
        return "\n".join(lines)

    def __repr__(self) -> str:
        millions = self.n_params_total / 1e6
        cfg = self.cfg
        title = f"TransformerBridge({cfg.architecture}, {millions:.1f}M parameters, {cfg.n_layers} layers)"
        return describe(title, self._modules)

    def _convert(self, dtype: str) -> None:
        if dtype != self._engine.dtype:
            self._engine.convert(dtype, self._follow)

    def _follow(self, dtype: str) -> None:
        self.cfg.__dict__["dtype"] = arrays.dtype(dtype)  # the engine has it already


__getattr__ = names_of(__name__)
