"""transformer_lens_go beside transformer_lens in one run: interleaved rounds, medians, a Markdown table.

    python -m bench SmolLM2-135M-Instruct.Q4_1.gguf --out bench/RESULTS.md

Each library runs in processes of its own (worker.py) and only one of them works at a time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import models

ROOT = Path(__file__).parents[1]
SMOLLM2 = ROOT / ".cache" / "SmolLM2-135M-Instruct.Q4_1.gguf"
PEER = "transformer_lens"
OURS = "transformer_lens_go"


class Process:
    """A worker process with one library; of ours, that of another checkout where one is given."""

    def __init__(self, module: str, checkout: Path = ROOT) -> None:
        command = [sys.executable, "-W", "ignore", "-m", "bench.worker", module]
        path = os.pathsep.join(
            [str(ROOT), str(checkout / "python"), os.environ.get("PYTHONPATH", "")]
        )
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1"},
        )

    def ask(self, do: str, **question: Any) -> Any:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps({"do": do, **question}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(
                f"the worker ended while asked to {do} {question}: run it by hand to see why"
            )
        return json.loads(answer)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Processes that want the cores too, while a row is measured."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


@dataclass
class Line:
    """A line of the table: what, on which model, the samples of either library, and how to show them.

    `before` are samples of an earlier checkout of ours, if there is one.
    """

    what: str
    model: str
    unit: str
    peer: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)
    before: list[float] = field(default_factory=list)

    def markdown(self) -> str:
        peer, ours = statistics.median(self.peer), statistics.median(self.ours)
        ratio = f"{peer / ours:.2f}" if ours > 0 else "–"
        return f"| {self.model} | {self.what} | {_shown(peer)} | {_shown(ours)} | {self.unit} | {ratio} |"

    def against_before(self) -> str:
        """The line of the table that compares with the earlier checkout."""
        before, ours = statistics.median(self.before), statistics.median(self.ours)
        ratio = f"{before / ours:.2f}" if ours > 0 else "–"
        return f"| {self.model} | {self.what} | {_shown(before)} | {_shown(ours)} | {self.unit} | {ratio} |"


def _shown(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def check_same_logits(model: models.Model, logits: list[list[float]]) -> None:
    """Nothing is compared unless both computed the same thing."""
    peer, ours = logits
    scale = max(map(abs, peer))
    worst = max(abs(a - b) for a, b in zip(peer, ours, strict=True))
    if not worst <= 1e-4 * scale:
        raise SystemExit(f"{model.name}: logits differ by {worst:.3g}, the largest is {scale:.3g}")


# what a start shows: key, name in the table, unit
STARTUP = {
    "import": ("import (torch included)", "s"),
    "on torch": ("import, torch imported before", "s"),
    "load": ("load", "s"),
    "memory": ("memory above the import's, loaded and run once on 1×128", "MB"),
    "anonymous": ("of that, not mapped from the file", "MB"),
    "peak": ("the first, at its peak", "MB"),
}


def startup(
    model: models.Model, rounds: int, wanted: Callable[[str], bool], before: Path | None
) -> list[Line]:
    """Import, load and memory: a new process for every sample."""
    if not any(wanted(what) for what, _ in STARTUP.values()):
        return []
    lines = {key: Line(what, model.name, unit) for key, (what, unit) in STARTUP.items()}
    for _ in range(rounds):
        for side, module, checkout in (
            ("peer", PEER, ROOT),
            ("before", OURS, before),
            ("ours", OURS, ROOT),
        ):
            if checkout is not None:
                for key, value in _one_startup(module, model, checkout).items():
                    getattr(lines[key], side).append(value)
    lines["import"].model = lines["on torch"].model = "–"
    return [line for line in lines.values() if wanted(line.what)]


def _one_startup(module: str, model: models.Model, checkout: Path) -> dict[str, float]:
    with Process(module, checkout) as process:
        plain = process.ask("import", with_torch=False)
    with Process(module, checkout) as process:
        imported = process.ask("import", with_torch=True)
        load = process.ask("load", source=model.source)
        run = process.ask("row", name="forward 1×128", times=1)
    before, after = imported["memory"], run["memory"]
    return {
        "import": plain["library"],
        "on torch": imported["library"],
        "load": load["seconds"],
        "memory": after["now"] - before["now"],
        "anonymous": after["anonymous"] - before["anonymous"],
        "peak": after["peak"] - before["now"],
    }


def running(
    model: models.Model, rounds: int, wanted: Callable[[str], bool], before: Path | None
) -> list[Line]:
    """The rows on one model, the libraries loaded, taking turns."""
    from . import rows

    chosen = [row for row in rows.ROWS if wanted(row.name)]
    if not chosen:
        return []
    lines = [Line(row.name, model.name, "ms") for row in chosen]
    with ExitStack() as stack:
        sides = {
            "peer": stack.enter_context(Process(PEER)),
            "ours": stack.enter_context(Process(OURS)),
        }
        if before is not None:
            sides["before"] = stack.enter_context(Process(OURS, before))
        for process in sides.values():
            process.ask("import", with_torch=True)
            process.ask("load", source=model.source)
        for side in sides.values():
            check_same_logits(model, [at.ask("logits")["logits"] for at in (sides["peer"], side)])
        for row, line in zip(chosen, lines, strict=True):
            with busy(row.beside):
                for process in sides.values():
                    process.ask("row", name=line.what, times=2)
                for _ in range(rounds):
                    for side, process in sides.items():
                        seconds = process.ask("row", name=line.what, times=1)["seconds"]
                        getattr(line, side).extend(1e3 * value for value in seconds)
            print(line.markdown(), flush=True)
    return lines


# what mixed_lengths shows: key, name in the table, unit
LASTING = {
    "growth": ("memory that {runs} runs of mixed lengths add, behind the first quarter", "MB"),
    "pages": ("pages that each of them has from the system", "pages"),
}


def lasting(model: models.Model, runs: int, wanted: Callable[[str], bool]) -> list[Line]:
    """Memory and page faults over many runs of mixed lengths, half of them with everything cached."""
    lines = {
        key: Line(what.format(runs=f"{runs:,}"), model.name, unit)
        for key, (what, unit) in LASTING.items()
    }
    if not any(wanted(line.what) for line in lines.values()):
        return []
    for module in (PEER, OURS):
        with Process(module) as process:
            process.ask("import", with_torch=True)
            process.ask("load", source=model.source)
            for key, value in process.ask("mixed_lengths", runs=runs).items():
                (lines[key].peer if module == PEER else lines[key].ours).append(value)
    return [line for line in lines.values() if wanted(line.what)]


def hook_costs(cache: Path, rounds: int, repeats: int) -> list[Line]:
    """What a hook that does nothing adds to a forward, in microseconds."""
    model = models.tiny(cache)
    alone = Line("a hook that does nothing, alone at its point", "12 tiny layers", "µs")
    behind = Line("a hook that does nothing, behind another", "12 tiny layers", "µs")
    with Process(PEER) as peer, Process(OURS) as ours:
        for process in (peer, ours):
            process.ask("import", with_torch=True)
            process.ask("load", source=model.source)
        for _ in range(rounds):
            for process, side in ((peer, "peer"), (ours, "ours")):
                cost = process.ask("hook_cost", repeats=repeats)
                getattr(alone, side).append(cost["alone"])
                getattr(behind, side).append(cost["behind another"])
    return [alone, behind]


# what own_module_cost shows: key, name in the table
OWN = {
    "without hooks": "a HookPoint of one's own without hooks, one call",
    "with one": "a HookPoint of one's own with a hook that does nothing, one call",
    "run_with_cache": "run_with_cache of 100 HookPoints of one's own",
    "run_with_hooks": "run_with_hooks on 10 of 100 HookPoints of one's own",
}


def own_modules(rounds: int, repeats: int, wanted: Callable[[str], bool]) -> list[Line]:
    """What HookPoints in a user's own torch module cost, in microseconds."""
    lines = {key: Line(what, "own module", "µs") for key, what in OWN.items() if wanted(what)}
    if not lines:
        return []
    with Process(PEER) as peer, Process(OURS) as ours:
        for process in (peer, ours):
            process.ask("import", with_torch=True)
        for _ in range(rounds):
            for process, side in ((peer, "peer"), (ours, "ours")):
                cost = process.ask("own_module_cost", repeats=repeats)
                for key, line in lines.items():
                    getattr(line, side).append(cost[key])
    return list(lines.values())


def conditions(rounds: int) -> str:
    """The machine and the versions, in a sentence or two."""
    with Process(PEER) as process:
        process.ask("import", with_torch=True)
        versions = process.ask("versions")
    with Process(OURS) as process:
        process.ask("import", with_torch=True)
        versions |= process.ask("versions")
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        named = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = named[0].partition(":")[2].strip() if named else cpu
    listed = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    return (
        f"{os.cpu_count()} cores ({cpu}), Python {platform.python_version()}, {listed}. float32, medians of "
        f"{rounds} interleaved rounds, no_grad unless said. Ratio: peer / ours, above 1 is faster or smaller."
    )


def _table(of: str, peer: str, lines: list[Line]) -> str:
    if not lines:
        return ""
    head = [f"| {of} | what | {peer} | {OURS} | unit | ratio |", "|---|---|---:|---:|---|---:|"]
    return "\n".join([*head, *(line.markdown() for line in lines)])


def _before_table(lines: list[Line], before: Path | None) -> str:
    if before is None:
        return ""
    named = subprocess.run(
        ["git", "-C", str(before), "describe", "--always"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    head = [
        f"| model | what | {named or 'before'} | now | unit | ratio |",
        "|---|---|---:|---:|---|---:|",
    ]
    return "\n".join([*head, *(line.against_before() for line in lines if line.before)])


def main() -> None:
    from .tokens import tokenizing

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("smollm2", nargs="?", type=Path, default=SMOLLM2, help="the GGUF file")
    parser.add_argument("--quick", action="store_true", help="three rounds, one start")
    parser.add_argument("--rounds", type=int, help="rounds of each row (11)")
    parser.add_argument("--rows", default="", help="only rows whose name contains this")
    parser.add_argument(
        "--cache", type=Path, default=ROOT / ".cache" / "bench", help="for made models"
    )
    parser.add_argument(
        "--before", type=Path, help="an earlier checkout, built in place, to compare with as well"
    )
    parser.add_argument("--out", type=Path, help="write the table here too")
    options = parser.parse_args()
    rounds = options.rounds or (3 if options.quick else 11)
    starts = 1 if options.quick else min(rounds, 3)
    chosen = [models.gpt2_small(options.cache)]
    if options.smollm2.exists():
        file = options.smollm2.resolve()
        chosen[:0] = [models.smollm2(file), models.smollm2_folder(options.cache, file)]
    else:
        print(f"no {options.smollm2}: SmolLM2 is left out", file=sys.stderr)

    def wanted(name: str) -> bool:
        return options.rows in name

    lines: list[Line] = []
    for model in chosen:
        lines += running(model, rounds, wanted, options.before)
        lines += startup(model, starts, wanted, options.before)
    lines += lasting(chosen[-1], 200 if options.quick else 2000, wanted)
    if wanted("a hook that does nothing"):
        lines += hook_costs(options.cache, rounds, 50 if options.quick else 300)
    lines += own_modules(rounds, 50 if options.quick else 300, wanted)
    tokens = tokenizing(options.cache, rounds, wanted)
    # the import is measured with every model and shown once
    unique = {(line.model, line.what): line for line in lines}
    tables = [
        _table("model", PEER, list(unique.values())),
        _table("tokenizer", "tokenizers", tokens),
        _before_table(list(unique.values()), options.before),
    ]
    report = "\n\n".join(["# Side by side", conditions(rounds), *filter(None, tables)]) + "\n"
    print("\n" + report)
    if options.out:
        options.out.write_text(report, "utf-8")
