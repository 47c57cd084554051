"""transformer_lens_go's tokenizers beside Hugging Face's: real vocabularies, and one trained for each other kind.

Both open the same tokenizer.json. Each library runs in a process of its own and only one of them works at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .run import Line, Process

PEER, OURS = "tokenizers", "transformer_lens_go"

# name in the table, by the name among the comparison's tokenizers
REAL = {"SmolLM2": "smollm2_json", "GPT-2": "gpt2_json", "BERT": "bert_json"}
TRAINED = {"Llama 3 style": "llama3", "Llama 2 style": "llama2", "T5 style": "t5"}


def files(cache: Path) -> dict[str, Path]:
    """A tokenizer.json for each name; those that are trained are trained on the first call."""
    from tests.py.parity.make_tokenizer_testdata import trained
    from tests.py.parity.real_tokenizers import real

    folder = cache / "tokenizers"
    folder.mkdir(parents=True, exist_ok=True)
    out = {}
    for name, key in {**REAL, **TRAINED}.items():
        out[name] = folder / f"{key}.json"
        if not out[name].exists():
            text = real(key, folder).core.to_str() if name in REAL else trained(key)
            out[name].write_text(text, "utf-8")
    return out


def tokenizing(cache: Path, rounds: int, wanted: Callable[[str], bool]) -> list[Line]:
    """The rows on each tokenizer, the libraries taking turns."""
    from .token_rows import ROWS

    chosen = [row for row in ROWS if wanted(row.name)]
    if not chosen:
        return []
    lines: list[Line] = []
    for name, file in files(cache).items():
        with Process(PEER) as peer, Process(OURS) as ours:
            found = [process.ask("open_tokenizer", file=str(file)) for process in (peer, ours)]
            if found[0] != found[1]:
                raise SystemExit(f"{name}: the libraries give different tokens")
            for row in chosen:
                line = Line(row.name, name, "µs a token" if row.tokens else "ms")
                for _ in range(rounds):
                    for process, samples in ((peer, line.peer), (ours, line.ours)):
                        samples.append(process.ask("token_row", name=row.name)["time"])
                lines.append(line)
                print(line.markdown(), flush=True)
    return lines
