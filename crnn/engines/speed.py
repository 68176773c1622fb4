"""Which engine is the fastest? All of them in turns on the same pictures, as ratios of one run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass

from crnn.engines.graph import Engine
from crnn.images.contract import Pixels

_WARM_UP = 2


@dataclass(frozen=True, kw_only=True)
class Speed:
    """How fast one engine was beside another, in rounds of one batch each."""

    images_per_s: float
    """Median of the rounds."""
    ratio: float
    """Median over the rounds of its rate by the rate of the reference; above 1 it is faster."""


def measure(
    engines: Mapping[str, Engine], pixels_NHWC: Pixels, *, reference: str, rounds: int
) -> dict[str, Speed]:
    """The speed of each engine on this batch, the order turned round from round to round."""
    for engine in engines.values():
        for _ in range(_WARM_UP):
            engine(pixels_NHWC)
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    for number in range(rounds):
        for name in sorted(engines, reverse=number % 2 == 1):
            began_s = time.perf_counter()
            engines[name](pixels_NHWC)
            seconds[name].append(time.perf_counter() - began_s)
    return {
        name: Speed(
            images_per_s=len(pixels_NHWC) / statistics.median(own),
            ratio=statistics.median(
                theirs / ours for theirs, ours in zip(seconds[reference], own, strict=True)
            ),
        )
        for name, own in seconds.items()
    }


def as_lines(speeds: Mapping[str, Speed], *, reference: str) -> list[str]:
    """One line an engine, for people."""
    wide = max(map(len, speeds))
    return [
        f"{name:<{wide}} {speed.images_per_s:9,.0f} images/s  {speed.ratio:6.2f} times {reference}"
        for name, speed in speeds.items()
    ]
