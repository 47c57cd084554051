"""`Tokenizer` as a tokenizer.json: `to_str`, `save`, pickles, copies, components, the hub cache, what is refused."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
from transformer_lens_go import Tokenizer
from transformer_lens_go.core_tokenizer import AddedToken
from transformer_lens_go.tokenizer import ModelTokenizer
from transformer_lens_go.tokenizer_json import Component

from .reference import DATA

FILE = DATA / "llama" / "tokenizer.json"
TEXT = "When Mary and John went to the store"


@pytest.fixture
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(FILE)


def test_what_is_read_is_written(tokenizer: Tokenizer) -> None:
    want = json.loads(FILE.read_text("utf-8"))
    got = json.loads(tokenizer.to_str())
    assert got["model"]["vocab"] == want["model"]["vocab"]
    for key in ("added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder"):
        assert got[key] == want[key]
    assert "\n" not in tokenizer.to_str()
    assert json.loads(tokenizer.to_str(pretty=True)) == got
    assert tokenizer.to_str(pretty=True).startswith('{\n  "version": "1.0",\n')


def test_changes_are_written(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.add_tokens([AddedToken("<new>", lstrip=True)])
    tokenizer.add_special_tokens(["<é>"])
    tokenizer.enable_truncation(6, stride=1, strategy="only_first", direction="left")
    tokenizer.enable_padding(direction="left", pad_id=2, pad_token="x", pad_to_multiple_of=8)
    tokenizer.save(tmp_path / "tokenizer.json")
    again = Tokenizer.from_file(tmp_path / "tokenizer.json")
    assert again.truncation == tokenizer.truncation
    assert again.padding == tokenizer.padding
    text = f"{TEXT} <new><é> and home again"
    assert again.encode(text).ids == tokenizer.encode(text).ids
    assert again.get_added_tokens_decoder() == tokenizer.get_added_tokens_decoder()
    assert '"<é>"' in (tmp_path / "tokenizer.json").read_text("utf-8")
    tokenizer.enable_padding(length=0)  # fills nothing up
    assert Tokenizer.from_str(tokenizer.to_str()).padding is None


def test_pickles_need_no_file(tmp_path: Path) -> None:
    file = Path(shutil.copy(FILE, tmp_path))
    tokenizer = Tokenizer.from_file(file)
    tokenizer.enable_truncation(3)
    pickled = pickle.dumps(tokenizer)
    file.unlink()
    again = pickle.loads(pickled)
    assert again.encode(TEXT).ids == tokenizer.encode(TEXT).ids
    assert again.truncation == tokenizer.truncation
    assert tokenizer.__getstate__() == tokenizer.to_str().encode()


def test_copies_are_apart(tokenizer: Tokenizer) -> None:
    tokenizer.encode_special_tokens = True
    for twin in (copy.copy(tokenizer), copy.deepcopy(tokenizer)):
        assert twin.encode_special_tokens
        twin.enable_truncation(2)
        twin.add_tokens(["<new>"])
        assert tokenizer.truncation is None
        assert tokenizer.token_to_id("<new>") is None
        assert twin.encode(TEXT).ids != tokenizer.encode(TEXT).ids


def test_components(tokenizer: Tokenizer) -> None:
    described = json.loads(tokenizer.to_str())
    model = tokenizer.model
    assert model.type == described["model"]["type"]
    assert json.loads(model.__getstate__()) == described["model"]
    assert pickle.loads(pickle.dumps(model)) == model
    assert (tokenizer.normalizer is None) == (described["normalizer"] is None)
    with pytest.raises(NotImplementedError, match=r"model cannot be used by itself: 'tokenize'"):
        model.tokenize("x")
    other = Tokenizer.from_str(
        json.dumps({**described, "normalizer": {"type": "Lowercase"}, "pre_tokenizer": None})
    )
    assert repr(other.normalizer) == '<normalizer {"type": "Lowercase"}>'
    tokenizer.normalizer = other.normalizer
    tokenizer.pre_tokenizer = None
    assert tokenizer.encode(TEXT).ids == other.encode(TEXT).ids
    assert tokenizer.pre_tokenizer is None
    with pytest.raises(TypeError, match=r"expected a decoder as .* got str"):
        tokenizer.decoder = "ByteLevel"
    with pytest.raises(NotImplementedError, match="Unheard"):
        tokenizer.decoder = Component("decoder", '{"type": "Unheard"}')


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda t: t.post_process(t.encode("a")), "post_process is not supported: encode"),
        (lambda t: t.train(["a"]), "not trained here"),
        (lambda t: t.train_from_iterator(iter("a")), "not trained here"),
    ],
)
def test_what_is_not_supported_says_so(tokenizer: Tokenizer, ask: Any, said: str) -> None:
    with pytest.raises(NotImplementedError, match=said):
        ask(tokenizer)


def test_waiting(tokenizer: Tokenizer) -> None:
    async def all_of_them() -> tuple[Any, ...]:
        return await asyncio.gather(
            tokenizer.async_encode(TEXT, "b", add_special_tokens=False),
            tokenizer.async_encode_batch([TEXT, "b"]),
            tokenizer.async_encode_batch_fast([TEXT]),
            tokenizer.async_decode_batch([tokenizer.encode(TEXT).ids]),
        )

    one, batch, fast, texts = asyncio.run(all_of_them())
    assert one.ids == tokenizer.encode(TEXT, "b", add_special_tokens=False).ids
    assert [e.ids for e in batch] == [tokenizer.encode(text).ids for text in (TEXT, "b")]
    assert [e.ids for e in fast] == [tokenizer.encode(TEXT).ids]
    assert texts == [tokenizer.decode(tokenizer.encode(TEXT).ids)]


def test_from_the_hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in ("someone/llama", "someone/empty"):
        root = tmp_path / ("models--" + name.replace("/", "--"))
        (root / "refs").mkdir(parents=True)
        (root / "refs" / "main").write_text("abc")
        (root / "snapshots" / "abc").mkdir(parents=True)
    shutil.copy(FILE, tmp_path / "models--someone--llama" / "snapshots" / "abc")
    found = Tokenizer.from_pretrained("someone/llama")
    assert found.encode(TEXT).ids == Tokenizer.from_file(FILE).encode(TEXT).ids
    assert Tokenizer.from_pretrained(str(FILE)).get_vocab() == found.get_vocab()
    for absent in ("someone/empty", "someone/else"):
        with pytest.raises(FileNotFoundError, match=rf"{absent}.*HF_HUB_OFFLINE forbids"):
            Tokenizer.from_pretrained(absent)
    with pytest.raises(FileNotFoundError, match="neither a file or folder with a tokenizer"):
        Tokenizer.from_pretrained("./not/there")


def test_a_folder_is_saved(tmp_path: Path) -> None:
    tokenizer = ModelTokenizer.from_pretrained(DATA / "llama", add_bos_token=True)
    tokenizer.add_special_tokens({"mask_token": "<mask>", "extra_special_tokens": ["<x>"]})
    tokenizer.padding_side, tokenizer.model_max_length = "left", 77
    tokenizer.chat_template = {"default": "{{ messages }}é", "tool_use": "tools"}
    saved = tokenizer.save_pretrained(tmp_path / "new" / "folder")
    assert sorted(Path(path).name for path in saved) == [
        "chat_template.jinja",
        "tokenizer.json",
        "tokenizer_config.json",
        "tool_use.jinja",
    ]
    again = ModelTokenizer.from_pretrained(tmp_path / "new" / "folder")
    text = f"{TEXT}<x> <mask>"
    assert again(text).input_ids == tokenizer(text).input_ids
    for name in ("special_tokens_map", "padding_side", "model_max_length", "chat_template"):
        assert getattr(again, name) == getattr(tokenizer, name), name
    tokenizer.chat_template = None
    names = [Path(path).name for path in tokenizer.save_pretrained(tmp_path / "b", "my")]
    assert names == ["my-tokenizer_config.json", "my-tokenizer.json"]
    with pytest.raises(NotADirectoryError, match="is a file: save_pretrained takes a folder"):
        tokenizer.save_pretrained(saved[0])
