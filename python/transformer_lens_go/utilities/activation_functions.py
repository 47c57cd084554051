"""Constants about activation functions that configurations need."""

SOFTCAP_DISABLED: float = -1.0
"""The soft-cap value that means "no soft cap"."""


def softcap_enabled(cap: float | None) -> bool:
    """Whether a soft cap is in force: only a value above zero is one."""
    return cap is not None and cap > 0
