"""Builds the package with AddressSanitizer and UndefinedBehaviorSanitizer, and runs Go or Python tests on it.

``python -m tlg_build.sanitize go PACKAGE ...`` runs Go tests; ``python -m tlg_build.sanitize pytest ARGUMENT ...``
builds into ``build/sanitized`` and runs pytest there. A finding ends the process, and with it the test run. GCC only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig

from .engine import ROOT, Builder
from .toolchain import find_go

HOME = ROOT / "build" / "sanitized"
PACKAGE = HOME / "transformer_lens_go"
UNDEFINED = "-fsanitize=undefined -fno-sanitize-recover=undefined"
# Checks as calls: inlined they make the vectorised kernels take minutes to compile, and both kinds together as well.
ADDRESS = "-fsanitize=address --param asan-instrumentation-with-call-threshold=0 -fno-omit-frame-pointer -g1"
# Go brings handlers and stacks of its own, and keeps what it allocated to the end; a failed allocation is an error
# that the engine reports. What is freed is held back within what tests of growing memory allow.
ASAN = (
    "handle_segv=0:use_sigaltstack=0:detect_leaks=0:allocator_may_return_null=1:"
    "detect_stack_use_after_return=0:quarantine_size_mb=16"
)


def go_tests(arguments: list[str]) -> int:
    """Go tests of packages with C in them: undefined behaviour first, then addresses, Go's own use of C memory too."""
    script = [ROOT / "tools" / "go_test.sh", str(find_go())]
    for flags, option in ((UNDEFINED, []), (ADDRESS, ["-asan"])):
        options = f"-O2 -fno-math-errno -ffp-contract=off {flags}"
        env = dict(
            os.environ, CGO_CFLAGS=options, CGO_LDFLAGS=flags, GOFLAGS="-mod=readonly -trimpath"
        )
        if status := subprocess.call([*script, *option, *arguments], cwd=ROOT, env=env):
            return status
    return 0


def build() -> None:
    """The package with both extensions instrumented, beside nothing else, in build/sanitized."""
    source = ROOT / "python" / "transformer_lens_go"
    skip = shutil.ignore_patterns("*.so", "*.so.*", "_gopy", "__pycache__")
    shutil.copytree(source, PACKAGE, ignore=skip, dirs_exist_ok=True)
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    Builder(ADDRESS).build(PACKAGE / "_gopy" / f"_engine{suffix}")
    glue = sorted((ROOT / "python" / "glue").glob("*.c"))
    includes = (f"-I{sysconfig.get_path('include')}", f"-I{ROOT / 'golens' / 'tensor'}")
    command = ["cc", "-shared", "-fPIC", "-std=c11", "-O1", *includes, *glue]
    command += f"{ADDRESS} {UNDEFINED}".split()
    subprocess.run([*command, "-o", PACKAGE / f"_glue{suffix}"], check=True)


def library(name: str) -> str:
    """Where the compiler has one of its run-time libraries."""
    answer = subprocess.run(
        ["cc", f"-print-file-name={name}"], capture_output=True, text=True, check=True
    )
    return answer.stdout.strip()


def python_tests(arguments: list[str]) -> int:
    """pytest on the instrumented package; Python's own allocator is off, so that its objects are watched too."""
    build()
    env = dict(
        os.environ,
        LD_PRELOAD=f"{library('libasan.so')} {library('libstdc++.so')}",
        ASAN_OPTIONS=ASAN,
        PYTHONMALLOC="malloc",
        PYTHONPATH=str(HOME),
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    command += ["-o", f"pythonpath={HOME} tests/py", *arguments]
    return subprocess.call(command, cwd=ROOT, env=env)


if __name__ == "__main__":
    run = {"go": go_tests, "pytest": python_tests}[sys.argv[1]]
    raise SystemExit(run(sys.argv[2:]))
