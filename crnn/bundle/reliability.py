"""The reliability plot as an SVG of its own, for a bundle's card; the report's is in its page."""

from __future__ import annotations

from collections.abc import Sequence

from crnn.bundle.calibration import ConfidenceBin
from crnn.text.metrics import wilson_interval

RELIABILITY_FILE = "reliability.svg"
_SIDE = 300
_LEFT, _TOP = 46, 12
_WIDTH, _HEIGHT = _LEFT + _SIDE + 12, _TOP + _SIDE + 40
_STYLE = (
    "text{font:12px sans-serif;fill:#555}.grid{stroke:#ddd}.ideal{stroke:#555;stroke-dasharray:4}"
    ".bar{fill:#9db7d8}.range{stroke:#1f4e8c}.dot{fill:#1f4e8c}"
)


def reliability_svg(bins: Sequence[ConfidenceBin]) -> str:
    """Share of right readings against confidence, with 95% intervals; empty bins are left out.

    A calibrated model's dots lie on the dashed line.
    """
    shapes = [_axis(step / 5) for step in range(6)]
    shapes += [_bar(b) for b in bins if b.count]
    shapes.append(_line("ideal", (0, 0), (1, 1)))
    shapes += [_dot(b) for b in bins if b.count]
    middle = _LEFT + _SIDE / 2
    shapes += [
        f'<text x="{middle}" y="{_HEIGHT - 6}" text-anchor="middle">confidence</text>',
        f'<text x="12" y="{_TOP + _SIDE / 2}" text-anchor="middle" '
        f'transform="rotate(-90 12 {_TOP + _SIDE / 2})">share of right readings</text>',
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}"><title>Share of right readings by confidence</title>'
        f'<style>{_STYLE}</style><rect width="100%" height="100%" fill="#fff"/>'
        + "".join(shapes)
        + "</svg>\n"
    )


def _axis(share: float) -> str:
    x, y = _place(share, share)
    return (
        _line("grid", (0, share), (1, share))
        + f'<text x="{_LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{share:.1f}</text>'
        + f'<text x="{x:.1f}" y="{_TOP + _SIDE + 15}" text-anchor="middle">{share:.1f}</text>'
    )


def _bar(b: ConfidenceBin) -> str:
    left, top = _place(b.low, b.accuracy)
    width = (b.high - b.low) * _SIDE - 1
    height = b.accuracy * _SIDE
    return (
        f'<rect class="bar" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" '
        f'height="{height:.1f}"><title>{b.accuracy:.1%} of {b.count:,} right</title></rect>'
    )


def _dot(b: ConfidenceBin) -> str:
    low, high = wilson_interval(round(b.accuracy * b.count), b.count)
    x, y = _place(b.mean_confidence, b.accuracy)
    return (
        _line("range", (b.mean_confidence, low), (b.mean_confidence, high))
        + f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
    )


def _line(kind: str, start: tuple[float, float], end: tuple[float, float]) -> str:
    (x1, y1), (x2, y2) = _place(*start), _place(*end)
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _place(confidence: float, share: float) -> tuple[float, float]:
    return _LEFT + confidence * _SIDE, _TOP + (1 - share) * _SIDE
