"""From the name of a model to the folder or file that holds it: paths, the Hugging Face cache, the
hub.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

from ..given import brief

_REPO_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_PATTERNS = ["*.json", "*.safetensors", "*.model", "merges.txt", "vocab.txt", "*.jinja"]
# The first four are vocabularies.
_TOKENIZER_FILES = [
    "tokenizer.json",
    "*.model",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "*.json",
    "*.jinja",
]
_SWITCHES = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


def find_model(name: str | os.PathLike[str], revision: str | None = None) -> Path:
    """The model folder or GGUF file that `name` means.

    A folder with a config.json, a .gguf file, or the id of a repository on the Hugging Face hub:
    taken from the local cache if the whole of it is there, else fetched by `huggingface_hub`. A
    repository that holds one GGUF file and no config.json is that file.
    """
    path = Path(os.fspath(name)).expanduser()
    if path.is_dir():
        return _model_in(path)
    if path.exists():
        return path  # the engine says what it is, if it is no GGUF file
    if _looks_like_path(os.fspath(name)):
        raise FileNotFoundError(f"there is no file or folder {brief(os.fspath(name))}{_near(path)}")
    repo = os.fspath(name)
    if not _REPO_ID.fullmatch(repo):
        raise FileNotFoundError(
            f"{brief(repo)} is neither a file or folder nor the id of a repository (owner/name)"
        )
    cached = cached_snapshot(repo, revision)
    if cached is not None and _is_complete(cached):
        return _model_in(cached)
    return _model_in(_download(repo, revision, cached))


def find_local(name: str, revision: str | None = None) -> Path | None:
    """The file or folder that `name` means, be it a model or only a tokenizer; None when nothing of
    that name is here. Nothing is fetched."""
    path = Path(name).expanduser()
    if path.exists():
        return path
    return None if _looks_like_path(name) else cached_snapshot(name, revision)


def find_tokenizer(name: str, revision: str = "main", token: str | None = None) -> Path:
    """The file or folder with the tokenizer that `name` means: a path, or a repository of the hub cache or the
    hub, of which only the small files are fetched.
    """
    found = find_local(name, revision)
    if found is not None and (found.is_file() or any(_tokenizer_files(found))):
        return found
    if _looks_like_path(name) or not _REPO_ID.fullmatch(name):
        raise FileNotFoundError(
            f"{brief(name)} is neither a file or folder with a tokenizer nor the id of a repository (owner/name)"
        )
    return _fetch(name, revision, found, _TOKENIZER_FILES, token)


def _tokenizer_files(folder: Path) -> Iterator[Path]:
    for pattern in (*_TOKENIZER_FILES[:4], "*.gguf"):
        yield from folder.glob(pattern)


def cached_snapshot(repo: str, revision: str | None = None) -> Path | None:
    """The folder of a repository's revision (default "main") in the local hub cache, if it is
    there.
    """
    root = _cache_folder() / ("models--" + repo.replace("/", "--"))
    revision = revision or "main"
    reference = root / "refs" / revision
    commit = reference.read_text().strip() if reference.is_file() else revision
    snapshot = root / "snapshots" / commit
    return snapshot if snapshot.is_dir() else None


def _cache_folder() -> Path:
    """Where huggingface_hub keeps repositories, by its environment variables."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if os.environ.get(variable):
            return Path(os.environ[variable]).expanduser()
    home = os.environ.get("HF_HOME")
    if home:
        return Path(home).expanduser() / "hub"
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "huggingface" / "hub"


def _model_in(folder: Path) -> Path:
    """The folder itself, or the one GGUF file it holds in place of a config.json."""
    if (folder / "config.json").exists():
        return folder
    files = sorted(folder.glob("*.gguf"))
    if len(files) == 1:
        return files[0]
    if files:
        names = ", ".join(file.name for file in files)
        raise ValueError(f"{folder} holds several GGUF files: pass the path of one of {names}")
    there = ", ".join(sorted(entry.name for entry in folder.iterdir())[:10])
    raise ValueError(
        f"{folder} is not a model folder: it has no config.json and no .gguf file"
        + (f", only {there}" if there else "; it is empty")
    )


def _is_complete(snapshot: Path) -> bool:
    """Whether a snapshot holds a configuration and weights, or one GGUF file."""
    if not (snapshot / "config.json").is_file():
        return len(list(snapshot.glob("*.gguf"))) > 0
    if (snapshot / "model.safetensors").is_file():
        return True
    index = snapshot / "model.safetensors.index.json"
    if not index.is_file():
        return False
    try:
        shards = set(json.loads(index.read_text())["weight_map"].values())
        return all((snapshot / shard).is_file() for shard in shards)
    except (ValueError, LookupError, TypeError, AttributeError):
        return True  # nothing more to fetch: the engine says what is wrong with it


def _download(repo: str, revision: str | None, cached: Path | None) -> Path:
    found = _fetch(repo, revision, cached, _PATTERNS)
    if not _is_complete(found):
        raise NotImplementedError(
            f"{brief(repo)} has no safetensors weights; other forms (pytorch_model.bin, ONNX) are not "
            "read. "
            "Of a repository of GGUF files, fetch one and pass its path"
        )
    return found


def _fetch(
    repo: str,
    revision: str | None,
    cached: Path | None,
    patterns: list[str],
    token: str | None = None,
) -> Path:
    """The folder of a repository's files of these patterns, fetched from the hub."""
    state = "only in part" if cached else "not"
    at = f" at revision {revision!r}" if revision else ""
    where = f"{brief(repo)} is no local path, and is {state} in the hub cache {_cache_folder()}{at}"
    for switch in _SWITCHES:
        if os.environ.get(switch, "").upper() in ("1", "ON", "YES", "TRUE"):
            raise FileNotFoundError(f"{where}; {switch} forbids fetching it")
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise ImportError(
            f"{where}; fetching it needs huggingface_hub: pip install huggingface_hub"
        ) from error
    try:
        found = snapshot_download(
            repo, revision=revision, allow_patterns=patterns, ignore_patterns=["*/*"], token=token
        )
    except Exception as error:
        raise OSError(f"{where}, and fetching it from the hub failed: {error}") from error
    return Path(found)


def _looks_like_path(name: str) -> bool:
    return (
        name.startswith((".", "/", "~"))
        or name.count("/") > 1
        or (os.sep != "/" and os.sep in name)
        or name.lower().endswith((".gguf", ".safetensors", ".json", ".bin"))
    )


def _near(path: Path) -> str:
    """What is there of a similar name, as the end of a sentence."""
    if not path.parent.is_dir():
        return f" (nor a folder {str(path.parent)!r})"
    names = [entry.name for entry in path.parent.iterdir()]
    near = difflib.get_close_matches(path.name, names, n=3)
    return f"; near it: {', '.join(near)}" if near else ""
