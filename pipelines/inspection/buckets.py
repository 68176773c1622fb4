"""Width buckets: what those of a contract waste on padding, and which would waste least.

The best ``k`` widths for a histogram are found exactly, by dynamic programming over widths in
steps of ``STEP_PX``: the least padding of all pictures up to a width with ``k`` buckets, the last
one of that width, from the least with ``k - 1`` buckets up to every smaller one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STEP_PX = 8
WIDEST_PX = 2048
SQUEEZED_SHARE = 0.001
"""Share of pictures that may be longer than the largest proposed bucket."""
Widths = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class FilledBucket:
    """One width and the pictures that fall in it."""

    width_px: int
    pictures: int
    padded_share: float
    """Share of the bucket's pixels, 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class BucketChoice:
    """Some widths, over the pictures at hand."""

    widths: tuple[int, ...]
    buckets: tuple[FilledBucket, ...]
    padded_share: float
    """Share of all pixels that the model gets, 0 to 1."""
    squeezed: int
    """Pictures longer than the largest width."""
    pixels: int
    """That the model gets, per row of the picture."""

    @property
    def squeezed_share(self) -> float:
        """Share of the pictures, 0 to 1."""
        return self.squeezed / max(1, sum(bucket.pictures for bucket in self.buckets))


def measure(widths_px: Widths, buckets: Sequence[int]) -> BucketChoice:
    """What ``buckets`` (ascending px) make of pictures of these natural widths."""
    edges = np.asarray(buckets, np.int64)
    content = np.minimum(widths_px, edges[-1])
    which = np.searchsorted(edges, content)
    pictures = np.bincount(which, minlength=len(edges))
    filled = np.bincount(which, weights=content, minlength=len(edges))
    total = int((pictures * edges).sum())
    return BucketChoice(
        widths=tuple(int(w) for w in edges),
        buckets=tuple(
            FilledBucket(
                width_px=int(width),
                pictures=int(number),
                padded_share=float(1 - fill / (number * width)) if number else 0.0,
            )
            for width, number, fill in zip(edges, pictures, filled, strict=True)
        ),
        padded_share=float(1 - filled.sum() / total) if total else 0.0,
        squeezed=int((widths_px > edges[-1]).sum()),
        pixels=total,
    )


def propose(widths_px: Widths, number: int, *, widest_px: int = WIDEST_PX) -> tuple[int, ...]:
    """The ``number`` widths (fewer, where fewer do) that pad least, in multiples of ``STEP_PX``.

    The largest takes all but ``SQUEEZED_SHARE`` of the pictures, unless that were more than
    ``widest_px``.
    """
    top = _top(widths_px, widest_px)
    steps = np.minimum(-(-widths_px // STEP_PX), top)
    counts = np.bincount(steps, minlength=top + 1)
    used = np.flatnonzero(counts)
    used = used if used[-1] == top else np.append(used, top)
    return tuple(int(step) * STEP_PX for step in _least_padding(used, counts[used], number))


def _top(widths_px: Widths, widest_px: int) -> int:
    """The largest bucket, in steps."""
    spared = int(len(widths_px) * SQUEEZED_SHARE)
    longest = int(np.partition(widths_px, len(widths_px) - 1 - spared)[-1 - spared])
    return max(1, min(-(-longest // STEP_PX), widest_px // STEP_PX))


def _least_padding(widths: Widths, counts: Widths, number: int) -> list[int]:
    """Which of ``widths`` are the edges. Content is the same in any case, so that the least
    padding is the least sum of bucket widths."""
    below = np.concatenate([[0], np.cumsum(counts)])  # pictures narrower than the i-th width
    cost = np.full(len(widths) + 1, np.inf)  # of the pictures below the i-th width
    cost[0] = 0
    came_from = []
    for _ in range(min(number, len(widths))):
        # every[j, i]: the last bucket has width j and takes the widths i to j
        every = cost[None, :-1] + (below[1:, None] - below[None, :-1]) * widths[:, None]
        every[np.triu_indices(len(widths), 1)] = np.inf
        came_from.append(every.argmin(axis=1))
        cost = np.concatenate([[np.inf], every.min(axis=1)])
    edges, last = [], len(widths) - 1
    for choice in reversed(came_from):
        edges.append(int(widths[last]))
        last = int(choice[last]) - 1
    return edges[::-1]
