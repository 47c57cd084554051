"""config.json as it is found in the world: other heads, keys of other tools, sizes that no model has, NaN."""

from __future__ import annotations

import json
import math
import time
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_models import N_LAYERS, write_gpt2, write_llama
from transformer_lens_go import TransformerBridge
from transformer_lens_go._engine import arrays

boot = TransformerBridge.boot_transformers
needs_torch = pytest.mark.skipif(arrays.torch is None, reason="hf_model shares torch tensors")

GO_WORDS = ("map[", "struct field", "Go value", "<nil>", "interface {}", "%!", "internal error")


def change(folder: Path, **keys: Any) -> Path:
    """Write keys into a folder's config.json."""
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **keys}))
    return folder


def logits(model: Any) -> np.ndarray:
    ids = np.arange(6, dtype=np.int64)[None]
    out = model(ids if arrays.torch is None else arrays.torch.from_numpy(ids))
    return np.asarray(out.detach() if hasattr(out, "detach") else out)


@pytest.mark.parametrize(
    ("write", "names"),
    [
        (write_gpt2, ["GPT2Model"]),
        (write_gpt2, ["GPT2ForSequenceClassification"]),
        (write_gpt2, []),
        (write_llama, ["LLaMAForCausalLM"]),
        (write_llama, ["LlamaModel"]),
        (write_llama, ["SomebodysLlama"]),
    ],
    ids=str,
)
def test_fault_F1_other_heads_load_by_model_type(
    write: Callable[[Path], Path], names: list[str], tmp_path: Path
) -> None:
    want = logits(boot(write(tmp_path / "plain")))
    kind = "gpt2" if write is write_gpt2 else "llama"
    model = boot(change(write(tmp_path / "other"), architectures=names, model_type=kind))
    assert np.array_equal(logits(model), want)
    assert model.cfg.architecture == {"gpt2": "GPT2LMHeadModel", "llama": "LlamaForCausalLM"}[kind]


def test_fault_F1_a_model_without_an_unembedding_is_refused(tmp_path: Path) -> None:
    """transformers would draw one at random."""
    folder = change(write_gpt2(tmp_path / "m"), architectures=["GPT2Model"])
    assert boot(folder).cfg.architecture == "GPT2LMHeadModel"  # tied: the embedding serves
    change(folder, tie_word_embeddings=False)
    with pytest.raises(ValueError, match=r"lm_head\.weight, the unembedding.*tie_word_embeddings"):
        boot(folder)


@needs_torch
def test_fault_F1_a_live_base_model(tmp_path: Path) -> None:
    import torch

    folder = write_gpt2(tmp_path / "m")
    plain = boot(folder)
    state = {
        name.removeprefix("transformer."): torch.as_tensor(value)
        for name, value in _stored(folder).items()
    }
    state["score.weight"] = torch.ones(2, 32)
    config = json.loads((folder / "config.json").read_text()) | {"architectures": None}
    source = type("GPT2ForSequenceClassification", (), {})()
    source.config = types.SimpleNamespace(to_dict=lambda: config)
    source.state_dict = lambda: state
    with pytest.warns(UserWarning, match=r"score\.weight"):
        model = boot("mine", hf_model=source)
    assert np.array_equal(logits(model), logits(plain))


def _stored(folder: Path) -> dict[str, np.ndarray]:
    raw = (folder / "model.safetensors").read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header, data = json.loads(raw[8 : 8 + size]), raw[8 + size :]
    return {
        name: np.frombuffer(data[slice(*entry["data_offsets"])], "<f4")
        .reshape(entry["shape"])
        .copy()
        for name, entry in header.items()
    }


NEVER_READ = {
    "pretraining_tp": 2,
    "_model_name_or_path": "x",
    "license": "mit",
    "use_flash_attn": True,
    "_flash_attn_2_enabled": True,
    "my_note": {"a": [1]},
}


def test_fault_F2_keys_that_nobody_reads_give_one_warning(tmp_path: Path) -> None:
    want = logits(boot(write_llama(tmp_path / "plain")))
    folder = change(
        write_llama(tmp_path / "more"),
        **NEVER_READ,
        is_causal=True,
        layer_types=["full_attention"] * N_LAYERS,
        rope_scaling={"type": "linear", "factor": 1.0, "finetuned": True},
    )
    with pytest.warns(UserWarning, match="never reads") as caught:
        model = boot(folder)
    assert len(caught) == 1
    message = str(caught[0].message)
    for key in (*NEVER_READ, "rope_scaling.finetuned"):
        assert key in message
    assert "is_causal" not in message
    assert np.array_equal(logits(model), want)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        boot(folder, hf_config_overrides={**dict.fromkeys(NEVER_READ), "rope_scaling": None})


@pytest.mark.parametrize(
    ("key", "value", "kind"),
    [
        ("is_causal", False, NotImplementedError),
        ("sliding_window", 4, NotImplementedError),
        ("attention_chunk_size", 4, ValueError),
        ("per_layer_config", {"0": {"hidden_size": 8}}, ValueError),
        ("layer_types", ["sliding_attention"] * N_LAYERS, NotImplementedError),
        ("quantization_config", {"bits": 4}, NotImplementedError),
    ],
)
def test_fault_F2_keys_that_are_read_stay_errors(
    key: str, value: Any, kind: type[Exception], tmp_path: Path
) -> None:
    with pytest.raises(kind, match=key):
        boot(change(write_llama(tmp_path / "m"), **{key: value}))


@needs_torch
def test_fault_F2_own_attributes_of_a_live_config(tmp_path: Path) -> None:
    import torch

    folder = write_llama(tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    config |= {"my_run": "seventh", "my_scale": float("nan"), "my_type": torch.float16}
    source = types.SimpleNamespace(
        config=types.SimpleNamespace(to_dict=lambda: config),
        state_dict=lambda: {
            name: torch.as_tensor(value) for name, value in _stored(folder).items()
        },
    )
    with pytest.warns(UserWarning, match="my_run, my_scale, my_type"):
        model = boot("mine", hf_model=source)
    assert np.array_equal(logits(model), logits(boot(folder)))


@pytest.mark.parametrize("size", [100_000, 2**31, 2**53], ids=["1e5", "2^31", "2^53"])
@pytest.mark.parametrize(
    "key", ["num_hidden_layers", "head_dim", "num_attention_heads", "hidden_size"]
)
def test_fault_F3_sizes_are_held_against_the_tensors(key: str, size: int, tmp_path: Path) -> None:
    folder = change(write_llama(tmp_path / "m"), **{key: size})
    start = time.monotonic()
    with pytest.raises(ValueError, match=key) as caught:
        boot(folder)
    assert time.monotonic() - start < 5
    assert not any(word in str(caught.value) for word in GO_WORDS)


def test_fault_F3_a_config_of_a_hundred_megabytes(tmp_path: Path) -> None:
    folder = write_llama(tmp_path / "m")
    with (folder / "config.json").open("r+") as file:
        file.truncate(100_000_000)
    start = time.monotonic()
    with pytest.raises(ValueError, match=r"config\.json: found 100000000 bytes"):
        boot(folder)
    assert time.monotonic() - start < 5


def test_fault_F12_numbers_that_are_not_finite(tmp_path: Path) -> None:
    folder = change(write_llama(tmp_path / "m"), initializer_range=math.nan, temperature=math.inf)
    assert math.isnan(boot(folder).cfg.initializer_range)
    model = boot(write_llama(tmp_path / "n"), hf_config_overrides={"initializer_range": math.inf})
    assert model.cfg.initializer_range == math.inf
    model.cfg.my_note = math.nan
    assert math.isnan(model.cfg.my_note)
    with pytest.raises(ValueError, match=r"eps.*NaN"):
        boot(change(folder, rms_norm_eps=math.nan))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[1]",
        "5",
        '"x"',
        "{",
        "{} x",
        '{"model_type": 5}',
        '{"architectures": {"a": 1}}',
        "\xff",
        "{'a': 1}",
    ],
)
def test_fault_F17_malformed_configs_are_value_errors(text: str, tmp_path: Path) -> None:
    folder = write_llama(tmp_path / "m")
    (folder / "config.json").write_bytes(text.encode("latin-1"))
    for n_ctx in (None, 7):
        with pytest.raises(ValueError, match=r"config|unknown architecture") as caught:
            boot(folder, n_ctx=n_ctx)
        assert not any(word in str(caught.value) for word in GO_WORDS)


@pytest.mark.parametrize(
    "value", [{"a": None, "b": math.nan}, [1, "x"], "x", True, 1.5, -1], ids=str
)
def test_fault_F17_values_of_wrong_kinds_are_named_as_the_file_has_them(
    value: Any, tmp_path: Path
) -> None:
    folder = write_llama(tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    for key in [
        *config,
        "rope_scaling",
        "rope_parameters",
        "layer_types",
        "head_dim",
        "sliding_window",
    ]:
        said = ""
        try:
            boot(folder, hf_config_overrides={key: value})
        except (ValueError, NotImplementedError) as error:
            said = str(error)
        assert not any(word in said for word in GO_WORDS), said


def test_fault_F17_arguments_of_wrong_kinds(tmp_path: Path) -> None:
    folder = write_llama(tmp_path / "m")
    with pytest.raises((TypeError, ValueError), match="n_ctx") as caught:
        boot(folder, n_ctx=2.5)  # type: ignore[arg-type]
    assert not any(word in str(caught.value) for word in GO_WORDS)


def test_fault_U11_only_slips_get_a_suggestion(tmp_path: Path) -> None:
    folder = change(
        write_llama(tmp_path / "m"), architectures=["GPTNeoXForCausalLM"], model_type="gpt_neox"
    )
    with pytest.raises(ValueError, match="this version has GPT2LMHeadModel") as caught:
        boot(folder)
    assert "did you mean" not in str(caught.value)
    with pytest.raises(ValueError, match="did you mean LlamaForCausalLM"):
        boot(change(folder, architectures=["LlamaForCasualLM"]))


# what a message shows


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        (
            {"tie_word_embeddings": "false"},
            'tie_word_embeddings: got "false", expected true or false',
        ),
        ({"num_hidden_layers": "2"}, 'num_hidden_layers: got "2", expected an integer'),
        ({"rms_norm_eps": "1e-5"}, 'rms_norm_eps: got "1e-5", expected a number'),
        ({"max_position_embeddings": 2**62}, "max_position_embeddings: .*of 2\\^53 at most"),
        ({"num_hidden_layers": 2**62}, "num_hidden_layers: .*from 0 to 2\\^53"),
        ({"tie_word_embeddings": "x" * 600_000}, 'tie_word_embeddings: got "x+…, expected'),
    ],
)
def test_fault_F17_a_value_is_shown_as_what_it_is(
    keys: dict[str, Any], says: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=says) as raised:
        boot(change(write_llama(tmp_path / "m"), **keys))
    assert len(str(raised.value)) < 1000


@pytest.mark.parametrize("key", ["rope_scaling", "rope_parameters"])
@pytest.mark.parametrize(
    ("settings", "lacking"),
    [
        ({"rope_type": "yarn"}, "factor"),
        ({"type": "yarn", "original_max_position_embeddings": 16}, "factor"),
        ({"rope_type": "linear"}, "factor"),
        ({"rope_type": "llama3", "low_freq_factor": 1.0, "high_freq_factor": 4.0}, "factor"),
        ({"rope_type": "llama3", "factor": 2.0, "high_freq_factor": 4.0}, "low_freq_factor"),
    ],
)
def test_fault_F17_a_rotary_setting_that_is_lacking(
    key: str, settings: dict[str, Any], lacking: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=f"{lacking}: missing; rope_type .* needs it"):
        boot(change(write_llama(tmp_path / "m"), **{key: settings}))


@pytest.mark.parametrize("name", ["", "  "])
def test_fault_F17_no_name_is_no_model(name: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(write_llama(tmp_path / "m"))
    with pytest.raises(ValueError, match="model_name is empty"):
        boot(name)
    boot(".")
