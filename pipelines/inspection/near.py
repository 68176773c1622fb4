"""Which of many 64-bit looks differ in few bits, without comparing all with all.

Manku, Jain, Das Sarma, "Detecting near-duplicates for web crawling" (2007): of six blocks of bits
four differing bits leave at least two untouched, so that two such looks meet in one of the 15
tables that are sorted by two blocks. One table is in memory at a time.
"""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MOST_BITS = 4
"""Looks that differ in more bits are never near."""
WIDTH_TOLERANCE = 1.06
"""Widths at equal height that differ by a larger factor are never near."""
SPAN = 256
"""Maximum number of following looks that a look in a table is compared with."""
MOST_FOUND = 4_000_000
"""Maximum number of pairs in memory; the search stops there."""
_BLOCKS = (11, 11, 11, 11, 10, 10)
_KEPT = len(_BLOCKS) - MOST_BITS
Numbers = NDArray[np.int64]


class Near(NamedTuple):
    """Pairs of looks that are near."""

    first: Numbers
    second: Numbers
    """Their places, each the larger of its pair; pairs are distinct and in order."""
    crowded: int
    """Looks with too many similar ones to compare all."""


def near_pairs(looks: NDArray[np.uint64], widths_px: NDArray[np.uint16]) -> Near:
    """All pairs of near looks of pictures of nearly the same aspect, as far as ``SPAN`` reaches."""
    count = len(looks)
    codes: Numbers = np.empty(0, np.int64)
    crowded = np.zeros(count, bool)
    for kept in combinations(range(len(_BLOCKS)), _KEPT):
        key = _key(looks, kept) << np.uint64(16) | widths_px.astype(np.uint64)
        order = np.argsort(key, kind="stable")
        room = MOST_FOUND - len(codes)
        found = _neighbours(key[order], looks[order], widths_px[order], order, crowded, room)
        codes = np.unique(np.concatenate([codes, found]))
    return Near(codes // max(count, 1), codes % max(count, 1), int(crowded.sum()))


def _key(looks: NDArray[np.uint64], kept: tuple[int, ...]) -> NDArray[np.uint64]:
    """The bits of some blocks of each look, side by side."""
    key = np.zeros(len(looks), np.uint64)
    for block in kept:
        width, start = _BLOCKS[block], sum(_BLOCKS[:block])
        bits = looks >> np.uint64(start) & np.uint64((1 << width) - 1)
        key = key << np.uint64(width) | bits
    return key


def _neighbours(
    key: NDArray[np.uint64],
    looks: NDArray[np.uint64],
    widths_px: NDArray[np.uint16],
    order: Numbers,
    crowded: NDArray[np.bool_],
    room: int,
) -> Numbers:
    """``first * count + second`` of the near pairs in one sorted table; marks who is crowded."""
    count = len(key)
    widest = widths_px * np.float32(WIDTH_TOLERANCE) + 1
    places = np.arange(count)
    found = [np.empty(0, np.int64)]
    for step in range(1, SPAN + 2):
        places = places[places + step < count]
        after = places + step
        alike = (key[places] >> np.uint64(16) == key[after] >> np.uint64(16)) & (
            widths_px[after] <= widest[places]
        )
        places, after = places[alike], after[alike]
        if not len(places):
            break
        if step > SPAN or room <= 0:
            crowded[order[places]] = True
            break
        near = np.bitwise_count(looks[places] ^ looks[after]) <= MOST_BITS
        one, other = order[places[near]], order[after[near]]
        room -= len(one)
        found.append(np.minimum(one, other) * count + np.maximum(one, other))
    return np.concatenate(found)
