"""Files that come with models and ask for text without end: tokenizers whose steps each double it, chat templates
that loop for ever.
"""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from transformer_lens_go import Tokenizer

DOUBLING = 50


def tokenizer_of(**parts: Any) -> Tokenizer:
    letters = {chr(c): c for c in range(0x21, 0x7F)}
    model = {"type": "BPE", "vocab": {**letters, "é": 200, "Ã": 201}, "merges": []}
    return Tokenizer.from_str(
        json.dumps({"version": "1.0", "added_tokens": [], **parts, "model": model})
    )


def replace(text: str, content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"String": text}, "content": content}


def sequence(member: str, steps: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "Sequence", member: steps}


DOUBLED = [replace("a", "aa")] * DOUBLING
NESTED = [sequence("normalizers", DOUBLED[:6])] * 9


@pytest.mark.parametrize(
    "steps",
    [
        DOUBLED,
        NESTED,
        [{"type": "ByteLevel"}] * DOUBLING,
        [{"type": "Prepend", "prepend": "x" * 5000}] * 9,
    ],
    ids=["doubled", "nested", "spelled", "prepended"],
)
def test_fault_F13_normalizers_that_make_too_much_are_refused(steps: list[dict[str, Any]]) -> None:
    tokenizer = tokenizer_of(normalizer=sequence("normalizers", steps))
    with pytest.raises(
        ValueError, match=r"step \d+ of \d+ of the normalizer makes more than \d+ bytes"
    ):
        tokenizer.encode("aé" * 100)


def test_fault_F13_one_step_with_a_long_text_to_put_in() -> None:
    tokenizer = tokenizer_of(normalizer=replace("a", "x" * 100_000))
    with pytest.raises(ValueError, match="step 1 of 1 of the normalizer"):
        tokenizer.encode("a" * 100_000)


def test_fault_F13_pre_tokenizers_that_make_too_much_are_refused() -> None:
    steps = [{"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}] * DOUBLING
    tokenizer = tokenizer_of(pre_tokenizer=sequence("pretokenizers", steps))
    with pytest.raises(ValueError, match=r"step \d+ of 50 of the pre-tokenizer"):
        tokenizer.encode("é")


def test_fault_F13_decoders_that_make_too_much_are_refused() -> None:
    tokenizer = tokenizer_of(decoder=sequence("decoders", DOUBLED))
    with pytest.raises(ValueError, match=r"step \d+ of 50 of the decoder"):
        tokenizer.decode([ord("a")] * 10)


def test_fault_F13_texts_may_grow_as_far_as_normal_forms_do() -> None:
    steps = [{"type": "NFKD"}, {"type": "ByteLevel"}, replace("Ø", "12")]
    tokenizer = tokenizer_of(normalizer=sequence("normalizers", steps))
    assert tokenizer.encode("\ufdfa" * 10_000).ids is not None


LOOP = "{% for i in range(99999) %}"
GROWING = "{% set n = namespace(x=START) %}{% for i in range(60) %}{% set n.x = STEP %}{% endfor %}{{ n.x }}"
GREEDY = {
    "nested range": LOOP + "{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "nothing of a range": LOOP + "{% for j in range(99999) if false %}{% endfor %}{% endfor %}",
    "lipsum": "{{ lipsum(n=100000) }}",
    "slice": "{{ [1]|slice(10**9)|list|length }}",
    "batch": "{{ [1]|batch(1000000000, 0)|list|length }}",
    "times": "{{ 'a' * 1000000000 }}",
    "list times": "{{ ([0] * 1000000000)|length }}",
    "doubled": GROWING.replace("START", "'aaaaaaaa'").replace("STEP", "n.x ~ n.x"),
    "added": GROWING.replace("START", "'aaaaaaaa'").replace("STEP", "n.x + n.x"),
    "lists of lists": GROWING.replace("START", "[1]").replace("STEP", "[n.x, n.x]"),
    "squares": GROWING.replace("START", "99").replace("STEP", "n.x * n.x"),
    "percent": "{{ '%1000000000s' % 'a' }}",
    "star": "{{ '%*d' % (1000000000, 1) }}",
    "format": "{{ '{:1000000000}'.format('a') }}",
    "center": "{{ 'a'|center(1000000000) }}",
    "ljust": "{{ 'a'.ljust(1000000000) }}",
    "indent of JSON": "{{ [1]|tojson(indent=1000000000) }}",
    "replace": "{% set a = 'a' * 100000 %}{{ a.replace('a', a)|length }}",
    "join": "{% set a = 'a' * 100000 %}{{ (range(99999)|join(a))|length }}",
    "macro": "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
    "macros": "{% macro a(n) %}{% if n %}{{ a(n-1) }}{{ a(n-1) }}{% endif %}{% endmacro %}{{ a(60) }}",
    "search": "{% set a = 'a' * 1000000 %}" + LOOP + "{{ 'b' in a }}{% endfor %}",
    "slices": "{% set a = 'a' * 1000000 %}" + LOOP + "{% set b = a[1:] %}{% endfor %}",
    "output": "{% set a = 'a' * 1000000 %}" + LOOP + "{{ a }}{% endfor %}",
    "literal": LOOP + "x" * 100_000 + "{% endfor %}",
}


@pytest.mark.parametrize("what", list(GREEDY))
def test_fault_F15_chat_templates_that_ask_for_too_much_are_refused(what: str) -> None:
    jinja2 = pytest.importorskip("jinja2")
    from transformer_lens_go.chat_template import render

    start = time.process_time()
    with pytest.raises(jinja2.exceptions.TemplateError, match=r"asks for too much|lipsum"):
        render(GREEDY[what], [{"role": "user", "content": "hi"}], {})
    assert time.process_time() - start < 20


def test_fault_F15_long_conversations_are_far_from_the_bound() -> None:
    pytest.importorskip("jinja2")
    from transformer_lens_go.chat_template import render

    template = (
        "{% macro part(m) %}{{ m.content | trim }}{% endmacro %}{% for m in messages %}"
        "{% if loop.index0 != messages|length - 1 and m.role in ['user', 'system'] %}<{{ m.role }}>"
        "{% endif %}{{ part(m) }}{{ m.content.split('</think>')[-1].lstrip('\n') }}{% endfor %}"
    )
    chat = [{"role": "user", "content": f"{i} " + "word " * 200} for i in range(3000)]
    text, _ = render(template, chat, {})
    assert len(text) > 6_000_000
