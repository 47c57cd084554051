"""What is measured: each row a function of a model, the same code for every library."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch


def ids(batch: int, length: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(batch * 1000 + length)
    return torch.randint(5, 250, (batch, length), generator=generator)


def every_layer(model: Any, hook: Callable[..., Any]) -> list[tuple[str, Callable[..., Any]]]:
    return [(f"blocks.{i}.hook_resid_pre", hook) for i in range(model.cfg.n_layers)]


def middle(model: Any) -> str:
    return f"blocks.{model.cfg.n_layers // 2}.hook_resid_post"


def nothing(value: Any, hook: Any) -> None:
    return None


def zero_a_position(value: Any, hook: Any) -> None:
    value[:, 3] = 0.0


def doubled(value: Any, hook: Any) -> Any:
    return value * 2.0


def decoded(model: Any, tokens: torch.Tensor, steps: int) -> torch.Tensor:
    return model.generate(
        tokens, max_new_tokens=steps, do_sample=False, stop_at_eos=False, verbose=False
    )


@dataclass(frozen=True)
class Row:
    """A line of the table: what is run, whether torch records gradients meanwhile, how many busy processes run."""

    name: str
    run: Callable[[Any], Any]
    grad: bool = False
    beside: int = 0


def _hooked(hook: Callable[..., Any]) -> Callable[[Any], Any]:
    tokens = ids(1, 128)
    return lambda m: m.run_with_hooks(tokens, fwd_hooks=every_layer(m, hook))


def _rows() -> list[Row]:
    short, long, batch, prompt = ids(1, 16), ids(1, 128), ids(8, 64), ids(1, 256)
    return [
        Row("forward 1×16", lambda m: m(short)),
        Row("forward 1×128", lambda m: m(long)),
        Row("forward 8×64", lambda m: m(batch)),
        Row("run_with_cache, everything, 1×128", lambda m: m.run_with_cache(long)),
        Row(
            "run_with_cache, one middle layer, return_type=None, 1×128",
            lambda m: m.run_with_cache(long, names_filter=middle(m), return_type=None),
        ),
        Row("hooks on every layer that return None, 1×128", _hooked(nothing)),
        Row("hooks on every layer that write in place, 1×128", _hooked(zero_a_position)),
        Row("hooks on every layer that return a new tensor, 1×128", _hooked(doubled)),
        Row("forward 1×128, gradients on", lambda m: m(long), grad=True),
        Row("greedy decoding, 32 tokens behind 16", lambda m: decoded(m, short, 32)),
        Row("forward 1×256", lambda m: m(prompt)),
        Row("generate, one token behind 256", lambda m: decoded(m, prompt, 1)),
        *(
            Row(f"forward 1×128, {n} busy processes beside", lambda m: m(long), beside=n)
            for n in (2, 4)
        ),
    ]


ROWS = _rows()

POINTS = ("hook_resid_pre", "hook_attn_out", "hook_mlp_out", "hook_resid_post")


def one_hook_each(model: Any) -> list[str]:
    """Hook points for measuring what a hook costs: four a layer."""
    return [f"blocks.{i}.{point}" for i in range(model.cfg.n_layers) for point in POINTS]


def hook_cost(model: Any, repeats: int, clock: Callable[[], float]) -> dict[str, float]:
    """Microseconds that a hook which does nothing adds: alone at its point, and behind another."""
    tokens = ids(1, 4)
    names = one_hook_each(model)

    def fastest(layers_of_hooks: int) -> float:
        with ExitStack() as stack:
            for _ in range(layers_of_hooks):
                stack.enter_context(model.hooks(fwd_hooks=[(name, nothing) for name in names]))
            best = float("inf")
            for _ in range(repeats):
                start = clock()
                model(tokens)
                best = min(best, clock() - start)
        return best

    without, one, eleven = fastest(0), fastest(1), fastest(11)
    each = 1e6 / len(names)
    return {"alone": (one - without) * each, "behind another": (eleven - one) / 10 * each}


def own_module_cost(library: str, repeats: int, clock: Callable[[], float]) -> dict[str, float]:
    """Microseconds of a HookPoint in a user's own module: called without hooks and with one, and of runs with hooks."""
    tl = importlib.import_module(library)
    points = importlib.import_module(f"{library}.hook_points")

    class Own(tl.HookedRootModule):
        def __init__(self) -> None:
            super().__init__()
            self.points = torch.nn.ModuleList([points.HookPoint() for _ in range(100)])
            self.setup()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for point in self.points:
                x = point(x)
            return x

    own, x = Own(), torch.ones(4)
    plain, hooked = points.HookPoint(), points.HookPoint()
    hooked.add_hook(nothing)
    ten = [(f"points.{i}", nothing) for i in range(10)]
    runs: dict[str, tuple[int, Callable[[], Any]]] = {
        "without hooks": (200, lambda: plain(x)),
        "with one": (200, lambda: hooked(x)),
        "run_with_cache": (1, lambda: own.run_with_cache(x)),
        "run_with_hooks": (1, lambda: own.run_with_hooks(x, fwd_hooks=ten)),
    }

    def fastest(times: int, run: Callable[[], Any]) -> float:
        best = float("inf")
        for _ in range(repeats):
            start = clock()
            for _ in range(times):
                run()
            best = min(best, clock() - start)
        return 1e6 * best / times

    return {name: fastest(*run) for name, run in runs.items()}
