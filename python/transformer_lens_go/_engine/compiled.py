"""The two compiled modules, connected to each other: `go` (the engine) and `glue` (arrays and callbacks)."""

from __future__ import annotations

import functools
import os
from pathlib import Path

from .. import _glue as glue
from .._gopy import pybind as go

__all__ = ["glue", "go", "open_backend"]

glue.init(go.GlueAPI())
for (
    _name,
    _value,
) in os.environ.items():  # the Go runtime keeps the environment of the process's start
    if _name.startswith("TRANSFORMER_LENS_GO_"):
        go.SetEnv(_name, _value)


@functools.cache
def open_backend() -> str:
    """Have the engine open the oneDNN that the package carries; what large products now run on.

    Before the first model, not at import: it takes a while. `TRANSFORMER_LENS_GO_ONEDNN` names another library.
    """
    carried = Path(go.__file__).with_name("libdnnl.so.3")
    fallback = str(carried) if carried.exists() else ""
    return go.OpenBackend(os.environ.get("TRANSFORMER_LENS_GO_ONEDNN") or fallback)
