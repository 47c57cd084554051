"""What a notebook shows of caches, and what Tab offers."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from tiny_models import N_LAYERS, Arrays
from transformer_lens_go import TransformerBridge, TransformerLensKeyValueCache, _completion

pytest_plugins = ["tiny_models"]

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT / "tests" / "py" / "data"


@pytest.fixture(scope="module")
def speaking() -> Any:
    """A small model with a tokenizer."""
    return TransformerBridge.boot_transformers(DATA / "llama")


# U5


def test_fault_U5_a_cache_shows_itself_in_short(model: Any, xp: Arrays) -> None:
    cache = model.run_with_cache(xp.ids(batch=2, pos=6))[1]
    text = repr(cache)
    assert len(text) < 3_000
    assert len(cache._repr_html_()) < 12_000
    assert text.splitlines()[0].startswith(f"ActivationCache: {len(cache)} names, ")
    assert f"blocks.0 to {N_LAYERS - 1}, each " in text
    assert "[2, 6, 32] float32" in text
    assert "[2, 4, 6, 6] float32" in text
    assert "attn.hook_pattern" in text
    assert "blocks.1.attn.hook_pattern" not in text
    for name in cache:  # every name is there, by layer
        assert name.rpartition("blocks.")[2].lstrip("012.") in text, name


def test_fault_U5_bytes_count_memory_once(gpt2: Any, xp: Arrays) -> None:
    """Most names of a cache are other names of the same memory."""
    cache = gpt2.run_with_cache(
        xp.ids(batch=1, pos=5), names_filter=["blocks.0.hook_in", "blocks.0.hook_resid_pre"]
    )[1]
    assert len(cache) >= 1
    assert repr(cache).splitlines()[0].endswith(f" {1 * 5 * 32 * 4} B")


def test_fault_U5_layers_that_differ_are_told_apart(gpt2: Any, xp: Arrays) -> None:
    names = ["blocks.0.hook_in", "blocks.1.hook_in", "blocks.2.hook_out"]
    text = repr(gpt2.run_with_cache(xp.ids(batch=1, pos=5), names_filter=names)[1])
    assert "blocks.0 to 1, each 1 name, 640 B" in text
    assert "blocks.2: 1 name, 640 B" in text


def test_fault_U5_many_layers_that_differ_stay_short(gpt2: Any, xp: Arrays) -> None:
    cache = gpt2.run_with_cache(xp.ids(batch=1, pos=5))[1]
    value = cache["blocks.0.hook_in"]
    cache.cache_dict = {f"blocks.{i}.hook_{i}": value for i in range(1000)}
    assert len(repr(cache)) < 2_000
    assert "and 988 more" in repr(cache)
    assert "and 988 more" in cache._repr_html_()


def test_fault_U5_whatever_a_cache_holds(gpt2: Any, xp: Arrays) -> None:
    cache = gpt2.run_with_cache(xp.ids(batch=1, pos=5))[1].remove_batch_dim()
    cache.cache_dict = {"mine <b>": None, "blocks.0.list": [1, 2], "x": cache["blocks.0.hook_in"]}
    assert repr(cache).startswith("ActivationCache without a batch axis: 3 names, 640 B")
    assert "NoneType" in repr(cache)
    assert "mine &lt;b&gt;" in cache._repr_html_()
    cache.cache_dict = {}
    assert repr(cache) == "ActivationCache without a batch axis: 0 names"


def test_fault_U5_kv_caches_show_themselves_in_short(llama: Any, xp: Arrays) -> None:
    cache = TransformerLensKeyValueCache.init_cache(llama.cfg, "cpu", batch_size=2)
    llama(xp.ids(batch=2, pos=6), past_kv_cache=cache)
    text = repr(cache)
    assert len(text) < 500
    assert text.startswith(f"TransformerLensKeyValueCache of {N_LAYERS} layers: ")
    assert "[2, 6, 2, 8] float32" in text
    assert "blocks.0 to 2" in text
    assert "previous_attention_mask" in text
    cache.freeze()
    assert "3 layers, frozen" in repr(cache)
    assert "past_keys" in cache._repr_html_()
    entry = repr(cache.entries[0])
    assert entry == (
        "TransformerLensKeyValueCacheEntry(past_keys=[2, 6, 2, 8] float32, "
        "past_values=[2, 6, 2, 8] float32, 1.5 kB, frozen=True)"
    )
    _, past = llama(xp.ids(batch=2, pos=6), return_type="logits_and_cache")
    assert "PastKeyValues of 3 layers, 6 positions" in repr(past)
    assert "[2, 2, 6, 8] float32" in repr(past)
    assert "1.5 kB" in repr(past.layers[0])
    assert "blocks.0 to 2" in past._repr_html_()


def test_fault_U5_dicts_of_names_show_themselves_in_short(llama: Any) -> None:
    for named in (llama.hook_dict, llama.mod_dict):
        assert isinstance(named, dict)
        assert len(repr(named)) < 6_000
        assert "blocks.0 to 2, each " in repr(named)
        assert "attn.hook_pattern" in repr(named)
        assert " B" not in repr(named).splitlines()[0]
        assert "attn.hook_pattern" in named._repr_html_()
        assert dict(named) == named


# U7


def test_fault_U7_components_list_their_attributes(llama: Any) -> None:
    names = dir(llama.blocks[0].attn)
    assert {"W_Q", "W_K", "W_V", "W_O", "b_Q", "q", "o", "hook_z", "hook_pattern"} <= set(names)
    assert {"blocks", "embed", "unembed", "hook_embed", "W_E"} <= set(dir(llama))
    assert all(hasattr(llama.blocks[0].attn, name) for name in names)


def test_fault_U7_a_cache_offers_its_keys(llama: Any, xp: Arrays) -> None:
    cache = llama.run_with_cache(xp.ids())[1]
    keys = cache._ipython_key_completions_()
    assert "blocks.0.attn.hook_pattern" in keys
    assert ("pattern", 2) in keys
    assert ("resid_pre", 0) in keys
    for key in keys:
        assert cache[key] is not None


def test_fault_U7_tokenizers_list_their_special_tokens(speaking: Any) -> None:
    names = set(dir(speaking.tokenizer))
    assert {"bos_token", "bos_token_id", "pad_token", "encode", "decode"} <= names
    assert {"input_ids", "attention_mask"} <= set(dir(speaking.tokenizer("a")))


def test_fault_U7_what_is_asked_for_with_an_underscore_is_not_there(speaking: Any) -> None:
    """As notebooks ask, whether an object has a way of its own to be shown."""
    core = speaking.tokenizer.backend_tokenizer
    assert getattr(core.model, "_repr_html_", 7) == 7


def test_fault_U7_the_completer_may_look_at_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """As IPython's own tests, of a stand-in for its list of harmless classes."""
    policy = types.SimpleNamespace(allowed_getattr=set(), allowed_getitem=set())
    guard: Any = types.ModuleType("IPython.core.guarded_eval")
    guard.EVALUATION_POLICIES = {"limited": policy}
    core: Any = types.ModuleType("IPython.core")
    core.guarded_eval = guard
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.core", core)
    monkeypatch.setitem(sys.modules, "IPython.core.guarded_eval", guard)
    monkeypatch.setitem(sys.modules, "IPython.core.completer", types.ModuleType("completer"))
    _completion.teach_ipython()
    assert TransformerBridge in policy.allowed_getattr
    assert TransformerLensKeyValueCache in policy.allowed_getitem


COMPLETE = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.completer import provisionalcompleter
shell = InteractiveShell.instance(history_length=0)
shell.run_cell(sys.argv[1])
told = {}
for jedi in (False, True):
    shell.Completer.use_jedi = jedi
    for code in json.loads(sys.argv[2]):
        with provisionalcompleter():
            found = shell.Completer.completions(code, len(code))
            told.setdefault(code, []).append([one.text.lstrip(".") for one in found])
print(json.dumps(told))
"""

OFFERED = {
    "model.": {"blocks", "run_with_cache", "hook_dict", "W_E"},
    "model.blocks[0].": {"attn", "mlp", "ln1", "hook_resid_pre"},
    "model.blocks[0].attn.": {"W_Q", "W_O", "b_Q", "q", "hook_z", "hook_pattern"},
    'cache["blocks.0.': {"blocks.0.attn.hook_z", "blocks.0.hook_resid_pre"},
    'cache["pat': {"pattern"},
    'model.hook_dict["': {"hook_embed", "blocks.1.mlp.hook_post"},
    "model.tokenizer.": {"encode", "apply_chat_template", "pad_token", "bos_token_id"},
    "model.cfg.": {"n_layers", "d_model"},
}


@pytest.mark.skipif(not importlib.util.find_spec("IPython"), reason="needs IPython")
def test_fault_U7_tab_in_ipython(tmp_path: Path) -> None:
    setup = (
        f"import transformer_lens_go as tl\nmodel = tl.TransformerBridge.boot_transformers({str(DATA / 'llama')!r})\n"
        "_, cache = model.run_with_cache('hello')"
    )
    done = subprocess.run(
        [sys.executable, "-c", COMPLETE, setup, json.dumps(list(OFFERED))],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(ROOT / "python"), "IPYTHONDIR": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    for code, names in OFFERED.items():
        for offered in told[code]:  # without jedi, and with it
            assert names <= set(offered), code
