"""Files that are not JSON, or have another kind of value: said in words that no version of Go changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformer_lens_go import Tokenizer, TransformerBridge

MODEL = {"type": "BPE", "vocab": {"a": 0}, "merges": []}


def tokenizer_error(text: str) -> str:
    with pytest.raises(ValueError, match="tokenizer") as caught:
        Tokenizer.from_str(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"model": {"type": "BPE"', "found the end of the text at byte 24, expected a comma or }"),
        ('{"model" {}}', "found '{' at byte 9, expected a colon"),
        ('{"model": nul }', "found the character U+0020 at byte 13, expected null"),
        ('{"model": "\\x"}', "found 'x' at byte 12, expected one of"),
        ('{"model": "a\nb"}', "found the character U+000A at byte 12, expected an escape"),
    ],
)
def test_fault_U1_where_a_tokenizer_json_stops_being_json(text: str, says: str) -> None:
    assert says in tokenizer_error(text)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"added_tokens": {}}, "found an object, expected a list"),
        ({"model": MODEL | {"type": 3}}, "found a number, expected a string"),
        ({"normalizer": {"type": "Prepend", "prepend": 1}}, "found a number, expected a string"),
        (
            {"pre_tokenizer": {"type": "Digits", "individual_digits": "yes"}},
            "individual_digits: found a string, expected true or false",
        ),
    ],
)
def test_fault_U1_values_of_another_kind_are_named_as_json_does(
    change: dict[str, object], says: str
) -> None:
    error = tokenizer_error(json.dumps({"model": MODEL} | change))
    assert says in error
    assert "Go " not in error


def test_fault_U1_config_json_cut_short(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"')
    with pytest.raises(
        ValueError, match=r"config\.json is not JSON: found the end of the text at byte 21"
    ):
        TransformerBridge.boot_transformers(str(tmp_path))
