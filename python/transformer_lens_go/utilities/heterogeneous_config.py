"""Configurations of transformers whose layers differ, and refuse to name one value for the whole model.

transformers 5.15 and later say `is_heterogeneous` of them, list such fields in `per_layer_attributes`, and keep a
configuration for each layer in `per_layer_config`. Reading such a field of the whole raises; what is here asks the
layers instead. With other configurations everything is plain attribute access.
"""

from __future__ import annotations

from typing import Any

from ..given import brief

__all__ = [
    "HetSafeConfigView",
    "het_safe_view",
    "majority_value",
    "per_layer_attr_names",
    "per_layer_values",
    "safe_config_get",
]


def per_layer_attr_names(config: Any) -> frozenset:
    """The fields that only layers have; none where all layers are alike."""
    if not getattr(config, "is_heterogeneous", False):
        return frozenset()
    return frozenset(getattr(config, "per_layer_attributes", None) or ())


def per_layer_values(config: Any, name: str) -> list:
    """A field's value in each layer, None in those that have none."""
    layers = config.per_layer_config
    return [getattr(layers[i], name, None) for i in range(len(layers))]


def majority_value(values: list) -> Any:
    """The value that most layers have; of several, the one that comes first.

    Values are compared, not hashed: they may be dicts. Raises ValueError without any.
    """
    if not values:
        raise ValueError("majority_value needs at least one value")
    return max(values, key=values.count)


def safe_config_get(config: Any, name: str, default: Any = None) -> Any:
    """`getattr(config, name, default)`; a field that only layers have is what most of them say."""
    if name not in per_layer_attr_names(config):
        return getattr(config, name, default)
    values = _given(config, name)
    return majority_value(values) if values else default


def _given(config: Any, name: str) -> list:
    return [value for value in per_layer_values(config, name) if value is not None]


class HetSafeConfigView:
    """A configuration to read from, in which a field that only layers have is what most of them say."""

    def __init__(self, config: Any) -> None:
        self._config = config
        self._per_layer = per_layer_attr_names(config)

    def __getattr__(self, name: str) -> Any:
        if name in ("_config", "_per_layer"):  # a copy or pickle that is not filled yet
            raise AttributeError(name)
        if name not in self._per_layer:
            return getattr(self._config, name)
        values = _given(self._config, name)
        if not values:
            raise AttributeError(f"no layer of the configuration has a {brief(name)}")
        return majority_value(values)


def het_safe_view(config: Any) -> Any:
    """A HetSafeConfigView of a configuration whose layers differ; any other one as it is."""
    return HetSafeConfigView(config) if per_layer_attr_names(config) else config
