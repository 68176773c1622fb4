"""A line's words with their places: split where there are spaces."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crnn.images.region import Region
from crnn.result import CharResult
from crnn.text.order import visual

_WORD = re.compile(r"\S+")


class Word(NamedTuple):
    """A word of a line."""

    text: str
    confidence: float
    """0 to 1."""
    region: Region
    """Four corners, px of the upright page, as a line's."""


def words_of(
    text: str, confidence: float, region: Region, chars: Sequence[CharResult], turned: int
) -> list[Word]:
    """The words of a line, in the order of its text.

    A word reaches from the first to the last column of its characters, and its confidence is the
    product of theirs. Without ``chars``, or with those of another text, all characters are as wide
    as each other, laid out as the text's scripts run, and a word's confidence is its line's.
    """
    length = _length(region, turned)
    if "".join(char.char for char in chars) == text and len(chars) == len(text):
        spans = [(char.x0 / length, char.x1 / length) for char in chars]
        sure = [char.probability for char in chars]
    else:
        spans, sure = _even(text), []
    words = []
    for match in _WORD.finditer(text):
        some = slice(*match.span())
        start = min(first for first, _ in spans[some])
        end = max(last for _, last in spans[some])
        by_char = min(1.0, max(0.0, math.prod(sure[some])))
        place = _part(region, turned, _within(start), _within(end))
        words.append(Word(match[0], by_char if sure else confidence, place))
    return words


def _even(text: str) -> list[tuple[float, float]]:
    """Where each character stands, as shares of the line."""
    width = 1 / max(1, len(text))
    spans = [(0.0, 0.0)] * len(text)
    for slot, place in enumerate(visual(text, "auto", {}).places):
        spans[place] = slot * width, (slot + 1) * width
    return spans


def _within(share: float) -> float:
    return min(1.0, max(0.0, share))


def _length(region: Region, turned: int) -> float:
    """Px along the text of the picture that was cut out, whose columns are known."""
    corners = np.array(region).reshape(4, 2)
    first, second = _sides(corners, turned)
    longer = max(math.dist(*first), math.dist(*second))
    return max(1.0, round(longer))


def _part(region: Region, turned: int, start: float, end: float) -> Region:
    """The part of a region between two shares of the way along its text."""
    (top_first, top_last), (bottom_first, bottom_last) = _sides(
        np.array(region).reshape(4, 2), turned
    )
    top, bottom = top_last - top_first, bottom_last - bottom_first
    corners = (
        *(top_first + start * top, top_first + end * top),
        *(bottom_first + end * bottom, bottom_first + start * bottom),
    )
    return tuple(float(value) for corner in corners for value in corner)  # type: ignore[return-value]


Side = tuple[NDArray[np.float64], NDArray[np.float64]]


def _sides(corners: NDArray[np.float64], turned: int) -> tuple[Side, Side]:
    """The sides above and below the text, each from where it begins to where it ends."""
    by_turn = {0: (0, 1, 3, 2), 90: (3, 0, 2, 1), 270: (1, 2, 0, 3)}
    a, b, c, d = (corners[place] for place in by_turn.get(turned, by_turn[0]))
    return (a, b), (c, d)
