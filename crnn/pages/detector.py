"""What finds text on a page: the small interface that a detector has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from crnn.images.contract import Pixels
from crnn.images.region import Region


class Found(NamedTuple):
    """A region with text, a line or a part of one."""

    region: Region
    """Corners clockwise from the top left of the text as the page lies, px; text that runs up or
    down has a region that is higher than wide."""
    score: float
    """How sure the detector is that there is text, 0 to 1."""


class Detector(Protocol):
    """Finds the regions of a page that have text."""

    @property
    def name(self) -> str:
        """Identifies the detector, with everything that changes what it finds."""
        ...

    def __call__(self, page_HWC: Pixels) -> Sequence[Found]:
        """The regions of a page (RGB, uint8), in any order; none where there is no text."""
        ...
