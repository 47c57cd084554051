"""What a chat template may cost. Templates come with models: one that loops for ever, or makes text without end,
must end in an error. Every step of a template is charged for, and what it makes by its size; Jinja's own sandbox
bounds only `range`.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable, Iterator, Sized
from contextvars import ContextVar
from typing import Any

STEPS = 1_000_000
"""Steps of a template: turns of loops, calls, filters, and one more for every `_TEXT` characters or `_ITEMS` items
that they read or make. Long conversations get more (`allow`)."""
OUTPUT = 1 << 26
"""Characters of the rendered text."""
NUMBER = 1_000_000
"""The largest whole number that a call or a filter may be given: lengths, widths, counts."""
_TEXT, _ITEMS, _BITS = 64, 8, 1 << 16
_READINGS = 100
_CALL, _FILTER = 16, 3  # they take as long as that many turns of a loop

_left: ContextVar[list[int] | None] = ContextVar("steps left", default=None)
# results that are as long as the product of what is given
_PRODUCTS = ("replace", "join")


def allow(given: Any) -> None:
    """Give the rendering that is going on more steps, by how much there is to render: it may read all of it
    `_READINGS` times over.
    """
    left = _left.get()
    if left is not None:
        before = left[0]
        left[0] = before + STEPS * _READINGS  # while it is weighed
        full = left[0]
        weigh(given, deep=True)
        left[0] = before + _READINGS * (full - left[0])


@contextlib.contextmanager
def budget() -> Iterator[None]:
    """The steps of one rendering."""
    token = _left.set([STEPS])
    try:
        yield
    finally:
        _left.reset(token)


class Exhausted(Exception):
    """A template did too much. `rules` turns it into Jinja's own kind of error."""


def charge(cost: int) -> None:
    """Take steps from the rendering that is going on."""
    left = _left.get()
    if left is not None:
        left[0] -= cost
        if left[0] < 0:
            raise Exhausted(f"it takes more than {STEPS:,} steps")


def check_output(length: int) -> None:
    if length > OUTPUT:
        raise Exhausted(f"it makes more than {OUTPUT:,} characters")


def weigh(value: Any, deep: bool = False) -> None:
    """Charge for the size of a value; `deep`: for all that its text would have."""
    if deep and isinstance(value, (list, tuple, dict)):
        waiting: list[Any] = [value]
        while waiting:  # a list that holds another many times over counts as often
            item = waiting.pop()
            charge(_size(item))
            if isinstance(item, dict):
                waiting += item.keys()
                waiting += item.values()
            elif isinstance(item, (list, tuple)):
                waiting += item
    else:
        charge(_size(value) - 1)


def _size(value: Any) -> int:
    if isinstance(value, (str, bytes)):
        return 1 + len(value) // _TEXT
    if isinstance(value, int):
        return 1 + value.bit_length() // _TEXT
    return 1 + len(value) // _ITEMS if isinstance(value, Sized) else 1


def _check_arguments(what: str, value: Any, arguments: list[Any]) -> None:
    """Refuse numbers and patterns that ask for too much, before anything is made of them."""
    for given in arguments:
        if isinstance(given, int) and abs(given) > NUMBER:
            raise Exhausted(f"{what} is given {given:.3g}; at most {NUMBER:,}")
        weigh(given)
    if what in _PRODUCTS:
        longest = max((len(given) for given in arguments if isinstance(given, str)), default=0)
        if isinstance(value, Sized):
            charge(len(value) * max(1, longest) // _TEXT)
    if what in ("format", "%") and isinstance(value, str):
        _check_format(value, arguments)


def _check_format(form: str, arguments: list[Any]) -> None:
    digits = re.search(r"\d{7,}", form)
    if digits or ("*" in form and any(isinstance(a, int) and a > NUMBER for a in arguments)):
        raise Exhausted(f"a format asks for a width above {NUMBER:,}")


def _counted(items: Iterator[Any]) -> Iterator[Any]:
    for item in items:
        charge(1)
        weigh(item)
        yield item


_DEEP = frozenset(
    {
        "tojson",
        "string",
        "pprint",
        "join",
        "format",
        "escape",
        "e",
        "urlencode",
        "xmlattr",
        "sum",
        "sort",
    }
)
_AT_ONCE = frozenset(
    {"length", "count", "first", "last", "default", "d"}
)  # whatever they are given
_PASSED = (
    "Context",
    "EvalContext",
    "Environment",
)  # what Jinja puts in front of a filter's arguments


def guarded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter or test that is charged for what it reads and makes."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        given = [a for a in args if type(a).__name__ not in _PASSED]
        charge(_FILTER)
        if name in _AT_ONCE:
            return function(*args, **kwargs)
        value = given[0] if given else None
        weigh(value, name in _DEEP)
        _check_arguments(name, value, [*given[1:], *kwargs.values()])
        made = function(*args, **kwargs)
        if isinstance(made, Iterator):
            return _counted(made)
        weigh(made)
        return made

    return call


def operate(operator: str, left: Any, right: Any) -> None:
    """Charge for an operation before it is done."""
    charge(1)
    sizes = [len(v) for v in (left, right) if isinstance(v, (str, bytes, list, tuple))]
    whole = [v for v in (left, right) if isinstance(v, int)]
    if operator == "*" and sizes and whole:
        charge(max(0, sizes[0] * whole[0]) // _ITEMS)
    elif operator == "%" and isinstance(left, str):
        values = list(right) if isinstance(right, (list, tuple)) else [right]
        _check_arguments("%", left, values)
    elif operator in ("*", "**") and len(whole) == 2:
        bits = left.bit_length() * (abs(right) if operator == "**" else 1)
        if bits + right.bit_length() > _BITS:
            raise Exhausted("it reckons with numbers of too many digits")
    else:
        charge(sum(sizes) // _ITEMS)


def rules(jinja2: Any) -> type:
    """The sandboxed environment in which every step is charged for."""
    nodes = jinja2.nodes

    class Bounded(jinja2.sandbox.ImmutableSandboxedEnvironment):
        intercepted_binops = frozenset({"+", "*", "%", "**"})

        def __init__(self, **options: Any) -> None:
            super().__init__(finalize=_finalize, **options)
            self.globals.pop("lipsum", None)  # text without end that no template of a model wants

        def guard(self) -> None:
            """Charge for all filters and tests that there are by now."""
            for table in (self.filters, self.tests):
                for name, function in list(table.items()):
                    table[name] = guarded(name, function)
            self.filters.update(_step=_step, _sized=_sized, _long=_long)

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            operate(operator, left, right)
            return super().call_binop(context, operator, left, right)

        def wrap_str_format(self, value: Any) -> Any:
            made = super().wrap_str_format(value)
            if made is not None:
                _check_format(value.__self__, [])
            return made

        def call(self, context: Any, obj: Any, *args: Any, **kwargs: Any) -> Any:
            charge(_CALL)
            owner = getattr(obj, "__self__", None)
            _check_arguments(getattr(obj, "__name__", ""), owner, [*args, *kwargs.values()])
            weigh(owner)
            made = super().call(context, obj, *args, **kwargs)
            weigh(made)
            return made

        def _parse(self, source: str, name: Any, filename: Any) -> Any:
            return _charged(nodes, super()._parse(source, name, filename))

    return Bounded


def _finalize(value: Any) -> Any:
    weigh(value, deep=True)
    return value


def _step(cost: int) -> bool:
    charge(cost)
    return True


def _sized(value: Any) -> Any:
    weigh(value, deep=isinstance(value, (list, tuple, dict)))
    return value


def _long(value: Any) -> Any:
    weigh(value)
    return value


def _charged(nodes: Any, tree: Any) -> Any:
    """The template with a charge in every turn of a loop and every macro, and for what is compared and joined."""

    def filtered(node: Any, name: str) -> Any:
        return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)

    def step(body: list[Any], line: int) -> Any:
        text = sum(len(data.data) for node in body for data in node.find_all(nodes.TemplateData))
        cost = nodes.Const(1 + text // _TEXT, lineno=line)
        return filtered(cost, "_step")

    for node in list(
        tree.find_all(
            (nodes.For, nodes.Macro, nodes.CallBlock, nodes.Compare, nodes.Concat, nodes.Getitem)
        )
    ):
        line = node.lineno
        if isinstance(node, nodes.Compare):
            node.expr = filtered(node.expr, "_sized")
            for operand in node.ops:
                operand.expr = filtered(operand.expr, "_sized")
        elif isinstance(node, nodes.Getitem):
            if isinstance(node.arg, nodes.Slice):
                node.node = filtered(node.node, "_long")
        elif isinstance(node, nodes.Concat):
            node.nodes = [filtered(part, "_sized") for part in node.nodes]
        else:
            if isinstance(node, nodes.For) and node.test is not None:
                node.test = nodes.And(step([], line), node.test, lineno=line)
            node.body.insert(0, nodes.ExprStmt(step(node.body, line), lineno=line))
    return tree.set_environment(tree.environment) if tree.environment else tree
