"""The real tokenizers of the comparison, out of what make fetches into .cache: SmolLM2, GPT-2, BERT.

Each is there in the forms in which models bring it: as a GGUF file, as a folder with vocab.json and merges.txt,
as a tokenizer.json. `Real.subject` is what transformer_lens_go opens, `Real.core` is Hugging Face's tokenizer.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

from .tokenizer_folders import digits_apart

CACHE = Path(__file__).resolve().parents[3] / ".cache"
SMOLLM2 = Path(os.environ.get("SMOLLM2_GGUF") or CACHE / "SmolLM2-135M-Instruct.Q4_1.gguf")
VOCABULARIES = CACHE / "tokenizers"

NAMES = ["smollm2_gguf", "smollm2_json", "gpt2_folder", "gpt2_json", "bert_json"]


@dataclass
class Real:
    """One real tokenizer in both libraries' forms."""

    subject: Path
    core: Tokenizer
    form: str


def needed(path: Path) -> Path:
    """The path; FileNotFoundError that says how to get it where it is not there."""
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: `make parity` fetches it (or `make {path}`)")
    return path


def real(name: str, work: Path) -> Real:
    """A real tokenizer by its name; `work` is a folder for the files that have to be written."""
    folder = work / name
    folder.mkdir(parents=True, exist_ok=True)
    return {
        "smollm2_gguf": _smollm2_gguf,
        "smollm2_json": _smollm2_json,
        "gpt2_folder": _gpt2_folder,
        "gpt2_json": _gpt2_json,
        "bert_json": _bert_json,
    }[name](folder)


@functools.cache
def _smollm2() -> Any:
    """As transformers reads it out of the GGUF file, but for digits, which are to be cut off first."""
    from transformers import AutoTokenizer

    file = needed(SMOLLM2)
    loaded = AutoTokenizer.from_pretrained(str(file.parent), gguf_file=file.name)
    loaded.backend_tokenizer.pre_tokenizer = digits_apart()
    return loaded


def _smollm2_gguf(_: Path) -> Real:
    core = Tokenizer.from_str(_smollm2().backend_tokenizer.to_str())
    return Real(SMOLLM2, core, "GGUF file")


def _smollm2_json(folder: Path) -> Real:
    _smollm2().save_pretrained(folder)
    file = folder / "tokenizer.json"
    return Real(file, Tokenizer.from_file(str(file)), "tokenizer.json that transformers saves")


def _gpt2_folder(folder: Path) -> Real:
    from transformers import AutoTokenizer

    for name in ("vocab.json", "merges.txt"):
        shutil.copy(needed(VOCABULARIES / "gpt2" / name), folder / name)
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    loaded = AutoTokenizer.from_pretrained(str(folder))
    return Real(folder, loaded.backend_tokenizer, "vocab.json and merges.txt")


def _gpt2_json(folder: Path) -> Real:
    vocab = json.loads(needed(VOCABULARIES / "gpt2" / "vocab.json").read_text("utf-8"))
    lines = needed(VOCABULARIES / "gpt2" / "merges.txt").read_text("utf-8").split("\n")[1:]
    core = Tokenizer(models.BPE(vocab, [tuple(line.split(" ")) for line in lines if line]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.post_processor = processors.ByteLevel(trim_offsets=False)
    core.add_special_tokens(["<|endoftext|>"])
    file = folder / "tokenizer.json"
    core.save(str(file))
    return Real(file, core, "tokenizer.json")


def _bert_json(_: Path) -> Real:
    file = needed(VOCABULARIES / "bert" / "tokenizer.json")
    return Real(file, Tokenizer.from_file(str(file)), "tokenizer.json")
