"""The types of arrays, for annotations.

`Tensor` is what users get: torch's, or where there is no torch a NumPy array, which type checkers then know nothing of.
`Array` is what may be passed in, `ModelInput` what a model runs on: a text, texts, ids, embeddings,
or what a tokenizer gave.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

__all__ = ["Array", "ModelInput", "Tensor"]

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import torch  # pyright: ignore[reportMissingImports]

    Tensor: TypeAlias = torch.Tensor
    Array: TypeAlias = torch.Tensor | np.ndarray
    ModelInput: TypeAlias = str | list[str] | torch.Tensor | np.ndarray | Mapping[str, Any]
else:
    Tensor = Array = ModelInput = Any
