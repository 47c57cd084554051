"""Every module of transformer_lens, as it is installed, is here or says that it is not built yet."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import transformer_lens


def modules(folder: Path, prefix: str = "") -> Iterator[str]:
    """The public modules under a folder, without importing them."""
    for found in pkgutil.iter_modules([str(folder)]):
        if not found.name.startswith("_") and found.name != "conftest":
            yield prefix + found.name
            if found.ispkg:
                yield from modules(folder / found.name, f"{prefix}{found.name}.")


def test_every_module_is_here_or_says_so() -> None:
    names = list(modules(Path(transformer_lens.__file__).parent))
    assert len(names) > 200
    bare = []
    for name in names:
        try:
            importlib.import_module(f"transformer_lens_go.{name}")
        except ModuleNotFoundError as error:
            if not re.search("is part of transformer_lens and not of this version", str(error)):
                bare.append(name)
    assert bare == []
