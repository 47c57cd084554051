"""What pyproject.toml cannot say: two extensions, one of them in Go."""

import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "tools"))

from tlg_build.engine import Builder, replace  # noqa: E402

ENGINE = "transformer_lens_go._gopy._engine"
NATIVE = "transformer_lens_go._glue"


class BuildExtensions(build_ext):
    """Builds the C extension as setuptools does and the Go extension with gopy."""

    def build_extensions(self) -> None:
        # Some Pythons carry the folder they were built in as a library path: it must not get into ours.
        linker = getattr(self.compiler, "linker_so", [])
        linker[:] = [flag for flag in linker if not flag.startswith(("-Wl,-rpath", "-L"))]
        super().build_extensions()

    def build_extension(self, ext: Extension) -> None:
        if ext.name != ENGINE:
            super().build_extension(ext)
            return
        try:
            Builder().build(Path(self.get_ext_fullpath(ext.name)).resolve())
        except subprocess.CalledProcessError as failure:
            # What went wrong stands above; where in this file it did helps nobody.
            raise CompileError(f"{Path(failure.cmd[0]).name} failed") from None

    def copy_extensions_to_source(self) -> None:
        # setuptools copies the two extensions only: the rest of the generated package goes with them.
        folder = Path("transformer_lens_go", "_gopy")
        package = ROOT / "python" / folder
        package.mkdir(exist_ok=True)
        for file in (Path(self.build_lib) / folder).iterdir():
            if not file.name.startswith("_engine."):
                replace(file, package / file.name)
        super().copy_extensions_to_source()


setup(
    cmdclass={"build_ext": BuildExtensions},
    ext_modules=[
        Extension(ENGINE, sources=[]),
        Extension(
            NATIVE,
            sources=sorted(str(p.relative_to(ROOT)) for p in (ROOT / "python/glue").glob("*.c")),
            depends=["python/glue/glue.h", "python/glue/dlpack.h", "golens/tensor/storage.h"],
            include_dirs=["golens/tensor"],
            extra_compile_args=[
                *("-std=c11", "-O2", "-g0", "-fvisibility=hidden"),
                *("-Wall", "-Wextra", "-Wno-missing-field-initializers"),
            ],
        ),
    ],
)
