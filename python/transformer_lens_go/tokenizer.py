"""`model.tokenizer` where no Hugging Face tokenizer was passed in: the engine's tokenizer behind
the part of Hugging Face's interface that scripts use. Knows nothing of models.
"""

from __future__ import annotations

import copy
from collections import UserDict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ._engine import arrays
from ._engine.tokenizer import EngineTokenizer

_ROLES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
_UNLIMITED = int(1e30)  # what Hugging Face says when a tokenizer knows no length


class BatchEncoding(UserDict):
    """What calling a tokenizer gives: `input_ids` and `attention_mask`, by key or by attribute."""

    def __getattr__(self, name: str) -> Any:
        if name == "data" or name not in self.data:
            raise AttributeError(
                f"this encoding has no {name!r}, only {sorted(self.__dict__['data'])}"
            )
        return self.data[name]

    def to(self, device: Any) -> BatchEncoding:
        """Move every tensor to `device`."""
        moved = {k: v.to(device) if hasattr(v, "to") else v for k, v in self.data.items()}
        return BatchEncoding(moved)


class Tokenizer:
    """Exact tokenization in the engine, called as Hugging Face's tokenizers are.

    `add_bos_token` says whether BOS is put before each text (it is when the tokenizer has one, as
    transformer_lens opens tokenizers). Special tokens can be set by name or id:
    `tokenizer.pad_token = tokenizer.eos_token`.
    """

    is_fast = True
    model_input_names = ("input_ids", "attention_mask")

    def __init__(self, engine: EngineTokenizer, name_or_path: str = "") -> None:
        info = engine.info
        self._engine = engine
        self._special: dict[str, str | None] = {r: info.get(f"{r}_token") for r in _ROLES}
        self.name_or_path = name_or_path or info.get("source") or ""
        self.padding_side: str = info.get("padding_side") or "right"
        self.truncation_side: str = info.get("truncation_side") or "right"
        self.model_max_length: int = info.get("model_max_length") or _UNLIMITED
        self.chat_template: str | None = info.get("chat_template")
        self.extra_special_tokens: list[str] = list(info.get("extra_special_tokens") or [])
        self.add_bos_token = self.bos_token is not None
        self.add_eos_token = False

    # text to ids

    def __call__(
        self,
        text: str | Sequence[str],
        text_pair: Any = None,
        *,
        add_special_tokens: bool = True,
        padding: bool | str = False,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        return_tensors: str | None = None,
        return_attention_mask: bool = True,
        padding_side: str | None = None,
        pad_to_multiple_of: int | None = None,
        **unknown: Any,
    ) -> BatchEncoding:
        """Tokenize one text or a list of them.

        `truncation` cuts to `max_length` (BOS included), `padding` fills up to the longest text
        (True or "longest") or to `max_length` ("max_length"); `return_tensors` is "pt", "np" or
        None for lists.
        """
        if text_pair is not None or unknown:
            asked = ["text_pair"] * (text_pair is not None) + sorted(unknown)
            raise NotImplementedError(
                f"the built-in tokenizer does not take {', '.join(asked)}; pass a Hugging Face "
                "tokenizer to boot_transformers(tokenizer=...) for that"
            )
        single = isinstance(text, str)
        rows = self._encode([text] if single else list(text), add_special_tokens)
        if truncation not in (None, False, "do_not_truncate"):
            limit = self.model_max_length if max_length is None else max_length
            rows = [self._truncate(row, limit, add_special_tokens) for row in rows]
        masks = [[1] * len(row) for row in rows]
        if padding not in (False, None, "do_not_pad"):
            length = self._padded_length(rows, padding, max_length, pad_to_multiple_of)
            rows = self._pad(rows, length, self._pad_id(), padding_side)
            masks = self._pad(masks, length, 0, padding_side)
        if single and return_tensors is None:
            rows, masks = rows[0], masks[0]
        data = {"input_ids": _as_tensors(rows, return_tensors)}
        if return_attention_mask:
            data["attention_mask"] = _as_tensors(masks, return_tensors)
        return BatchEncoding(data)

    def encode(self, text: str, add_special_tokens: bool = True, **options: Any) -> Any:
        """The ids of one text; options as in calling the tokenizer."""
        return self(text, add_special_tokens=add_special_tokens, **options)["input_ids"]

    def tokenize(self, text: str, add_special_tokens: bool = False) -> list[str]:
        """The tokens of a text as the vocabulary spells them."""
        return self.convert_ids_to_tokens(self.encode(text, add_special_tokens))

    def _around(self, add_special_tokens: bool) -> tuple[list[int], list[int]]:
        bos, eos = self.bos_token_id, self.eos_token_id
        before = [bos] if add_special_tokens and self.add_bos_token and bos is not None else []
        after = [eos] if add_special_tokens and self.add_eos_token and eos is not None else []
        return before, after

    def _encode(self, texts: list[str], add_special_tokens: bool) -> list[list[int]]:
        before, after = self._around(add_special_tokens)
        return [before + row + after for row in self._engine.encode(texts)]

    def _truncate(self, row: list[int], limit: int, add_special_tokens: bool) -> list[int]:
        if len(row) <= limit:
            return row
        before, after = self._around(add_special_tokens)
        room = limit - len(before) - len(after)
        if room < 0:
            raise ValueError(f"max_length={limit} leaves no room for the special tokens")
        body = row[len(before) : len(row) - len(after)]
        kept = body[:room] if self.truncation_side == "right" else body[len(body) - room :]
        return before + kept + after

    def _pad_id(self) -> int:
        if self.pad_token_id is None:
            raise ValueError(
                "padding needs a pad token and this tokenizer has none: set "
                "tokenizer.pad_token = tokenizer.eos_token"
            )
        return self.pad_token_id

    @staticmethod
    def _padded_length(
        rows: list[list[int]], padding: bool | str, max_length: int | None, multiple: int | None
    ) -> int:
        if padding not in (True, "longest", "max_length"):
            raise ValueError(f"padding must be True, 'longest' or 'max_length', got {padding!r}")
        length = max(map(len, rows), default=0)
        if padding == "max_length" and max_length is not None:
            length = max_length
        return -(-length // multiple) * multiple if multiple else length

    def _pad(
        self, rows: list[list[int]], length: int, value: int, side: str | None
    ) -> list[list[int]]:
        side = side or self.padding_side
        if side not in ("left", "right"):
            raise ValueError(f"padding_side must be 'left' or 'right', got {side!r}")
        fills = [[value] * (length - len(row)) for row in rows]
        return [row + f if side == "right" else f + row for row, f in zip(rows, fills, strict=True)]

    # ids to text

    def decode(self, token_ids: Any, skip_special_tokens: bool = False, **options: Any) -> Any:
        """The text of one id or a list of ids; of each list when `token_ids` is two-dimensional."""
        ids = _as_lists(token_ids)
        if isinstance(ids, int):
            ids = [ids]
        if ids and isinstance(ids[0], list):
            return self.batch_decode(ids, skip_special_tokens)
        return self._engine.decode([ids], skip_special_tokens)[0]

    def batch_decode(
        self, sequences: Any, skip_special_tokens: bool = False, **options: Any
    ) -> list[str]:
        """The text of each sequence; single ids count as sequences of one."""
        rows = [[row] if isinstance(row, int) else row for row in map(_as_lists, sequences)]
        return self._engine.decode(rows, skip_special_tokens)

    # vocabulary

    def convert_ids_to_tokens(self, ids: Any, skip_special_tokens: bool = False) -> Any:
        """The spelling of one id, or of each of a list."""
        ids = _as_lists(ids)
        if isinstance(ids, int):
            return self._engine.id_to_token(ids)
        skipped = set(self.all_special_ids) if skip_special_tokens else ()
        return [self._engine.id_to_token(int(i)) for i in ids if int(i) not in skipped]

    def convert_tokens_to_ids(self, tokens: str | Iterable[str]) -> Any:
        """The id of one token as the vocabulary spells it, or of each of a list; unknown: the unk
        id.
        """
        if isinstance(tokens, str):
            index = self._engine.token_to_id(tokens)
            return self.unk_token_id if index is None else index
        return [self.convert_tokens_to_ids(token) for token in tokens]

    def convert_tokens_to_string(self, tokens: Iterable[str]) -> str:
        """The text that tokens spell."""
        return self.decode(self.convert_tokens_to_ids(tokens))

    def get_vocab(self) -> dict[str, int]:
        """Every token and its id, added tokens included."""
        return dict(self._engine.vocab)

    @property
    def vocab(self) -> dict[str, int]:
        """Every token and its id, added tokens included."""
        return self.get_vocab()

    @property
    def vocab_size(self) -> int:
        """Size of the base vocabulary, without added tokens."""
        return self._engine.info["vocab_size"]

    def __len__(self) -> int:
        return self._engine.info["size"]

    def __bool__(self) -> bool:
        return True

    # special tokens

    def __getattr__(self, name: str) -> Any:
        role, what = _role(name)
        if role is None or "_special" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        token = self._special[role]
        if what == "token" or token is None:
            return token
        return self._engine.token_to_id(token)

    def __setattr__(self, name: str, value: Any) -> None:
        role, what = _role(name)
        if role is None:
            object.__setattr__(self, name, value)
        elif what == "id" and value is not None:
            self._special[role] = self._engine.id_to_token(int(value))
        else:
            token = None if value is None else str(value)
            if token is not None and self._engine.token_to_id(token) is None:
                raise NotImplementedError(
                    f"{name} = {token!r}: the vocabulary has no such token and the built-in "
                    "tokenizer "
                    "cannot add one; choose one it has, or pass a Hugging Face tokenizer to "
                    "boot_transformers(tokenizer=...)"
                )
            self._special[role] = token

    def add_special_tokens(self, special_tokens_dict: dict[str, str]) -> int:
        """Give roles to tokens of the vocabulary; the number of tokens added, which is always 0."""
        for name, token in special_tokens_dict.items():
            setattr(self, name, token)
        return 0

    @property
    def special_tokens_map(self) -> dict[str, str]:
        """The special tokens that are set, by role."""
        return {
            f"{role}_token": token for role, token in self._special.items() if token is not None
        }

    @property
    def all_special_tokens(self) -> list[str]:
        """Every special token, once."""
        return list(dict.fromkeys([*self.special_tokens_map.values(), *self.extra_special_tokens]))

    @property
    def all_special_ids(self) -> list[int]:
        """The ids of `all_special_tokens`."""
        return self.convert_tokens_to_ids(self.all_special_tokens)

    def apply_chat_template(self, conversation: Any, *args: Any, **kwargs: Any) -> Any:
        """Not there yet."""
        raise NotImplementedError(
            "the built-in tokenizer does not apply chat templates yet; pass a Hugging Face "
            "tokenizer "
            "to boot_transformers(tokenizer=...), or write the prompt out"
        )

    def __deepcopy__(self, memo: dict) -> Tokenizer:
        twin = copy.copy(self)
        object.__setattr__(twin, "_special", dict(self._special))
        return twin

    def __repr__(self) -> str:
        return (
            f"Tokenizer(name_or_path={self.name_or_path!r}, vocab_size={self.vocab_size}, "
            f"padding_side={self.padding_side!r}, special_tokens={self.special_tokens_map})"
        )


def _role(name: str) -> tuple[str | None, str]:
    role, _, what = name.partition("_")
    known = role in _ROLES and what in ("token", "token_id")
    return (role if known else None), ("id" if what == "token_id" else what)


def _as_lists(ids: Any) -> Any:
    return ids.tolist() if hasattr(ids, "tolist") else ids


def _as_tensors(rows: list, return_tensors: str | None) -> Any:
    if return_tensors is None:
        return rows
    if return_tensors not in ("pt", "np"):
        raise ValueError(f"return_tensors must be 'pt', 'np' or None, got {return_tensors!r}")
    if len({len(row) for row in rows}) > 1:
        raise ValueError("texts of different lengths make no tensor: pass padding=True")
    ids = np.array(rows, dtype=np.int64).reshape(len(rows), -1 if rows and rows[0] else 0)
    if return_tensors == "np":
        return ids
    if arrays.torch is None:
        raise ImportError("return_tensors='pt' needs torch; use return_tensors='np'")
    return arrays.torch.from_numpy(ids)
