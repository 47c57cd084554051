"""Write the reference data of golens/checkpoint: GGUF files, and what others make of them.

The others are gguf-py (values of quantised tensors) and transformers (configs, parameters).

Needs the packages gguf, numpy, safetensors, torch and transformers:

    python tests/py/parity/make_gguf_testdata.py [--smollm2 SmolLM2-135M-Instruct.Q4_1.gguf]

Run again it writes the same bytes. With --smollm2 it also writes the hash of that file's
dequantised tensors.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Type
from safetensors.numpy import save_file
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
)
from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

OUT = Path(__file__).resolve().parents[3] / "golens" / "checkpoint" / "testdata"

PLAIN = (Type.F32, Type.F16, Type.BF16)
BLOCKS = (
    Type.Q8_0,
    Type.Q4_0,
    Type.Q4_1,
    Type.Q5_0,
    Type.Q5_1,
    Type.Q2_K,
    Type.Q3_K,
    Type.Q4_K,
    Type.Q5_K,
    Type.Q6_K,
)
# Where each block format keeps its half-precision scales, in bytes from the block's start.
SCALES = {
    Type.Q8_0: (0,),
    Type.Q4_0: (0,),
    Type.Q4_1: (0, 2),
    Type.Q5_0: (0,),
    Type.Q5_1: (0, 2),
    Type.Q2_K: (80, 82),
    Type.Q3_K: (108,),
    Type.Q4_K: (0, 2),
    Type.Q5_K: (0, 2),
    Type.Q6_K: (208,),
}


def write(writer: gguf.GGUFWriter) -> None:
    """Write the file that a writer describes."""
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def random_blocks(rng: np.random.Generator, kind: Type, rows: int, columns: int) -> np.ndarray:
    """Make rows of random blocks: mostly finite scales, and one row of wholly random bytes."""
    length, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (rows, columns // length, size), dtype=np.uint8)
    for at in SCALES[kind]:
        scales = rng.standard_normal((rows - 1, columns // length)).astype(np.float16)
        scales[0] *= np.float16(2**-12)  # subnormals
        blocks[:-1, :, at : at + 2] = scales[..., None].view(np.uint8)
    return blocks.reshape(rows, -1)


def quants() -> None:
    """One tensor of each kind, and the values that gguf-py reads from it."""
    rng = np.random.default_rng(20240607)
    writer = gguf.GGUFWriter(OUT / "quants.gguf", "none")
    expected: dict[str, np.ndarray] = {}
    for kind in PLAIN:
        width = 4 if kind is Type.F32 else 2
        data = rng.integers(0, 256, (3, 64 * width), dtype=np.uint8)
        data = data.view({Type.F32: np.float32, Type.F16: np.float16}.get(kind, np.uint8))
        expected[kind.name] = gguf.dequantize(data, kind).astype(np.float32)
        writer.add_tensor(kind.name, data, raw_dtype=kind)
    for kind in BLOCKS:
        data = random_blocks(rng, kind, rows=3, columns=512)
        expected[kind.name] = gguf.dequantize(data, kind)
        writer.add_tensor(kind.name, data, raw_dtype=kind)
    write(writer)
    save_file(expected, OUT / "quants.safetensors")
    (OUT / "quants.safetensors").chmod(0o644)


def metadata() -> None:
    """A value of every type."""
    writer = gguf.GGUFWriter(OUT / "metadata.gguf", "none")
    writer.add_uint8("u8", 255)
    writer.add_int8("i8", -128)
    writer.add_uint16("u16", 65535)
    writer.add_int16("i16", -32768)
    writer.add_uint32("u32", 2**32 - 1)
    writer.add_int32("i32", -(2**31))
    writer.add_float32("f32", 0.5)
    writer.add_bool("yes", True)
    writer.add_bool("no", False)
    writer.add_string("text", "naïve \u2192 text\n")
    writer.add_uint64("u64", 2**64 - 1)
    writer.add_int64("i64", -(2**63))
    writer.add_float64("f64", 1e300)
    writer.add_array("ints", [1, -2, 3])
    writer.add_array("floats", [0.25, -8.0])
    writer.add_array("bools", [True, False, True])
    writer.add_array("strings", ["", "Ġthe", "日本"])
    writer.add_array("nested", [[1, 2], [3]])
    write(writer)


def permute(weight: np.ndarray, heads: int) -> np.ndarray:
    """Put rotary pairs side by side, as llama.cpp's converter does."""
    pairs = weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:])
    return pairs.swapaxes(1, 2).reshape(weight.shape)


def as_is(_: str, weight: np.ndarray) -> np.ndarray:
    return weight


def transpose(name: str, weight: np.ndarray) -> np.ndarray:
    conv1d = ("attn_qkv", "attn_output", "ffn_up", "ffn_down")
    return weight.T if name.endswith(tuple(f"{c}.weight" for c in conv1d)) else weight


def model(
    name: str,
    arch: gguf.MODEL_ARCH,
    torch_model: PreTrainedModel,
    parameters: Callable[[gguf.GGUFWriter], None],
    layout: Callable[[str, np.ndarray], np.ndarray] = as_is,
) -> None:
    """Write a model as GGUF, and how transformers reads it: config, hash of each parameter."""
    writer = gguf.GGUFWriter(OUT / f"{name}.gguf", gguf.MODEL_ARCH_NAMES[arch])
    parameters(writer)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    names = gguf.get_tensor_name_map(arch, 2)
    tied = torch_model.config.tie_word_embeddings
    gguf_names: dict[str, str] = {}
    for hf_name, value in torch_model.state_dict().items():
        base, suffix = hf_name.rsplit(".", 1)
        gguf_names[hf_name] = f"{names.get_name(base)}.{suffix}"
        if not (tied and hf_name == "lm_head.weight"):
            data = layout(gguf_names[hf_name], value.numpy())
            writer.add_tensor(gguf_names[hf_name], np.ascontiguousarray(data))
    write(writer)

    read = AutoModelForCausalLM.from_pretrained(OUT, gguf_file=f"{name}.gguf", dtype="float32")
    hashes = {}
    for hf_name, value in read.state_dict().items():
        assert torch.equal(value, torch_model.state_dict()[hf_name]), hf_name
        hashes[hf_name] = hashlib.sha256(value.contiguous().numpy().tobytes()).hexdigest()
    config = load_gguf_checkpoint(str(OUT / f"{name}.gguf"))["config"]
    save(
        name,
        {
            "config": config,
            "architecture": type(read).__name__,
            "names": gguf_names,
            "sha256": hashes,
        },
    )


def save(name: str, value: dict[str, Any]) -> None:
    text = json.dumps(value, indent=1, sort_keys=True)
    (OUT / f"{name}.json").write_text(text + "\n")


def llama_parameters(writer: gguf.GGUFWriter) -> None:
    writer.add_block_count(2)
    writer.add_context_length(64)
    writer.add_embedding_length(16)
    writer.add_feed_forward_length(24)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_rope_freq_base(50000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(11)


def with_head_size(writer: gguf.GGUFWriter) -> None:
    llama_parameters(writer)
    writer.add_rope_dimension_count(8)


def gpt2_parameters(writer: gguf.GGUFWriter) -> None:
    writer.add_block_count(2)
    writer.add_context_length(1024)  # transformers ignores it
    writer.add_embedding_length(8)
    writer.add_feed_forward_length(32)
    writer.add_head_count(2)
    writer.add_layer_norm_eps(1e-5)
    writer.add_token_list([f"t{i}" for i in range(11)])


def models() -> None:
    """Tiny random models of every family."""
    shape: dict[str, Any] = {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "num_hidden_layers": 2,
        "vocab_size": 11,
        "max_position_embeddings": 64,
    }

    def permuted(name: str, weight: np.ndarray) -> np.ndarray:
        heads = {"attn_q": 2, "attn_k": 1}.get(name.split(".")[-2])
        return permute(weight, heads) if heads else weight

    torch.manual_seed(5)
    llama = LlamaForCausalLM(LlamaConfig(**shape, tie_word_embeddings=True))
    model("llama", gguf.MODEL_ARCH.LLAMA, llama, with_head_size, permuted)
    qwen2 = Qwen2ForCausalLM(Qwen2Config(**shape, tie_word_embeddings=False))
    with torch.no_grad():
        for parameter in qwen2.parameters():
            parameter.normal_()
    model("qwen2", gguf.MODEL_ARCH.QWEN2, qwen2, llama_parameters)
    gpt2 = GPT2LMHeadModel(GPT2Config(n_embd=8, n_layer=2, n_head=2, vocab_size=11))
    model("gpt2", gguf.MODEL_ARCH.GPT2, gpt2, gpt2_parameters, transpose)


def smollm2(path: Path) -> None:
    """Hash all dequantised tensors of a file, in its order."""
    digest = hashlib.sha256()
    reader = gguf.GGUFReader(path)
    for tensor in reader.tensors:
        digest.update(tensor.name.encode())
        digest.update(gguf.dequantize(tensor.data, tensor.tensor_type).tobytes())
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / "model.gguf"
        link.symlink_to(path.resolve())
        config = load_gguf_checkpoint(str(link))["config"]
    save(
        "smollm2", {"config": config, "tensors": len(reader.tensors), "sha256": digest.hexdigest()}
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smollm2", type=Path)
    arguments = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    quants()
    metadata()
    models()
    if arguments.smollm2:
        smollm2(arguments.smollm2)


if __name__ == "__main__":
    main()
