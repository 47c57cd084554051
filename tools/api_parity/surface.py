"""Names and signatures: those of a dumped API beside those of a package that can be imported. Standard library only.

The dump (tests/py/data/api-4.3.0.json) lists for every module its public names, and for every class its fields, members
and methods with their signatures. A name is compatible when every parameter of the dump exists by name, with the same
default and in the same order; more parameters are allowed if they have defaults. `**kwargs` may stand for parameters
that are keyword-only or have defaults, `*args` for positional ones.
"""

from __future__ import annotations

import dataclasses
import enum
import importlib
import inspect
import re
import types
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["NOT_YET", "Item", "compare"]

_KINDS = {0: "p", 1: "a", 2: "*", 3: "k", 4: "**"}
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_NUMBER = re.compile(r"^-?[\d.]+(e-?\d+)?$")
_DTYPE = re.compile(
    r"^(?:torch\.|dtype\('?|'|<class 'numpy\.)*(float32|float16|bfloat16|float64)\b.*$"
)
_LONGEST = 160
NOT_YET = (
    "Not in this version yet"  # so begins the docstring of what only raises NotImplementedError
)


@dataclass
class Item:
    """One name of the dump: "" for the module itself, "Class", "Class.method", "function"."""

    module: str
    name: str
    exists: bool
    problem: str = ""  # why what exists is not compatible
    found: Any = None  # the object of that name, for methods its class

    @property
    def path(self) -> str:
        """The name behind the package's own, as in "hook_points.HookPoint.add_hook"."""
        return ".".join(part for part in (self.module, self.name) if part not in ("", "."))


def compare(api: dict[str, Any], package: str) -> Iterator[Item]:
    """An Item for every name of the dump, module by module."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for module, names in sorted(api["modules"].items()):
            yield from _module_items(module, names, package)


def _module_items(module: str, names: dict[str, Any], package: str) -> Iterator[Item]:
    path = package if module == "." else f"{package}.{module}"
    try:
        loaded = importlib.import_module(path)
    except ImportError:
        loaded = None
    yield Item(module, "", loaded is not None, found=loaded)
    for name, told in sorted(names.items()):
        found, exists = _attribute(loaded, path, name, told)
        if not exists:
            yield Item(module, name, False)
            for inner in [*_fields(told), *told.get("members", ()), *told.get("methods", ())]:
                yield Item(module, f"{name}.{inner}", False)
        elif told["k"] == "class":
            yield from _class_items(module, name, told, found, package)
        else:
            yield Item(module, name, True, _value_problem(told, found, package), found)


def _attribute(loaded: Any, path: str, name: str, told: dict[str, Any]) -> tuple[Any, bool]:
    if loaded is None:
        return None, False
    try:
        return getattr(loaded, name), True
    except (AttributeError, ImportError):
        if told["k"] != "module":
            return None, False
    try:
        return importlib.import_module(f"{path}.{name}"), True
    except ImportError:
        return None, False


def _fields(told: dict[str, Any]) -> list[str]:
    return [field[0] for field in told.get("fields") or ()]


def _value_problem(told: dict[str, Any], found: Any, package: str) -> str:
    if told["k"] == "func":
        return _signature_problem(told, found, package) if callable(found) else "not callable"
    if told["k"] == "value" and "repr" in told and told["type"] in ("bool", "int", "float", "str"):
        shown = shown_default(found)
        if not same_default(told["repr"], shown, package):
            return f"value {shown}, expected {told['repr']}"
    return ""


# classes


def _class_items(
    module: str, name: str, told: dict[str, Any], found: Any, package: str
) -> Iterator[Item]:
    if not inspect.isclass(found):
        yield Item(module, name, True, "" if callable(found) else "not a class", found)
        for inner in told.get("methods", ()):
            yield Item(module, f"{name}.{inner}", False)
        return
    yield Item(module, name, True, "", found)
    for field in told.get("fields") or ():
        exists, problem = _field(field, found, package)
        yield Item(module, f"{name}.{field[0]}", exists, problem, found)
    for member in told.get("members", ()):
        exists = member in getattr(found, "__members__", {}) or hasattr(found, member)
        yield Item(module, f"{name}.{member}", exists, "", found)
    for method, wanted in told.get("methods", {}).items():
        exists, problem = _method(method, wanted, found, package)
        yield Item(module, f"{name}.{method}", exists, problem, found)


def _field(field: list[str], found: Any, package: str) -> tuple[bool, str]:
    name, wanted = field[0], field[2] if len(field) > 2 else None
    own = {f.name: f for f in dataclasses.fields(found)} if dataclasses.is_dataclass(found) else {}
    construct: Any = found
    try:
        parameters = dict(inspect.signature(construct).parameters)
    except (TypeError, ValueError):
        parameters = {}
    if name in own:
        default = own[name].default
        factory = own[name].default_factory
        shown = shown_default(default) if default is not dataclasses.MISSING else None
        if shown is None and factory is not dataclasses.MISSING:
            shown = f"factory:{getattr(factory, '__name__', '?')}"
    elif name in parameters:
        default = parameters[name].default
        shown = None if default is inspect.Parameter.empty else shown_default(default)
    else:
        return hasattr(found, name), ""
    if wanted is None or (shown is not None and wanted.startswith("factory:")):
        return True, ""
    if shown is not None and same_default(wanted, shown, package):
        return True, ""
    return True, f"default {shown}, expected {wanted}"


def _method(name: str, wanted: dict[str, Any], found: Any, package: str) -> tuple[bool, str]:
    raw = next((vars(c)[name] for c in found.__mro__ if name in vars(c)), None)
    kind = wanted.get("m")
    if raw is None:
        annotated = any(name in vars(c).get("__annotations__", {}) for c in found.__mro__)
        return name in ("__init__", "__call__") or (kind == "attr" and annotated), ""
    if (getattr(raw, "__doc__", "") or "").startswith(NOT_YET):
        return False, ""
    if kind in ("prop", "attr"):
        return True, ""
    if isinstance(raw, property):
        return True, "is a property, expected a method"
    bound = isinstance(raw, (staticmethod, classmethod))
    if kind in ("class", "static") and not bound and inspect.isfunction(raw):
        return True, f"is an instance method, expected one of the class ({kind})"
    return True, _signature_problem(wanted, raw.__func__ if bound else raw, package)


# signatures


def _signature_problem(told: dict[str, Any], found: Any, package: str) -> str:
    """Why the signature does not take what the dumped one takes; empty when it does."""
    wanted = told.get("sig")
    if wanted is None:
        return ""
    try:
        parameters = inspect.signature(found).parameters.values()
    except (TypeError, ValueError):
        return "" if callable(found) else "not callable"
    have = {
        p.name: (_KINDS[int(p.kind)], None if p.default is p.empty else shown_default(p.default))
        for p in parameters
    }
    kinds = {kind for kind, _ in have.values()}
    problems = [
        problem
        for parameter in wanted
        if (problem := _parameter_problem(parameter, have, kinds, package))
    ]
    problems += _order_problems(wanted, have, bool(problems))
    asked = {parameter[0] for parameter in wanted}
    problems += [
        f"needs {name}"
        for name, (kind, default) in have.items()
        if kind in "pak" and default is None and name not in asked | {"self", "cls"}
    ]
    return "; ".join(problems)


def _parameter_problem(
    parameter: list[str], have: dict[str, tuple[str, str | None]], kinds: set[str], package: str
) -> str:
    name, kind = parameter[0], parameter[1]
    default = parameter[2] if len(parameter) > 2 else None
    if kind in ("*", "**"):
        return "" if kind in kinds else f"no {kind}{name}"
    own_kind, own_default = have.get(name, ("", None))
    if own_kind in ("", "*", "**"):
        by_keyword = "**" in kinds and (kind == "k" or default is not None)
        by_position = "*" in kinds and (kind == "p" or "**" in kinds)
        return "" if name in ("self", "cls") or by_keyword or by_position else f"no {name}"
    if kind == "a" and own_kind == "k":
        return f"{name} is keyword-only"
    if default is not None and own_default is None:
        return f"{name} has no default, expected {default}"
    if default is not None and not same_default(default, str(own_default), package):
        return f"{name}={own_default}, expected {default}"
    return ""


def _order_problems(
    wanted: list[list[str]], have: dict[str, tuple[str, str | None]], others: bool
) -> list[str]:
    theirs = [parameter[0] for parameter in wanted if parameter[1] in "pa"]
    ours = [name for name, (kind, _) in have.items() if kind in ("p", "a")]
    common = [name for name in theirs if name in ours]
    if common != [name for name in ours if name in theirs]:
        return [f"order {', '.join(n for n in ours if n in theirs)}, expected {', '.join(common)}"]
    if ours[: len(theirs)] != theirs and not others and common == theirs:
        return [f"a parameter of its own stands before {theirs[-1]}"]
    return []


def shown_default(value: Any) -> str:
    """A default as the dump shows it."""
    if isinstance(value, types.FunctionType):
        return f"<function {value.__name__}>"
    if isinstance(value, type) and value.__module__ != "numpy":
        return f"<class {value.__name__}>"
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, (set, frozenset)):
        return "{" + ", ".join(sorted(map(repr, value))) + "}"
    shown = _ADDRESS.sub("", repr(value))
    return shown if len(shown) <= _LONGEST else f"<{type(value).__name__}>"


def same_default(wanted: str, have: str, package: str) -> bool:
    """Whether two shown defaults mean the same."""
    wanted, have = (text.replace(package, "transformer_lens") for text in (wanted, have))
    if wanted == have or {wanted, have} == {"[]", "()"}:
        return True
    if _NUMBER.match(wanted) and _NUMBER.match(have):
        return float(wanted) == float(have)
    dtypes = [match.group(1) for text in (wanted, have) if (match := _DTYPE.match(text))]
    if len(dtypes) == 2:  # torch's, or NumPy's where there is no torch
        return dtypes[0] == dtypes[1]
    # what is shown by its address or its type: that is all that can be compared
    both = wanted.startswith("<") and have.startswith("<")
    return both or wanted.startswith(("<function", "<class"))
