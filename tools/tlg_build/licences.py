"""Collects the licences of everything that is compiled into the wheel or carried in it.

``python -m tlg_build.licences`` brings licences/ up to date; ``missing`` is what the tests ask of a built extension.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

from . import toolchain

FOLDER = toolchain.ROOT / "licences"
TEXTS = re.compile(r"^(LICEN[CS]E|COPYING|NOTICE|PATENTS|THIRD-PARTY)", flags=re.I)
# The code that gopy generates imports this beside pybind.
PACKAGES = ("./pybind", "github.com/go-python/gopy/gopyh")


def _go(*arguments: str) -> str:
    go = toolchain.find_go()
    if go is None:
        raise SystemExit("no Go toolchain found")
    answer = subprocess.run(
        [go, *arguments],
        cwd=toolchain.ROOT,
        env=toolchain.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return answer.stdout


def linked_modules() -> dict[str, Path]:
    """The Go modules whose code ends up in the extension, and where their sources are."""
    paths = _go(
        "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}}", *PACKAGES
    )
    wanted = sorted(set(paths.split()))
    found = {}
    decoder, text = json.JSONDecoder(), _go("mod", "download", "-json", *wanted).strip()
    while text:
        module, end = decoder.raw_decode(text)
        found[module["Path"]] = Path(module["Dir"])
        text = text[end:].lstrip()
    return found


def missing(extension: Path) -> list[str]:
    """The modules of a built extension that have no text in licences/."""
    modules = re.findall(r"^\tdep\t(\S+)", _go("version", "-m", str(extension)), flags=re.M)
    if not modules:
        raise ValueError(f"{extension} does not say which modules it was built of")
    return [m for m in modules if not any((FOLDER / m).glob("*"))]


def _collect(source: Path, name: str) -> None:
    texts = [p for p in sorted(source.iterdir()) if p.is_file() and TEXTS.match(p.name)]
    target = FOLDER / name
    if not texts:
        # Some modules have none in their own folder: then somebody put it here by hand.
        if not any(target.glob("*")):
            raise SystemExit(f"{name}: no licence in {source}; add its text to {target} by hand")
        return
    target.mkdir(parents=True, exist_ok=True)
    for text in texts:
        shutil.copyfile(text, target / text.name)
        (target / text.name).chmod(0o644)


def _onednn() -> Path:
    for file in metadata.files("onednn-cpu-gomp") or []:
        if file.name == "THIRD-PARTY-PROGRAMS":
            return Path(str(file.locate())).resolve().parent
    raise SystemExit("the build requirement onednn-cpu-gomp is not installed")


def main() -> None:
    """Bring licences/ up to date with what is linked and carried now."""
    sources = linked_modules()
    sources["go"] = Path(_go("env", "GOROOT").strip())
    sources["oneDNN"] = _onednn()
    for text in sorted(FOLDER.rglob("*")):
        if text.is_file() and str(text.parent.relative_to(FOLDER)) not in sources:
            text.unlink()
    for name, source in sources.items():
        _collect(source, name)


if __name__ == "__main__":
    main()
