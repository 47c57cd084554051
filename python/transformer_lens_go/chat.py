"""Chats in a model's tokenizer: which template, and its text as tokens. A part of `ModelTokenizer`."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from .batch_encoding import BatchEncoding
from .chat_template import marks_generated, render
from .special_tokens import SpecialTokens


class ChatTemplates(SpecialTokens):
    """`apply_chat_template`, on top of calling the tokenizer."""

    chat_template: str | dict[str, str] | None
    __call__: Callable[..., BatchEncoding]

    def get_chat_template(self, chat_template: str | None = None, tools: Any = None) -> str:
        """The Jinja template for chats: the one given, the one of that name, or the tokenizer's own."""
        known = self.chat_template
        if isinstance(known, dict):
            if chat_template in known:
                return known[chat_template]
            if chat_template is None:
                name = "tool_use" if tools is not None and "tool_use" in known else "default"
                if name not in known:
                    raise ValueError(
                        "this tokenizer has several chat templates and none is the default: pass "
                        f"chat_template= with one of {sorted(known)}"
                    )
                return known[name]
        elif chat_template is None:
            if known is None:
                raise ValueError(
                    "this tokenizer has no chat template: set tokenizer.chat_template, or pass "
                    "chat_template=, or write the prompt out"
                )
            return known
        assert chat_template is not None
        return chat_template

    def apply_chat_template(
        self,
        conversation: Any,
        tools: list[dict[str, Any]] | None = None,
        documents: list[dict[str, Any]] | None = None,
        chat_template: str | None = None,
        add_generation_prompt: bool = False,
        continue_final_message: bool | str = False,
        tokenize: bool = True,
        sanitize_control_tokens: bool = False,
        padding: bool | str = False,
        truncation: bool | str = False,
        max_length: int | None = None,
        return_tensors: str | None = None,
        return_dict: bool = True,
        return_assistant_tokens_mask: bool = False,
        tokenizer_kwargs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """A conversation, a list of messages `{"role": ..., "content": ...}`, as the model was trained to see it.

        The result is a `BatchEncoding`, with `return_dict=False` its ids, with `tokenize=False` the text. BOS is
        written by the template where the model wants it, so nothing is put around the text. A list of
        conversations gives a batch. `kwargs` go to the template; `tools` are JSON schemas.
        `return_assistant_tokens_mask` adds `assistant_masks`, 1 for tokens that the template marks as generated.
        Needs jinja2.
        """
        if sanitize_control_tokens:
            raise NotImplementedError(
                "sanitize_control_tokens=True is not built yet: look for the special tokens in what users write"
            )
        if return_assistant_tokens_mask and not (return_dict and tokenize):
            raise ValueError(
                "return_assistant_tokens_mask=True needs return_dict=True and tokenize=True"
            )
        if continue_final_message and (add_generation_prompt or return_assistant_tokens_mask):
            other = (
                "add_generation_prompt" if add_generation_prompt else "return_assistant_tokens_mask"
            )
            raise ValueError(f"continue_final_message and {other} exclude each other")
        template = self.get_chat_template(chat_template, tools)
        batched, conversations = _conversations(conversation)
        _check_chat_data(tools, documents)
        given = {
            "tools": tools,
            "documents": documents,
            "add_generation_prompt": add_generation_prompt,
        }
        variables = {**given, **self.special_tokens_map, **kwargs}
        if return_assistant_tokens_mask and not marks_generated(template):
            warnings.warn("the chat template does not mark what is generated", stacklevel=2)
        rendered = [
            render(template, each, variables, continue_final_message, return_assistant_tokens_mask)
            for each in conversations
        ]
        texts = [text for text, _ in rendered]
        if not tokenize:
            return texts if batched else texts[0]
        out: BatchEncoding = self(
            texts if batched else texts[0],
            padding=padding,
            truncation=truncation,
            max_length=max_length,
            add_special_tokens=False,
            return_tensors=return_tensors,
            **(tokenizer_kwargs or {}),
        )
        if return_assistant_tokens_mask:
            masks = [_covered(out, row, spans) for row, (_, spans) in enumerate(rendered)]
            out["assistant_masks"] = masks if batched or return_tensors else masks[0]
            out.convert_to_tensors(return_tensors)
        return out if return_dict else out["input_ids"]


def _conversations(given: Any) -> tuple[bool, list[Any]]:
    """Whether it is a batch of conversations, and the conversations."""
    if not isinstance(given, (list, tuple)):
        return False, [given]
    if not given:
        raise ValueError("the conversation is empty: expected at least one message")
    batched = isinstance(given[0], (list, tuple)) or hasattr(given[0], "messages")
    return batched, list(given) if batched else [given]


def _check_chat_data(tools: Any, documents: Any) -> None:
    for tool in tools or ():
        if callable(tool):
            raise NotImplementedError(
                f"tools as functions ({getattr(tool, '__name__', tool)!r}) are not built yet: pass their JSON schemas"
            )
        if not isinstance(tool, dict):
            raise ValueError(f"a tool is a JSON schema, a dict; got {type(tool).__name__}")
    for document in documents or ():
        if not isinstance(document, dict):
            raise TypeError(
                f"a document is a dict with title and text; got {type(document).__name__}"
            )


def _covered(encoded: BatchEncoding, row: int, spans: list[tuple[int, int]]) -> list[int]:
    """1 for the tokens of a row that stand for characters within spans, else 0."""
    mask = [0] * len(encoded["input_ids"][row] if encoded.is_batch else encoded["input_ids"])
    for begin, end in spans:
        first = encoded.char_to_token(row, begin)
        if first is None:  # cut off
            break
        last = encoded.char_to_token(row, end - 1)
        for at in range(first, last + 1 if last else len(mask)):
            mask[at] = 1
    return mask
