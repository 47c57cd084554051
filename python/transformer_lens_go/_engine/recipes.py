"""Draws the weights of native models: the engine says what from which distribution, torch or NumPy draws.

With torch the values come from its generators, in upstream's order, so that one seed gives upstream's weights bit for
bit. Without, they come from `numpy.random.Generator(PCG64(seed))`: standard normal or uniform values in float64,
scaled, rounded to float32, parameter by parameter in the same order.
"""

from __future__ import annotations

import json
from typing import Any

from . import arrays, errors
from .compiled import go

__all__ = ["draw_weights"]


def draw_weights(model: Any, how: str, seed: int | None) -> None:
    """Draw the weights of a native model: as its modules are "made", or "initialized" by `cfg.init_mode`.

    Without a seed torch draws from the global generator, NumPy from one of its own.

    Raises:
        RuntimeError: a model that is not native.
        NotImplementedError: an unknown `init_mode`.
    """
    recipe = json.loads(errors.call(go.ModelRecipe, model.handle, how))
    indices = {
        f"{component['name']}.{parameter['name']}": parameter["index"]
        for component in model.components
        for parameter in component.get("params") or ()
    }
    draw = _numpy_draw(seed) if arrays.torch is None else _torch_draw(seed)
    for entry in recipe:
        memory = arrays.made(go.ParamOpen, model.handle, indices[entry["parameter"]])
        draw(memory, entry)


def _torch_draw(seed: int | None) -> Any:
    torch = arrays.torch
    generator = None if seed is None else torch.Generator().manual_seed(seed)

    def draw(memory: Any, entry: dict[str, Any]) -> None:
        a, b = entry["a"], entry["b"]
        if entry["kind"] == "constant":
            memory.fill_(a)
            return
        drawn = torch.empty(memory.shape, dtype=torch.float32, device="cpu")
        if entry["kind"] == "normal":
            drawn.normal_(a, b, generator=generator)
        else:
            drawn.uniform_(a, b, generator=generator)
        memory.copy_(drawn.mul_(entry["factor"]))

    return draw


def _numpy_draw(seed: int | None) -> Any:
    random = arrays.np.random
    generator = random.Generator(random.PCG64(None if seed is None else seed % 2**64))

    def draw(memory: Any, entry: dict[str, Any]) -> None:
        a, b = entry["a"], entry["b"]
        if entry["kind"] == "constant":
            memory[...] = a
        elif entry["kind"] == "normal":
            memory[...] = (generator.standard_normal(memory.shape) * b + a) * entry["factor"]
        else:
            memory[...] = (generator.random(memory.shape) * (b - a) + a) * entry["factor"]

    return draw
