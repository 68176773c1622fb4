"""The plots, as inline SVG that takes its colours from the page. Sizes are in SVG units."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from crnn.calibration import ConfidenceBin
from crnn.metrics import Sums, wilson_interval
from pipelines.report.figures import interval, number, percent
from pipelines.report.markup import Markup, tag, together

WIDTH, HEIGHT = 440, 250
LEFT, RIGHT, TOP, BOTTOM = 44, 10, 12, 40
_PLOT_W, _PLOT_H = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
MOST_COLUMNS = 20


def by_length(sums: Mapping[int, Sums]) -> Markup:
    """Exact accuracy against label length with 95% intervals, over faint bars of counts."""
    groups = _grouped(sums)
    step = _PLOT_W / max(1, len(groups))
    most = max((s.count for _, s in groups), default=1)
    shapes, points = [], []
    for index, (name, group) in enumerate(groups):
        x = LEFT + step * (index + 0.5)
        low, high = wilson_interval(group.exact, group.count)
        tall = 0.3 * group.count / most
        title = (
            f"length {name}: {percent(group.exact_accuracy)} of {number(group.count)} exact "
            f"({interval((low, high))})"
        )
        points.append(f"{x:.1f},{_y(group.exact_accuracy):.1f}")
        shapes += [
            _rect(x - step * 0.38, _y(tall), step * 0.76, _PLOT_H * tall, "faint"),
            _line(x, _y(low), x, _y(high), "range"),
            tag("circle", tag("title", title), class_="mark", cx=f"{x:.1f}",
                cy=f"{_y(group.exact_accuracy):.1f}", r=4),
            _text(x, HEIGHT - BOTTOM + 17, name),
        ]  # fmt: skip
    trend = tag("polyline", class_="trend", points=" ".join(points))
    return _chart(
        "Exact accuracy by label length",
        *_percent_grid(),
        trend,
        *shapes,
        _text(LEFT + _PLOT_W / 2, HEIGHT - 5, "characters in the label"),
    )


def reliability(bins: Sequence[ConfidenceBin]) -> Markup:
    """Accuracy against confidence; a calibrated model's bars end on the dashed line."""
    shapes = []
    for b in bins:
        if not b.count:
            continue
        low, high = wilson_interval(round(b.accuracy * b.count), b.count)
        x = _x(b.mean_confidence)
        title = (
            f"confidence {percent(b.low, 0)}–{percent(b.high, 0)}, on average "
            f"{percent(b.mean_confidence)}: {percent(b.accuracy)} of {number(b.count)} right"
        )
        bar = _rect(_x(b.low) + 1, _y(b.accuracy), _PLOT_W / len(bins) - 2,
                    _PLOT_H * b.accuracy, "faint")  # fmt: skip
        mark = tag("circle", tag("title", title), class_="mark", cx=f"{x:.1f}",
                   cy=f"{_y(b.accuracy):.1f}", r=4)  # fmt: skip
        shapes += [bar, _line(x, _y(low), x, _y(high), "range"), mark]
    return _chart(
        "Share of right readings by confidence",
        *_percent_grid(),
        _line(_x(0), _y(0), _x(1), _y(1), "ideal"),
        *shapes,
        *_confidence_axis(),
    )


def histogram(bins: Sequence[ConfidenceBin]) -> Markup:
    """How many readings have which confidence."""
    total = sum(b.count for b in bins) or 1
    shapes = [
        tag("rect", tag("title", f"{number(b.count)} readings, {percent(b.count / total)}"),
            class_="bar", x=f"{_x(b.low) + 1:.1f}", y=f"{_y(b.count / total):.1f}",
            width=f"{_PLOT_W / len(bins) - 2:.1f}", height=f"{_PLOT_H * b.count / total:.1f}")
        for b in bins
        if b.count
    ]  # fmt: skip
    return _chart("Readings by confidence", *_percent_grid(), *shapes, *_confidence_axis())


def band(share: float, bounds: tuple[float, float]) -> Markup:
    """A share with its interval as a thin bar."""
    if not math.isfinite(share):
        return together("–")
    low, high = bounds
    return tag(
        "div",
        tag("i", style=f"left:{100 * low:.2f}%;width:{100 * (high - low):.2f}%"),
        tag("b", style=f"left:{100 * share:.2f}%"),
        class_="band",
        title=f"{percent(share)} ({interval(bounds)})",
    )


def _grouped(sums: Mapping[int, Sums]) -> list[tuple[str, Sums]]:
    """By length; the long tail as one group, so that columns stay readable."""
    lengths = sorted(sums)
    alone = lengths if len(lengths) <= MOST_COLUMNS else lengths[: MOST_COLUMNS - 1]
    groups = [(str(length), sums[length]) for length in alone]
    if len(alone) < len(lengths):
        tail = lengths[len(alone) :]
        groups.append((f"{tail[0]}+", sum((sums[length] for length in tail), Sums())))
    return groups


def _chart(title: str, *shapes: Markup) -> Markup:
    return tag("svg", *shapes, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=title)


def _percent_grid() -> list[Markup]:
    lines = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        lines.append(_line(LEFT, _y(share), LEFT + _PLOT_W, _y(share), "grid"))
        lines.append(_text(LEFT - 6, _y(share) + 4, percent(share, 0), "end"))
    return lines


def _confidence_axis() -> list[Markup]:
    marks = [_text(_x(s), HEIGHT - BOTTOM + 17, percent(s, 0)) for s in (0, 0.25, 0.5, 0.75, 1)]
    return [*marks, _text(LEFT + _PLOT_W / 2, HEIGHT - 5, "confidence")]


def _x(share: float) -> float:
    return LEFT + _PLOT_W * share


def _y(share: float) -> float:
    return TOP + _PLOT_H * (1 - share)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return tag("line", class_=kind, x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}")


def _rect(x: float, y: float, width: float, height: float, kind: str) -> Markup:
    return tag(
        "rect", class_=kind, x=f"{x:.1f}", y=f"{y:.1f}", width=f"{width:.1f}",
        height=f"{max(0.0, height):.1f}",
    )  # fmt: skip


def _text(x: float, y: float, text: str, anchor: str = "middle") -> Markup:
    return tag("text", text, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor)
