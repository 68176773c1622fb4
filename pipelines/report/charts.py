"""The plots, as inline SVG that takes its colours from the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeVar

from crnn.bundle.calibration import ConfidenceBin
from crnn.text.metrics import Sums, wilson_interval
from pipelines.report import svg
from pipelines.report.figures import interval, number, percent
from pipelines.report.markup import Markup, tag, together

MOST_COLUMNS = 20
_TOPS = (0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
_Value = TypeVar("_Value")


def by_length(sums: Mapping[int, Sums]) -> Markup:
    """Exact accuracy against label length with 95% intervals, over faint bars of counts."""
    groups = [(name, sum(group, Sums())) for name, group in _grouped(sums)]
    step = svg.PLOT_W / max(1, len(groups))
    most = max((s.count for _, s in groups), default=1)
    shapes, points = [], []
    for index, (name, group) in enumerate(groups):
        x = svg.LEFT + step * (index + 0.5)
        low, high = wilson_interval(group.exact, group.count)
        title = (
            f"length {name}: {percent(group.exact_accuracy)} of {number(group.count)} exact "
            f"({interval((low, high))})"
        )
        points.append(f"{x:.1f},{svg.y(group.exact_accuracy):.1f}")
        shapes += [
            svg.bar(x - step * 0.38, step * 0.76, 0.3 * group.count / most, "faint"),
            svg.line(x, svg.y(low), x, svg.y(high), "range"),
            svg.dot(x, group.exact_accuracy, title),
            svg.text(x, svg.HEIGHT - svg.BOTTOM + 17, name),
        ]
    trend = tag("polyline", class_="trend", points=" ".join(points))
    return svg.chart(
        "Exact accuracy by label length",
        *svg.share_grid(),
        trend,
        *shapes,
        svg.axis_name("characters in the label"),
    )


def reliability(bins: Sequence[ConfidenceBin]) -> Markup:
    """Accuracy against confidence; a calibrated model's bars end on the dashed line."""
    shapes = []
    for b in bins:
        if not b.count:
            continue
        low, high = wilson_interval(round(b.accuracy * b.count), b.count)
        x = svg.x(b.mean_confidence)
        title = (
            f"confidence {percent(b.low, 0)}–{percent(b.high, 0)}, on average "
            f"{percent(b.mean_confidence)}: {percent(b.accuracy)} of {number(b.count)} right"
        )
        shapes += [
            svg.bar(svg.x(b.low) + 1, svg.PLOT_W / len(bins) - 2, b.accuracy, "faint"),
            svg.line(x, svg.y(low), x, svg.y(high), "range"),
            svg.dot(x, b.accuracy, title),
        ]
    return svg.chart(
        "Share of right readings by confidence",
        *svg.share_grid(),
        svg.line(svg.x(0), svg.y(0), svg.x(1), svg.y(1), "ideal"),
        *shapes,
        *svg.confidence_axis(),
    )


def histogram(counts: Sequence[int]) -> Markup:
    """How many readings have which confidence: counts of intervals of equal width over 0 to 1."""
    total = sum(counts) or 1
    top = _top(max(counts, default=0) / total)
    step = 1 / max(1, len(counts))
    shapes = [
        svg.bar(svg.x(step * index) + 1, svg.PLOT_W * step - 2, count / total / top, "bar",
                f"{percent(step * index, 0)}–{percent(step * (index + 1), 0)}: {number(count)} "
                f"readings, {percent(count / total)}")
        for index, count in enumerate(counts)
        if count
    ]  # fmt: skip
    return svg.chart(
        "Readings by confidence", *svg.share_grid(top), *shapes, *svg.confidence_axis()
    )


def lengths(counts: Mapping[int, int]) -> Markup:
    """How many readings have how many characters."""
    groups = [(name, sum(group)) for name, group in _grouped(counts)]
    total = sum(counts.values()) or 1
    top = _top(max((count for _, count in groups), default=0) / total)
    step = svg.PLOT_W / max(1, len(groups))
    shapes = []
    for index, (name, count) in enumerate(groups):
        left = svg.LEFT + step * index
        title = f"length {name}: {number(count)} readings, {percent(count / total)}"
        shapes += [
            svg.bar(left + step * 0.12, step * 0.76, count / total / top, "bar", title),
            svg.text(left + step / 2, svg.HEIGHT - svg.BOTTOM + 17, name),
        ]
    return svg.chart(
        "Readings by length", *svg.share_grid(top), *shapes, svg.axis_name("characters read")
    )


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


def _grouped(values: Mapping[int, _Value]) -> list[tuple[str, list[_Value]]]:
    """By length; the long tail as one group, so that columns stay readable."""
    found = sorted(values)
    alone = found if len(found) <= MOST_COLUMNS else found[: MOST_COLUMNS - 1]
    groups = [(str(length), [values[length]]) for length in alone]
    if len(alone) < len(found):
        tail = found[len(alone) :]
        groups.append((f"{tail[0]}+", [values[length] for length in tail]))
    return groups


def _top(share: float) -> float:
    """The least round share that an axis must reach to."""
    return next(top for top in _TOPS if share <= top + 1e-9)
