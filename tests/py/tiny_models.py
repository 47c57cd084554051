"""Tiny random checkpoints as Hugging Face folders, made with NumPy alone, and the fixtures that open them.

The same tests run with torch and without: `xp` is the kind of array that users get here. Test modules have this
file as a plugin (PYTEST_DONT_REWRITE: it asserts nothing).
"""

from __future__ import annotations

import contextlib
import gc
import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformer_lens_go import TransformerBridge
from transformer_lens_go._engine import arrays
from transformer_lens_go._engine.model import counts

Weights = dict[str, np.ndarray]

N_LAYERS, N_HEADS, D_MODEL, D_HEAD, D_VOCAB, N_CTX = 3, 4, 32, 8, 97, 48


def write_safetensors(path: Path, tensors: Weights) -> None:
    """float32 tensors in the safetensors format: the header's length, the header as JSON, the bytes."""
    header: dict[str, Any] = {}
    data = bytearray()
    for name, tensor in tensors.items():
        raw = np.ascontiguousarray(tensor, dtype="<f4").tobytes()
        offsets = [len(data), len(data) + len(raw)]
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": offsets}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def write_folder(folder: Path, config: dict[str, Any], weights: Weights) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    write_safetensors(folder / "model.safetensors", weights)
    return folder


def write_gpt2(folder: Path, seed: int = 0, n_layer: int = N_LAYERS) -> Path:
    """GPT-2: joint query-key-value weights, learned positions, tied unembedding, biases everywhere."""
    draw = _drawer(seed)
    d, m = D_MODEL, 4 * D_MODEL
    weights = {
        "transformer.wte.weight": draw(D_VOCAB, d),
        "transformer.wpe.weight": draw(N_CTX, d),
        "transformer.ln_f.weight": 1 + draw(d),
        "transformer.ln_f.bias": draw(d),
    }
    for layer in range(n_layer):
        shapes = {
            "attn.c_attn": (d, 3 * d),
            "attn.c_proj": (d, d),
            "mlp.c_fc": (d, m),
            "mlp.c_proj": (m, d),
        }
        for name, (rows, columns) in shapes.items():
            weights[f"transformer.h.{layer}.{name}.weight"] = draw(rows, columns)
            weights[f"transformer.h.{layer}.{name}.bias"] = draw(columns)
        for name in ("ln_1", "ln_2"):
            weights[f"transformer.h.{layer}.{name}.weight"] = 1 + draw(d)
            weights[f"transformer.h.{layer}.{name}.bias"] = draw(d)
    config = {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "n_layer": n_layer,
        "n_head": N_HEADS,
        "n_embd": d,
        "n_positions": N_CTX,
        "vocab_size": D_VOCAB,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
    }
    return write_folder(folder, config, weights)


def write_llama(folder: Path, seed: int = 0) -> Path:
    """The Llama kind: rotary positions, half as many key-value heads, gated MLPs, no biases."""
    draw = _drawer(seed)
    d, m = D_MODEL, 3 * D_MODEL
    weights = {
        "model.embed_tokens.weight": draw(D_VOCAB, d),
        "model.norm.weight": 1 + draw(d),
        "lm_head.weight": draw(D_VOCAB, d),
    }
    for layer in range(N_LAYERS):
        shapes = {
            "self_attn.q_proj": (d, d),
            "self_attn.k_proj": (d // 2, d),
            "self_attn.v_proj": (d // 2, d),
            "self_attn.o_proj": (d, d),
            "mlp.gate_proj": (m, d),
            "mlp.up_proj": (m, d),
            "mlp.down_proj": (d, m),
        }
        for name, shape in shapes.items():
            weights[f"model.layers.{layer}.{name}.weight"] = draw(*shape)
        for name in ("input_layernorm", "post_attention_layernorm"):
            weights[f"model.layers.{layer}.{name}.weight"] = 1 + draw(d)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "num_hidden_layers": N_LAYERS,
        "num_attention_heads": N_HEADS,
        "num_key_value_heads": N_HEADS // 2,
        "hidden_size": d,
        "intermediate_size": m,
        "max_position_embeddings": N_CTX,
        "vocab_size": D_VOCAB,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
    }
    return write_folder(folder, config, weights)


def _drawer(seed: int) -> Callable[..., np.ndarray]:
    generator = np.random.default_rng(seed)
    return lambda *shape: (0.2 * generator.standard_normal(shape)).astype(np.float32)


class Arrays:
    """The kind of array that users get, and what tests need of it."""

    torch = arrays.torch

    def array(self, values: Any, dtype: str = "float32") -> Any:
        return arrays.from_numpy(np.array(values, dtype=dtype))

    def ids(self, seed: int = 0, batch: int = 2, pos: int = 6) -> Any:
        return arrays.from_numpy(np.random.default_rng(seed).integers(0, D_VOCAB, (batch, pos)))

    def stream(self, seed: int = 0, batch: int = 2, pos: int = 6) -> Any:
        drawn = np.random.default_rng(seed).standard_normal((batch, pos, D_MODEL))
        return arrays.from_numpy(drawn.astype(np.float32))

    def numpy(self, value: Any) -> np.ndarray:
        if self.torch is None:
            return value
        value = value.detach()  # NumPy has no bfloat16, and float32 holds it exactly
        return (value.float() if value.dtype == self.torch.bfloat16 else value).numpy()

    def copy(self, value: Any) -> Any:
        return value.detach().clone() if self.torch is not None else value.copy()

    def same(self, one: Any, other: Any) -> bool:
        """Whether two arrays are alike, bit for bit."""
        return np.array_equal(self.numpy(one), self.numpy(other))

    def no_grad(self) -> Any:
        return contextlib.nullcontext() if self.torch is None else self.torch.no_grad()


@pytest.fixture
def xp() -> Arrays:
    return Arrays()


@pytest.fixture
def no_grad(xp: Arrays) -> Iterator[None]:
    with xp.no_grad():
        yield


@pytest.fixture(scope="session")
def gpt2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gpt2(tmp_path_factory.mktemp("models") / "gpt2")


@pytest.fixture(scope="session")
def llama_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llama(tmp_path_factory.mktemp("models") / "llama")


@pytest.fixture
def gpt2(gpt2_folder: Path) -> Any:
    return TransformerBridge.boot_transformers(gpt2_folder)


@pytest.fixture
def llama(llama_folder: Path) -> Any:
    return TransformerBridge.boot_transformers(llama_folder)


@pytest.fixture(params=["gpt2", "llama"])
def model(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def alive() -> dict[str, int]:
    """What the engine holds, after Python has let go of what it can."""
    gc.collect()
    held = counts()
    held.pop("PoolBytes")
    return held
