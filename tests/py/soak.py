"""A soak: mixed work in four threads with signals at random, for MINUTES: `python tests/py/soak.py MINUTES`.

Every piece of work is a function of a seed that gives bits. They are computed once in one thread; then four threads,
of which the main one is struck by signals, do pieces at random, and each must give the same bits. Between phases all
threads stop, and what the engine holds and how much memory the process has are compared with the phase before.
"""

from __future__ import annotations

import contextlib
import copy
import gc
import hashlib
import os
import random
import resource
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tiny_models import Arrays, write_gpt2, write_llama
from transformer_lens_go import Tokenizer, TransformerBridge, TransformerLensKeyValueCache
from transformer_lens_go._engine.model import counts

THREADS = 4
SEEDS = 60  # pieces of each kind of work
PHASE = 20.0  # seconds between two looks at what is alive
DATA = Path(__file__).parent / "data"
GGUF = Path(__file__).parents[2] / "golens/checkpoint/testdata/llama.gguf"
xp = Arrays()


def digest(*values: Any) -> str:
    """Of the bits of arrays, in order."""
    state = hashlib.sha256()
    for value in values:
        if isinstance(value, (list, tuple)):
            state.update(digest(*value).encode())
        elif isinstance(value, (str, int, float)):
            state.update(str(value).encode())
        else:
            state.update(np.ascontiguousarray(xp.numpy(value)).tobytes())
    return state.hexdigest()


class Expected(Exception):
    """What a hook raises here on purpose."""


class Work:
    """The kinds of work, on models that all threads share and on models of a piece's own."""

    def __init__(self, folder: Path) -> None:
        self.folders = [write_gpt2(folder / "gpt2"), write_llama(folder / "llama")]
        self.shared = [TransformerBridge.boot_transformers(path) for path in self.folders]
        if xp.torch is not None:
            for model in self.shared:
                model.requires_grad_(False)
        self.tokenizers = [
            Tokenizer.from_file(str(DATA / name / "tokenizer.json")) for name in ("gpt2", "llama")
        ]
        self.kinds: dict[str, Callable[[random.Random], str]] = {
            name.removeprefix("do_"): getattr(self, name)
            for name in dir(self)
            if name.startswith("do_")
        }

    def ids(self, draw: random.Random) -> Any:
        return xp.ids(draw.randrange(99), batch=draw.randrange(1, 4), pos=draw.randrange(2, 20))

    def own(self, draw: random.Random) -> Any:
        return TransformerBridge.boot_transformers(draw.choice(self.folders))

    def do_run(self, draw: random.Random) -> str:
        model = draw.choice(self.shared)
        kind = draw.choice(["logits", "loss", "both"])
        answer = model(self.ids(draw), return_type=kind)
        return digest(*answer) if kind == "both" else digest(answer)

    def do_cache(self, draw: random.Random) -> str:
        model = draw.choice(self.shared)
        pick = draw.choice([None, "blocks.1.hook_resid_post", lambda name: name.endswith("hook_z")])
        _, cache = model.run_with_cache(self.ids(draw), names_filter=pick)
        return digest(*(cache[name] for name in sorted(cache.keys())))

    def do_hooks(self, draw: random.Random) -> str:
        """Edits in place and returned, and hooks that raise, on a model of this piece's own."""
        model, ids = self.own(draw), self.ids(draw)

        def in_place(value: Any, hook: Any) -> None:
            value[..., 0] = 0.5

        def returned(value: Any, hook: Any) -> Any:
            return value * 0.5

        def raises(value: Any, hook: Any) -> None:
            raise Expected(hook.name)

        names = [
            "hook_embed",
            "blocks.0.attn.hook_z",
            "blocks.1.hook_resid_pre",
            "blocks.2.hook_mlp_out",
        ]
        hooks = [(draw.choice(names), draw.choice([in_place, returned])) for _ in range(3)]
        edited = model.run_with_hooks(ids, fwd_hooks=hooks)
        with contextlib.suppress(Expected):
            model.run_with_hooks(ids, fwd_hooks=[(draw.choice(names), raises)])
        return digest(edited, model(ids))

    def do_generate(self, draw: random.Random) -> str:
        model = draw.choice(self.shared)
        ids = xp.ids(draw.randrange(99), batch=draw.randrange(1, 3), pos=5)
        return digest(
            model.generate(
                ids,
                max_new_tokens=6,
                do_sample=False,
                stop_at_eos=False,
                verbose=False,
                return_type="tokens",
            )
        )

    def do_past(self, draw: random.Random) -> str:
        """Runs behind a KV cache that is frozen, replaced and copied on the way."""
        model = draw.choice(self.shared)
        ids = xp.ids(draw.randrange(99), batch=2, pos=12)
        cache = TransformerLensKeyValueCache.init_cache(model.cfg, "cpu", 2)
        first = model(ids[:, :5], past_kv_cache=cache)
        cache.freeze()
        tried = model(ids[:, 5:8], past_kv_cache=cache)
        cache.unfreeze()
        for entry in cache.entries:
            entry.past_keys = xp.copy(entry.past_keys)
        second = copy.deepcopy(cache)
        rest = model(ids[:, 5:], past_kv_cache=cache)
        again = model(ids[:, 5:], past_kv_cache=second)
        return digest(first, tried, rest, again, cache[1].past_values)

    def do_load(self, draw: random.Random) -> str:
        model = TransformerBridge.boot_transformers(draw.choice([*self.folders, GGUF]))
        weight = model.W_U if draw.random() < 0.5 else model.blocks[0].attn.W_Q
        del model
        return digest(weight)

    def do_convert(self, draw: random.Random) -> str:
        model, ids = self.own(draw), self.ids(draw)
        model.to("float64" if xp.torch is None else xp.torch.float64)
        wide = model(ids)
        model.to("float32" if xp.torch is None else xp.torch.float32)
        return digest(wide, model(ids))

    def do_write(self, draw: random.Random) -> str:
        """A weight that is written to counts from the next run on."""
        model, ids = self.own(draw), self.ids(draw)
        before = model(ids)
        weight = model.blocks[1].mlp.W_out
        with xp.no_grad():
            weight[0] = 0.25
        return digest(before, model(ids), weight)

    def do_text(self, draw: random.Random) -> str:
        text = "".join(draw.choices("abc é中\n 12🙂", k=draw.randrange(1, 400)))
        encoding = draw.choice(self.tokenizers).encode(text)
        return digest(encoding.ids, encoding.tokens, str(encoding.offsets))


class Soak:
    """Four threads, phase by phase; the main one is struck by signals."""

    def __init__(self, work: Work, minutes: float) -> None:
        self.work, self.minutes = work, minutes
        self.done: Counter[str] = Counter()
        self.struck = 0
        self.exposed = False  # whether a signal raises: not between pieces of work
        self.faults: list[str] = []
        self.tasks = [(kind, seed) for kind in work.kinds for seed in range(SEEDS)]
        self.right: dict[tuple[str, int], str] = {}
        self.lock = threading.Lock()

    def one(self, task: tuple[str, int]) -> str:
        with xp.no_grad():
            return self.work.kinds[task[0]](random.Random(f"{task}"))

    def prepare(self) -> None:
        """What is right: each piece alone in one thread, twice."""
        for task in self.tasks:
            self.right[task] = self.one(task)
            if self.one(task) != self.right[task]:
                raise SystemExit(f"{task} gives other bits the second time")

    def until(self, end: float, seed: str) -> None:
        draw = random.Random(seed)
        while time.monotonic() < end and not self.faults:
            task = draw.choice(self.tasks)
            got = self.one(task)
            self.done[task[0]] += 1
            if got != self.right[task]:
                self.faults.append(f"{task} gave other bits")

    def beside(self, end: float, seed: str) -> None:
        try:
            self.until(end, seed)
        except BaseException:  # a thread's end would be seen by nobody
            self.faults.append(traceback.format_exc())

    def strike(self, *_: object) -> None:
        """The handler of the signal."""
        if self.exposed:
            self.exposed = False
            raise KeyboardInterrupt

    def shoot(self, end: float, seed: str) -> None:
        """Strikes the main thread while it works."""
        draw = random.Random(seed)
        while time.monotonic() < end - 1 and not self.faults:
            time.sleep(draw.expovariate(20.0))
            os.kill(os.getpid(), signal.SIGINT)

    def phase(self, number: int) -> None:
        end = time.monotonic() + PHASE
        threads = [
            threading.Thread(target=self.beside, args=(end, f"{number} {i}"))
            for i in range(THREADS - 1)
        ]
        threads.append(threading.Thread(target=self.shoot, args=(end, f"shots {number}")))
        for thread in threads:
            thread.start()
        round_number = 0
        while time.monotonic() < end and not self.faults:
            round_number += 1
            try:
                self.exposed = True
                self.until(end, f"main {number} {round_number}")
                self.exposed = False
            except KeyboardInterrupt:
                self.struck += 1
        for thread in threads:
            thread.join(60)
            if thread.is_alive():
                self.faults.append("deadlock: a thread did not end within a minute")

    def look(self) -> dict[str, int]:
        """What is alive when nothing runs."""
        for _ in range(3):
            gc.collect()
        held = counts()
        pool = held.pop("PoolBytes")
        with open("/proc/self/statm") as file:
            held["resident"] = int(file.read().split()[1]) * resource.getpagesize()
        held["pool"] = pool
        return held

    def run(self) -> int:
        signal.signal(signal.SIGINT, self.strike)
        start = time.monotonic()
        self.prepare()
        print(
            f"{len(self.tasks)} pieces of work, each twice alone: {time.monotonic() - start:.0f} s",
            flush=True,
        )
        start, number, first = time.monotonic(), 0, None
        while time.monotonic() < start + 60 * self.minutes and not self.faults:
            number += 1
            self.phase(number)
            held = self.look()
            first = first or held
            for key in first:
                if key not in ("resident", "pool") and held[key] != first[key]:
                    self.faults.append(
                        f"{key}: {first[key]} after the first phase, {held[key]} now"
                    )
            print(
                f"phase {number}: {sum(self.done.values())} done, {self.struck} interrupted, "
                f"{held['Storages']} storages, {held['Handles']} handles, "
                f"resident {held['resident'] >> 20} MB, pool {held['pool'] >> 20} MB",
                flush=True,
            )
        for fault in self.faults:
            print("FAULT:", fault)
        print(
            f"{(time.monotonic() - start) / 60:.1f} minutes, {THREADS} threads, {self.struck} interrupts;",
            end=" ",
        )
        print(", ".join(f"{kind} {n}" for kind, n in sorted(self.done.items())))
        return 1 if self.faults else 0


def main() -> int:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 30
    with tempfile.TemporaryDirectory() as folder:
        return Soak(Work(Path(folder)), minutes).run()


if __name__ == "__main__":
    raise SystemExit(main())
