"""Old short names of models, and the repositories they mean. Only of families the engine knows."""

from __future__ import annotations

import logging

_OFFICIAL = {
    "gpt2-small": "gpt2",
    "gpt2-xs": "distilgpt2",
    "distil-gpt2": "distilgpt2",
    "distill-gpt2": "distilgpt2",
    "distillgpt2": "distilgpt2",
    "Llama-2-7b": "meta-llama/Llama-2-7b-hf",
    "Llama-2-7b-chat": "meta-llama/Llama-2-7b-chat-hf",
    "Llama-2-13b": "meta-llama/Llama-2-13b-hf",
    "Llama-2-13b-chat": "meta-llama/Llama-2-13b-chat-hf",
    "mistral-7b": "mistralai/Mistral-7B-v0.1",
    "mistral-7b-instruct": "mistralai/Mistral-7B-Instruct-v0.1",
    "qwen2-0.5b": "Qwen/Qwen2-0.5B",
    "qwen2-0.5b-instruct": "Qwen/Qwen2-0.5B-Instruct",
    "qwen2-1.5b": "Qwen/Qwen2-1.5B",
    "qwen2-1.5b-instruct": "Qwen/Qwen2-1.5B-Instruct",
    "qwen2-7b": "Qwen/Qwen2-7B",
    "qwen2-7b-instruct": "Qwen/Qwen2-7B-Instruct",
    "qwen2.5-0.5b": "Qwen/Qwen2.5-0.5B",
    "qwen2.5-0.5b-instruct": "Qwen/Qwen2.5-0.5B-Instruct",
    "qwen2.5-1.5b": "Qwen/Qwen2.5-1.5B",
    "qwen2.5-1.5b-instruct": "Qwen/Qwen2.5-1.5B-Instruct",
    "qwen2.5-3b": "Qwen/Qwen2.5-3B",
    "qwen2.5-3b-instruct": "Qwen/Qwen2.5-3B-Instruct",
    "qwen2.5-7b": "Qwen/Qwen2.5-7B",
    "qwen2.5-7b-instruct": "Qwen/Qwen2.5-7B-Instruct",
}


def official_name(name: str) -> str:
    """The repository that `name` means: itself, unless it is an old short name, which warns."""
    official = _OFFICIAL.get(name)
    if official is None:
        return name
    logging.warning("%r is an old name of %r; use that", name, official)
    return official
