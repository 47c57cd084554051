"""One library in a process of its own, told over a pipe what to load and run: never two libraries in one process.

Started by run.py as `python -m bench.worker MODULE`; reads a JSON object a line from standard input and answers
with one on the descriptor that was standard output.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, TextIO

os.environ.setdefault("HF_HUB_OFFLINE", "1")
REFERENCE = "transformer_lens"


def memory() -> dict[str, float]:
    """Resident megabytes of this process: now, without what is mapped from files, and at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    fields = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    keys = {"now": "VmRSS", "anonymous": "RssAnon", "peak": "VmHWM"}
    return {name: int(fields[key][0]) / 1024 for name, key in keys.items()}


class Worker:
    """The library, its model, and the answers to run.py's questions."""

    def __init__(self, module: str) -> None:
        self.module = module
        self.model: Any = None
        self.tokenizer: Any = None
        self.ids: list[int] = []

    def do_import(self, with_torch: bool) -> dict[str, Any]:
        """Seconds to import torch, if asked to do so first, and then the library."""
        start = time.perf_counter()
        if with_torch:
            importlib.import_module("torch")
        torch_done = time.perf_counter()
        importlib.import_module(self.module)
        importlib.import_module(f"{self.module}.model_bridge").TransformerBridge  # noqa: B018 (lazy)
        done = time.perf_counter()
        return {"torch": torch_done - start, "library": done - torch_done, "memory": memory()}

    def do_load(self, source: str) -> dict[str, Any]:
        """Seconds to a model that is ready to run, and the memory it took."""
        start = time.perf_counter()
        self.model = self._boot(source)
        seconds = time.perf_counter() - start
        gc.collect()
        return {"seconds": seconds, "memory": memory()}

    def _boot(self, source: str) -> Any:
        boot = importlib.import_module(
            f"{self.module}.model_bridge"
        ).TransformerBridge.boot_transformers
        if self.module != REFERENCE or not source.endswith(".gguf"):
            return boot(source, device="cpu")
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        file = Path(source)
        where = dict(pretrained_model_name_or_path=str(file.parent), gguf_file=file.name)
        model = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32).eval()
        with tempfile.TemporaryDirectory() as folder:
            AutoTokenizer.from_pretrained(**where).save_pretrained(folder)
            tokenizer = AutoTokenizer.from_pretrained(folder)
            return boot(file.stem, hf_model=model, tokenizer=tokenizer, device="cpu")

    def do_row(self, name: str, times: int) -> dict[str, Any]:
        """Seconds of each of some runs of a row, and the memory after them."""
        import torch

        from . import rows

        row = next(row for row in rows.ROWS if row.name == name)
        seconds = []
        with torch.set_grad_enabled(row.grad):
            for _ in range(times):
                start = time.perf_counter()
                result = row.run(self.model)
                seconds.append(time.perf_counter() - start)
                del result
        return {"seconds": seconds, "memory": memory()}

    def do_hook_cost(self, repeats: int) -> dict[str, Any]:
        import torch

        from . import rows

        # so little arithmetic that threads waiting for each other would be most of what is measured
        torch.set_num_threads(1)
        with torch.no_grad():
            return rows.hook_cost(self.model, repeats, time.perf_counter)

    def do_own_module_cost(self, repeats: int) -> dict[str, Any]:
        import torch

        from . import rows

        torch.set_num_threads(1)
        with torch.no_grad():
            return rows.own_module_cost(self.module, repeats, time.perf_counter)

    def do_mixed_lengths(self, runs: int) -> dict[str, Any]:
        """What the last three quarters of many runs took of the system."""
        import torch

        from . import lasting

        with torch.no_grad():
            return lasting.mixed_lengths(self.model, runs)

    def do_logits(self) -> dict[str, Any]:
        """A few logits, by which run.py sees that all libraries computed the same."""
        import torch

        from . import rows

        with torch.no_grad():
            return {"logits": self.model(rows.ids(1, 16))[0, -1, :64].tolist()}

    def do_open_tokenizer(self, file: str) -> dict[str, Any]:
        """Opens a tokenizer.json without truncation and padding; some ids, by which run.py sees that all agree."""
        from . import token_rows

        self.tokenizer = importlib.import_module(self.module).Tokenizer.from_file(file)
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        encoded = self.tokenizer.encode(token_rows.LONG)
        self.ids = encoded.ids
        return {
            "ids": self.ids,
            "offsets": encoded.offsets,
            "text": self.tokenizer.decode(self.ids),
        }

    def do_token_row(self, name: str) -> dict[str, Any]:
        """Microseconds a token, or milliseconds of the whole: the median of runs for 0.2 seconds."""
        from . import token_rows

        row = next(row for row in token_rows.ROWS if row.name == name)
        count = row.tokens(self.tokenizer) if row.tokens else None
        row.run(self.tokenizer, self.ids)
        seconds: list[float] = []
        while sum(seconds) < 0.2:
            start = time.perf_counter()
            result = row.run(self.tokenizer, self.ids)
            seconds.append(time.perf_counter() - start)
            del result
        median = statistics.median(seconds)
        return {"time": 1e6 * median / count if count else 1e3 * median}

    def do_versions(self) -> dict[str, Any]:
        from importlib import metadata

        names = (self.module.replace("_", "-"), "torch", "transformers", "tokenizers")
        found = {}
        for name in names:
            try:
                found[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                found[name] = getattr(sys.modules.get(name.replace("-", "_")), "__version__", "")
        return found


def serve(worker: Worker, answers: TextIO) -> None:
    """Answer questions until the pipe closes."""
    for line in sys.stdin:
        question = json.loads(line)
        answer = getattr(worker, "do_" + question.pop("do"))(**question)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever libraries print must not get between the answers
    serve(Worker(sys.argv[1]), answers)


if __name__ == "__main__":
    main()
