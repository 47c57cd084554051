"""What is done to a tokenizer when a model takes it, and what the model's configuration learns from
it.
"""

from __future__ import annotations

from typing import Any

from ..given import brief

_NEEDED = (
    "encode",
    "decode",
    "batch_decode",
    "padding_side",
    "bos_token",
    "eos_token",
    "pad_token",
)


def setup_tokenizer(tokenizer: Any, default_padding_side: str | None = None) -> Any:
    """Fill in what a tokenizer leaves unset: padding side, and EOS, padding and BOS tokens.

    The tokenizer is otherwise used as it is. BOS and padding fall back to EOS.
    """
    missing = [name for name in ("__call__", *_NEEDED) if not hasattr(tokenizer, name)]
    if missing:
        raise AssertionError(
            f"{type(tokenizer)} is not a supported tokenizer: it lacks "
            f"{', '.join(missing)}. Pass a Hugging Face tokenizer, or none to use the "
            "one beside the weights"
        )
    if default_padding_side not in ("right", "left", None):
        raise AssertionError(
            f"padding_side must be 'right', 'left' or None, got {brief(default_padding_side)}"
        )
    if default_padding_side is not None:
        tokenizer.padding_side = default_padding_side
    if tokenizer.padding_side is None:
        tokenizer.padding_side = "right"
    _fill_in(tokenizer, "eos_token", "<|endoftext|>")
    _fill_in(tokenizer, "pad_token", tokenizer.eos_token)
    _fill_in(tokenizer, "bos_token", tokenizer.eos_token)
    return tokenizer


def _fill_in(tokenizer: Any, name: str, token: str | None) -> None:
    if getattr(tokenizer, name) is not None or token is None:
        return
    if token in tokenizer.get_vocab():
        setattr(tokenizer, name, token)


def detect_tokenizer_bos_eos(tokenizer: Any) -> tuple[bool, bool]:
    """Whether the tokenizer itself puts BOS (or CLS) before a text, and EOS after it."""
    ids = tokenizer.encode("a")
    starts = {tokenizer.bos_token_id, getattr(tokenizer, "cls_token_id", None)} - {None}
    prepends = len(ids) > 1 and ids[0] in starts
    appends = len(ids) > 1 and tokenizer.eos_token_id is not None
    return prepends, appends and ids[-1] == tokenizer.eos_token_id


def configure_tokenizer(tokenizer: Any, cfg: Any, padding_side: str | None = None) -> Any:
    """Set a tokenizer up and note in `cfg` what it does by itself."""
    if padding_side is None:
        padding_side = cfg.default_padding_side
    tokenizer = setup_tokenizer(tokenizer, padding_side)
    cfg.tokenizer_prepends_bos, cfg.tokenizer_appends_eos = detect_tokenizer_bos_eos(tokenizer)
    return tokenizer


def vocabulary_size(tokenizer: Any) -> int:
    """One more than the largest id a tokenizer can give."""
    return max(tokenizer.get_vocab().values()) + 1
