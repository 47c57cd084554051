"""Exceptions of the model bridge."""

from __future__ import annotations

from typing import Any


class StopAtLayerException(Exception):
    """Raised by code of the user's to end a run early; carries the output of the last layer that
    ran.
    """

    def __init__(self, layer_output: Any) -> None:
        self.layer_output = layer_output
        super().__init__()
