"""Configuration at run time: flags that switch hook points on, and what a write to `cfg` does."""

from __future__ import annotations

import json
from typing import Any

from .._engine import arrays
from .._engine.whole import whole

__all__ = ["FlagsMixin"]

_EXCLUSIVE = {"use_split_qkv_input": "use_attn_in", "use_attn_in": "use_split_qkv_input"}


class FlagsMixin:
    """Needs `cfg`, whose writes come to `_on_config_write`, and `_engine`."""

    cfg: Any
    _engine: Any

    def set_use_attn_result(self, use_attn_result: bool) -> None:
        """Compute each head's output by itself, at `attn.hook_result` [batch, pos, head, d_model]."""
        self.cfg.use_attn_result = use_attn_result

    def set_use_split_qkv_input(self, use_split_qkv_input: bool) -> None:
        """Give each head's query, key and value an input of its own, at `hook_{q,k,v}_input`."""
        self.cfg.use_split_qkv_input = use_split_qkv_input

    def set_use_attn_in(self, use_attn_in: bool) -> None:
        """Give each head an input of its own, at `hook_attn_in` [batch, pos, head, d_model]."""
        self.cfg.use_attn_in = use_attn_in

    def set_use_hook_mlp_in(self, use_hook_mlp_in: bool) -> None:
        """Fire `hook_mlp_in` on the stream that enters the MLP's norm."""
        self.cfg.use_hook_mlp_in = use_hook_mlp_in

    def _on_config_write(self, name: str, value: Any) -> None:
        """A field of `cfg` was written. Flags of hook points change what the engine computes."""
        if name not in self.cfg._BRIDGE_MANAGED_HOOK_FLAGS:
            if name in self._engine.cfg:
                self._engine.set_config(name, _plain(value))
            return
        value, other = bool(value), _EXCLUSIVE.get(name)
        if value and other is not None and getattr(self.cfg, other):
            raise ValueError(
                f"{name} and {other} are mutually exclusive. Call set_{other}(False) before enabling "
                f"{name}."
            )
        whole(self._set_flag, self._put_flag_back, name, value, getattr(self.cfg, name))

    def _set_flag(self, name: str, value: bool, was: bool) -> None:
        self._engine.set_config(name, value)
        self.cfg._set_bridge_managed_hook_flag(name, value)

    def _put_flag_back(self, name: str, value: bool, was: bool) -> None:
        self._set_flag(name, was, was)


def _plain(value: Any) -> Any:
    """`value` as JSON has it; dtypes and other objects by their names."""
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return arrays.dtype_name(value)
    return value
