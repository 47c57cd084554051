"""Files of models that are damaged, unfinished, of another kind than their name says, or no files at all."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_models import write_llama, write_safetensors
from transformer_lens_go import TransformerBridge

boot = TransformerBridge.boot_transformers
GGUF = Path(__file__).parents[3] / "golens" / "checkpoint" / "testdata" / "llama.gguf"
GO_WORDS = (
    "map[",
    "struct field",
    "Go value",
    "<nil>",
    "interface {}",
    "[]uint",
    "%!",
    "internal error",
)


def test_fault_F4_a_gap_behind_the_tensors(tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(GGUF.read_bytes() + bytes(64))
    with pytest.raises(ValueError, match=r"at most the \d+ that the tensors take"):
        boot(file)


def test_fault_F8_a_gguf_file_by_its_first_bytes(tmp_path: Path) -> None:
    blob = shutil.copy(GGUF, tmp_path / "sha256-0123abc")
    assert boot(blob).cfg.n_layers == boot(GGUF).cfg.n_layers
    other = tmp_path / "sha256-4567def"
    other.write_bytes(b"something else")
    with pytest.raises(ValueError, match="not a GGUF file"):
        boot(other)


def _shards(folder: Path, index: Callable[[dict[str, str]], None] | None) -> Path:
    """A folder whose weights lie in two shards, with an index that `index` has changed; None: without."""
    write_llama(folder)
    whole = folder / "model.safetensors"
    raw = whole.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    import numpy as np

    tensors = {
        name: np.frombuffer(raw[8 + size :][slice(*entry["data_offsets"])], "<f4").reshape(
            entry["shape"]
        )
        for name, entry in json.loads(raw[8 : 8 + size]).items()
    }
    whole.unlink()
    weight_map = {}
    for part in (0, 1):
        names = sorted(tensors)[part::2]
        file = f"model-0000{part + 1}-of-00002.safetensors"
        write_safetensors(folder / file, {name: tensors[name] for name in names})
        weight_map |= dict.fromkeys(names, file)
    if index is not None:
        index(weight_map)
        text = json.dumps({"weight_map": weight_map})
        (folder / "model.safetensors.index.json").write_text(text)
    return folder


def test_fault_F11_an_index_that_names_what_nobody_needs(tmp_path: Path) -> None:
    first = "model-00001-of-00002.safetensors"
    boot(_shards(tmp_path / "m", lambda index: index.update({"model.extra.weight": first})))

    def misplace(index: dict[str, str]) -> None:
        for name in list(index)[::3]:
            index[name] = first

    boot(_shards(tmp_path / "n", misplace))


def test_fault_F11_a_shard_that_lacks_what_is_needed(tmp_path: Path) -> None:
    folder = _shards(tmp_path / "m", lambda index: None)
    shutil.copy(
        folder / "model-00001-of-00002.safetensors", folder / "model-00002-of-00002.safetensors"
    )
    with pytest.raises(
        ValueError,
        match=r"missing from the checkpoint.*model-00002-of-00002\.safetensors should hold",
    ):
        boot(folder)


def test_fault_F11_shards_without_an_index(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"without model\.safetensors\.index\.json.*fetch that file"):
        boot(_shards(tmp_path / "m", None))


@pytest.mark.parametrize(
    "name",
    ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "m.gguf"],
)
def test_fault_F14_a_pipe_is_not_waited_for(name: str, tmp_path: Path) -> None:
    folder = write_llama(tmp_path / "m")
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    raised: list[BaseException] = []

    def load() -> None:
        try:
            boot(folder / name if name.endswith(".gguf") else folder)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=load, daemon=True)
    thread.start()
    thread.join(20)
    if thread.is_alive():
        os.close(os.open(folder / name, os.O_WRONLY | os.O_NONBLOCK))  # lets the thread go
        pytest.fail("waits for a pipe")
    assert isinstance(raised[0], ValueError), raised
    assert "named pipe" in str(raised[0])


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935\nsize 12345\n"
ANNEX = "/annex/objects/SHA256E-s268290900--4d7a214614ab2935.safetensors\n"
ANNEX_LINK = "../../.git/annex/objects/1w/9K/SHA256E-s26--4d7a/SHA256E-s26--4d7a"
XET = "# xet version 0\nfilesize = 12345\nhash = '4d7a214614ab2935'\n"
PAGE = "<!DOCTYPE html>\n<html><head><title>Hugging Face</title></head></html>"
INSTEAD = [
    (POINTER, "Git LFS pointer"),
    (ANNEX, "git-annex pointer"),
    (ANNEX_LINK, "git-annex pointer"),
    (XET, "Xet pointer"),
    (PAGE, "web page"),
]


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize(("text", "says"), INSTEAD)
def test_fault_F16_what_is_there_instead(name: str, text: str, says: str, tmp_path: Path) -> None:
    folder = write_llama(tmp_path / "m")
    (folder / name).write_text(text)
    with pytest.raises(ValueError, match=says):
        boot(folder)


@pytest.mark.parametrize(("text", "says"), INSTEAD)
def test_fault_F16_instead_of_a_gguf_file(text: str, says: str, tmp_path: Path) -> None:
    for name in ("m.gguf", "blob"):
        (tmp_path / name).write_text(text)
        with pytest.raises(ValueError, match=says):
            boot(tmp_path / name)


@pytest.mark.parametrize("where", ["", ".cache/huggingface/download/"])
def test_fault_F16_a_download_that_was_not_finished(where: str, tmp_path: Path) -> None:
    folder = write_llama(tmp_path / "m")
    (folder / where).mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").rename(folder / where / "model.safetensors.incomplete")
    with pytest.raises(OSError, match="download that was not finished"):
        boot(folder)


def _gguf(**pairs: Any) -> bytes:
    """A GGUF file without tensors; values are strings."""
    import struct

    def text(word: str) -> bytes:
        return struct.pack("<Q", len(word)) + word.encode()

    head = b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs))
    return head + b"".join(
        text(key) + struct.pack("<I", 8) + text(value) for key, value in pairs.items()
    )


@pytest.mark.parametrize(
    "pairs",
    [
        {},
        {"general.architecture": "llama"},
        {"general.architecture": "llama", "llama.block_count": "x"},
    ],
    ids=str,
)
def test_fault_F17_malformed_gguf_files_are_value_errors(
    pairs: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "m.gguf").write_bytes(_gguf(**pairs))
    with pytest.raises(ValueError, match="expected") as caught:
        boot(tmp_path / "m.gguf")
    assert not any(word in str(caught.value) for word in GO_WORDS)


def test_fault_F17_a_broken_index_in_a_snapshot(tmp_path: Path) -> None:
    folder = _shards(tmp_path / "m", lambda index: None)
    for text in ("[]", "{", '{"weight_map": 5}', '{"weight_map": {"a": 5}}'):
        (folder / "model.safetensors.index.json").write_text(text)
        with pytest.raises(ValueError, match=r"index\.json"):
            boot(folder)
