"""The tokenizer folders stored with golens/tokenizer: their files, and what they are to give."""

from __future__ import annotations

import base64
import functools
import gzip
import json
from pathlib import Path
from typing import Any

STORED = Path(__file__).parents[2] / "golens" / "tokenizer" / "testdata" / "folders.json.gz"


@functools.cache
def stored() -> dict[str, Any]:
    return json.loads(gzip.decompress(STORED.read_bytes()))


def files_of(name: str) -> dict[str, bytes]:
    """The files of a stored folder."""
    contents = stored()["contents"]
    files = stored()["folders"][name]["files"]
    return {file: base64.b64decode(contents[index]) for file, index in files.items()}


def folder_of(where: Path, files: dict[str, bytes | dict[str, Any]]) -> Path:
    where.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        (where / name).write_bytes(raw)
    return where
