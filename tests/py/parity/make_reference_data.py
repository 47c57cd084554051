"""Writes tests/py/data: small checkpoints and what transformer_lens 4.3.0 computes with them.

Run as `python -m tests.py.parity.make_reference_data` from the repository root, in the environment that has the peers.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ["REFERENCE_LIBRARY"] = "transformer_lens"

import numpy as np
import torch

from .. import reference as ref
from . import tiny
from .differences import heads_of, in_place_counts_as_returned

_LLAMA = dict(num_attention_heads=4, num_key_value_heads=2, hidden_size=24, intermediate_size=36)
_ROPE = dict(
    rope_type="llama3",
    rope_theta=10000.0,
    factor=4.0,
    low_freq_factor=1.0,
    high_freq_factor=4.0,
    original_max_position_embeddings=16,
)
CHECKPOINTS = {
    "gpt2": tiny.Kind("gpt2", dict(n_embd=24, n_head=3, n_positions=32)),
    "gpt2_variant": tiny.Kind(
        "gpt2",
        dict(
            n_embd=20,
            n_head=5,
            n_inner=30,
            n_positions=32,
            activation_function="gelu",
            scale_attn_by_inverse_layer_idx=True,
            tie_word_embeddings=False,
        ),
        tokenizer="instruct",
    ),
    "llama": tiny.Kind(
        "llama", dict(_LLAMA, rope_parameters=_ROPE, head_dim=8), tokenizer="distinct"
    ),
    "mistral": tiny.Kind(
        "mistral",
        dict(_LLAMA, sliding_window=3, tie_word_embeddings=True),
        tokenizer="distinct",
        dtype=torch.bfloat16,
    ),
    "qwen2": tiny.Kind(
        "qwen2",
        dict(_LLAMA, num_key_value_heads=1, tie_word_embeddings=True),
        tokenizer="qwen2",
    ),
}
SEED = 20


def _options(model: Any, tokens: torch.Tensor, mask: torch.Tensor) -> dict[str, Any]:
    """Results of forward's options, by the names that the tests use."""
    logits, loss = model(tokens, return_type="both")
    cache = model.run_with_cache(tokens)[1]
    return {
        "logits": logits,
        "loss": loss,
        "loss_per_token": model(tokens, return_type="loss", loss_per_token=True),
        "masked": ref.thinned(model(tokens, attention_mask=mask)),
        "masked_loss": model(tokens, attention_mask=mask, return_type="loss", loss_per_token=True),
        "texts_left": ref.thinned(model(ref.TEXTS, padding_side="left")),
        "texts_right": ref.thinned(model(ref.TEXTS, padding_side="right")),
        "texts_left_loss": model(ref.TEXTS, padding_side="left", return_type="loss"),
        "text": ref.thinned(model(ref.TEXTS[0])),
        "text_without_bos": ref.thinned(model(ref.TEXTS[0], prepend_bos=False)),
        "stopped": model(tokens, stop_at_layer=1),
        "embedded": model(tokens, stop_at_layer=0),
        "started": ref.thinned(model(cache["blocks.1.hook_in"] * 0.5, start_at_layer=1)),
        "from_embeddings": ref.thinned(model(cache["hook_embed"])),
    }


def _texts(model: Any) -> dict[str, Any]:
    """What the text functions return."""
    return {
        "tokens": model.to_tokens(ref.TEXTS).tolist(),
        "tokens_left": model.to_tokens(ref.TEXTS, padding_side="left").tolist(),
        "tokens_without_bos": model.to_tokens(ref.TEXTS, prepend_bos=False).tolist(),
        "tokens_left_without_bos": model.to_tokens(
            ref.TEXTS, prepend_bos=False, padding_side="left"
        ).tolist(),
        "truncated": model.to_tokens(ref.TEXTS[2] * 30).tolist(),
        "str_tokens": model.to_str_tokens(ref.TEXTS[2]),
        "string": model.to_string(model.to_tokens(ref.TEXTS[0])[0]),
        "strings": model.to_string(model.to_tokens(ref.TEXTS)),
        "single_token": model.to_single_token(" the"),
        "position": model.get_token_position(" the", ref.TEXTS[2]),
        "last_position": model.get_token_position(" the", ref.TEXTS[2], mode="last"),
    }


def _edits(model: Any, tokens: torch.Tensor) -> tuple[list[Any], np.ndarray]:
    """Every hook point edited: [name, gate, in place, differs on purpose], and fingerprints of the logits."""
    asked, prints = [], []
    for index, name in enumerate(model.hook_dict):
        gate = ref.gate_of(name)
        if gate:
            getattr(model, f"set_{gate}")(True)
        for writes in (False, True):
            # where the two differ on purpose, the recorded effect is the one that transformer_lens_go has
            differs = writes and in_place_counts_as_returned(name, len(tokens), *heads_of(model))
            hook = ref.edit_hook(index, writes and not differs)
            logits = model.run_with_hooks(tokens.clone(), fwd_hooks=[(name, hook)])
            asked.append([name, gate, writes, differs])
            prints.append(ref.fingerprint(logits))
        if gate:
            getattr(model, f"set_{gate}")(False)
    return asked, np.stack(prints)


def _gated(model: Any, tokens: torch.Tensor) -> dict[str, Any]:
    """The activations that exist only behind a flag."""
    values = {}
    for gate in dict.fromkeys(ref.GATES.values()):
        getattr(model, f"set_{gate}")(True)
        names = [n for n in model.hook_dict if ref.gate_of(n) == gate and n.startswith("blocks.1")]
        values.update(model.run_with_cache(tokens, names_filter=names)[1].items())
        getattr(model, f"set_{gate}")(False)
    return values


def record(name: str, kind: tiny.Kind, folder: Path) -> None:
    """Make one checkpoint and everything recorded of it."""
    shutil.rmtree(folder, ignore_errors=True)
    tiny.save(kind, SEED, folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    model = ref.Reference.boot(_Booted(folder))
    tokens = tiny.random_tokens(SEED, (2, 6))
    mask = torch.ones_like(tokens)
    mask[0, :2] = 0
    mask[1, 4:] = 0
    cache = model.run_with_cache(tokens)[1]
    aliases = {n: p.name for n, p in model.hook_dict.items() if n != p.name}
    asked, prints = _edits(model, tokens)
    arrays = {"tokens": tokens, "mask": mask, "edits": prints, **_options(model, tokens, mask)}
    arrays |= {f"cache/{n}": v for n, v in cache.items() if n not in aliases}
    arrays |= {f"gated/{n}": v for n, v in _gated(model, tokens).items() if n not in aliases}
    np.savez_compressed(folder / "reference.npz", **{n: ref.to_numpy(v) for n, v in arrays.items()})
    facts = {
        "kind": name,
        "cached": list(cache.keys()),
        "hook_dict": {n: p.name for n, p in model.hook_dict.items()},
        "edits": asked,
        "texts": _texts(model),
    }
    text = json.dumps(facts, ensure_ascii=False, separators=(",", ":"))
    (folder / "reference.json").write_text(text + "\n", "utf-8")


class _Booted(ref.Reference):
    """A checkpoint without recorded results yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder


def main() -> None:
    torch.set_num_threads(1)
    with torch.no_grad():
        for name, kind in CHECKPOINTS.items():
            record(name, kind, ref.DATA / name)
    size = sum(path.stat().st_size for path in ref.DATA.rglob("*") if path.is_file())
    print(f"{ref.DATA}: {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
