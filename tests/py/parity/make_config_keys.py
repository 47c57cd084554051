"""Write golens/arch/config_keys.json: which keys of a config.json transformers reads, by family.

    python tests/py/parity/make_config_keys.py

A key that nothing reads cannot change a number, whatever its value; golens/arch ignores such keys, with a warning.
What is read is found in the source of transformers: the modeling file of the family and the modules of transformers
that it imports, and the class of the configuration with its bases. Rather too much is found than too little: wherever
a name is looked up that the source does not spell out, every word in that function counts as read.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import transformers
from transformers import PreTrainedConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

OUT = Path(__file__).resolve().parents[3] / "golens" / "arch" / "config_keys.json"

# golens/arch's families, by model_type.
FAMILIES = ("gpt2", "llama", "mistral", "qwen2")

# Behind what modeling files call by name: attention, and what makes models of configurations and files.
ALWAYS = (
    "transformers.integrations.sdpa_attention",
    "transformers.integrations.eager_paged",
    "transformers.integrations.heterogeneity.configuration_utils",
    "transformers.core_model_loading",
    "transformers.models.auto.auto_factory",
)
# What never takes part in a forward pass: generating, and reading what is not a configuration.
NEVER = ("transformers.generation", "transformers.processing_utils", "transformers.utils.logging")

ROPE = "transformers.modeling_rope_utils"


def source(module: str) -> ast.Module:
    return ast.parse(inspect.getsource(importlib.import_module(module)))


def imported(module: str) -> set[str]:
    """The modules of transformers that this one imports."""
    package = importlib.import_module(module).__package__ or ""
    found = set()
    for node in ast.walk(source(module)):
        if isinstance(node, ast.ImportFrom):
            relative = "." * node.level + (node.module or "")
            base = importlib.util.resolve_name(relative, package) if node.level else relative
            if not base.startswith("transformers"):
                continue
            for name in [f"{base}.{alias.name}" for alias in node.names] + [base]:
                if importlib.util.find_spec(base) and _is_module(name):
                    found.add(name)
    return {name for name in found if name not in ("transformers", "transformers.utils")}


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, AttributeError):
        return False


def _is_config(node: ast.expr) -> bool:
    """Whether an expression is a configuration by its name: `config`, `self.config`, `config.get_text_config()`."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.endswith(("config", "config_dict", "config_kwargs"))
        case ast.Call(func=ast.Attribute(attr=name)):
            return name.endswith("config")
    return False


def _word(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
        return node.value
    return None


def _words(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        if word := _word(inner):
            yield word


def _functions(tree: ast.AST) -> Iterator[ast.AST]:
    return (node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.Lambda)))


def reads(tree: ast.AST, own: bool = False) -> set[str]:
    """The names that are looked up in configurations; `own`: `self` and `kwargs` are one too."""

    def subject(node: ast.expr) -> bool:
        return _is_config(node) or (
            own and isinstance(node, ast.Name) and node.id in ("self", "kwargs")
        )

    found: set[str] = set()
    for function in _functions(tree):
        for node in ast.walk(function):
            match node:
                case ast.Attribute(value=value, attr=name) if subject(value):
                    found.add(name)
                case ast.Call(func=ast.Name(id="getattr" | "hasattr"), args=[value, name, *_]) if (
                    subject(value)
                ):
                    found.update([word] if (word := _word(name)) else _words(function))
                case ast.Call(
                    func=ast.Attribute(value=value, attr="get" | "pop"), args=[name, *_]
                ) if subject(value):
                    found.update([word] if (word := _word(name)) else _words(function))
                case ast.Subscript(value=value, slice=name) if subject(value) and (
                    word := _word(name)
                ):
                    found.add(word)
                case ast.Compare(left=name, ops=[ast.In() | ast.NotIn()], comparators=[value]) if (
                    subject(value)
                ):
                    found.update([word] if (word := _word(name)) else ())
    return {name for name in found if not name.startswith("__") and not is_method(name)}


def is_method(name: str) -> bool:
    """Whether a name is what configurations and dictionaries do, not what they hold."""
    return hasattr(dict, name) or inspect.isroutine(
        inspect.getattr_static(PreTrainedConfig, name, None)
    )


def config_class(model_type: str) -> type:
    return getattr(transformers, CONFIG_MAPPING_NAMES[model_type])


def family(model_type: str) -> list[str]:
    """What the family's model and configuration read of a config.json."""
    modeling = f"transformers.models.{model_type}.modeling_{model_type}"
    modules = {modeling, *ALWAYS, *imported(modeling)}
    found: set[str] = set()
    for module in modules:
        if not module.startswith(NEVER):
            found |= reads(source(module))
    config = config_class(model_type)
    for base in inspect.getmro(config):
        if not base.__module__.startswith("transformers") or base.__name__ == "PushToHubMixin":
            continue
        if base.__module__ == ROPE and ROPE not in modules:
            continue  # a family without rotary positions
        found |= reads(ast.parse(inspect.getsource(base)), own=True)
    for other, name in config.attribute_map.items():
        if {other, name} & found:
            found |= {other, name}
    return sorted(found)


def rope() -> dict[str, list[str]]:
    """The settings that each kind of rotary positions reads."""
    functions = {
        node.name: node for node in _functions(source(ROPE)) if isinstance(node, ast.FunctionDef)
    }
    shared = _settings(functions["standardize_rope_params"])
    own = {kind: _settings(functions[made.__name__]) for kind, made in ROPE_INIT_FUNCTIONS.items()}
    return {kind: sorted(shared | own.get(kind, set())) for kind in sorted({"default", *own})}


def _settings(function: ast.AST) -> set[str]:
    """The words by which a function looks into a dictionary of rotary settings."""
    found: set[str] = set()
    for node in ast.walk(function):
        match node:
            case ast.Call(func=ast.Attribute(attr="get" | "setdefault" | "pop"), args=[name, *_]):
                found.update([word] if (word := _word(name)) else _words(function))
            case ast.Subscript(slice=name) if word := _word(name):
                found.add(word)
            case ast.Compare(left=name, ops=[ast.In() | ast.NotIn()]) if word := _word(name):
                found.add(word)
    return found


def architectures() -> list[str]:
    """The classes that transformers has for language models that go from left to right."""
    found: set[str] = set()
    for names in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values():
        found |= {names} if isinstance(names, str) else set(names)
    return sorted(found)


def table() -> dict[str, Any]:
    return {
        "transformers": transformers.__version__,
        "reads": {name: family(name) for name in FAMILIES},
        "rope": rope(),
        "architectures": architectures(),
    }


if __name__ == "__main__":
    OUT.write_text(json.dumps(table(), indent=1) + "\n")
    print(OUT)
