"""A small module of a user's own, in either library and with torch or NumPy: what the cases of own_module_cases run on.

`Lab` names the library. The module is a little transformer: residual stream, heads, an attention pattern, an MLP, with
HookPoints in lists, dicts and inside of each other, on values with zero to four axes.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

BATCH, POS, HEADS, D_HEAD, D_MODEL, D_MLP, VOCAB = 2, 3, 2, 2, 4, 5, 7


@dataclass(frozen=True)
class Lab:
    """One library with one kind of array."""

    library: str
    torch: Any  # None: NumPy

    @property
    def tl(self) -> Any:
        return importlib.import_module(self.library)

    @property
    def points(self) -> Any:
        return importlib.import_module(f"{self.library}.hook_points")

    @property
    def root(self) -> Any:
        return importlib.import_module(f"{self.library}.HookedRootModule").HookedRootModule

    @property
    def nn(self) -> Any:
        """Where Module, ModuleList and ModuleDict are."""
        return self.torch.nn if self.torch is not None else self.points

    def array(self, values: Any) -> Any:
        array = np.array(values)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        return array if self.torch is None else self.torch.tensor(array)

    def parameter(self, module: Any, name: str, values: np.ndarray) -> None:
        if self.torch is None:
            module.register_parameter(name, values)
        else:
            module.register_parameter(name, self.torch.nn.Parameter(self.torch.tensor(values)))

    def ids(self, batch: int = BATCH) -> Any:
        return self.array([[3, 1, 4], [1, 5, 6]][:batch])

    def net(self, seed: int = 0, layers: int = 2) -> Any:
        return make_net(self)(self, seed, layers)


def _weights(seed: int) -> Callable[..., np.ndarray]:
    rng = np.random.default_rng(seed)
    return lambda *shape: (rng.standard_normal(shape) * 0.5).astype(np.float32)


_classes: dict[tuple[str, bool], type] = {}


def make_net(lab: Lab) -> Any:
    """The class of the module, made once for each library and kind of array."""
    key = (lab.library, lab.torch is None)
    if key not in _classes:
        _classes[key] = _make_net(lab)
    return _classes[key]


def _make_net(lab: Lab) -> type:
    hook_point = lab.points.HookPoint

    class Attention(lab.nn.Module):
        def __init__(self, draw: Callable[..., np.ndarray]) -> None:
            super().__init__()
            lab.parameter(self, "W_Q", draw(D_MODEL, D_MODEL))
            for name in ("hook_q", "hook_attn_scores", "hook_pattern", "hook_z"):
                setattr(self, name, hook_point())

        def forward(self, x: Any) -> Any:
            b, p, _ = x.shape
            q = self.hook_q((x @ self.W_Q).reshape(b, p, HEADS, D_HEAD))
            by_head = q.swapaxes(1, 2)
            scores = self.hook_attn_scores(by_head @ by_head.swapaxes(-1, -2))
            pattern = self.hook_pattern(scores * 0.25)
            z = self.hook_z((pattern @ by_head).swapaxes(1, 2))
            return z.reshape(b, p, D_MODEL)

    class Block(lab.nn.Module):
        def __init__(self, draw: Callable[..., np.ndarray]) -> None:
            super().__init__()
            self.hook_resid_pre = hook_point()
            self.attn = Attention(draw)
            self.mlp_hooks = lab.nn.ModuleDict({"pre": hook_point(), "post": hook_point()})
            self.hook_resid_post = hook_point()
            lab.parameter(self, "W_in", draw(D_MODEL, D_MLP))
            lab.parameter(self, "W_out", draw(D_MLP, D_MODEL))

        def forward(self, x: Any) -> Any:
            x = self.hook_resid_pre(x)
            x = x + self.attn(x)
            pre = self.mlp_hooks["pre"](x @ self.W_in)
            post = self.mlp_hooks["post"](pre * (pre > 0))
            return self.hook_resid_post(x + post @ self.W_out)

    class Net(lab.root):
        def __init__(self, lab: Lab, seed: int, layers: int) -> None:
            super().__init__()
            draw = _weights(seed)
            lab.parameter(self, "W_E", draw(VOCAB, D_MODEL))
            self.hook_tokens = hook_point()
            self.hook_embed = hook_point()
            self.hook_embed.inner = hook_point()
            self.blocks = lab.nn.ModuleList([Block(draw) for _ in range(layers)])
            self.extra = lab.nn.ModuleList([hook_point(), hook_point()])
            self.hook_norm = hook_point()
            self.hook_loss = hook_point()
            self.setup()

        def forward(self, ids: Any, scale: float = 1.0, return_type: str = "resid") -> Any:
            ids = self.hook_tokens(ids)
            x = self.hook_embed.inner(self.hook_embed(self.W_E[ids] * scale))
            for block in self.blocks:
                x = block(x)
            x = self.extra[1](self.extra[0](x))
            norm = self.hook_norm((x * x).sum(-1))
            loss = self.hook_loss(norm.sum() * 0.1)
            return {"resid": x, "norm": norm, "loss": loss}[return_type]

    return Net


def plain(value: Any) -> Any:
    """A value as JSON can hold it: arrays as shape and numbers, exceptions as their type's name."""
    if hasattr(value, "detach"):
        value = (
            value.detach().cpu().double().numpy()
            if value.dtype.is_floating_point
            else value.cpu().numpy()
        )
    if isinstance(value, (np.ndarray, np.generic)):
        array = np.asarray(value)
        if array.dtype.kind == "f":
            array = array.astype(np.float64)
        return {"shape": list(array.shape), "values": array.ravel().tolist()}
    if isinstance(value, BaseException):
        return {"raises": type(value).__name__}
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, set):
        return sorted(plain(inner) for inner in value)
    return value


def attempt(action: Callable[[], Any]) -> Any:
    """What it returns, or the exception that it raises."""
    try:
        return action()
    except Exception as error:
        return error


def differences(got: Any, want: Any, where: str = "", tolerance: float = 1e-5) -> list[str]:
    """Where two plain values are not the same; numbers may differ by rounding."""
    if isinstance(want, dict) and isinstance(got, dict):
        if list(got) != list(want):
            return [f"{where}: keys {list(got)}, expected {list(want)}"]
        if "values" in want and "shape" in want:
            if got["shape"] != want["shape"]:
                return [f"{where}: shape {got['shape']}, expected {want['shape']}"]
            pairs = zip(got["values"], want["values"], strict=True)
            near = tolerance * max([1.0, *map(abs, want["values"])])
            wrong = [a - b for a, b in pairs if not (a == b or abs(a - b) <= near)]
            return [f"{where}: {len(wrong)} off, the first by {wrong[0]:.3g}"] if wrong else []
        return [
            d for key in want for d in differences(got[key], want[key], f"{where}.{key}", tolerance)
        ]
    if isinstance(want, list) and isinstance(got, list):
        if len(got) != len(want):
            return [f"{where}: {len(got)} items {got}, expected {len(want)}: {want}"]
        pairs = enumerate(zip(got, want, strict=True))
        return [d for i, (a, b) in pairs for d in differences(a, b, f"{where}[{i}]", tolerance)]
    if isinstance(want, float) and isinstance(got, (int, float)) and not isinstance(got, bool):
        return (
            []
            if abs(got - want) <= tolerance * max(1.0, abs(want))
            else [f"{where}: {got}, expected {want}"]
        )
    return (
        [] if got == want and type(got) is type(want) else [f"{where}: {got!r}, expected {want!r}"]
    )
