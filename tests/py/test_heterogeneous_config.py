"""Configurations whose layers differ, read as one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from transformer_lens_go.utilities import heterogeneous_config as ours


class Config:
    """Refuses to name one value for fields that only layers have, as transformers does."""

    is_heterogeneous = True
    per_layer_attributes = ("heads", "rope", "absent")

    def __init__(self) -> None:
        self.width = 8
        self.per_layer_config = [
            SimpleNamespace(heads=4, rope={"base": 1}),
            SimpleNamespace(heads=2, rope={"base": 2}),
            SimpleNamespace(heads=2, rope={"base": 1}),
            SimpleNamespace(heads=4),
        ]

    def __getattr__(self, name: str) -> Any:
        if name in self.per_layer_attributes:
            raise RuntimeError(f"{name} differs between layers")
        raise AttributeError(name)


def test_layers_that_differ() -> None:
    config = Config()
    assert ours.per_layer_attr_names(config) == {"heads", "rope", "absent"}
    assert ours.per_layer_values(config, "heads") == [4, 2, 2, 4]
    assert ours.per_layer_values(config, "rope") == [{"base": 1}, {"base": 2}, {"base": 1}, None]
    assert ours.safe_config_get(config, "heads") == 4
    assert ours.safe_config_get(config, "rope") == {"base": 1}
    assert ours.safe_config_get(config, "absent", 3) == 3
    assert ours.safe_config_get(config, "width") == 8
    assert ours.safe_config_get(config, "other") is None
    view = ours.het_safe_view(config)
    assert isinstance(view, ours.HetSafeConfigView)
    assert (view.heads, view.rope, view.width) == (4, {"base": 1}, 8)
    assert not hasattr(view, "absent")
    assert not hasattr(view, "other")


def test_layers_that_are_alike() -> None:
    config = SimpleNamespace(heads=4)
    assert ours.per_layer_attr_names(config) == frozenset()
    assert ours.het_safe_view(config) is config
    assert ours.safe_config_get(config, "heads") == 4
    assert ours.safe_config_get(config, "width", 1) == 1


def test_majorities() -> None:
    assert ours.majority_value([1, 2, 2, 3]) == 2
    assert ours.majority_value([3, 1, 1, 3]) == 3
    assert ours.majority_value([{"a": 1}]) == {"a": 1}


def test_what_the_messages_name() -> None:
    with pytest.raises(AttributeError, match=r"no layer .* 'absent'"):
        _ = ours.HetSafeConfigView(Config()).absent
    with pytest.raises(ValueError, match="at least one"):
        ours.majority_value([])
