"""`model.tokenizer`: the engine's tokenizer with the interface of transformers' tokenizers."""

from __future__ import annotations

import copy
import json
import pickle
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformer_lens_go import TransformerBridge
from transformer_lens_go.core_tokenizer import AddedToken
from transformer_lens_go.tokenizer import ModelTokenizer

from .reference import DATA, uses_torch

FOLDER = DATA / "llama"  # BOS, EOS and padding are tokens of their own
TEXT = "When Mary and John went to the store"


@pytest.fixture
def tokenizer() -> ModelTokenizer:
    return TransformerBridge.boot_transformers(FOLDER).tokenizer


@pytest.fixture
def plain() -> ModelTokenizer:
    """With nothing put around texts."""
    return ModelTokenizer.from_pretrained(FOLDER, add_bos_token=False)


def test_calling_a_tokenizer(tokenizer: ModelTokenizer) -> None:
    single = tokenizer("hello")
    assert single.input_ids == single["input_ids"] == tokenizer.encode("hello")
    assert single.attention_mask == [1] * len(single.input_ids)
    assert tokenizer("hello", add_special_tokens=False).input_ids == single.input_ids[1:]
    batch = tokenizer(["hello", TEXT], padding=True, return_tensors="np", padding_side="left")
    assert batch.input_ids.shape == batch.attention_mask.shape
    assert batch.attention_mask[0].sum() == len(single.input_ids)
    assert batch.input_ids[0, -len(single.input_ids) :].tolist() == single.input_ids
    fixed = tokenizer("hello", padding="max_length", truncation=True, max_length=3)
    assert fixed.input_ids == single.input_ids[:3]
    assert len(tokenizer("a", padding="max_length", max_length=7).input_ids) == 7
    assert len(tokenizer("hello", padding=True, pad_to_multiple_of=8).input_ids) == 8
    assert tokenizer([]).input_ids == []
    ragged = tokenizer(["a", TEXT], return_tensors="np").input_ids
    assert ragged.dtype == object
    assert ragged[1].tolist() == tokenizer.encode(TEXT)
    if uses_torch():
        assert hasattr(tokenizer("a", return_tensors="pt").input_ids, "numel")
        with pytest.raises(ValueError, match="padding=True"):
            tokenizer(["a", TEXT], return_tensors="pt")
    else:
        with pytest.raises(ImportError, match="torch"):
            tokenizer("a", return_tensors="pt")


@pytest.mark.parametrize(
    ("arguments", "options", "error", "match"),
    [
        ((["a", "b"], ["c"]), {}, ValueError, "2 texts and 1"),
        ((["a", "b"], "c"), {}, TypeError, "text_pair"),
        ((3,), {}, ValueError, "int"),
        ((["a", 3],), {}, TypeError, "int"),
        ((), {}, ValueError, "text"),
        (("a",), {"padding": "far"}, ValueError, "far"),
        (("a",), {"truncation": "far"}, ValueError, "far"),
        (("a",), {"padding": True, "padding_side": "up"}, ValueError, "up"),
        (("a",), {"return_tensors": "tf"}, ValueError, "tf"),
        ((TEXT,), {"truncation": True, "max_length": 0}, ValueError, "special tokens"),
        (
            ("a",),
            {"truncation": True, "padding": True, "max_length": 7, "pad_to_multiple_of": 4},
            ValueError,
            "multiple",
        ),
    ],
)
def test_what_cannot_be_tokenized(
    tokenizer: ModelTokenizer, arguments: Any, options: Any, error: type, match: str
) -> None:
    with pytest.raises(error, match=match):
        tokenizer(*arguments, **options)
    assert tokenizer("a").input_ids  # nothing of it stays


def test_pairs_and_columns(tokenizer: ModelTokenizer) -> None:
    bos = tokenizer.bos_token_id
    a, b = (tokenizer.encode(text, add_special_tokens=False) for text in ("one", " two"))
    pair = tokenizer(
        "one",
        " two",
        return_token_type_ids=True,
        return_special_tokens_mask=True,
        return_offsets_mapping=True,
        return_length=True,
    )
    assert pair.input_ids == [bos, *a, bos, *b]
    assert pair.token_type_ids == [0] * (1 + len(a)) + [1] * (1 + len(b))
    assert pair.special_tokens_mask == [1] + [0] * len(a) + [1] + [0] * len(b)
    assert pair.length == [len(pair.input_ids)]
    assert [pair.offset_mapping[0], pair.offset_mapping[1][0]] == [(0, 0), 0]
    assert pair.n_sequences == 2
    assert pair.sequence_ids() == [None] + [0] * len(a) + [None] + [1] * len(b)
    assert pair.tokens() == tokenizer.convert_ids_to_tokens(pair.input_ids)
    both = tokenizer(["one", "x"], [" two", "y"], padding=True)
    assert both.input_ids[0] == pair.input_ids


def test_truncation_and_what_overflows(plain: ModelTokenizer) -> None:
    ids = plain.encode(TEXT)
    assert plain.encode(TEXT, truncation=True, max_length=5) == ids[:5]
    assert plain.encode(TEXT, max_length=5) == ids[:5]
    plain.truncation_side = "left"
    assert plain.encode(TEXT, truncation=True, max_length=5) == ids[-5:]
    plain.truncation_side = "right"
    parts = plain(TEXT, truncation=True, max_length=4, stride=1, return_overflowing_tokens=True)
    assert parts.input_ids[0] == ids[:4]
    assert parts.input_ids[1] == ids[3:7]
    assert set(parts.overflow_to_sample_mapping) == {0}
    second = plain("a b", TEXT, truncation="only_second", max_length=6).input_ids
    assert second[: len(plain.encode("a b"))] == plain.encode("a b")
    assert len(second) == 6


def test_words_and_places(plain: ModelTokenizer) -> None:
    encoded = plain([["Mary", "and", "John"], ["x"]], is_split_into_words=True)
    assert encoded.word_ids(0)[-1] == 2
    assert encoded.word_to_tokens(0, 0)[0] == 0
    found = plain("naïve store")
    token = found.char_to_token(2)
    assert token is not None
    begin, end = found.token_to_chars(token)
    assert begin <= 2 < end
    assert found[0].ids == found.input_ids
    assert found.token_to_word(0) == found.char_to_word(0) == 0
    assert pickle.loads(pickle.dumps(found)).tokens() == found.tokens()


def test_what_is_put_around_texts(plain: ModelTokenizer) -> None:
    ids = plain.encode(TEXT)
    assert plain.num_special_tokens_to_add() == 0
    plain.add_bos_token = True
    plain.add_eos_token = True
    assert plain.encode(TEXT) == [plain.bos_token_id, *ids, plain.eos_token_id]
    assert plain.num_special_tokens_to_add(pair=True) == 4
    plain.add_bos_token = False
    assert plain.encode(TEXT) == [*ids, plain.eos_token_id]
    plain.eos_token = None
    plain.add_eos_token = True
    assert plain.add_eos_token is False


def test_decoding(tokenizer: ModelTokenizer) -> None:
    row = tokenizer.encode(TEXT)
    assert tokenizer.decode(row) == tokenizer.bos_token + TEXT
    assert tokenizer.decode(np.array(row), skip_special_tokens=True) == TEXT
    assert tokenizer.batch_decode([row, row[1:]]) == [tokenizer.decode(row), TEXT]
    assert tokenizer.decode([row, row[1:]]) == tokenizer.batch_decode([row, row[1:]])
    assert tokenizer.batch_decode(row) == [tokenizer.decode(row)]
    assert tokenizer.decode(row[1]) == tokenizer.batch_decode([[row[1]]])[0]
    assert tokenizer.clean_up_tokenization("a . It is n't") == "a. It isn't"
    assert (
        tokenizer.decode(tokenizer.encode("a ."), True, clean_up_tokenization_spaces=True) == "a ."
    )
    with pytest.raises(OverflowError, match="-1"):
        tokenizer.decode([-1])


def test_vocabulary(tokenizer: ModelTokenizer) -> None:
    tokens = tokenizer.tokenize(" the dog")
    assert tokens[0] == "Ġthe"
    numbers = tokenizer.convert_tokens_to_ids(tokens)
    assert tokenizer.convert_ids_to_tokens(numbers) == tokens
    assert tokenizer.convert_tokens_to_string(tokens) == " the dog"
    vocab = tokenizer.get_vocab()
    assert len(tokenizer) == len(vocab) >= tokenizer.vocab_size
    assert all(vocab[token] == number for token, number in zip(tokens, numbers, strict=True))
    assert tokenizer.convert_tokens_to_ids("no such token") == tokenizer.unk_token_id
    assert tokenizer.convert_ids_to_tokens(100_000) is None
    ids = [tokenizer.bos_token_id, *numbers]
    assert tokenizer.convert_ids_to_tokens(ids, skip_special_tokens=True) == tokens


def test_special_tokens(tokenizer: ModelTokenizer) -> None:
    assert (tokenizer.bos_token, tokenizer.bos_token_id) == ("<s>", 0)
    assert tokenizer.cls_token is None
    assert tokenizer.cls_token_id is None
    assert set(tokenizer.special_tokens_map) == {"bos_token", "eos_token", "unk_token", "pad_token"}
    assert tokenizer.bos_token_id in tokenizer.all_special_ids
    tokenizer.pad_token = tokenizer.eos_token
    assert tokenizer.pad_token_id == tokenizer.eos_token_id
    tokenizer.pad_token_id = 0
    assert tokenizer.pad_token == "<s>"
    tokenizer.pad_token = None
    with pytest.raises(ValueError, match="pad token"):
        tokenizer(["a", TEXT], padding=True)
    with pytest.raises(AttributeError, match="no_such"):
        _ = tokenizer.no_such
    with pytest.raises(ValueError, match="int"):
        tokenizer.pad_token = 3


def test_adding_tokens(tokenizer: ModelTokenizer) -> None:
    size = len(tokenizer)
    before = tokenizer.encode("a<new>b")
    assert (
        tokenizer.add_special_tokens({"pad_token": "<new>", "extra_special_tokens": ["<x>"]}) == 2
    )
    assert tokenizer.pad_token_id == size
    assert tokenizer.extra_special_tokens == ["<x>"]
    assert tokenizer.extra_special_tokens_ids == [size + 1]
    assert len(tokenizer) == size + 2
    ids = tokenizer.encode("a<new>b")
    assert ids != before
    assert size in ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == "ab"
    assert tokenizer.encode("a<new>b", split_special_tokens=True) == before
    assert tokenizer.add_tokens(["<x>", AddedToken("<y>", lstrip=True), ""]) == 2
    assert tokenizer.add_tokens([]) == 0
    assert tokenizer.get_added_vocab()["<y>"] == size + 2
    assert pickle.loads(pickle.dumps(tokenizer)).encode("  <y>") == tokenizer.encode("  <y>")
    with pytest.raises(ValueError, match="nose_token"):
        tokenizer.add_special_tokens({"nose_token": "x"})
    with pytest.raises(ValueError, match="list"):
        tokenizer.add_special_tokens({"extra_special_tokens": "x"})


def test_copies_of_a_tokenizer(tokenizer: ModelTokenizer) -> None:
    for twin in (copy.deepcopy(tokenizer), pickle.loads(pickle.dumps(tokenizer))):
        twin.pad_token = twin.bos_token
        twin.padding_side = "left"
        twin.add_tokens(["<only in the twin>"])
        assert tokenizer.pad_token == "<pad>"
        assert tokenizer.padding_side == "right"
        assert len(twin) == len(tokenizer) + 1
        assert twin.encode(TEXT) == tokenizer.encode(TEXT)


# chat templates

CHAT = [
    {"role": "user", "content": "Hi <there> & all"},
    {"role": "assistant", "content": "Hello", "tool_calls": None},
]
TEMPLATE = """{% for m in messages %}
    {%- if loop.first and m.role == 'system' %}{% continue %}{% endif -%}
{{ bos_token + m['role'] + ': ' }}{% generation %}{{ m['content'] }}{{ eos_token }}{% endgeneration %}
{% endfor %}
{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"""


@pytest.fixture
def chatty(plain: ModelTokenizer) -> ModelTokenizer:
    pytest.importorskip("jinja2")
    plain.chat_template = TEMPLATE
    return plain


def test_a_chat_as_text_and_tokens(chatty: ModelTokenizer) -> None:
    text = chatty.apply_chat_template(CHAT, tokenize=False, add_generation_prompt=True)
    assert text == "<s>user: Hi <there> & all</s><s>assistant: Hello</s>assistant: "
    chatty.add_bos_token = True  # the template writes it: none is added
    out = chatty.apply_chat_template(CHAT, add_generation_prompt=True)
    assert out["input_ids"] == chatty.encode(text, add_special_tokens=False)
    assert out["attention_mask"] == [1] * len(out["input_ids"])
    assert (
        chatty.apply_chat_template(CHAT, return_dict=False, add_generation_prompt=True)
        == out.input_ids
    )
    batch = chatty.apply_chat_template([CHAT, CHAT[:1]], padding=True, return_tensors="np")
    assert batch.input_ids.shape[0] == 2
    assert chatty.apply_chat_template([CHAT[:1]], tokenize=False) == [
        chatty.apply_chat_template(CHAT[:1], tokenize=False)
    ]


def test_a_chat_that_goes_on(chatty: ModelTokenizer) -> None:
    text = chatty.apply_chat_template(CHAT, tokenize=False, continue_final_message=True)
    assert text.endswith("assistant: Hello")
    out = chatty.apply_chat_template(CHAT, return_assistant_tokens_mask=True)
    said = [i for i, mine in zip(out.input_ids, out.assistant_masks, strict=True) if mine]
    assert chatty.decode(said) == "Hi <there> & all</s>Hello</s>"
    for options, match in [
        ({"add_generation_prompt": True}, "exclude"),
        ({"return_assistant_tokens_mask": True}, "exclude"),
    ]:
        with pytest.raises(ValueError, match=match):
            chatty.apply_chat_template(CHAT, continue_final_message=True, **options)


def test_templates_see_data_and_no_more(chatty: ModelTokenizer) -> None:
    import jinja2

    def text(template: str, **given: Any) -> str:
        return chatty.apply_chat_template(CHAT, chat_template=template, tokenize=False, **given)

    assert (
        text("{{ x | tojson }}", x={"a": "<é&>", "b": [1, None]}) == '{"a": "<é&>", "b": [1, null]}'
    )
    assert text("{{ x | tojson(indent=2) }}", x=[1]) == "[\n  1\n]"
    assert text("{{ x }} {{ y }}", x=np.float64(0.5), y=print) == "0.5 <builtin_function_or_method>"
    assert (
        text("{% set ns = namespace(a=1) %}{% set ns.a = 2 %}{{ ns.a }}{{ dict(b=3)['b'] }}")
        == "23"
    )
    assert len(text("{{ strftime_now('%Y') }}")) == 4
    assert (
        text("{% for i in [1,2,3] %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}")
        == "1"
    )
    with pytest.raises(jinja2.TemplateError, match="no user"):
        text("{{ raise_exception('no user') }}")
    for attack in [
        "{{ messages.append(1) }}",
        "{{ ''.__class__.__mro__ }}",
        "{% set ns = namespace(__x=1) %}",
        "{{ raise_exception.__globals__['json'] }}",
        "{{ namespace.__init__.__globals__['json'] }}",
        "{{ dict.fromkeys.__globals__['json'] }}",
        "{{ strftime_now.__globals__['json'] }}",
    ]:
        with pytest.raises(jinja2.TemplateError):
            print(text(attack), "came out of", attack)


def test_which_template_counts(tmp_path: Path, chatty: ModelTokenizer) -> None:
    folder = shutil.copytree(FOLDER, tmp_path / "model")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config["chat_template"] = [
        {"name": "default", "template": "plain"},
        {"name": "tool_use", "template": "tools"},
    ]
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    several = ModelTokenizer.from_pretrained(folder)
    assert several.get_chat_template() == "plain"
    assert several.get_chat_template(tools=[{}]) == "tools"
    assert several.get_chat_template("tool_use") == "tools"
    (folder / "chat_template.jinja").write_text("of its own")
    assert ModelTokenizer.from_pretrained(folder).get_chat_template() == "of its own"
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "tool_use.jinja").write_text("for tools")
    assert ModelTokenizer.from_pretrained(folder).get_chat_template(tools=[{}]) == "for tools"
    chatty.chat_template = {"x": "1"}
    with pytest.raises(ValueError, match="x"):
        chatty.get_chat_template()
    chatty.chat_template = None
    with pytest.raises(ValueError, match="chat_template"):
        chatty.apply_chat_template(CHAT)


@pytest.mark.parametrize(
    ("conversation", "options", "error", "match"),
    [
        ([], {}, ValueError, "empty"),
        ("hello", {}, TypeError, "list of messages"),
        (["hello"], {}, TypeError, "hello"),
        (CHAT, {"tools": [print]}, NotImplementedError, "print"),
        (CHAT, {"tools": [3]}, ValueError, "int"),
        (CHAT, {"documents": [3]}, TypeError, "int"),
        (CHAT, {"sanitize_control_tokens": True}, NotImplementedError, "sanitize"),
        (CHAT, {"return_assistant_tokens_mask": True, "tokenize": False}, ValueError, "tokenize"),
        ([{"role": "user"}], {"continue_final_message": True}, ValueError, "content"),
        (CHAT, {"continue_final_message": "role", "chat_template": "x"}, ValueError, "role"),
    ],
)
def test_what_is_no_chat(
    chatty: ModelTokenizer, conversation: Any, options: Any, error: type, match: str
) -> None:
    with pytest.raises(error, match=match):
        chatty.apply_chat_template(conversation, **options)


def test_without_jinja(chatty: ModelTokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    chatty.chat_template = "never compiled before"
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ImportError, match="transformer_lens_go\\[chat\\]"):
        chatty.apply_chat_template(CHAT)
