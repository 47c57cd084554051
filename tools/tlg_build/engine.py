"""Builds the extension ``transformer_lens_go._gopy._engine`` from the Go package pybind.

gopy writes Go, C and Python for it; ``go build -buildmode=c-shared`` makes the extension. It links neither libpython
nor oneDNN nor OpenMP: oneDNN is carried beside it and opened by its path at run time.
"""

from __future__ import annotations

import fcntl
import filecmp
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

from . import gopy, toolchain

ROOT = toolchain.ROOT
# inf and NaN are data, and equal questions must give equal bits: no flag here may let the compiler reorder sums.
CFLAGS = "-O3 -fno-math-errno -ffp-contract=off -fPIC -g0"
PYTHON_FILES = ("__init__.py", "pybind.py", "pybind.pyi")
ONEDNN = "libdnnl.so.3"


class Builder:
    """Builds for the running interpreter. Everything between goes to build/, which other builds find again.

    The generated Go must lie inside the module; the underscore hides it from ``./...``. `flags` are added where the
    extension's C is compiled and linked.
    """

    def __init__(self, flags: str = "") -> None:
        go = toolchain.find_go()
        if go is None:
            major, minor = toolchain.required_version()
            raise RuntimeError(
                f"Go {major}.{minor} or newer is needed to build transformer_lens_go and was not found. "
                f"Install it, or let pip do so: pip install '{toolchain.requirement()}'"
            )
        self.go = go
        self.flags = flags
        self.tools = ROOT / "build" / "tools"
        self.generated = ROOT / "build" / "_gopy" / str(sysconfig.get_config_var("SOABI"))
        self.include = sysconfig.get_path("include")

    def environment(self, flags: str = "") -> dict[str, str]:
        import pybindgen  # a build requirement, wherever pip put it

        path = [str(self.tools), str(Path(self.go).parent), os.environ.get("PATH", "")]
        # Stated in full: the caller's CGO_* and GOFLAGS must not change numbers.
        return toolchain.environment() | dict(
            CGO_ENABLED="1",
            GO111MODULE="on",
            GOWORK="off",
            GOFLAGS="-mod=readonly -trimpath -buildvcs=false",
            CGO_CFLAGS=f"{CFLAGS} {flags}",
            CGO_LDFLAGS=f"-O2 -Wl,--exclude-libs,ALL -Wl,-z,relro {flags}",
            PATH=os.pathsep.join(path),
            PYTHONPATH=str(Path(str(pybindgen.__file__)).parents[1]),
        )

    def run(self, *command: str | Path, cwd: Path = ROOT, flags: str = "") -> None:
        print("+", *command, flush=True)
        environment = self.environment(flags)
        subprocess.run([str(c) for c in command], cwd=cwd, env=environment, check=True)

    def fingerprint(self) -> str:
        """Of all that the generated code depends on: it changes only with these."""
        digest = hashlib.sha256(f"{sys.version} {self.include}".encode())
        inputs = [
            ROOT / "go.mod",
            *sorted((ROOT / "pybind").glob("*.go")),
            *sorted(Path(__file__).parent.glob("*.py")),
        ]
        for path in inputs:
            digest.update(path.read_bytes())
        return digest.hexdigest()

    def generate(self) -> None:
        stamp = self.generated / "stamp"
        fingerprint = self.fingerprint()
        if stamp.exists() and stamp.read_text() == fingerprint:
            return
        shutil.rmtree(self.generated, ignore_errors=True)
        self.generated.mkdir(parents=True)
        self.tools.mkdir(parents=True, exist_ok=True)
        out = self.generated
        self.run(
            self.go,
            "build",
            "-o",
            f"{self.tools}{os.sep}",
            "github.com/go-python/gopy",
            "golang.org/x/tools/cmd/goimports",
        )
        self.run(
            *(
                self.tools / "gopy",
                "gen",
                "-vm",
                sys.executable,
                "-name",
                "engine",
                "-no-make",
                "-dynamic-link=true",
            ),
            *("-package-prefix", "transformer_lens_go._gopy", "-output", out, "./pybind"),
        )
        source = gopy.engine_go((out / "engine.go").read_text(), self.include)
        (out / "engine.go").write_text(source)
        (out / "build.py").write_text(gopy.build_py((out / "build.py").read_text()))
        pybind = gopy.pybind_py((out / "pybind.py").read_text())
        (out / "pybind.py").write_text(gopy.without_frames(pybind))
        (out / "pybind.pyi").write_text(gopy.pybind_pyi(pybind, gopy.failing_functions(source)))
        (out / "__init__.py").write_text('"""Generated: the engine, as gopy exports it."""\n')
        (out / "go.py").unlink()
        self.run(self.tools / "goimports", "-w", "engine.go", cwd=out)
        self.run(
            self.go,
            "tool",
            "cgo",
            "-objdir",
            out / "_cgo",
            "-exportheader",
            "engine_go.h",
            "--",
            f"-I{self.include}",
            "engine.go",
            cwd=out,
        )
        shutil.rmtree(out / "_cgo")
        self.run(sys.executable, "build.py", cwd=out)
        stamp.write_text(fingerprint)

    def build(self, target: Path) -> None:
        """Writes the extension to target and the other files of its package beside it."""
        (ROOT / "build").mkdir(exist_ok=True)
        with (ROOT / "build" / "engine.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two builds of one tree would share what is between
            self._build(target)

    def _build(self, target: Path) -> None:
        self.generate()
        package = target.parent
        package.mkdir(parents=True, exist_ok=True)
        fresh = self.generated / "_engine.so"
        self.run(
            *(self.go, "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", fresh, "."),
            cwd=self.generated,
            flags=self.flags,
        )
        fresh.with_suffix(".h").unlink(missing_ok=True)
        replace(fresh, target)
        for name in PYTHON_FILES:
            replace(self.generated / name, package / name)
        replace(onednn_library(), package / ONEDNN)


def replace(source: Path, target: Path) -> None:
    """Copies unless that was done before, and so that a process which has the old file mapped keeps it."""
    if target.exists() and filecmp.cmp(source, target):
        return
    fresh = target.with_name(f".{target.name}.new")
    shutil.copy2(source, fresh)
    fresh.replace(target)


def onednn_library() -> Path:
    """libdnnl from the build requirement onednn-cpu-gomp, wherever pip put it."""
    for file in metadata.files("onednn-cpu-gomp") or []:
        if file.name == ONEDNN:
            return Path(str(file.locate())).resolve()
    raise RuntimeError(f"the build requirement onednn-cpu-gomp has no {ONEDNN}")
