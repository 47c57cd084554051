"""Write the reference data of golens/config and golens/arch from live transformer_lens.

Run it with an interpreter that has torch, transformers and transformer_lens:

    python tests/py/parity/make_arch_testdata.py

It makes tiny random models of each family, boots them as ``TransformerBridge`` and stores what
the Go tests compare with: the cfg, the hook_dict (names in order, alias targets), the component
tree, the parameters with shape, strides and offset within their checkpoint tensor, which hooks
fire, and the rotary frequencies of transformers as float32 bit patterns. The frequencies are those
of a machine with AVX-512; torch's last bits differ elsewhere.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformer_lens.config import TransformerBridgeConfig
from transformer_lens.hook_points import HookPoint
from transformer_lens.model_bridge import TransformerBridge
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

ROOT = Path(__file__).resolve().parents[3]
CONFIG_OUT = ROOT / "golens" / "config" / "testdata"
ARCH_OUT = ROOT / "golens" / "arch" / "testdata"

GPT2 = {
    "architectures": ["GPT2LMHeadModel"],
    "model_type": "gpt2",
    "n_layer": 2,
    "n_head": 4,
    "n_embd": 8,
    "n_positions": 64,
    "vocab_size": 40,
}
LLAMA_LIKE = {
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "hidden_size": 8,
    "intermediate_size": 12,
    "vocab_size": 40,
    "max_position_embeddings": 64,
}
LLAMA = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", **LLAMA_LIKE}
MISTRAL = {"architectures": ["MistralForCausalLM"], "model_type": "mistral", **LLAMA_LIKE}
QWEN2 = {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", **LLAMA_LIKE}
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
MODELS: dict[str, dict[str, Any]] = {
    "gpt2": GPT2,
    "gpt2_options": {
        **GPT2,
        "n_layer": 1,
        "n_inner": 20,
        "activation_function": "relu",
        "scale_attn_by_inverse_layer_idx": True,
        "layer_norm_epsilon": 1e-6,
        "tie_word_embeddings": False,
    },
    "llama": LLAMA,
    "llama_11_layers": {**LLAMA, "num_hidden_layers": 11},
    "llama_options": {
        **LLAMA,
        "num_hidden_layers": 1,
        "attention_bias": True,
        "mlp_bias": True,
        "head_dim": 6,
        "rms_norm_eps": 1e-5,
        "rope_theta": 500000.0,
        "rope_scaling": LLAMA3_ROPE,
        "tie_word_embeddings": True,
        "num_key_value_heads": 4,
        "hidden_act": "gelu_pytorch_tanh",
    },
    "mistral": {**MISTRAL, "num_hidden_layers": 1, "sliding_window": 5, "head_dim": 4},
    "qwen2": {**QWEN2, "num_hidden_layers": 1},
    "qwen2_sliding": {
        **QWEN2,
        "num_hidden_layers": 1,
        "use_sliding_window": True,
        "sliding_window": 6,
        "max_window_layers": 0,
        "tie_word_embeddings": True,
    },
}
# Models that only matter for the order of names; nothing else is stored of them.
ORDER_ONLY = {"llama_11_layers"}
VIEWS = (
    "weight bias w b W_E W_pos W_U b_U W_Q W_K W_V W_O b_Q b_K b_V b_O "
    "W_in b_in W_out b_out W_gate b_gate"
).split()


def byte_tokenizer() -> Any:
    """A tokenizer with one token a byte: enough to boot, and it needs no download."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {"<|endoftext|>": 0, **{c: i + 1 for i, c in enumerate(alphabet)}}
    inner = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    end = "<|endoftext|>"
    made = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token=end, eos_token=end)
    # transformer_lens wants one that came from a folder
    with tempfile.TemporaryDirectory() as folder:
        made.save_pretrained(folder)
        return AutoTokenizer.from_pretrained(folder, add_bos_token=True)


def jsonable(value: Any) -> Any:
    """The value as JSON holds it; dtypes by their short name."""
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    return value


def number_parameters(model: torch.nn.Module) -> tuple[dict[str, list[int]], dict[int, str]]:
    """Give every element of every parameter a number of its own.

    Returns the shapes by name, and the names by the number at which their elements start.
    """
    shapes: dict[str, list[int]] = {}
    starts: dict[int, str] = {}
    start = 0
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            count = parameter.numel()
            parameter.copy_(torch.arange(start, start + count).view(parameter.shape))
            shapes[name] = list(parameter.shape)
            starts[start] = name
            start += count
    assert start < 2**24, "numbers must be exact in float32"
    return shapes, starts


def place(tensor: torch.Tensor | None, starts: dict[int, str]) -> dict[str, Any] | None:
    """Where a tensor of numbered elements lies in its checkpoint tensor; zeros lie nowhere."""
    if tensor is None:
        return None
    shape = list(tensor.shape)
    values = tensor.detach().to(torch.float64)
    if tensor.numel() > 1 and not values.any():
        return {"zeros": shape}
    origin = int(values.flatten()[0])
    begin = max(s for s in starts if s <= origin)
    strides = [
        int(values.select(d, 1).flatten()[0]) - origin if n > 1 else 0 for d, n in enumerate(shape)
    ]
    grid = torch.full(shape, float(origin), dtype=torch.float64)
    for d, n in enumerate(shape):
        view = [1] * len(shape)
        view[d] = n
        grid += (torch.arange(n, dtype=torch.float64) * strides[d]).view(view)
    assert torch.equal(grid, values), "not a strided view"
    return {"tensor": starts[begin], "shape": shape, "strides": strides, "offset": origin - begin}


def canonical(bridge: TransformerBridge) -> dict[int, str]:
    """The canonical name of every hook point: the first key that the registry has it under."""
    names: dict[int, str] = {}
    for key, point in bridge.hook_dict.items():
        names.setdefault(id(point), key)
    return names


def components(bridge: TransformerBridge, starts: dict[int, str]) -> list[dict[str, Any]]:
    """Every component in registry order, with its class, own hooks and parameter views."""
    order: dict[str, list[str]] = {}
    for name in canonical(bridge).values():
        owner, _, hook = name.rpartition(".")
        order.setdefault(owner, []).append(hook)
    found = []
    for owner, hooks in order.items():
        component: Any = bridge
        for part in owner.split("."):
            component = component[int(part)] if part.isdigit() else getattr(component, part)
        views: dict[str, Any] = {}
        for view in VIEWS:
            try:
                value = getattr(component, view)
            except AttributeError:
                continue
            views[view] = place(value, starts)
        found.append(
            {"name": owner, "class": type(component).__name__, "hooks": hooks, "views": views}
        )
    return found


def describe(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Boot one tiny model and write down what the Go side must agree with."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(**settings)
    config.architectures = settings["architectures"]
    model = AutoModelForCausalLM.from_config(config).eval()
    shapes, starts = number_parameters(model)
    bridge = TransformerBridge.boot_transformers(
        name, hf_model=model, tokenizer=byte_tokenizer(), device="cpu"
    )
    hooks = bridge.hook_dict
    names = canonical(bridge)
    hook_dict: list[Any] = [
        key if names[id(point)] == key else [key, names[id(point)]] for key, point in hooks.items()
    ]
    assert all(isinstance(point, HookPoint) for point in hooks.values())
    if name in ORDER_ONLY:
        return {"hf_config": settings, "hook_dict": hook_dict}
    return {
        "hf_config": settings,
        "hook_dict": hook_dict,
        "cfg": {k: jsonable(v) for k, v in vars(bridge.cfg).items()},
        "tensors": shapes,
        "state_dict": [[k, place(v, starts)] for k, v in bridge.state_dict().items()],
        "components": components(bridge, starts),
        "fires": fired(bridge),
    }


def fired(bridge: TransformerBridge) -> dict[str, list[str]]:
    """Hook names as a run calls them: plain (all), and with one flag on (block 0 only)."""
    runs: dict[str, list[str]] = {}
    names = canonical(bridge)
    order: list[str] = []

    def note(_value: Any, hook: HookPoint) -> None:
        order.append(names[id(hook)])

    for point in set(bridge.hook_dict.values()):
        point.add_hook(note)
    with torch.no_grad():
        for parameter in bridge.original_model.parameters():
            parameter.normal_(0, 0.1)
    for flag in ("plain", "attn_result", "hook_mlp_in", "attn_in", "split_qkv_input"):
        if flag != "plain":
            getattr(bridge, f"set_use_{flag}")(True)
        order.clear()
        with torch.no_grad():
            bridge(torch.randint(0, 40, (2, 7)))
        if flag == "plain":
            runs[flag] = list(order)
            continue
        runs["use_" + flag] = [name for name in order if name.startswith("blocks.0.")]
        getattr(bridge, f"set_use_{flag}")(False)
    return runs


def rope_cases() -> list[dict[str, Any]]:
    """inv_freq of transformers for many widths, bases and kinds of scaling, as bit patterns."""
    cases: list[tuple[dict[str, Any], int, int]] = []
    for dim in (2, 8, 16, 64, 80, 96, 128):
        for theta in (10000.0, 100000.0, 500000.0, 1000000.0, 130000.0):
            cases.append(({"rope_type": "default", "rope_theta": theta}, dim, 2048))
    for dim in (8, 64, 128):
        cases.append(({"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}, dim, 4096))
        cases.append(({"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.7}, dim, 4096))
        for factor, low, high, old in (
            (8.0, 1.0, 4.0, 8192),
            (32.0, 1.0, 4.0, 8192),
            (3.0, 1.5, 5.0, 100),
        ):
            rope = {
                "rope_type": "llama3",
                "rope_theta": 500000.0,
                "factor": factor,
                "low_freq_factor": low,
                "high_freq_factor": high,
                "original_max_position_embeddings": old,
            }
            cases.append((rope, dim, 131072))
        for extra in (
            {},
            {"beta_fast": 16, "beta_slow": 2},
            {"mscale": 1.0, "mscale_all_dim": 0.5},
            {"attention_factor": 1.25, "truncate": False},
        ):
            rope = {
                "rope_type": "yarn",
                "rope_theta": 1000000.0,
                "factor": 4.0,
                "original_max_position_embeddings": 4096,
                **extra,
            }
            cases.append((rope, dim, 16384))
    out = []
    for rope, dim, positions in cases:
        config = AutoConfig.for_model(
            "llama",
            hidden_size=2 * dim,
            num_attention_heads=2,
            head_dim=dim,
            max_position_embeddings=positions,
            rope_parameters=dict(rope),
        )
        kind = rope["rope_type"]
        init = ROPE_INIT_FUNCTIONS.get(kind, LlamaRotaryEmbedding.compute_default_rope_parameters)
        frequencies, scaling = init(config)
        bits = frequencies.to(torch.float32).view(torch.int32).tolist()
        out.append(
            {
                "rope": rope,
                "dim": dim,
                "max_position_embeddings": positions,
                "bits": " ".join(f"{b & 0xFFFFFFFF:08x}" for b in bits),
                "attention_scaling": scaling,
            }
        )
    return out


def config_cases() -> list[dict[str, Any]]:
    """TransformerBridgeConfig built straight from keyword arguments, with what it derives."""
    inputs: list[dict[str, Any]] = [
        {"d_model": 64, "d_head": 16, "n_layers": 2, "n_ctx": 128},
        {"d_model": 64, "d_head": 16, "n_layers": 2, "n_ctx": 128, "n_heads": 2, "d_vocab": 10},
        {"d_model": 60, "d_head": 20, "n_layers": 1, "n_ctx": 8, "d_mlp": 7, "eps": 1e-6},
        {"d_model": 64, "d_head": 16, "n_layers": 2, "n_ctx": 8, "init_mode": "kaiming_uniform"},
        {"d_model": 64, "d_head": 16, "n_layers": 2, "n_ctx": 8, "initializer_range": 0.5},
        {"d_model": 64, "d_head": 16, "n_layers": 2, "n_ctx": 8, "rotary_base": 12345.7},
        {"d_model": 64, "d_head": 16, "n_layers": 2, "n_ctx": 8, "normalization_type": None},
        {"d_model": 65, "d_head": 16, "n_layers": 2, "n_ctx": 8},
        {"d_model": 64, "d_head": 16, "n_layers": 2},
        {"d_model": 64, "d_head": 16, "n_layers": 2, "n_ctx": 8, "architecture": 7},
    ]
    out = []
    for given in inputs:
        case: dict[str, Any] = {"given": given}
        try:
            made = TransformerBridgeConfig(device="cpu", **given)
        except (TypeError, ValueError) as error:
            case["error"] = type(error).__name__
        else:
            case["cfg"] = {k: jsonable(v) for k, v in vars(made).items()}
        out.append(case)
    return out


def write(path: Path, data: Any) -> None:
    """Write compact JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, separators=(",", ":")) + "\n")
    print(path.relative_to(ROOT), path.stat().st_size)


def main() -> None:
    """Write every reference file."""
    write(CONFIG_OUT / "bridge_config.json", config_cases())
    write(ARCH_OUT / "rope.json", rope_cases())
    for name, settings in MODELS.items():
        write(ARCH_OUT / f"{name}.json", describe(name, settings))


if __name__ == "__main__":
    main()
