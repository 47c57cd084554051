"""The special tokens of a model's tokenizer: their roles, and tokens added later. A part of
`ModelTokenizer`; knows the engine's tokenizer and nothing of encoding.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

from .core_tokenizer import AddedToken, Tokenizer

ROLES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")


class SpecialTokens:
    """`bos_token`, `pad_token_id` and the like as attributes that can be read and set.

    A token set by `tokenizer.pad_token = ...` should be in the vocabulary; `add_special_tokens` puts it there.
    """

    bos_token: str | None
    bos_token_id: int | None
    eos_token: str | None
    eos_token_id: int | None
    unk_token: str | None
    unk_token_id: int | None
    sep_token: str | None
    sep_token_id: int | None
    pad_token: str | None
    pad_token_id: int | None
    cls_token: str | None
    cls_token_id: int | None
    mask_token: str | None
    mask_token_id: int | None
    extra_special_tokens: list[str]
    extra_special_tokens_ids: list[int | None]

    _core: Tokenizer
    _special: dict[str, str | None]
    _extra_special: list[str]

    def __getattr__(self, name: str) -> Any:
        role, what = _role(name, self.__dict__.get("_special", ()))
        if role is None or "_special" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        if role == "extra_special":
            return self._ids(self._extra_special) if what == "id" else list(self._extra_special)
        token = self._special[role]
        if what == "token" or token is None:
            return token
        return self._ids([token])[0]

    def __dir__(self) -> list[str]:
        roles = (f"{role}{end}" for role in self._special for end in ("_token", "_token_id"))
        extra = ("extra_special_tokens", "extra_special_tokens_ids")
        return sorted({*super().__dir__(), *roles, *extra})

    def __setattr__(self, name: str, value: Any) -> None:
        role, what = _role(name, self.__dict__.get("_special", ()))
        if role is None:
            object.__setattr__(self, name, value)
        elif role == "extra_special":
            self._special_list(name, value, by_id=what == "id")
        elif value is None:
            self._special[role] = None
        elif what == "id":
            self._special[role] = self._core.id_to_token(int(value))
        elif isinstance(value, str) or hasattr(value, "content"):
            self._special[role] = str(value)
        else:
            raise ValueError(f"{name} must be a token as a string, got {type(value).__name__}")

    def _special_list(self, name: str, value: Any, by_id: bool) -> None:
        if value is not None and not isinstance(value, (list, tuple)):
            raise ValueError(f"{name} must be a list, got {type(value).__name__}")
        tokens = [self._core.id_to_token(int(v)) if by_id else str(v) for v in value or ()]
        object.__setattr__(self, "_extra_special", tokens)

    def _ids(self, tokens: Sequence[str]) -> list[int | None]:
        """The ids of tokens; that of the unknown token for what the vocabulary has not."""
        unknown = self._special["unk"]
        fallback = None if unknown is None else self._core.token_to_id(unknown)
        found = map(self._core.token_to_id, tokens)
        return [fallback if index is None else index for index in found]

    def add_tokens(
        self,
        new_tokens: str | AddedToken | Sequence[str | AddedToken],
        special_tokens: bool = False,
    ) -> int:
        """Have further tokens matched whole in text; the number of those that were new or changed.

        Tokens that the vocabulary has keep their ids, others get new ones, for which a model has no
        embeddings.
        """
        if not new_tokens:
            return 0
        single = isinstance(new_tokens, (str, AddedToken)) or hasattr(new_tokens, "content")
        tokens: list[Any] = [new_tokens] if single else list(new_tokens)  # type: ignore[arg-type]
        return (
            self._core.add_special_tokens(tokens)
            if special_tokens
            else self._core.add_tokens(tokens)
        )

    def add_special_tokens(
        self, special_tokens_dict: dict[str, Any], replace_extra_special_tokens: bool = True
    ) -> int:
        """Give roles to tokens and put those into the vocabulary that it lacks.

        Keys are `bos_token` and kin, and `extra_special_tokens` with a list (by its older name
        `additional_special_tokens` too), which replaces the list so far or is added to it. The result is the
        number of added tokens that were new or changed.
        """
        given = dict(special_tokens_dict)
        if "additional_special_tokens" in given and not given.get("extra_special_tokens"):
            given["extra_special_tokens"] = given.pop("additional_special_tokens")
        allowed = {"extra_special_tokens", *(f"{role}_token" for role in self._special)}
        unknown = sorted(set(given) - allowed)
        if unknown:
            raise ValueError(
                f"{unknown[0]!r} is no role of special tokens; there are {', '.join(sorted(allowed))}"
            )
        added: list[Any] = []
        for name, value in given.items():
            if name == "extra_special_tokens":
                added += self._take_extra(value, replace_extra_special_tokens)
                continue
            token = _special(name, value)
            setattr(self, name, str(token))
            added.append(token)
        return self.add_tokens(added, special_tokens=True)

    def _take_extra(self, value: Any, replace: bool) -> list[Any]:
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"extra_special_tokens must be a list of tokens, got {value!r:.80}")
        tokens = [_special("extra_special_tokens", token) for token in value]
        if not replace:
            tokens = [token for token in tokens if str(token) not in self._extra_special]
        kept = [] if replace and tokens else self._extra_special
        object.__setattr__(self, "_extra_special", [*kept, *map(str, tokens)])
        return tokens

    @property
    def special_tokens_map(self) -> dict[str, str]:
        """The special tokens that are set, by role."""
        return {
            f"{role}_token": token for role, token in self._special.items() if token is not None
        }

    @property
    def all_special_tokens(self) -> list[str]:
        """Every special token, once."""
        return list(dict.fromkeys([*self.special_tokens_map.values(), *self._extra_special]))

    @property
    def all_special_ids(self) -> list[int]:
        """The ids of `all_special_tokens`."""
        return self._ids(self.all_special_tokens)  # type: ignore[return-value]

    @property
    def added_tokens_decoder(self) -> dict[int, AddedToken]:
        """The added tokens by id."""
        return self._core.get_added_tokens_decoder()

    @property
    def added_tokens_encoder(self) -> dict[str, int]:
        """The ids of added tokens, in the order of the ids."""
        found = sorted(self.added_tokens_decoder.items())
        return {token.content: index for index, token in found}

    def get_added_vocab(self) -> dict[str, int]:
        """The ids of added tokens."""
        return self.added_tokens_encoder


def _special(name: str, token: Any) -> Any:
    if isinstance(token, str):
        return AddedToken(token, normalized=False, special=True)
    if not hasattr(token, "content"):
        raise ValueError(f"{name} must be a token as a string or an AddedToken, got {token!r:.80}")
    return token


def _role(name: str, own: Container[str]) -> tuple[str | None, str]:
    """A role and "token" or "id", of the name of an attribute; the role is None for any other name.

    `own` has the roles of a model's own, like "image".
    """
    if name.startswith(("extra_special_tokens", "additional_special_tokens")):
        end = name.rpartition("special_tokens")[2]
        return ("extra_special" if end in ("", "_ids") else None), "id" if end else "token"
    for end, what in (("_token", "token"), ("_token_id", "id")):
        role = name.removesuffix(end)
        if name.endswith(end) and (role in ROLES or role in own):
            return role, what
    return None, ""
