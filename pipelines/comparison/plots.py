"""Histograms of several sets in one plot: the first one as columns, the others as lines."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.comparison.result import TraitReport
from pipelines.report import svg
from pipelines.report.figures import number, percent
from pipelines.report.markup import Markup, tag

_TOPS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
_MOST_NAMES = 8


def histograms(title: str, names: Sequence[str], report: TraitReport, axis: str) -> Markup:
    """Shares of each set's samples by a quantity; the outer bins take what lies beyond."""
    bins = len(report.edges) - 1
    shares = [[c / max(1, s.samples) for c in s.counts] for s in report.sets]
    top = _top(max((max(s, default=0.0) for s in shares), default=0.0))
    step = svg.PLOT_W / max(1, bins)
    columns = [
        svg.bar(svg.LEFT + step * (n + 0.06), step * 0.88, share / top, "faint", "")
        for n, share in enumerate(shares[0])
    ]
    lines = [_line(s, step, top, number) for number, s in enumerate(shares)]
    tips = [
        _tip(names, report, shares, n, step) for n in range(bins)
    ]  # fmt: skip
    every = -(-(bins + 1) // _MOST_NAMES)
    marks = [
        svg.text(svg.LEFT + step * n, svg.HEIGHT - svg.BOTTOM + 17, f"{report.edges[n]:g}")
        for n in range(0, bins + 1, every)
    ]
    return svg.chart(
        title, *svg.share_grid(top), *columns, *lines, *tips, *marks, svg.axis_name(axis)
    )


def _line(shares: Sequence[float], step: float, top: float, number: int) -> Markup:
    """The outline of a histogram."""
    points = [(float(svg.LEFT), 0.0)]
    for n, share in enumerate(shares):
        points += [(svg.LEFT + step * n, share), (svg.LEFT + step * (n + 1), share)]
    points.append((svg.LEFT + step * len(shares), 0.0))
    drawn = " ".join(f"{x:.1f},{svg.y(share / top):.1f}" for x, share in points)
    return tag("polyline", class_=f"outline set{number}", points=drawn)


def _tip(
    names: Sequence[str],
    report: TraitReport,
    shares: Sequence[Sequence[float]],
    n: int,
    step: float,
) -> Markup:
    """What a bin holds, shown where the pointer rests anywhere in its column."""
    low, high = report.edges[n], report.edges[n + 1]
    told = [
        f"{name}: {percent(share[n])}, {number(summary.counts[n])}"
        for name, share, summary in zip(names, shares, report.sets, strict=True)
    ]
    title = tag("title", f"{low:g} to {high:g}\n" + "\n".join(told))
    return tag(
        "rect", title, class_="tip", x=f"{svg.LEFT + step * n:.1f}", y=svg.TOP,
        width=f"{step:.1f}", height=svg.PLOT_H,
    )  # fmt: skip


def _top(share: float) -> float:
    return next((top for top in _TOPS if share <= top), 1.0)
