"""The API beside transformer_lens 4.3.0's: docs/api_parity.md is up to date, and every gap in it has a reason."""

from __future__ import annotations

import re
import sys
import textwrap
import types
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from api_parity.called import UsedByTests  # noqa: E402
from api_parity.report import Parity, render  # noqa: E402
from api_parity.surface import Item, compare, same_default  # noqa: E402


@pytest.fixture(scope="module")
def parity() -> Parity:
    return Parity()


def test_the_report_is_up_to_date(parity: Parity) -> None:
    written = (ROOT / "docs" / "api_parity.md").read_text("utf-8")
    assert render(parity) == written, "run `make api-parity`, and commit docs/api_parity.md"


def test_every_gap_has_a_reason_and_every_reason_a_gap(parity: Parity) -> None:
    assert [gap.item.path for gap in parity.gaps if not gap.reason] == []
    assert parity.unused_reasons == [], (
        "these gaps are closed: take their reasons out of reasons.toml"
    )


def test_what_is_to_be_whole_is(parity: Parity) -> None:
    whole = [gap for gap in parity.gaps if gap.item.module in parity.whole]
    assert [(gap.item.path, gap.kind, gap.item.problem) for gap in whole] == []
    assert set(parity.whole) <= set(parity.modules)
    assert {"HookedRootModule", "hook_points"} <= set(parity.whole)


# the comparison notices


def signature(*parameters: list[str]) -> dict[str, Any]:
    return {"k": "func", "sig": [list(p) for p in parameters]}


def problem(told: dict[str, Any], source: str) -> str:
    """What is said of a function or class `it` that `source` defines, beside what was dumped."""
    module = types.ModuleType("pretended")
    exec(textwrap.dedent(source), module.__dict__)
    sys.modules["pretended"] = module
    try:
        items = list(compare({"modules": {".": {"it": told}}}, "pretended"))
    finally:
        del sys.modules["pretended"]
    return "; ".join(
        (item.name + ": missing") if not item.exists else item.problem
        for item in items
        if not item.exists or item.problem
    )


@pytest.mark.parametrize(
    ("source", "want"),
    [
        ("def it(a, b=1): ...", ""),
        ("def it(a, b=1, c=2): ...", ""),
        ("def it(a, **kwargs): ...", ""),
        ("def it(*args, **kwargs): ...", ""),
        ("def it(a): ...", "no b"),
        ("def it(a, b=2): ...", "b=2, expected 1"),
        ("def it(a, b): ...", "b has no default, expected 1"),
        ("def it(b=1, a=None): ...", "order b, a, expected a, b"),
        ("def it(a, *, b=1): ...", "b is keyword-only"),
        ("def it(a, b=1, *, c): ...", "needs c"),
        ("it = 3", "not callable"),
        ("other = 3", "it: missing"),
    ],
)
def test_signatures(source: str, want: str) -> None:
    assert problem(signature(["a", "a"], ["b", "a", "1"]), source) == want


@pytest.mark.parametrize(
    ("source", "want"),
    [
        ("class it:\n    x = 1\n    def m(self, a): ...", ""),
        ("class it:\n    x = 1", "it.m: missing"),
        ("class it:\n    def m(self, a): ...", "it.x: missing"),
        ("class it:\n    x = 1\n    def m(self): ...", "no a"),
        (
            "class it:\n    x = 1\n    m = property(lambda self: 1)",
            "is a property, expected a method",
        ),
        (
            "class it:\n    x = 1\n    def m(self, a):\n        'Not in this version yet: m.'",
            "it.m: missing",
        ),
        ("def it(): ...", "it.m: missing"),
    ],
)
def test_classes(source: str, want: str) -> None:
    told = {
        "k": "class",
        "fields": [["x", "int"]],
        "methods": {"m": {"m": "meth", "sig": [["self", "a"], ["a", "a"]]}},
    }
    assert problem(told, source) == want


def test_defaults() -> None:
    alike = [
        ("1e-05", "0.00001"),
        ("[]", "()"),
        ("torch.float32", "dtype('float32')"),
        ("<class X>", "3"),
    ]
    assert all(same_default(a, b, "package") for a, b in alike)
    other = [("1", "2"), ("None", "1"), ("torch.float32", "torch.float16"), ("'a'", "'b'")]
    assert not any(same_default(a, b, "package") for a, b in other)


def test_what_counts_as_used(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("from transformer_lens_go import HookPoint\n")
    (tmp_path / "test_a.py").write_text(
        "import helper\nimport transformer_lens_go as tl\n"
        "def test():\n    helper.made().remove_hooks()\n    tl.utilities.get_act_name('q', 1)\n"
    )
    (tmp_path / "test_b.py").write_text("def test(x):\n    x.enable_reshape()\n")
    tests = UsedByTests(tmp_path, "transformer_lens_go")
    import transformer_lens_go as tl

    def used(name: str, found: Any) -> bool:
        return tests.use(Item("module", name, True, "", found))

    assert used("HookPoint", tl.HookPoint)
    assert used("HookPoint.remove_hooks", tl.HookPoint)
    assert used("HookPoint.__init__", tl.HookPoint)
    assert not used(
        "HookPoint.enable_reshape", tl.HookPoint
    )  # of whatever, where no HookPoint is at hand
    assert not used("HookPoint.layer", tl.HookPoint)
    assert used("get_act_name", tl.utilities.get_act_name)
    assert not used("get_corner", tl.utilities.get_corner)
    assert not used("ActivationCache.layer", tl.ActivationCache)


def test_the_report_names_no_place_of_this_machine() -> None:
    assert not re.search(
        r"/(work|home|tmp|root)/", (ROOT / "docs" / "api_parity.md").read_text("utf-8")
    )
