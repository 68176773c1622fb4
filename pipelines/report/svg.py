"""The shapes that plots are made of, in SVG units; colours come from the page's style sheet.

Shares run from 0 to 1 on both axes, and ``x`` and ``y`` take them to the plot's area.
"""

from __future__ import annotations

from pipelines.report.figures import percent
from pipelines.report.markup import Markup, tag

WIDTH, HEIGHT = 440, 250
LEFT, RIGHT, TOP, BOTTOM = 44, 10, 12, 40
PLOT_W, PLOT_H = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
_QUARTERS = (0.0, 0.25, 0.5, 0.75, 1.0)


def chart(title: str, *shapes: Markup) -> Markup:
    """A whole plot; ``title`` is what a screen reader says."""
    return tag("svg", *shapes, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=title)


def share_grid(top: float = 1.0) -> list[Markup]:
    """Five lines from 0 to ``top`` with their percentages."""
    decimals = 0 if top >= 0.2 else 1
    lines = []
    for part in _QUARTERS:
        lines.append(line(LEFT, y(part), LEFT + PLOT_W, y(part), "grid"))
        lines.append(text(LEFT - 6, y(part) + 4, percent(top * part, decimals), "end"))
    return lines


def confidence_axis() -> list[Markup]:
    """The horizontal axis from 0 to 100%."""
    marks = [text(x(part), HEIGHT - BOTTOM + 17, percent(part, 0)) for part in _QUARTERS]
    return [*marks, axis_name("confidence")]


def axis_name(name: str) -> Markup:
    """What the horizontal axis shows."""
    return text(LEFT + PLOT_W / 2, HEIGHT - 5, name)


def x(share: float) -> float:
    """Where a share lies from left to right."""
    return LEFT + PLOT_W * share


def y(share: float) -> float:
    """Where a share lies from the bottom up."""
    return TOP + PLOT_H * (1 - share)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    """A line of the style ``kind``."""
    return tag("line", class_=kind, x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}")


def bar(left: float, width: float, share: float, kind: str, title: str = "") -> Markup:
    """A column from the bottom up to ``share``; what isn't nothing can be seen."""
    tall = max(PLOT_H * share, 1.5 if share else 0.0)
    return tag(
        "rect", *([tag("title", title)] if title else []), class_=kind, x=f"{left:.1f}",
        y=f"{TOP + PLOT_H - tall:.1f}", width=f"{width:.1f}", height=f"{tall:.1f}",
    )  # fmt: skip


def dot(across: float, share: float, title: str) -> Markup:
    """A mark at ``share``, with a tip."""
    return tag(
        "circle", tag("title", title), class_="mark", cx=f"{across:.1f}", cy=f"{y(share):.1f}", r=4
    )


def text(across: float, down: float, content: str, anchor: str = "middle") -> Markup:
    """A label."""
    return tag("text", content, x=f"{across:.1f}", y=f"{down:.1f}", text_anchor=anchor)
