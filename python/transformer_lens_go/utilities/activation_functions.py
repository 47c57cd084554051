"""Constants about activation functions that configurations need."""

from .._not_built import names_of

SOFTCAP_DISABLED: float = -1.0
"""The soft-cap value that means "no soft cap"."""


def softcap_enabled(cap: float | None) -> bool:
    """Whether a soft cap is in force: only a value above zero is one."""
    return cap is not None and cap > 0


__getattr__ = names_of(__name__)
