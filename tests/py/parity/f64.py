"""What the logits would be in exact arithmetic: the Hugging Face model run in float64.

Rotary tables keep the float32 values that Hugging Face computes: they are constants of the model. Everything else
that Hugging Face pins to float32 (RMS norm, eager softmax) is widened here.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedModel


class _WideRMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) * w, in the dtype of x."""

    def __init__(self, norm: Any) -> None:
        super().__init__()
        self.weight = nn.Parameter(norm.weight.detach().double(), requires_grad=False)
        self.eps = float(norm.variance_epsilon)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.weight


def load(source: Path) -> PreTrainedModel:
    """The float64 model of a checkpoint folder or a GGUF file."""
    where: dict[str, Any] = {"pretrained_model_name_or_path": str(source)}
    if source.suffix == ".gguf":
        where = {"pretrained_model_name_or_path": str(source.parent), "gguf_file": source.name}
    # float32 first: exact for every stored dtype, and what the GGUF reader produces
    model = AutoModelForCausalLM.from_pretrained(
        **where, dtype=torch.float32, attn_implementation="sdpa"
    )
    model = model.eval().double()
    for name, module in list(model.named_modules()):
        if type(module).__name__.endswith("RMSNorm"):
            parent, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(parent), leaf, _WideRMSNorm(module))
    return model


def logits(model: PreTrainedModel, tokens: torch.Tensor) -> torch.Tensor:
    """float64 logits [batch, pos, d_vocab]."""
    with torch.no_grad():
        return model(tokens, use_cache=False).logits


def ulp(value: float) -> float:
    """The spacing of float32 at a value."""
    return 2.0 ** (math.floor(math.log2(value)) - 23)


def bound(reference_error: float, exact: torch.Tensor) -> float:
    """How far from exact a float32 result may be: twice torch's distance, or 4 ulp of the largest."""
    return max(2.0 * reference_error, 4.0 * ulp(exact.abs().max().item()))
