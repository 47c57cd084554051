"""Which public names the tests use, by reading them (they are not run).

A name of a module counts where a test refers to that very object: imported from the package, or reached by attributes
from a module of it. A method or attribute counts where a test file calls or reads `.method` of anything, passes
`method=` or overrides it, and has the class at hand: it or a helper that it imports names the class, or makes one
(`MAKERS`). A special method counts with its class.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .surface import Item

__all__ = ["UsedByTests"]

MAKERS = {
    "boot_transformers": "TransformerBridge",
    "boot_native": "TransformerBridge",
    "fresh_pair": "TransformerBridge",
    "pair": "TransformerBridge",
    "run_with_cache": "ActivationCache",
    "init_cache": "TransformerLensKeyValueCache",
    "cfg": "TransformerBridgeConfig",
    "add_hook": "LensHandle",
    "fwd_hooks": "LensHandle",
    "hook_dict": "HookPoint",
}
"""What a test file that uses the first name has at hand."""


@dataclass
class _File:
    """What one test file refers to."""

    objects: set[int] = field(default_factory=set)  # ids of objects of the package
    words: set[str] = field(default_factory=set)  # names and attributes
    attributes: set[str] = field(default_factory=set)  # attributes and keywords
    helpers: set[str] = field(default_factory=set)  # other files of the tests


class UsedByTests:
    """The test files under a folder, as far as they use `package`."""

    def __init__(self, folder: Path, package: str) -> None:
        paths = sorted(folder.rglob("*.py"))
        self._files = {path.stem: _read(path, package) for path in paths}
        self._words = {stem: self._with_helpers(stem) for stem in self._files}
        self._objects = set().union(*(file.objects for file in self._files.values()))

    def _with_helpers(self, stem: str) -> set[str]:
        """The words of a file and of the helpers that it imports, and what those stand for."""
        seen, todo = set(), [stem]
        while todo:
            name = todo.pop()
            if name not in seen and name in self._files:
                seen.add(name)
                todo += self._files[name].helpers
        words = set().union(*(self._files[name].words for name in seen))
        return words | {made for maker, made in MAKERS.items() if maker in words}

    def use(self, item: Item) -> bool:
        """Whether a test uses what an item names."""
        owner, _, member = item.name.rpartition(".")
        if not owner:
            return not item.name or self._uses_name(item)
        if member.startswith("__") or member == owner:
            return self._at_hand(owner)
        return any(
            member in file.attributes and owner in self._words[stem]
            for stem, file in self._files.items()
        )

    def _uses_name(self, item: Item) -> bool:
        found = item.found
        if inspect.isclass(found) or inspect.isroutine(found) or inspect.ismodule(found):
            if id(found) in self._objects:
                return True
            return inspect.isclass(found) and self._at_hand(item.name)
        return self._at_hand(item.name)

    def _at_hand(self, word: str) -> bool:
        return any(word in words for words in self._words.values())


def _read(path: Path, package: str) -> _File:
    tree, file = ast.parse(path.read_text("utf-8"), str(path)), _File()
    known: dict[str, Any] = {}  # local names of things of the package
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            _import_from(node, package, known, file)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                file.helpers.add(alias.name)
                if alias.name.split(".")[0] == package and _touch(alias.name, file):
                    whole = alias.name if alias.asname else package
                    known[alias.asname or package] = importlib.import_module(whole)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            file.words.add(node.attr)
            file.attributes.add(node.attr)
            file.objects.add(id(_resolve(node, known)))
        elif isinstance(node, ast.Name):
            file.words.add(node.id)
            file.objects.add(id(known.get(node.id)))
        elif isinstance(node, ast.arg):
            file.words.add(node.arg)
        elif isinstance(node, ast.keyword) and node.arg:
            file.attributes.add(node.arg)
        elif isinstance(node, ast.FunctionDef):  # overridden
            file.attributes.add(node.name)
        elif isinstance(node, ast.Constant) and str(node.value).isidentifier():
            file.helpers.add(str(node.value))  # plugins, getattr, what is told by name
            file.attributes.add(str(node.value))
    file.objects.discard(id(None))
    return file


def _import_from(node: ast.ImportFrom, package: str, known: dict[str, Any], file: _File) -> None:
    source = node.module or ""
    if source.split(".")[0] != package:
        file.helpers.add(source.rpartition(".")[2])
        file.helpers.update(alias.name for alias in node.names)
        return
    if not _touch(source, file):
        return
    module = importlib.import_module(source)
    for alias in node.names:
        try:
            found = getattr(module, alias.name)
        except (AttributeError, ImportError):
            continue
        known[alias.asname or alias.name] = found
        file.words.add(alias.name)


def _touch(module: str, file: _File) -> bool:
    """Count a module and those that it lies in as referred to; False where there is no such module."""
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    while module:
        file.objects.add(id(importlib.import_module(module)))
        module = module.rpartition(".")[0]
    return True


def _resolve(node: ast.expr, known: dict[str, Any]) -> Any:
    """The object that a chain of attributes reaches, or None."""
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if not isinstance(node, ast.Attribute):
        return None
    owner = _resolve(node.value, known)
    if not (inspect.ismodule(owner) or inspect.isclass(owner)):
        return None
    try:
        return getattr(owner, node.attr, None)
    except ImportError:
        return None
