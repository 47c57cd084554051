"""Names and modules of transformer_lens 4.3.0 that are not here: each says so, however it is asked for."""

from __future__ import annotations

import importlib
import importlib.util
import json
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
import transformer_lens_go as tl
from transformer_lens_go import TransformerBridge, _not_built

ROOT = Path(__file__).resolve().parents[3]
API: dict[str, dict[str, Any]] = json.loads(
    (ROOT / "tests/py/data/api-4.3.0.json").read_text("utf-8")
)["modules"]
SAYS = r"is part of transformer_lens and not of this version .*docs/errors/not_built_yet\.md"


def full(module: str) -> str:
    return "transformer_lens_go" if module == "." else f"transformer_lens_go.{module}"


def import_or_told(module: str) -> Any:
    """The module, or None where importing it says that it is not there."""
    try:
        return importlib.import_module(full(module))
    except ModuleNotFoundError as error:
        told = error
    assert full(module).startswith(str(told.name))
    assert re.search(SAYS, str(told))
    return None


@pytest.mark.parametrize("module", sorted(API))
def test_fault_U3_every_module_is_there_or_says_so(module: str) -> None:
    loaded = import_or_told(module)
    if loaded is None:
        return
    for name in API[module]:
        space: dict[str, Any] = {}
        try:
            exec(f"from {full(module)} import {name}", space)
        except ImportError as error:
            assert not hasattr(loaded, name)
            assert getattr(loaded, name, 7) == 7
            for raised in (error, attribute_error(loaded, name)):
                assert f"{full(module)}.{name} is part of transformer_lens" in str(raised)
                assert "docs/errors/not_built_yet.md" in str(raised)
        else:
            assert hasattr(loaded, name)


def attribute_error(module: Any, name: str) -> AttributeError:
    with pytest.raises(AttributeError) as told:
        getattr(module, name)
    assert told.value.name == name
    assert told.value.obj is module
    return told.value


def test_fault_U3_a_submodule_says_so() -> None:
    with pytest.raises(ModuleNotFoundError, match=SAYS) as told:
        import transformer_lens_go.patching  # pyright: ignore
    assert told.value.name == "transformer_lens_go.patching"
    assert "examples/activation_patching.py" in str(told.value)
    with pytest.raises(ModuleNotFoundError, match=SAYS):
        from transformer_lens_go.FactoredMatrix import FactoredMatrix  # noqa: F401
    with pytest.raises(AttributeError, match=SAYS):
        _ = tl.utilities.test_prompt
    with pytest.raises(ImportError, match=SAYS):
        from transformer_lens_go.utilities import test_prompt  # noqa: F401
    with pytest.raises(ModuleNotFoundError, match="calls it utilities"):
        import transformer_lens_go.utils  # noqa: F401


def test_fault_U3_what_is_nobodys_stays_as_it_was() -> None:
    with pytest.raises(
        ModuleNotFoundError, match=r"^No module named 'transformer_lens_go.nonsense'$"
    ):
        import transformer_lens_go.nonsense  # noqa: F401
    with pytest.raises(ImportError, match=r"^cannot import name 'nonsense'"):
        from transformer_lens_go import nonsense  # noqa: F401
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'patching'$"):
        import patching  # noqa: F401
    assert importlib.util.find_spec("transformer_lens_go.patching") is None
    assert importlib.util.find_spec("transformer_lens_go.cache") is not None


def test_fault_U3_an_import_behind_a_long_list_of_names_says_so() -> None:
    many = "\n".join(f"n{i} = m{i} = {i}" for i in range(300))  # the name's index needs two bytes
    with pytest.raises(ImportError, match=SAYS):
        exec(f"{many}\nfrom transformer_lens_go.utilities.tensors import transpose", {})


def homeless() -> None:
    """A function whose module pickle looks for."""


def test_fault_U3_pickle_looks_through_all_modules_for_a_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What names no module is looked for in every module there is: an ImportError raised there would come out."""
    monkeypatch.setattr(homeless, "__module__", None)
    monkeypatch.setattr(homeless, "__qualname__", "HookedTransformer")
    with pytest.raises(pickle.PicklingError, match="HookedTransformer"):
        pickle.dumps(homeless)


def test_fault_U3_a_pickle_of_what_is_not_there_says_so() -> None:
    stored = b"ctransformer_lens_go.FactoredMatrix\nFactoredMatrix\n."
    with pytest.raises(ModuleNotFoundError, match=SAYS):
        pickle.loads(stored)
    with pytest.raises(AttributeError):
        pickle.loads(b"ctransformer_lens_go.utilities\nTypedModuleList\n.")


def test_fault_U3_methods_and_attributes_say_so() -> None:
    cfg = dict(
        n_layers=1, d_model=8, n_heads=2, d_head=4, d_mlp=16, n_ctx=8, d_vocab=11, act_fn="gelu"
    )
    model: Any = TransformerBridge.boot_native(cfg)
    with pytest.raises(NotImplementedError, match="the registry of models is not in this version"):
        TransformerBridge.list_supported_models()
    with pytest.raises(NotImplementedError, match="the registry of models is not in this version"):
        TransformerBridge.check_model_support("gpt2")
    with pytest.raises(AttributeError, match="ours wrap none"):
        model.blocks[0].attn.set_original_component(None)
    assert not hasattr(model.blocks[0].mlp, "mark_pos_dim")


def test_the_tables_hold_nothing_that_is_there() -> None:
    for module in _not_built._MODULES:
        with pytest.raises(ModuleNotFoundError, match=SAYS):
            importlib.import_module(f"transformer_lens_go.{module}")
    for module, names in _not_built._NAMES.items():
        loaded = importlib.import_module(f"transformer_lens_go.{module}")
        there = [name for name in names.split() if hasattr(loaded, name)]
        assert there == [], f"these are built: take them out of the table of {module}"
    instead = set(" ".join(_not_built._NAMES.values()).split())
    assert set(_not_built._INSTEAD) <= instead
