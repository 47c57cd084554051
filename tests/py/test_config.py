"""The configuration object: defaults, derivation, and writes that reach the model."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from typing import Any

import numpy as np
import pytest
from transformer_lens_go import TransformerBridge, TransformerBridgeConfig
from transformer_lens_go.config import (
    TransformerLensConfig,
    transformer_bridge_config,
    transformer_lens_config,
)

from .reference import DATA, to_numpy, uses_torch

SIZES: dict[str, Any] = {"d_model": 64, "d_head": 16, "n_layers": 2, "n_ctx": 10}


@pytest.fixture
def model() -> Any:
    return TransformerBridge.boot_transformers(DATA / "gpt2")


def test_defaults() -> None:
    cfg = TransformerBridgeConfig(**SIZES)
    assert (cfg.n_heads, cfg.d_mlp, cfg.head_dim) == (4, 256, 16)
    assert (cfg.d_vocab, cfg.d_vocab_out, cfg.device) == (-1, -1, "cpu")
    assert (cfg.act_fn, cfg.normalization_type, cfg.eps) == ("relu", "LN", 1e-5)
    assert (cfg.attn_scores_soft_cap, cfg.output_logits_soft_cap) == (-1.0, -1.0)
    assert cfg.initializer_range == pytest.approx(0.1)  # 0.8 / sqrt(64)
    assert cfg.default_prepend_bos is cfg.tokenizer_prepends_bos is True
    assert cfg.tokenizer_appends_eos is cfg.use_attn_result is cfg.use_attn_in is False
    assert cfg.n_key_value_heads is cfg.architecture is cfg.default_padding_side is None


@pytest.mark.parametrize("kind", [TransformerLensConfig, TransformerBridgeConfig])
def test_fields_that_say_what_a_model_has(kind: type) -> None:
    plain = kind(**SIZES)
    assert plain.positional_embedding_type == "standard"
    assert (
        plain.attn_only is plain.gated_mlp is plain.final_rms is plain.layer_norm_folding is False
    )
    assert plain.num_experts is plain.experts_per_token is None
    given: dict[str, Any] = dict(
        positional_embedding_type="rotary",
        gated_mlp=True,
        final_rms=True,
        num_experts=4,
        experts_per_token=2,
    )
    cfg = kind(**SIZES, **given)
    cfg.layer_norm_folding = True
    told = cfg.to_dict()
    assert {name: told[name] for name in given} == given
    assert told["layer_norm_folding"] is True
    assert cfg != plain
    assert kind.from_dict(told) == cfg


def test_where_the_classes_are() -> None:
    assert transformer_lens_config.TransformerLensConfig is TransformerLensConfig
    assert transformer_bridge_config.TransformerBridgeConfig is TransformerBridgeConfig


def test_what_is_given_wins_over_what_is_derived() -> None:
    cfg = TransformerBridgeConfig(
        **SIZES, n_heads=3, d_mlp=7, rotary_base=1e4 + 0.5, init_mode="other", uses_rms_norm=True
    )
    assert (cfg.n_heads, cfg.d_mlp, cfg.rotary_base) == (3, 7, 10000)
    assert cfg.initializer_range == 1.0
    assert cfg.uses_rms_norm is True


def test_dtype_is_the_users_kind() -> None:
    dtype = TransformerBridgeConfig(**SIZES, dtype=None).dtype
    assert str(dtype) == ("torch.float32" if uses_torch() else "float32")
    assert uses_torch() or isinstance(dtype, np.dtype)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"d_model": 65}, ValueError, r"65.*divisible.*16"),
        ({"architecture": 3}, ValueError, "string"),
        ({"nonsense": 1}, TypeError, "nonsense"),
    ],
)
def test_mistakes(change: dict[str, Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        TransformerBridgeConfig(**{**SIZES, **change})


def test_dicts() -> None:
    cfg = TransformerBridgeConfig.from_dict({**SIZES, "act_fn": "gelu", "d_mlp": 9, "junk": 1})
    assert (cfg.act_fn, cfg.d_mlp) == ("gelu", 9)
    assert not hasattr(cfg, "junk")
    told = cfg.to_dict()
    assert told["d_model"] == 64
    told["d_model"] = 1
    assert cfg.d_model == 64
    assert TransformerLensConfig.unwrap(cfg) is cfg
    assert TransformerLensConfig.unwrap(dict(SIZES)).n_heads == 4
    assert "'act_fn': 'gelu'" in repr(cfg)


def test_equality_and_copies() -> None:
    cfg = TransformerBridgeConfig(**SIZES)
    assert cfg == TransformerBridgeConfig(**SIZES)
    assert cfg != TransformerBridgeConfig(**{**SIZES, "n_ctx": 11})
    for twin in (copy.copy(cfg), copy.deepcopy(cfg), pickle.loads(pickle.dumps(cfg))):
        assert twin == cfg
        twin.n_ctx = 12
        assert cfg.n_ctx == 10


def test_unknown_fields() -> None:
    cfg = TransformerBridgeConfig(**SIZES)
    with pytest.raises(AttributeError, match="no_such_field"):
        _ = cfg.no_such_field
    cfg.no_such_field = 3  # as upstream: extra values may be attached
    assert cfg.to_dict()["no_such_field"] == 3
    with pytest.raises(AttributeError):
        cfg.head_dim = 3


def test_writes_are_told() -> None:
    told: list[tuple[str, Any]] = []
    cfg = TransformerBridgeConfig.from_engine(
        TransformerBridgeConfig(**SIZES).to_dict() | {"dtype": "float32"},
        lambda name, value: told.append((name, value)),
    )
    assert str(cfg.dtype).endswith("float32")
    cfg.n_ctx = 5
    cfg.use_attn_result = True
    assert told == [("n_ctx", 5), ("use_attn_result", True)]
    assert cfg.n_ctx == 5
    assert cfg.use_attn_result is False  # whoever is told decides
    cfg._set_bridge_managed_hook_flag("use_attn_result", True)
    assert cfg.use_attn_result is True
    assert len(told) == 2
    with pytest.raises(ValueError, match="n_ctx"):
        cfg._set_bridge_managed_hook_flag("n_ctx", True)
    copy.deepcopy(cfg).n_ctx = 6
    assert len(told) == 2


def test_a_configuration_does_not_keep_its_model() -> None:
    class Owner:
        def hear(self, name: str, value: Any) -> None:
            raise AssertionError("told after its death")

    owner = Owner()
    values = TransformerBridgeConfig(**SIZES).to_dict() | {"dtype": "float32"}
    cfg = TransformerBridgeConfig.from_engine(values, owner.hear)
    gone = weakref.ref(owner)
    del owner
    gc.collect()
    assert gone() is None
    cfg.use_attn_result = True
    assert cfg.use_attn_result is True


def test_flags_of_a_model_go_through_its_setters(model: Any) -> None:
    tokens = model.to_tokens("hello world")
    name = "blocks.0.attn.hook_result"
    assert name not in model.run_with_cache(tokens)[1]
    model.cfg.use_attn_result = True
    assert model.cfg.use_attn_result is True
    _, cache = model.run_with_cache(tokens)
    heads = to_numpy(cache[name])
    assert heads.shape == (1, tokens.shape[1], model.cfg.n_heads, model.cfg.d_model)
    model.cfg.use_attn_result = False
    assert name not in model.run_with_cache(tokens)[1]


def test_what_contradicts_is_refused_and_not_stored(model: Any) -> None:
    model.cfg.use_split_qkv_input = True
    with pytest.raises(ValueError, match="use_split_qkv_input"):
        model.cfg.use_attn_in = True
    assert model.cfg.use_attn_in is False


def test_fields_of_a_model(model: Any) -> None:
    cfg = model.cfg
    assert isinstance(cfg, TransformerBridgeConfig)
    assert (cfg.n_layers, cfg.d_model, cfg.n_ctx) == (2, 24, 32)
    assert cfg.architecture == "GPT2LMHeadModel"
    assert cfg.model_name == str(DATA / "gpt2")
    assert cfg.device == "cpu"
    cfg.default_prepend_bos = False
    assert model.to_tokens("a").shape == model.to_tokens("a", prepend_bos=False).shape
