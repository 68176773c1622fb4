"""The page's plots: histograms, and the padding of buckets."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.inspection.buckets import BucketChoice
from pipelines.inspection.shapes import Bin
from pipelines.report import svg
from pipelines.report.figures import number, percent
from pipelines.report.markup import Markup, tag

_TOPS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
_MOST_NAMES = 8


def histogram(title: str, bins: Sequence[Bin], axis: str) -> Markup:
    """Shares of the samples by a quantity; the first column begins where the first bin does."""
    total = sum(b.samples for b in bins) or 1
    top = _top(max((b.samples for b in bins), default=0) / total)
    step = svg.PLOT_W / max(1, len(bins))
    every = -(-len(bins) // _MOST_NAMES)
    shapes: list[Markup] = []
    for index, b in enumerate(bins):
        left = svg.LEFT + step * index
        tip = f"{spanned(b)}: {number(b.samples)}, {percent(b.samples / total)}"
        share = b.samples / total / top
        shapes.append(svg.bar(left + step * 0.06, step * 0.88, share, "bar", tip))
        if index % every == 0:
            name = f"{b.low:g}" + ("+" if b.high is None else "")
            shapes.append(svg.text(left + step / 2, svg.HEIGHT - svg.BOTTOM + 17, name))
    return svg.chart(title, *svg.share_grid(top), *shapes, svg.axis_name(axis))


def padding(found: Sequence[BucketChoice], current: BucketChoice) -> Markup:
    """Padded share against the number of buckets; the contract's own is a mark."""
    top = _top(max((b.padded_share for b in [*found, current]), default=0.0))
    most = max(len(b.widths) for b in [*found, current])
    step = svg.PLOT_W / most
    points, shapes = [], []
    for b in found:
        x, tip = svg.LEFT + step * (len(b.widths) - 0.5), f"{_widths(b)}: {percent(b.padded_share)}"
        points.append(f"{x:.1f},{svg.y(b.padded_share / top):.1f}")
        shapes.append(svg.dot(x, b.padded_share / top, tip))
    x = svg.LEFT + step * (len(current.widths) - 0.5)
    y = svg.y(current.padded_share / top)
    mark = tag("rect", tag("title", f"now, {_widths(current)}: {percent(current.padded_share)}"),
               class_="now", x=f"{x - 5:.1f}", y=f"{y - 5:.1f}", width=10, height=10)  # fmt: skip
    names = [
        svg.text(svg.LEFT + step * (n - 0.5), svg.HEIGHT - svg.BOTTOM + 17, str(n))
        for n in range(1, most + 1)
    ]
    line = tag("polyline", class_="trend", points=" ".join(points))
    return svg.chart("Padded share of the pixels by number of buckets", *svg.share_grid(top),
                     line, *shapes, mark, *names, svg.axis_name("buckets"))  # fmt: skip


def spanned(b: Bin) -> str:
    """``64 to 96`` or ``512 and more``."""
    return f"{b.low:g} and more" if b.high is None else f"{b.low:g} to {b.high:g}"


def _widths(b: BucketChoice) -> str:
    return ", ".join(map(str, b.widths))


def _top(share: float) -> float:
    return next((top for top in _TOPS if share <= top), 1.0)
