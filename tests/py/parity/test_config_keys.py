"""golens/arch/config_keys.json against the transformers that is installed: its source, and a model that is watched."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
import transformers

from . import make_config_keys

SIZES = {
    "vocab_size": 11,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
}
# What the class says of itself, where weights are put, and how generating begins.
ABOUT_OTHER_THINGS = {
    "attribute_map",
    "model_type",
    "base_model_ep_plan",
    "base_model_fsdp_plan",
    "is_encoder_decoder",
}
TABLE: dict[str, Any] = json.loads(make_config_keys.OUT.read_text())


def test_the_table_is_that_of_this_transformers() -> None:
    assert make_config_keys.table() == TABLE, "run tests/py/parity/make_config_keys.py"


@pytest.mark.parametrize("family", make_config_keys.FAMILIES)
def test_what_a_live_model_reads_is_in_the_table(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made, run, run on with a cache, generated with: every key that is looked up is a key that the table has."""
    made = make_config_keys.config_class(family)(**SIZES, pad_token_id=0, eos_token_id=1)
    seen: set[str] = set()
    plain = type(made).__getattribute__

    def watch(self: Any, name: str) -> Any:
        seen.add(name)
        return plain(self, name)

    monkeypatch.setattr(type(made), "__getattribute__", watch)
    model = transformers.AutoModelForCausalLM.from_config(made).eval()
    ids = torch.tensor([[2, 3, 4]])
    with torch.no_grad():
        first = model(ids, use_cache=True)
        model(ids[:, :1], past_key_values=first.past_key_values)
    monkeypatch.undo()
    keys = {
        name for name in seen if not name.startswith("__") and not make_config_keys.is_method(name)
    }
    known = set(TABLE["reads"][family])
    assert keys - known <= ABOUT_OTHER_THINGS, sorted(keys - known)
    assert {"num_hidden_layers", "is_causal"} <= known


@pytest.mark.parametrize("family", make_config_keys.FAMILIES)
def test_a_key_outside_the_table_changes_no_logit(family: str) -> None:
    """The same weights under a configuration with keys that nothing reads, fields of the class among them."""
    config = make_config_keys.config_class(family)
    fields = {"pretraining_tp": 2} if family == "llama" else {}
    more = {
        "license": "mit",
        "use_flash_attn": True,
        "qk_layernorm": True,
        "logit_scale": 3.0,
        **fields,
    }
    assert not set(more) & set(TABLE["reads"][family])
    torch.manual_seed(0)
    plain = transformers.AutoModelForCausalLM.from_config(config(**SIZES)).eval()
    other = transformers.AutoModelForCausalLM.from_config(config(**SIZES, **more)).eval()
    other.load_state_dict(plain.state_dict())
    ids = torch.tensor([[2, 3, 4, 5]])
    with torch.no_grad():
        assert torch.equal(plain(ids).logits, other(ids).logits)
