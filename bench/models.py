"""The models that are measured, as sources both libraries can load. Writes only to the cache folder it is given."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Model:
    """A name for the table and where the weights lie."""

    name: str
    source: str


def gpt2_folder(cache: Path, name: str, **sizes: int) -> Path:
    """A random GPT-2 checkpoint as a Hugging Face folder, made on the first call."""
    folder = cache / name
    if (folder / "done").exists():
        return folder
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=0, eos_token_id=0)).save_pretrained(
        str(folder)
    )
    end = "<|endoftext|>"
    letters = {end: 0, **{c: i + 1 for i, c in enumerate(pre_tokenizers.ByteLevel.alphabet())}}
    core = Tokenizer(models.BPE(vocab=letters, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([end])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, bos_token=end, eos_token=end)
    tokenizer.save_pretrained(str(folder))
    (folder / "done").touch()
    return folder


def gpt2_small(cache: Path) -> Model:
    """The shape of GPT-2 small: 12 layers of 768, 124 million parameters."""
    return Model("GPT-2 small shape", str(gpt2_folder(cache, "gpt2-small-shape")))


def smollm2(file: Path) -> Model:
    """SmolLM2-135M-Instruct from its GGUF file: 30 layers of 576."""
    return Model("SmolLM2-135M", str(file))


def smollm2_folder(cache: Path, file: Path) -> Model:
    """The same weights in float32, as a Hugging Face folder, made on the first call."""
    folder = cache / "smollm2-float32"
    if not (folder / "done").exists():
        from transformers import AutoModelForCausalLM, AutoTokenizer

        where = {"gguf_file": file.name}
        loaded = AutoModelForCausalLM.from_pretrained(str(file.parent), dtype="float32", **where)
        del loaded.config.quantization_config  # transformers saves no model that came of blocks
        plain = AutoModelForCausalLM.from_config(loaded.config)
        plain.load_state_dict(loaded.state_dict())
        plain.save_pretrained(str(folder))
        config = folder / "config.json"
        known = json.loads(config.read_text())
        known.pop("_model_name_or_path", None)  # the file that it came from
        config.write_text(json.dumps(known))
        AutoTokenizer.from_pretrained(str(file.parent), **where).save_pretrained(str(folder))
        (folder / "done").touch()
    return Model("SmolLM2-135M, float32 folder", str(folder))


def tiny(cache: Path) -> Model:
    """12 layers so small that only what surrounds the arithmetic is left to measure."""
    sizes = dict(n_layer=12, n_head=2, n_embd=16, n_positions=128, vocab_size=300)
    return Model("tiny", str(gpt2_folder(cache, "gpt2-12-tiny-layers", **sizes)))
