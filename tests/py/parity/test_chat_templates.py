"""Chat templates: `apply_chat_template` against transformers', on templates of the forms that models bring."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")
pytest.importorskip("jinja2")

from transformer_lens_go.tokenizer import ModelTokenizer

from .compare import check_outcomes, outcome
from .make_tokenizer_testdata import trained
from .test_tokenizer_interface import open_both, plain

CHATML = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou help<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA = """{{- bos_token }}
{%- if not date_string is defined %}
    {%- set date_string = "26 Jul 2024" %}
{%- endif %}
{%- set ns = namespace(found=false) %}
{%- for message in messages %}
    {%- if message['role'] == 'system' %}
        {%- set ns.found = true %}
    {%- elif message.role == 'tool' %}
        {{- raise_exception('no tools here') }}
    {%- endif %}
    {{- '<|start|>' + message['role'] + '\\n\\n' + message['content'] | trim + '<|end|>' }}
{%- endfor %}
{%- if tools is not none %}
    {{- tools | tojson(indent=4) }}
{%- endif %}
{{- date_string if ns.found else '' }}
{%- if add_generation_prompt %}
    {{- '<|start|>assistant\\n\\n' }}
{%- endif %}
"""
GENERATED = """{% for m in messages %}
{% if m.role == 'assistant' %}
  {% generation %}
{{ m.content }}{{ eos_token }}
  {% endgeneration %}
{% else %}
{{ m.role }}: {{ m.content }}
{% if m.content == 'stop' %}{% break %}{% endif %}
{% endif %}
{% endfor %}"""
THINKING = (
    "{% for m in messages %}{{ m.thinking }}|{{ m.reasoning_content }}|{{ m.content }};{% endfor %}"
)

CHATS: list[Any] = [
    [{"role": "user", "content": "Hi <there> & «all»"}],
    [
        {"role": "system", "content": " Be kind.\n"},
        {"role": "user", "content": "Why? 🙂"},
        {"role": "assistant", "content": "Because.  "},
    ],
    [
        {"role": "user", "content": "a", "name": None},
        {"role": "assistant", "content": "b", "tool_calls": None},
    ],
    [{"role": "tool", "content": "1"}],
    [{"role": "user", "content": "stop"}, {"role": "user", "content": "more"}],
    [{"role": "assistant", "content": "x", "reasoning": "hm"}],
    [{"role": "user"}],
    [],
    [[{"role": "user", "content": "one"}], [{"role": "user", "content": "two and three"}]],
]
OPTIONS: list[dict[str, Any]] = [
    {"tokenize": False},
    {"tokenize": False, "add_generation_prompt": True},
    {"tokenize": False, "continue_final_message": True},
    {"tokenize": False, "tools": [{"name": "f", "x": "<é>"}], "date_string": "today"},
    {},
    {"return_dict": False, "add_generation_prompt": True},
    {"padding": True, "return_tensors": "pt"},
    {"truncation": True, "max_length": 9},
    {"return_assistant_tokens_mask": True},
    {"return_assistant_tokens_mask": True, "tokenize": False},
    {"continue_final_message": True, "add_generation_prompt": True},
    {"tokenizer_kwargs": {"return_token_type_ids": True}},
]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, ModelTokenizer]:
    folder = Path(tmp_path_factory.mktemp("chatty"))
    (folder / "tokenizer.json").write_text(trained("smollm"))
    (folder / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "TokenizersBackend", "bos_token": "<|im_start|>", "eos_token": "<|im_end|>",'
        ' "unk_token": "<|endoftext|>"}'
    )
    return open_both(folder)


@pytest.mark.parametrize(
    "template", [CHATML, LLAMA, GENERATED, THINKING, "{{ messages", "{{ nothing.at.all }}"]
)
def test_apply_chat_template(both: tuple[Any, ModelTokenizer], template: str) -> None:
    theirs, ours = both
    for tokenizer in both:
        tokenizer.chat_template = template
    for chat, options in itertools.product(CHATS, OPTIONS):
        got, want = (
            outcome(lambda t=t, c=chat, o=options: plain(t.apply_chat_template(c, **o)))
            for t in (ours, theirs)
        )
        check_outcomes(got, want, f"{template[:30]!r} {chat} {options}")


def test_named_templates(both: tuple[Any, ModelTokenizer]) -> None:
    theirs, ours = both
    for named in ({"default": "d", "tool_use": "t"}, {"x": "y"}, {"default": "d"}, None):
        for asked in (
            {},
            {"tools": [{"a": 1}]},
            {"chat_template": "x"},
            {"chat_template": "tool_use"},
        ):
            for tokenizer in both:
                tokenizer.chat_template = named
            got, want = (
                outcome(lambda t=t, o=asked: t.get_chat_template(**o)) for t in (ours, theirs)
            )
            check_outcomes(got, want, f"{named} {asked}")
