"""A page's pixels → its lines in reading order, cut out and prepared as any other crop is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crnn.decode import Decoder
from crnn.errors import PictureError
from crnn.images.colours import in_colours
from crnn.images.contract import PictureContract, Pixels
from crnn.images.prepare import (
    Picture,
    Prepared,
    is_encoded,
    picture_bytes,
    prepare_upright,
    upright_picture,
)
from crnn.images.region import Region
from crnn.inference.cascade import SecondReading
from crnn.inference.doubt import Then
from crnn.inference.recognizer import Recognizer
from crnn.pages.detector import Detector, Found
from crnn.pages.opening import open_page
from crnn.pages.order import reading_order
from crnn.pages.page import PageRequest
from crnn.pages.turning import corners_of, turned
from crnn.result import Result


@dataclass(frozen=True)
class Line:
    """A line of text on a page, or what stands alone in a row of it."""

    region: Region
    """Corners clockwise from the top left of the text, px of the upright page."""
    score: float
    """How sure the detector is that there is text."""
    result: Result
    """What it reads; columns of characters are those of the region cut out."""

    @property
    def text(self) -> str:
        """The text, empty where it can't be read."""
        return self.result.text


Confidences = Callable[[Sequence[Prepared | PictureError]], Sequence[float]]
"""How sure a recognizer is of each of these pictures, 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class Second:
    """What reads the doubtful lines of pages again: the second bundle of a cascade."""

    then: Then
    recognizer: Recognizer
    """Recognizer of the bundle of ``then``."""
    decode: Decoder

    def reading(self, *, chars: bool) -> SecondReading:
        """Takes in lines, and reads the doubtful ones in full batches."""
        return SecondReading(self.recognizer, self.then, self.decode, chars=chars)


class Lines:
    """The lines of one page, in reading order."""

    def __init__(
        self,
        page_HWC: Pixels,
        detector: Detector,
        contract: PictureContract,
        confidences: Confidences,
    ) -> None:
        """``confidences``, in pictures by ``contract``, tell which way up the page lies."""
        self._contract = contract
        self._page_HWC = page_HWC
        self._by_channels: dict[int, Pixels] = {}
        found, quarters = turned(
            detector(page_HWC), lambda regions: confidences(list(map(self.prepared, regions)))
        )
        self.turned = 90 * quarters
        """Degrees clockwise by which the page's text lies turned: 0, 90, 180 or 270."""
        self.found: list[Found] = [found[n] for n in reading_order(corners_of(found), quarters)]

    def prepared(
        self, region: Region, contract: PictureContract | None = None
    ) -> Prepared | PictureError:
        """A region of the page as the bundle takes it, or as another one does."""
        contract = contract or self._contract
        try:
            return prepare_upright(self._in_colours_of(contract), contract, region=region)
        except PictureError as error:
            return error

    def _in_colours_of(self, contract: PictureContract) -> Pixels:
        """The page in the colours that a recognizer reads, once for all its regions."""
        channels = contract.channels
        if channels not in self._by_channels:
            self._by_channels[channels] = in_colours(self._page_HWC, channels)
        return self._by_channels[channels]


def lines_of(
    page_HWC: Pixels, detector: Detector, recognizer: Recognizer, decode: Decoder
) -> Lines:
    """The lines of one page that ``recognizer`` is going to read."""

    def confidences(pictures: Sequence[Prepared | PictureError]) -> list[float]:
        readings = recognizer.read_prepared(pictures, decode, chars=False)
        return [float(value) for value in readings.confidences]

    return Lines(page_HWC, detector, recognizer.bundle.picture, confidences)


def pixels_of(page: Picture, request: PageRequest) -> Pixels:
    """RGB pixels ``HWC`` of a page given in any form; raises as ``Recognizer.read_page``."""
    if is_encoded(page):
        return open_page(picture_bytes(page), request).pixels
    return in_colours(upright_picture(cast("Image.Image | NDArray[np.uint8]", page)), 3)


def read_lines(
    page_HWC: Pixels,
    detector: Detector,
    recognizer: Recognizer,
    decode: Decoder,
    *,
    chars: bool = True,
    second: Second | None = None,
) -> list[Line]:
    """The lines of one page, read in full batches; what is doubtful, by ``second`` too."""
    lines = lines_of(page_HWC, detector, recognizer, decode)
    pictures = (lines.prepared(one.region) for one in lines.found)
    readings = recognizer.read_prepared(pictures, decode, chars=chars)
    if second is not None:
        reading, contract = second.reading(chars=chars), second.recognizer.bundle.picture
        doubtful = reading.doubtful(readings)
        again = (lines.prepared(lines.found[place].region, contract) for place in doubtful)
        reading.add(readings, zip(doubtful, again, strict=True))
        (readings,) = reading.finish()
    results = readings.results()
    return [Line(*one, result) for one, result in zip(lines.found, results, strict=True)]
