"""What is changed in the code that gopy 0.4.10 generates, and why. Every change must find what it changes.

gopy makes three things of pybind/: engine.go (the exported Go functions), build.py (which makes pybindgen write
engine.c) and pybind.py (the Python functions). Only numbers, strings, bools and callbacks cross here, so what gopy
adds for slices (go.py and some hundred functions) is left out.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable

# Calls a Python callable with int64s. gopy's own way passes them as unsigned numbers, reads the result after the GIL
# is released, never releases it, and dereferences NULL when the callable raises.
CALLBACK = """
#define TLG_CALLBACK_ARGUMENTS 8
static int64_t tlg_callback(PyObject *callable, int n, const int64_t *values) {
	PyGILState_STATE gil = PyGILState_Ensure();
	PyObject *arguments[TLG_CALLBACK_ARGUMENTS] = {NULL};
	PyObject *result = NULL;
	int64_t status = 1;
	int made = 0;
	while (made < n && (arguments[made] = PyLong_FromLongLong(values[made])))
		made++;
	if (made == n)
		result = PyObject_Vectorcall(callable, arguments, (size_t)n, NULL);
	if (result)
		status = PyLong_AsLongLong(result);
	if (PyErr_Occurred()) {
		PyErr_WriteUnraisable(callable);
		status = 1;
	}
	Py_XDECREF(result);
	while (made > 0)
		Py_DECREF(arguments[--made]);
	PyGILState_Release(gil);
	return status;
}
"""

_CALLBACK_BODY = re.compile(
    r"if C\.PyCallable_Check\((?P<callable>\w+)\) == 0 \{[^}]*\}\s*"
    r"_gstate := C\.PyGILState_Ensure\(\)\s*"
    r"_fcargs := C\.PyTuple_New\((?P<count>\d+)\)\s*"
    r"(?P<items>(?:C\.PyTuple_SetItem\(.*\)\s*)+)"
    r"_fcret := .*\s*"
    r"C\.gopy_decref\(_fcargs\)\s*"
    r"C\.gopy_err_handle\(\)\s*"
    r"C\.PyGILState_Release\(_gstate\)\s*"
    r"return int64\(C\.PyLong_AsLongLong\(_fcret\)\)"
)
_CALLBACK_ITEM = re.compile(r"C\.gopy_build_int64\(C\.int64_t\((\w+)\)\)\)\n")


class GeneratedCodeChanged(RuntimeError):
    """gopy's output is not what these changes were written for."""


def _replaced(pattern: str, new: str, text: str, what: str) -> str:
    return _replaced_by(pattern, lambda _: new, text, what)


def _replaced_by(pattern: str, new: Callable[[re.Match[str]], str], text: str, what: str) -> str:
    text, count = re.subn(pattern, new, text, flags=re.M | re.S)
    if count == 0:
        raise GeneratedCodeChanged(
            f"gopy's output has no {what}; tools/tlg_build/gopy.py knows gopy 0.4.10"
        )
    return text


def _callback(match: re.Match[str]) -> str:
    values = _CALLBACK_ITEM.findall(match["items"])
    if len(values) != int(match["count"]) or len(values) > 8:
        raise GeneratedCodeChanged("a callback of pybind takes something else than up to 8 int64s")
    array = ", ".join(f"C.int64_t({v})" for v in values)
    return (
        f"\n_values := [...]C.int64_t{{{array}}}\n"
        f"return int64(C.tlg_callback({match['callable']}, {len(values)}, &_values[0]))\n"
    )


def engine_go(text: str, python_include: str) -> str:
    """engine.go, to be compiled against that Python, without linking it."""
    text = _replaced(r"^#cgo LDFLAGS:[^\n]*\n", "", text, "#cgo LDFLAGS")
    flags = f'#cgo CFLAGS: "-I{python_include}" -Wno-implicit-function-declaration -Wno-int-conversion\n'
    text = _replaced(r"^#cgo CFLAGS:[^\n]*\n", flags, text, "#cgo CFLAGS")
    text = _replaced(r"\*/\nimport \"C\"\n", f'{CALLBACK}\n*/\nimport "C"\n', text, "cgo preamble")
    text = _replaced(
        r"^// ---- Package: go ---\n.*?(?=^// ---- Package: )", "", text, "slice types"
    )
    text = _CALLBACK_BODY.sub(_callback, text)
    if "PyTuple_New" in text:
        raise GeneratedCodeChanged("a callback in gopy's output is not of the known form")
    return text


def build_py(text: str) -> str:
    """build.py, without the slices; a function that returns only an error no longer leaks its empty string."""
    text = _replaced(r"^mod\.add_function\('Slice_[^\n]*\n", "", text, "slice functions")
    return re.sub(
        r"^add_checked_function\((mod, '\w+', retval\('char\*'\))",
        r"add_checked_string_function(\1",
        text,
        flags=re.M,
    )


def pybind_py(text: str) -> str:
    """pybind.py, which changes no directory and imports nothing but the extension."""
    text = _replaced(
        r"^# the following is required.*?^os\.chdir\(cwd\)\n",
        "from . import _engine\n",
        text,
        "import header",
    )
    text = re.sub(
        r"^# gopy gen .*\n", "", text, flags=re.M
    )  # has paths of the machine it was built on
    if re.search(r"\bgo\.\w", text):
        raise GeneratedCodeChanged(
            "pybind exports something else than numbers, strings, bools and callbacks"
        )
    return text


def without_frames(pybind: str) -> str:
    """pybind.py, whose functions are the extension's own: no frame of Python's lies between a call and the engine, in
    which a signal could strike when the engine has made something and nobody holds it yet.
    """
    return _replaced_by(
        r'^def (\w+)\([^)]*\):\n(\t""".*?""")\n\treturn _engine\.pybind_\1\([^)]*\)$',
        lambda m: f"{m[1]} = _engine.pybind_{m[1]}\n{textwrap.dedent(m[2])}",
        pybind,
        "function that only passes its arguments on",
    )


_FUNCTION = re.compile(
    r'^def (?P<name>\w+)\((?P<names>[^)]*)\):\n\t"""(?P=name)\((?P<arguments>.*)\) ?(?P<results>.*)$',
    flags=re.M,
)
_TYPES = {
    "long": "int",
    "int": "int",
    "str": "str",
    "bool": "bool",
    "float": "float",
    "callable": "Callable[[int, int, int], int]",
}


def _result(results: str, fails: bool) -> str:
    """The result's type; where only an error can come back, gopy returns an empty text, which nobody needs."""
    types = [_TYPES[r.split()[0]] for r in results.split(", ") if r]
    if fails:
        types.pop()  # the error, which is raised
    return types[0] if types else "None"


def pybind_pyi(pybind: str, failing: set[str]) -> str:
    """Type stubs for pybind.py; failing names the functions whose last result is an error."""
    functions = []
    for match in _FUNCTION.finditer(pybind):
        arguments = [a.split() for a in match["arguments"].split(", ") if a]
        typed = ", ".join(f"{name}: {_TYPES[kind]}" for kind, name in arguments)
        result = _result(match["results"], match["name"] in failing)
        functions.append(f"def {match['name']}({typed}) -> {result}: ...\n")
    if not functions:
        raise GeneratedCodeChanged("no function found in gopy's pybind.py")
    head = '"""Generated with pybind.py: the engine\'s functions."""\n\nfrom collections.abc import Callable\n\n'
    return head + "".join(sorted(functions))


def failing_functions(engine: str) -> set[str]:
    """The functions of engine.go whose last result is an error."""
    parts = re.split(r"^//export pybind_(\w+)\n", engine, flags=re.M)
    return {name for name, body in zip(parts[1::2], parts[2::2], strict=True) if "__err" in body}
