"""Python's imports go one way: `_engine` alone touches the extensions, `_engine/arrays.py` alone imports torch."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "python" / "transformer_lens_go"
# Made by the build, not by us.
GENERATED = PACKAGE / "_gopy"
SOURCES = sorted(p for p in PACKAGE.rglob("*.py") if GENERATED not in p.parents)


def executed(node: ast.AST) -> Iterator[ast.AST]:
    """Every node that can run: what stands under `if TYPE_CHECKING` does not."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield other
                yield from executed(other)
            continue
        yield child
        yield from executed(child)


def imported(source: str, path: Path) -> set[str]:
    """The absolute names of the modules that a file imports, anywhere in it."""
    package = ["transformer_lens_go", *path.relative_to(PACKAGE).parent.parts]
    names: set[str] = set()
    for node in executed(ast.parse(source, str(path))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names.add(base)
            names.update(f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            names.update(str(a.value) for a in node.args[:1] if isinstance(a, ast.Constant))
    return names


def inside(name: str, module: str) -> bool:
    return name == module or name.startswith(module + ".")


def offences(path: Path, source: str) -> list[str]:
    where = path.relative_to(PACKAGE).as_posix()
    found = []
    for name in sorted(imported(source, path)):
        extension = any(inside(name, f"transformer_lens_go.{m}") for m in ("_gopy", "_glue"))
        if extension and not where.startswith("_engine/"):
            found.append(f"{where} imports {name}: only _engine/ may")
        if inside(name, "torch") and where != "_engine/arrays.py":
            found.append(f"{where} imports {name}: only _engine/arrays.py may; use arrays.torch")
        if inside(name, "transformer_lens"):
            found.append(f"{where} imports {name}: the product needs no peer")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_imports_go_one_way(path: Path) -> None:
    assert offences(path, path.read_text()) == []


@pytest.mark.parametrize(
    ("where", "source", "count"),
    [
        ("bridge.py", "import torch", 1),
        ("bridge.py", "def f():\n    from torch import nn", 2),
        ("bridge.py", "import torchvision, transformer_lens_go", 0),
        ("bridge.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch", 0),
        ("bridge.py", "from . import _glue", 1),
        ("config/a.py", "from .._gopy import pybind", 2),
        ("config/a.py", "from transformer_lens_go._gopy.pybind import Run", 2),
        ("config/a.py", "import importlib\nimportlib.import_module('torch.nn')", 1),
        ("config/a.py", "from .._engine import arrays", 0),
        ("_engine/run.py", "from .. import _glue\nfrom .._gopy import pybind", 0),
        ("_engine/run.py", "import torch.nn", 1),
        ("_engine/arrays.py", "import torch", 0),
        ("_engine/arrays.py", "import transformer_lens", 1),
    ],
)
def test_the_rules_notice(where: str, source: str, count: int) -> None:
    assert len(offences(PACKAGE / where, source)) == count
