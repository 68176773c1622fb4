"""How figures are written in the report."""

from __future__ import annotations

import math


def percent(value: float, decimals: int = 1) -> str:
    """A share as a percentage; a dash where there is none. Only what is whole reads 100%."""
    if not math.isfinite(value):
        return "–"
    text = f"{value:.{decimals}%}"
    if value < 1 and text == f"{1:.{decimals}%}":
        return f"{math.floor(value * 10 ** (decimals + 2)) / 10 ** (decimals + 2):.{decimals}%}"
    return text


def interval(bounds: tuple[float, float]) -> str:
    """An interval of shares, with one sign for both ends."""
    return f"{percent(bounds[0]).rstrip('%')} – {percent(bounds[1])}"


def number(value: float) -> str:
    """A count with thousands apart."""
    return f"{value:,.0f}".replace(",", "\u202f") if math.isfinite(value) else "–"


def rate(value: float) -> str:
    """Pictures a second."""
    return "–" if not math.isfinite(value) else number(value) if value >= 100 else f"{value:.1f}"


def duration(seconds: float) -> str:
    """``1 h 02 min``, ``3 min 05 s`` or ``7.4 s``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
