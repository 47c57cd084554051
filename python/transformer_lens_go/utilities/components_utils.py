"""Short names of activations."""

from __future__ import annotations

import re

_SHORT_NAME = re.compile(r"([a-z]+)(\d+)([a-z]?.*)")
_LAYER_TYPES = {
    "a": "attn",
    "attention": "attn",
    "m": "mlp",
    "b": "",
    "block": "",
    "blocks": "",
}
_ACTIVATIONS = {
    "attn": "pattern",
    "attn_logits": "attn_scores",
    "key": "k",
    "query": "q",
    "value": "v",
    "mlp_pre": "pre",
    "mlp_mid": "mid",
    "mlp_post": "post",
}
_IN_ATTENTION = {"k", "v", "q", "z", "rot_k", "rot_q", "result", "pattern", "attn_scores"}
_IN_MLP = {"pre", "post", "mid", "pre_linear"}
_OF_NORMS = {"scale", "normalized"}


def get_act_name(name: str, layer: int | str | None = None, layer_type: str | None = None) -> str:
    """The full hook name of a short one.

    `("k", 6)` or `"k6"` is `blocks.6.attn.hook_k`; `("scale", 4, "ln1")` or `"scale4ln1"` is
    `blocks.4.ln1.hook_scale`; `"embed"` is `hook_embed`; `"scale"` alone belongs to `ln_final`. A
    full name is given back as it is. `layer_type` may be "a"/"attn", "m"/"mlp", "b" for the block
    itself, or a norm's name; where the activation says where it lives, it is not needed.
    """
    if layer is None and layer_type is None and ("." in name or name.startswith("hook_")):
        return name
    match = _SHORT_NAME.match(name)
    if match is not None:
        name, layer, layer_type = match.groups()
    name = _ACTIVATIONS.get(name, name)
    if name in _IN_ATTENTION:
        layer_type = "attn"
    elif name in _IN_MLP:
        layer_type = "mlp"
    elif layer_type is not None:
        layer_type = _LAYER_TYPES.get(layer_type, layer_type)

    block = "" if layer is None else f"blocks.{layer}."
    component = f"{layer_type}." if layer_type else ""
    final = "ln_final." if name in _OF_NORMS and layer is None else ""
    return f"{final}{block}{component}hook_{name}"
