"""A first look into a language model: what it expects next, when it makes up its mind, and which
heads matter.

Tables go to the terminal, pictures to one HTML page. Needs rich; torch is used if it is there, and
not needed.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from first_look_page import Findings, visible, write_page
from rich.console import Console
from rich.table import Table
from rich.text import Text
from transformer_lens_go import ActivationCache, TransformerBridge

HERE = Path(__file__).resolve().parent
PROMPT = "The Eiffel Tower is in the city of"


def log_softmax(logits: Any) -> np.ndarray:
    """Log-probabilities over the last axis, as a NumPy array; `logits` may be a torch tensor."""
    values = as_numpy(logits)
    shifted = values - values.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def as_numpy(values: Any) -> np.ndarray:
    """What the model gives, as a NumPy array: with torch installed it gives tensors."""
    return values.detach().numpy() if hasattr(values, "detach") else values


def logit_lens(model: Any, cache: ActivationCache) -> np.ndarray:
    """Log-probabilities of the next token as if each layer were the last: [layers + 1, pos, vocabulary]."""
    streams = cache.accumulated_resid(apply_ln=True)
    return np.stack([log_softmax(model.unembed(stream))[0] for stream in streams])


def ablate_heads(model: Any, cache: ActivationCache, answer: int, clean: float) -> np.ndarray:
    """The change of the answer's log-probability when one head writes nothing: [layer, head].

    The heads of a layer are silenced in one batch, one in each row. Runs start at that layer, from
    what the cache has: everything before it stays the same.
    """
    n_layers, n_heads = model.cfg.n_layers, model.cfg.n_heads
    effects = np.zeros((n_layers, n_heads), dtype=np.float32)

    def silence_one_head_a_row(z: Any, hook: Any) -> None:
        for head in range(n_heads):
            z[head, :, head] = 0

    for layer in range(n_layers):
        rows = cache["resid_pre", layer][[0] * n_heads]
        hooks = [(f"blocks.{layer}.attn.hook_z", silence_one_head_a_row)]
        logits = model.run_with_hooks(rows, start_at_layer=layer, fwd_hooks=hooks)
        effects[layer] = log_softmax(logits[:, -1])[:, answer] - clean
    return effects


def look(model: Any, prompt: str, count: int = 8) -> Findings:
    """Run the model on a prompt and find out what the page and the tables show."""
    logits, cache = model.run_with_cache(prompt)
    final = log_softmax(logits[0, -1])
    best = np.argsort(-final)[:count]
    lens = logit_lens(model, cache)
    favourites = lens.argmax(axis=-1)
    layers = range(model.cfg.n_layers)
    return Findings(
        model=Path(model.cfg.model_name).name,
        prompt=prompt,
        tokens=model.to_str_tokens(prompt),
        candidates=[model.to_single_str_token(int(index)) for index in best],
        probabilities=np.exp(final[best]),
        lens_tokens=[model.to_str_tokens(row) for row in favourites],
        lens_probabilities=np.exp(lens.max(axis=-1)),
        ranks=np.stack(
            [(lens[:, -1] > lens[:, -1, [index]]).sum(axis=-1) + 1 for index in best], 1
        ),
        patterns=np.stack([as_numpy(cache["pattern", layer])[0] for layer in layers]),
        ablations=ablate_heads(model, cache, int(best[0]), float(final[best[0]])),
    )


def bar(share: float, width: int = 24) -> Text:
    """A bar of a table."""
    return Text("█" * round(share * width), style="blue")


def candidates_table(found: Findings) -> Table:
    """The likeliest next tokens."""
    table = Table(title=f"Likely next tokens after {found.prompt!r}", title_justify="left")
    table.add_column("token")
    table.add_column("probability", justify="right")
    table.add_column("")
    for token, share in zip(found.candidates, found.probabilities, strict=True):
        table.add_row(visible(token), f"{share:.1%}", bar(share))
    return table


def lens_table(found: Findings) -> Table:
    """What the model would say after each layer."""
    answer = visible(found.candidates[0])
    table = Table(title="Logit lens at the last position", title_justify="left")
    table.add_column("after", justify="right")
    table.add_column("would say")
    table.add_column("probability", justify="right")
    table.add_column("")
    table.add_column(f"place of {answer}", justify="right")
    for layer, tokens in enumerate(found.lens_tokens):
        share = found.lens_probabilities[layer, -1]
        table.add_row(
            "embedding" if layer == 0 else f"layer {layer - 1}",
            visible(tokens[-1]),
            f"{share:.1%}",
            bar(share, 12),
            f"{found.ranks[layer, 0]:,}",
            style="bold" if tokens[-1] == found.candidates[0] else "",
        )
    return table


def ablations_table(found: Findings, count: int = 8) -> Table:
    """The heads whose absence changes the answer most."""
    answer = visible(found.candidates[0])
    table = Table(title=f"Heads that matter most for {answer}", title_justify="left")
    table.add_column("head")
    table.add_column(f"probability of {answer} without it", justify="right")
    table.add_column("looks most at", justify="left")
    for flat in np.argsort(-np.abs(found.ablations), axis=None)[:count]:
        layer, head = divmod(int(flat), found.ablations.shape[1])
        change = found.ablations[layer, head]
        seen = np.argsort(-found.patterns[layer, head, -1])[:3]
        places = [f"{visible(found.tokens[i])} ({i})" for i in seen]
        table.add_row(
            f"layer {layer}, head {head}",
            f"{found.probabilities[0] * np.exp(change):.1%}  (times {np.exp(change):.2f})",
            ", ".join(places),
            style="red" if change < 0 else "green",
        )
    return table


def default_model() -> str:
    """A SmolLM2 file in .cache/ here or above."""
    for folder in (Path.cwd(), HERE.parent):
        for file in sorted((folder / ".cache").glob("SmolLM2*.gguf")):
            return str(file)
    raise SystemExit("no SmolLM2*.gguf in .cache/: run `make demo`, or name a model")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "model",
        nargs="?",
        help="a .gguf file, a Hugging Face folder or a repository id (default: a SmolLM2 file in .cache/)",
    )
    parser.add_argument("--prompt", default=PROMPT, help="default: %(default)r")
    parser.add_argument(
        "--html",
        type=Path,
        default=HERE / "out" / "first_look.html",
        help="where the page goes (default: examples/out/first_look.html)",
    )
    options = parser.parse_args()
    console = Console()

    start = time.perf_counter()
    model = TransformerBridge.boot_transformers(options.model or default_model())
    loaded = time.perf_counter()
    with console.status("looking: one run with everything cached, then one for each layer's heads"):
        found = look(model, options.prompt)
    looked = time.perf_counter()
    for table in (candidates_table(found), lens_table(found), ablations_table(found)):
        console.print(table, "")
    page = write_page(found, options.html)
    console.print(f"loaded in {loaded - start:.1f} s, looked in {looked - loaded:.1f} s")
    console.print(f"pictures: {page}")


if __name__ == "__main__":
    main()
