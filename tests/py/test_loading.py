"""Where models come from: folders, GGUF files, the hub's cache, the hub, models of transformers'."""

from __future__ import annotations

import json
import logging
import shutil
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformer_lens_go import TransformerBridge
from transformer_lens_go.model_bridge import hub

from .reference import DATA, reference, to_numpy, uses_torch

COMMIT = "0123456789abcdef0123456789abcdef01234567"
boot = TransformerBridge.boot_transformers


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache, with none of the user's settings."""
    for name in ("HF_HOME", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "hub"
    monkeypatch.setenv("HF_HUB_CACHE", str(folder))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return folder


def put(
    root: Path, repo: str, source: Path, commit: str = COMMIT, ref: str | None = "main"
) -> Path:
    """Write a repository to the hub's cache as huggingface_hub does: files are links."""
    snapshot = root / f"models--{repo.replace('/', '--')}" / "snapshots" / commit
    snapshot.mkdir(parents=True)
    for file in source.iterdir():
        (snapshot / file.name).symlink_to(file)
    if ref is not None:
        target = snapshot.parents[1] / "refs" / ref
        target.parent.mkdir(exist_ok=True)
        target.write_text(commit)
    return snapshot


def same_logits(model: Any, name: str) -> bool:
    want = reference(name)
    return bool(np.allclose(to_numpy(model(want.ids())), want.arrays["logits"], atol=1e-4))


# folders and files


@pytest.mark.parametrize("form", [str, Path], ids=["str", "Path"])
def test_a_folder(form: Callable[[Path], Any]) -> None:
    model = boot(form(DATA / "llama"))
    assert same_logits(model, "llama")
    assert model.cfg.model_name == str(DATA / "llama")
    assert model.tokenizer.name_or_path == str(DATA / "llama")


def test_a_folder_by_a_relative_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(DATA)
    assert boot("llama").cfg.model_name == "llama"
    assert boot("./llama").cfg.n_layers == 2


def test_a_folder_without_a_tokenizer(tmp_path: Path) -> None:
    folder = shutil.copytree(DATA / "llama", tmp_path / "bare")
    for file in folder.glob("tokenizer*"):
        file.unlink()
    model = boot(folder)
    assert model.tokenizer is None
    assert same_logits(model, "llama")


def test_a_gguf_file() -> None:
    file = next(iter(sorted((DATA.parents[2] / ".cache").glob("SmolLM2*.gguf"))), None)
    if file is None:
        pytest.skip("make demo or make bench fetches .cache/SmolLM2-*.gguf")
    model = boot(file, n_ctx=64)
    assert (model.cfg.n_layers, model.cfg.d_model, model.cfg.n_ctx) == (30, 576, 64)
    logits = to_numpy(model("The capital of France is"))
    assert model.to_single_str_token(int(logits[0, -1].argmax())) == " Paris"


GGUF = Path(__file__).parents[2] / "golens" / "checkpoint" / "testdata"


@pytest.mark.parametrize("source", [DATA / "gpt2", DATA / "llama", GGUF / "llama.gguf"], ids=str)
def test_whole_numbers_stay_whole(source: Path) -> None:
    model = boot(source, hf_config_overrides={"pad_token_id": 3})
    assert model.cfg.pad_token_id == 3
    for name, value in vars(model.cfg).items():
        if name.endswith("_token_id"):
            assert value is None or type(value) is int, name
    assert type(model.cfg.eps) is float


@pytest.mark.parametrize(
    ("name", "error", "match"),
    [
        ("/no/such/folder", FileNotFoundError, "nor a folder '/no/such'"),
        (str(DATA / "lama"), FileNotFoundError, "near it: llama"),
        ("missing.gguf", FileNotFoundError, "no file or folder"),
        ("a name with spaces", FileNotFoundError, "neither a file or folder nor"),
        (str(DATA / "llama" / "config.json"), ValueError, f"pass its folder, {DATA / 'llama'}"),
        (str(DATA), ValueError, "not a model folder: it has no config.json"),
    ],
)
def test_what_is_no_model(name: str, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        boot(name)


def test_folders_of_gguf_files(tmp_path: Path) -> None:
    (tmp_path / "q4.gguf").write_bytes(b"GGUF")
    assert hub.find_model(tmp_path) == tmp_path / "q4.gguf"
    (tmp_path / "q8.gguf").write_bytes(b"GGUF")
    with pytest.raises(ValueError, match=r"one of q4\.gguf, q8\.gguf"):
        boot(tmp_path)
    (tmp_path / "no_suffix").write_bytes(b"GGUF....")
    assert hub.find_model(tmp_path / "no_suffix") == tmp_path / "no_suffix"


# the hub's cache


def test_a_repository_in_the_cache(cache: Path) -> None:
    put(cache, "someone/llama", DATA / "llama")
    model = boot("someone/llama")
    assert same_logits(model, "llama")
    assert model.cfg.model_name == "someone/llama"
    assert model.tokenizer.name_or_path == "someone/llama"


def test_revisions(cache: Path) -> None:
    other = "f" * 40
    old = put(cache, "someone/model", DATA / "gpt2")
    new = put(cache, "someone/model", DATA / "llama", other, ref="v2")
    assert hub.find_model("someone/model") == old
    assert hub.find_model("someone/model", "v2") == new
    assert hub.find_model("someone/model", other) == new
    with pytest.raises(FileNotFoundError, match="revision 'v3'"):
        boot("someone/model", revision="v3")


@pytest.mark.parametrize(
    ("variable", "below"),
    [("HUGGINGFACE_HUB_CACHE", "."), ("HF_HOME", "hub"), ("XDG_CACHE_HOME", "huggingface/hub")],
)
def test_where_the_cache_is(
    variable: str, below: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_CACHE")
    monkeypatch.setenv(variable, str(tmp_path))
    snapshot = put(tmp_path / below, "gpt2", DATA / "gpt2")
    assert hub.find_model("gpt2") == snapshot


def test_old_names(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(cache, "gpt2", DATA / "gpt2")
    with caplog.at_level(logging.WARNING):
        assert boot("gpt2-small").cfg.model_name == "gpt2"
    assert "'gpt2'" in caplog.text


def test_a_repository_that_is_not_whole(cache: Path, tmp_path: Path) -> None:
    source = shutil.copytree(DATA / "gpt2", tmp_path / "part")
    (source / "model.safetensors").unlink()
    snapshot = put(cache, "someone/part", source)
    with pytest.raises(FileNotFoundError, match=r"only in part.*HF_HUB_OFFLINE"):
        boot("someone/part")
    index = {"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}
    (snapshot / "model.safetensors.index.json").write_text(json.dumps(index))
    (snapshot / "one.safetensors").touch()
    with pytest.raises(FileNotFoundError, match="only in part"):
        hub.find_model("someone/part")
    (snapshot / "two.safetensors").touch()
    assert hub.find_model("someone/part") == snapshot


# the hub


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A stand-in for huggingface_hub; `fetched` holds what it was asked for."""
    monkeypatch.delenv("HF_HUB_OFFLINE")
    module = types.ModuleType("huggingface_hub")
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    return module


def test_fetching(online: Any, cache: Path) -> None:
    asked: dict[str, Any] = {}

    def snapshot_download(repo: str, **options: Any) -> str:
        asked.update(options, repo=repo)
        return str(put(cache, repo, DATA / "gpt2"))

    online.snapshot_download = snapshot_download
    assert same_logits(boot("someone/new", revision="main"), "gpt2")
    assert (asked["repo"], asked["revision"]) == ("someone/new", "main")
    assert "*.safetensors" in asked["allow_patterns"]
    assert not any(pattern.endswith(".bin") for pattern in asked["allow_patterns"])
    online.snapshot_download = None  # now it is in the cache, and nothing is fetched
    assert boot("someone/new").cfg.n_layers == 2


def test_fetching_fails(online: Any, cache: Path, tmp_path: Path) -> None:
    def refuse(repo: str, **_: Any) -> str:
        raise ConnectionError("no route")

    online.snapshot_download = refuse
    with pytest.raises(OSError, match=r"'someone/new'.*no route"):
        boot("someone/new")

    source = shutil.copytree(DATA / "gpt2", tmp_path / "old")
    (source / "model.safetensors").rename(source / "pytorch_model.bin")
    online.snapshot_download = lambda repo, **_: str(put(cache, repo, source))
    with pytest.raises(NotImplementedError, match=r"no safetensors weights"):
        boot("someone/old")


def test_without_huggingface_hub(online: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match="pip install huggingface_hub"):
        boot("someone/new")


# arguments


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"device": "cuda"}, NotImplementedError),
        ({"dtype": "int32"}, ValueError),
        ({"dtype": "float8"}, ValueError),
        ({"load_weights": False}, NotImplementedError),
        ({"model_class": object}, NotImplementedError),
        ({"code_revision": "main"}, NotImplementedError),
        ({"checkpoint_index": 0}, NotImplementedError),
        ({"checkpoint_value": 7}, NotImplementedError),
        ({"checkpoint_value": 7, "revision": "main"}, ValueError),
        ({"device_map": "auto"}, NotImplementedError),
        ({"n_devices": 2}, NotImplementedError),
        ({"max_memory": {0: "1GB"}}, NotImplementedError),
        ({"offload_folder": "x"}, NotImplementedError),
        ({"n_ctx": 0}, ValueError),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
def test_arguments_that_ask_for_what_is_not_done(
    options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error, match=next(iter(options)).split("_")[0]):
        boot(DATA / "gpt2", **options)


@pytest.mark.parametrize(
    "options",
    [
        {"device": "cpu"},
        {"device": "cpu:0"},
        {"dtype": "float32"},
        {"dtype": None},
        {"dtype": np.float32},
        {"n_devices": 1},
        {"trust_remote_code": True},
    ],
    ids=str,
)
def test_arguments_that_change_nothing(options: dict[str, Any]) -> None:
    model = boot(DATA / "gpt2", **options)
    assert same_logits(model, "gpt2")
    assert str(model.cfg.dtype).endswith("float32")
    assert model.cfg.trust_remote_code is bool(options.get("trust_remote_code"))


def test_overrides() -> None:
    model = boot(DATA / "gpt2", hf_config_overrides={"layer_norm_epsilon": 0.5})
    assert model.cfg.eps == 0.5
    assert not same_logits(model, "gpt2")
    with pytest.raises(ValueError, match="nonsense"):
        boot(DATA / "gpt2", hf_config_overrides={"nonsense": 1})


def test_n_ctx(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        short = boot(DATA / "llama", n_ctx=5)
    assert not caplog.text
    assert short.to_tokens("the cat sat on the mat").shape[1] == short.cfg.n_ctx == 5
    with caplog.at_level(logging.WARNING):
        assert boot(DATA / "llama", n_ctx=10_000).cfg.n_ctx == 10_000
    assert "n_ctx=10000 is more than" in caplog.text
    with pytest.raises(ValueError, match="shape") as caught:
        boot(DATA / "gpt2", n_ctx=5)
    assert "learned positions" in caught.value.__notes__[0]


# models of transformers'


class InMemory:
    """What boot_transformers uses of a model of transformers': its config and its state."""

    def __init__(self, name: str) -> None:
        from safetensors.torch import load_file

        folder = DATA / name
        self.config = types.SimpleNamespace(
            to_dict=lambda: json.loads((folder / "config.json").read_text())
        )
        self.state = load_file(folder / "model.safetensors")

    def state_dict(self) -> dict[str, Any]:
        return self.state


needs_torch = pytest.mark.skipif(not uses_torch(), reason="hf_model shares torch tensors")


@needs_torch
@pytest.mark.parametrize("name", ["gpt2", "llama", "qwen2"])
def test_a_model_in_memory(name: str) -> None:
    import torch

    source = InMemory(name)
    model = boot("anything", hf_model=source)
    tokens = reference(name).ids()
    before = to_numpy(model(tokens)).copy()
    assert np.array_equal(before, to_numpy(boot(DATA / name)(tokens)))
    assert model.tokenizer is None
    assert type(getattr(model.cfg, "eos_token_id", 0)) is int
    with torch.no_grad():  # memory is shared, not copied
        next(value for key, value in source.state.items() if "ln_f" in key or "norm" in key).mul_(2)
    assert not np.array_equal(before, to_numpy(model(tokens)))


@needs_torch
def test_the_tokenizer_of_a_model_in_memory(cache: Path) -> None:
    put(cache, "someone/gpt2", DATA / "gpt2")
    for name in (str(DATA / "gpt2"), "someone/gpt2"):
        model = boot(name, hf_model=InMemory("gpt2"))
        assert model.tokenizer.name_or_path == name
        assert same_logits(model, "gpt2")


@needs_torch
def test_what_is_no_model_of_transformers() -> None:
    import torch

    with pytest.raises(TypeError, match="config and state_dict"):
        boot("x", hf_model=3)
    with pytest.raises(ValueError, match="device_map"):
        boot("x", hf_model=InMemory("gpt2"), device_map="auto")
    elsewhere = InMemory("gpt2")
    elsewhere.state["extra"] = torch.empty(2, device="meta")
    with pytest.raises(ValueError, match="meta"):
        boot("x", hf_model=elsewhere)


@pytest.mark.skipif(uses_torch(), reason="what happens without torch")
def test_a_model_in_memory_needs_torch() -> None:
    with pytest.raises(RuntimeError, match="torch"):
        boot("x", hf_model=object())
