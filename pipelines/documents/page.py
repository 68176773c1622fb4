"""What a document is made of: pages with their lines, and what went wrong on the way."""

from __future__ import annotations

import math
from dataclasses import dataclass
from io import TextIOBase
from typing import NamedTuple

from crnn.images.region import Region
from pipelines.documents.words import Word


class Box(NamedTuple):
    """An upright box, whole px."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text on a page."""

    number: int
    """From 1 on, in reading order."""
    text: str
    confidence: float
    """0 to 1."""
    region: Region
    """Four corners, px of the upright page."""
    words: list[Word]
    """What stands between its spaces; their confidences are those of words."""

    @property
    def box(self) -> Box:
        """The smallest box around it."""
        return box_of(self.region)


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page with its lines in reading order."""

    number: int
    """From 1 on."""
    lines: list[Line]
    whole: tuple[int, int] | None = None
    """Width and height, px; None where they aren't known, as in the results of bulk jobs."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, px; as far as its lines reach where no other is known."""
        return self.whole or _extent([line.box for line in self.lines])

    @property
    def confidence(self) -> float | None:
        """The mean of its lines; None without any."""
        confidences = [line.confidence for line in self.lines]
        return sum(confidences) / len(confidences) if confidences else None


@dataclass(frozen=True)
class LeftOut:
    """A file, a page or a line that isn't in the documents."""

    uri: str
    page: int | None
    line: int | None
    code: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Document:
    """What was read of one file."""

    uri: str
    etag: str = ""
    """The version of the file that was read; empty where it isn't known."""
    pages: list[Page]
    """In order, without those that can't be opened."""
    problems: list[LeftOut]


class Sheets(NamedTuple):
    """What goes into one output: all pages of a file, or one."""

    uri: str
    """The file that they are of."""
    pages: list[Page]
    file: TextIOBase
    """Where it is written."""


def box_of(region: Region) -> Box:
    """The smallest box around a region; what juts out at the left or at the top is cut off."""
    left, right = _around(region[0::2])
    top, bottom = _around(region[1::2])
    return Box(left, top, right - left, bottom - top)


def _around(values: tuple[float, ...]) -> tuple[int, int]:
    return max(0, math.floor(min(values))), max(0, math.ceil(max(values)))


def _extent(boxes: list[Box]) -> tuple[int, int]:
    return (
        max((box.left + box.width for box in boxes), default=0),
        max((box.top + box.height for box in boxes), default=0),
    )
