"""Docstrings of the main calls: they say what goes in, what comes out and what is raised, and their examples run."""

from __future__ import annotations

import doctest
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_models import write_gpt2
from transformer_lens_go import ActivationCache, Tokenizer, TransformerBridge
from transformer_lens_go.tokenizer import ModelTokenizer

WORDS = ["<unk>", "<s>", "</s>", ".", ",", "The", "capital", "of", "France", "is", "Paris", "city"]

MAIN: list[Callable[..., Any]] = [
    TransformerBridge.boot_transformers,
    TransformerBridge.boot_native,
    TransformerBridge.forward,
    TransformerBridge.run_with_cache,
    TransformerBridge.run_with_hooks,
    TransformerBridge.hooks,
    TransformerBridge.add_hook,
    TransformerBridge.generate,
    TransformerBridge.to_tokens,
    TransformerBridge.to_string,
    TransformerBridge.to_str_tokens,
    TransformerBridge.to_single_token,
    TransformerBridge.to_single_str_token,
    TransformerBridge.get_token_position,
    ActivationCache.remove_batch_dim,
    ActivationCache.apply_slice_to_batch_dim,
    ActivationCache.accumulated_resid,
    ActivationCache.decompose_resid,
    ActivationCache.stack_activation,
    ActivationCache.stack_head_results,
    ActivationCache.get_neuron_results,
    ActivationCache.apply_ln_to_stack,
    ActivationCache.logit_attrs,
    Tokenizer.from_file,
    Tokenizer.encode,
    Tokenizer.encode_batch,
    Tokenizer.decode,
    ModelTokenizer.__call__,
    ModelTokenizer.decode,
]
WHOLE = MAIN[:9]  # those that everybody calls first: with all of their arguments


def named(call: Callable[..., Any]) -> str:
    return call.__qualname__


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny GPT-2 whose tokens are words."""
    where = write_gpt2(tmp_path_factory.mktemp("documented") / "gpt2")
    added = [
        {"id": i, "content": WORDS[i], "special": True, "single_word": False}
        | {"lstrip": False, "rstrip": False, "normalized": False}
        for i in range(3)
    ]
    vocab = {word: index for index, word in enumerate(WORDS)}
    vocab |= {f"w{index}": index for index in range(len(WORDS), 97)}
    told = {
        "version": "1.0",
        "added_tokens": added,
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"},
    }
    (where / "tokenizer.json").write_text(json.dumps(told))
    names = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>", "unk_token": "<unk>"}
    kind = {"tokenizer_class": "PreTrainedTokenizerFast"}
    (where / "tokenizer_config.json").write_text(json.dumps({**kind, **names}))
    return where


@pytest.mark.parametrize("call", MAIN, ids=named)
def test_fault_U15_examples_in_docstrings_run(call: Callable[..., Any], folder: Path) -> None:
    model: Any = TransformerBridge.boot_transformers(folder)
    given = {
        "TransformerBridge": TransformerBridge,
        "Tokenizer": Tokenizer,
        "folder": folder,
        "model": model,
        "tokenizer": Tokenizer.from_file(folder / "tokenizer.json"),
        "cache": model.run_with_cache("The capital of France is")[1],
    }
    text = inspect.getdoc(call) or ""
    test = doctest.DocTestParser().get_doctest(text, given, named(call), None, None)
    assert test.examples, "no example"
    runner = doctest.DocTestRunner(verbose=False)
    said: list[str] = []
    runner.run(test, out=said.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(said)


@pytest.mark.parametrize("call", WHOLE, ids=named)
def test_fault_U15_docstrings_have_arguments_and_errors(call: Callable[..., Any]) -> None:
    text = inspect.getdoc(call) or ""
    assert "\nArgs:\n" in text
    assert "\nRaises:\n" in text
    named_here = set(text.replace(",", " ").replace(":", " ").replace("`", " ").split())
    parameters = [name for name in inspect.signature(call).parameters if name != "self"]
    missing = {
        name for name in parameters if name not in named_here and name not in ("kwargs", *UNUSED)
    }
    assert missing == set()


# Taken because transformer_lens takes them, and without a use in models of the engine's: the page of errors has them.
UNUSED = (
    "pixel_values input_values load_weights model_class code_revision checkpoint_index checkpoint_value device_map "
    "n_devices max_memory offload_folder forced_bos_token_id multimodal_kwargs"
).split()


@pytest.mark.parametrize("call", MAIN, ids=named)
def test_fault_U15_annotations_say_something(call: Callable[..., Any]) -> None:
    """Any stands only where a value may be of any kind."""
    bare = {
        name
        for name, parameter in inspect.signature(call).parameters.items()
        if parameter.annotation in ("Any", "Any | None", Any)
        and name not in (*UNUSED, "kwargs", "options")
    }
    assert bare <= {"tokenizer", "hf_model", "dtype", "device", "past_key_values"}, bare
