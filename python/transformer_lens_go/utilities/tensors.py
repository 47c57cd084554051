"""Small helpers that take torch tensors and NumPy arrays alike."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._engine import arrays
from .._not_built import names_of


def is_torch_tensor(value: Any) -> bool:
    """Whether `value` is a torch tensor; False without torch."""
    return arrays.torch is not None and isinstance(value, arrays.torch.Tensor)


def library_of(array: Any) -> Any:
    """The module whose functions work on `array`: torch or numpy."""
    return arrays.torch if is_torch_tensor(array) else np


def to_numpy(tensor: Any) -> np.ndarray:
    """`tensor` as a NumPy array: torch tensors, arrays, lists, tuples and single values."""
    if isinstance(tensor, np.ndarray):
        return tensor
    if isinstance(tensor, (list, tuple, int, float, bool, str)):
        return np.array(tensor)
    if is_torch_tensor(tensor):
        tensor = tensor.detach().cpu()
        if tensor.dtype == arrays.torch.bfloat16:  # NumPy has none
            tensor = tensor.float()
        return tensor.numpy()
    raise ValueError(f"Input to to_numpy has invalid type: {type(tensor)}")


def get_corner(tensor: Any, n: int = 3) -> Any:
    """The first `n` entries along every axis."""
    return tensor[(slice(n),) * tensor.ndim]


def remove_batch_dim(tensor: Any) -> Any:
    """`tensor` without its first axis if that has length 1, else as it is."""
    return tensor[0] if tensor.ndim > 0 and tensor.shape[0] == 1 else tensor


__getattr__ = names_of(__name__)
