"""Prints what building needs, for an environment that builds without isolation."""

import tomllib

from . import toolchain

if __name__ == "__main__":
    project = tomllib.loads((toolchain.ROOT / "pyproject.toml").read_text())
    needed = project["build-system"]["requires"]
    print("\n".join([*needed, *toolchain.requirements()]))
