"""The colours of first_look's page: scales for cells in light and in dark mode, with text that can be read on each."""

from __future__ import annotations

__all__ = ["contrast", "level", "scale_css"]

STEPS = 40  # of a scale from nothing to one; a scale with a middle has as many on each side

Colour = tuple[float, float, float]

# From nothing, by way of a middle, to one.
LIGHT_BLUE = ("#f3f6fc", "#86abec", "#12307a")
DARK_BLUE = ("#1c2330", "#2f5fc4", "#b9d2ff")
LIGHT_RED = ("#f6f6f8", "#e58a97", "#8a1029")
DARK_RED = ("#1c2330", "#a83248", "#ffb3bf")
BLACK, WHITE = "#05070c", "#ffffff"


def level(share: float) -> int:
    """The step of a share between 0 and 1; small shares are spread out, as most are small."""
    return round(max(0.0, min(1.0, share)) ** 0.7 * STEPS)


def scale_css() -> str:
    """Rules for the classes b0 to b40 (blue: a share, or more), and r0 to r40 (red: less), in both modes."""
    light = _rules("b", LIGHT_BLUE) + _rules("r", LIGHT_RED)
    dark = _rules("b", DARK_BLUE) + _rules("r", DARK_RED)
    return f"{light}@media (prefers-color-scheme: dark) {{ {dark} }}"


def _rules(name: str, stops: tuple[str, str, str]) -> str:
    rules = []
    for step in range(STEPS + 1):
        colour = _at(stops, step / STEPS)
        text = max((BLACK, WHITE), key=lambda ink: contrast(_rgb(ink), colour))
        rules.append(f".{name}{step}{{background:{_hex(colour)};color:{text}}}")
    return "\n".join(rules) + "\n"


def _at(stops: tuple[str, str, str], share: float) -> Colour:
    low, middle, high = map(_rgb, stops)
    start, end, part = (low, middle, share * 2) if share < 0.5 else (middle, high, share * 2 - 1)
    return tuple(a + (b - a) * part for a, b in zip(start, end, strict=True))  # type: ignore[return-value]


def _rgb(text: str) -> Colour:
    return tuple(int(text[i : i + 2], 16) / 255 for i in (1, 3, 5))  # type: ignore[return-value]


def _hex(colour: Colour) -> str:
    return "#" + "".join(f"{round(part * 255):02x}" for part in colour)


def contrast(one: Colour, other: Colour) -> float:
    """The contrast of two colours as WCAG defines it: 1 to 21, and 4.5 is enough for text."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: Colour) -> float:
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
