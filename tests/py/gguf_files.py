"""GGUF files written by hand, without the package gguf: metadata and float32 tensors, in the format's own order."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

_UINT32, _INT32, _FLOAT32, _BOOL, _STRING, _ARRAY = 4, 5, 6, 7, 8, 9
_ALIGNMENT = 32


def write_gguf(
    path: Path, metadata: Mapping[str, Any], tensors: Mapping[str, np.ndarray] | None = None
) -> Path:
    """Write a file of version 3. Ints are stored as uint32 (in lists as int32), floats as float32."""
    out = bytearray(b"GGUF" + struct.pack("<IQQ", 3, len(tensors or {}), len(metadata)))
    for key, value in metadata.items():
        kind, raw = _value(value)
        out += _text(key) + struct.pack("<I", kind) + raw
    data = bytearray()
    for name, tensor in (tensors or {}).items():
        raw = np.ascontiguousarray(tensor, dtype="<f4").tobytes()
        out += _text(name) + struct.pack("<I", tensor.ndim)
        out += struct.pack(f"<{tensor.ndim}Q", *reversed(tensor.shape))
        out += struct.pack("<IQ", 0, len(data))
        data += raw + bytes(-len(raw) % _ALIGNMENT)
    out += bytes(-len(out) % _ALIGNMENT)
    path.write_bytes(bytes(out + data))
    return path


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _value(value: Any) -> tuple[int, bytes]:
    if isinstance(value, bool):
        return _BOOL, struct.pack("<?", value)
    if isinstance(value, int):
        return _UINT32, struct.pack("<I", value)
    if isinstance(value, float):
        return _FLOAT32, struct.pack("<f", value)
    if isinstance(value, str):
        return _STRING, _text(value)
    if isinstance(value[0], int):
        kind, items = _INT32, struct.pack(f"<{len(value)}i", *value)
    else:
        made = [_value(item) for item in value]
        kind, items = made[0][0], b"".join(raw for _, raw in made)
    return _ARRAY, struct.pack("<IQ", kind, len(value)) + items


def byte_level_metadata(pre: str = "gpt-2", **changed: Any) -> dict[str, Any]:
    """A small byte-level vocabulary as tokenizer metadata: single characters, `ĠĠ` and `ab`."""
    letters = [chr(c) for c in range(ord("!"), 0x7F)]
    tokens = [*letters, "Ġ", "Ċ", "ĠĠ", "ab", "<|endoftext|>"]
    metadata = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [1] * (len(tokens) - 1) + [3],
        "tokenizer.ggml.merges": ["Ġ Ġ", "a b"],
        "tokenizer.ggml.bos_token_id": len(tokens) - 1,
        "tokenizer.ggml.eos_token_id": len(tokens) - 1,
    }
    return {k: v for k, v in (metadata | changed).items() if v is not None}


def sentencepiece_metadata(**changed: Any) -> dict[str, Any]:
    """A small SentencePiece vocabulary as tokenizer metadata."""
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += ["▁", "H", "i", "▁H", "Hi", "▁Hi", "▁▁"]
    control = {"<s>", "</s>"}
    metadata = {
        "general.architecture": "llama",
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": pieces,
        "tokenizer.ggml.scores": [-float(i) for i in range(len(pieces))],
        "tokenizer.ggml.token_type": [2, *(3 if p in control else 1 for p in pieces[1:])],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
    }
    return metadata | changed
