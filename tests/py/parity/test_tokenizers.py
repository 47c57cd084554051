"""golens/tokenizer against tokenizers and transformers, on tokenizers and texts made just now.

The Go side is its own test binary: it reads what is written here and compares. By default a sample of
the texts; with --all thousands. `test_tokenizer_encodings.py` compares more of them, by way of Python.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tokenizers")
pytest.importorskip("sentencepiece")

from tokenizers import Tokenizer

from . import real_tokenizers
from .go_tests import run_go_test
from .make_tokenizer_testdata import byte_level_builders, trained
from .tokenizer_folders import folder_cases, sentencepiece_gguf
from .tokenizer_texts import texts
from .tokenizers_live import BUILDERS, write_reference

SAMPLE, WHOLE = 0.004, 0.25  # of the generator's texts: about 130 and 7,700


def compare(folder: Path, run: str) -> None:
    run_go_test("./golens/tokenizer", run, "TOKENIZER_REFERENCE", folder)


def test_every_kind(tmp_path: Path, everything: bool, seed: int) -> None:
    samples = [text for _, text in texts(seed, WHOLE if everything else SAMPLE)]
    cores = {
        name: Tokenizer.from_str(trained(name)) for name in [*byte_level_builders(), *BUILDERS]
    }
    for name in ("smollm2_json", "gpt2_json", "bert_json"):
        cores[name] = real_tokenizers.real(name, tmp_path / "real").core
    for name, core in cores.items():
        write_reference(tmp_path, name, core, samples, seed, 300 if everything else 25)
    compare(tmp_path, "^TestReferenceFolder$")


def write(path: Path, value: Any) -> None:
    path.write_bytes(gzip.compress(json.dumps(value).encode("utf-8"), 1))


def test_folders_and_gguf(tmp_path: Path, everything: bool, seed: int) -> None:
    samples = [text for _, text in texts(seed + 1, WHOLE if everything else SAMPLE)]
    rules = "nmt_nfkc"
    write(tmp_path / "folders.json.gz", folder_cases(tmp_path / "folders", rules, samples))
    files = list(sentencepiece_gguf(rules, samples))
    write(tmp_path / "gguf_sentencepiece.json.gz", {"texts": samples, "files": files})
    compare(tmp_path, "^(TestFoldersLikeTransformers|TestSentencePieceGGUFLikeTransformers)$")
