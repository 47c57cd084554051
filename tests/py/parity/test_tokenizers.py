"""golens/tokenizer against tokenizers and transformers, on tokenizers and texts made just now.

The Go side is its own test binary: it reads what is written here and compares. By default a sample of
the texts; with --all thousands. `test_tokenizer_encodings.py` compares more of them, by way of Python.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tokenizers")
pytest.importorskip("sentencepiece")

from tokenizers import Tokenizer

from . import real_tokenizers
from .make_tokenizer_testdata import byte_level_builders, trained
from .tokenizer_folders import folder_cases, sentencepiece_gguf
from .tokenizer_texts import texts
from .tokenizers_live import BUILDERS, write_reference

ROOT = Path(__file__).resolve().parents[3]
SAMPLE, WHOLE = 0.004, 0.25  # of the generator's texts: about 130 and 7,700


def compare(folder: Path, run: str) -> None:
    """Run the Go tests that read `folder`; their output is the message of a failure."""
    go = os.environ.get("GO") or shutil.which("go")
    if go is None:
        pytest.skip("no Go compiler: make says in GO where its own is")
    done = subprocess.run(
        [go, "test", "-count=1", "-timeout=60m", "-run", run, "./golens/tokenizer"],
        cwd=ROOT,
        env={**os.environ, "TOKENIZER_REFERENCE": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[:8000]
    assert "no tests to run" not in done.stdout


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
