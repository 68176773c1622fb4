"""A cascade: what one bundle doubts, another reads.

    from crnn import Cascade

    cascade = Cascade.load("bundles/mobile", then="bundles/strong", below=0.9)
    result = cascade.read("picture.png")  # result.model is the digest of the bundle that read it

A reading is doubtful if its calibrated confidence is below the bound. Then the second bundle's
reading counts, unless it finds nothing, can't prepare the picture or, with ``surer``, isn't more
confident than the first: the first reading stays, with a confidence below the bound. It depends on
that picture alone, never on its batch mates. The two bundles share nothing: each has its own
picture contract, characters, decoder, reading policy, calibration and engine, so the second one
prepares a picture from its encoded bytes again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, cast, overload

import numpy as np
import torch

from crnn.decode import CharNgram, Decoder
from crnn.engines import AUTO, BATCH_PIXELS
from crnn.errors import PictureError
from crnn.given import file_bytes, is_file
from crnn.images.prepare import Picture, Prepared, is_picture
from crnn.inference.doubt import BELOW, Then
from crnn.inference.readings import Readings, in_order
from crnn.inference.recognizer import Recognizer
from crnn.pages.page import DPI, PageRequest
from crnn.result import Result

if TYPE_CHECKING:
    from crnn.pages.detector import Detector
    from crnn.pages.lines import Line, Second

_AT_ONCE = 512
"""Pictures of a call that are held until it is known which of them are doubtful."""


class SecondReading:
    """Doubtful pictures of several batches on their way through the second bundle.

    They wait by bucket, so that its batches are full however few of a batch are doubtful.
    """

    def __init__(
        self, recognizer: Recognizer, then: Then, decode: Decoder, *, chars: bool = True
    ) -> None:
        """``recognizer`` and ``decode`` are of the bundle of ``then``."""
        self._then = then
        self._batches = recognizer.batches(decode, chars=chars)
        self._firsts: list[Readings] = []
        self._size = 0
        self._places: list[int] = []
        """Positions, among all added pictures, of those that the second bundle reads."""

    @property
    def waiting(self) -> int:
        """Doubtful pictures taken in."""
        return len(self._places)

    def doubtful(self, first: Readings) -> list[int]:
        """The places of those that the second bundle is to read, ascending."""
        doubtful = first.confidences < self._then.below
        doubtful[list(first.errors)] = False
        places: list[int] = np.flatnonzero(doubtful).tolist()
        return places

    def add(self, first: Readings, again: Iterable[tuple[int, Prepared | PictureError]]) -> None:
        """Take in a batch: what was read first, and its doubtful pictures by their place there,
        prepared for the second bundle."""
        for place, picture in again:
            if isinstance(picture, Prepared):
                self._batches.add(len(self._places), picture)
                self._places.append(self._size + place)
        self._firsts.append(first)
        self._size += len(first)

    def finish(self) -> list[Readings]:
        """What counts of each batch that was added."""
        firsts = self._firsts
        second = in_order(self._batches.finish())
        order = np.arange(self._size)
        confidences = np.concatenate([np.zeros(0), *(first.confidences for first in firsts)])
        for number, place in enumerate(self._places):
            read = second.texts[number], second.confidences[number]
            if self._then.counts(confidences[place], *read):
                order[place] = self._size + number
        whole = Readings.joined([*firsts, second])
        ends = np.cumsum([len(first) for first in firsts])
        return [whole.take(part) for part in np.split(order, ends[:-1])] if firsts else []


class Cascade:
    """Two recognizers: the second one reads what the first one doubts."""

    def __init__(
        self,
        first: Recognizer,
        second: Recognizer,
        *,
        below: float = BELOW,
        surer: bool = False,
    ) -> None:
        """Their engines and batches are their own; ``below`` and ``surer`` as in ``Then``.

        Raises:
            ValueError: for a bound that nothing is below.
            BundleError: when both read with the same bundle.
        """
        self.first, self.second = first, second
        self.then = Then(bundle=second.bundle, below=below, surer=surer)
        self.digest = self.then.digest(first.bundle)

    @classmethod
    def load(
        cls,
        uri: Path | str | None = None,
        *,
        then: Path | str,
        below: float = BELOW,
        surer: bool = False,
        device: torch.device | str = "cpu",
        batch_pixels: int = BATCH_PIXELS,
        engine: str = AUTO,
        threads: int | None = None,
    ) -> Cascade:
        """Loads the bundles at two addresses; the first defaults to the included one.

        Raises:
            BundleError: as ``load_bundle``, and when both are the same.
        """
        first, second = (
            Recognizer.load(
                one, device=device, batch_pixels=batch_pixels, engine=engine, threads=threads
            )
            for one in (uri, then)
        )
        return cls(first, second, below=below, surer=surer)

    @overload
    def read(  # type: ignore[overload-overlap]  # as ``Recognizer.read``
        self,
        pictures: Picture,
        *,
        decoder: str | Decoder | None = None,
        lexicon: Sequence[str] | None = None,
        ngram: CharNgram | None = None,
        chars: bool = True,
    ) -> Result: ...
    @overload
    def read(
        self,
        pictures: Iterable[Picture],
        *,
        decoder: str | Decoder | None = None,
        lexicon: Sequence[str] | None = None,
        ngram: CharNgram | None = None,
        chars: bool = True,
    ) -> list[Result]: ...
    def read(
        self,
        pictures: Picture | Iterable[Picture],
        *,
        decoder: str | Decoder | None = None,
        lexicon: Sequence[str] | None = None,
        ngram: CharNgram | None = None,
        chars: bool = True,
    ) -> Result | list[Result]:
        """As ``Recognizer.read``; without a ``decoder`` each bundle's own is used."""
        ways = [
            one.decoder(decoder, lexicon=lexicon, ngram=ngram) for one in (self.first, self.second)
        ]
        if is_picture(pictures):
            return self._read([pictures], ways, chars)[0]
        return self._read(cast(Iterable[Picture], pictures), ways, chars)

    def read_page(
        self,
        page: Picture,
        *,
        detector: Detector | None = None,
        number: int = 1,
        dpi: int = DPI,
        decoder: str | Decoder | None = None,
        chars: bool = True,
    ) -> list[Line]:
        """As ``Recognizer.read_page``: the second bundle reads the doubtful lines of the page."""
        from crnn.pages.lines import pixels_of, read_lines

        pixels = pixels_of(page, PageRequest(number=number - 1, dpi=dpi))
        return read_lines(
            pixels,
            detector or self.first.default_detector(),
            self.first,
            self.first.decoder(decoder),
            chars=chars,
            second=self.second_of_pages(decoder),
        )

    def second_of_pages(self, decoder: str | Decoder | None = None) -> Second:
        """What reads doubtful lines of pages; without a ``decoder``, by the bundle's own."""
        from crnn.pages.lines import Second

        decode = self.second.decoder(decoder)
        return Second(then=self.then, recognizer=self.second, decode=decode)

    def _read(
        self, pictures: Iterable[Picture], ways: Sequence[Decoder], chars: bool
    ) -> list[Result]:
        decode, decode_again = ways
        first, second = self.first, self.second
        later = SecondReading(second, self.then, decode_again, chars=chars)
        left = iter(pictures)
        while some := [_kept(picture) for picture in islice(left, _AT_ONCE)]:
            prepared = (
                one if isinstance(one, PictureError) else first.prepared(one) for one in some
            )
            found = first.read_prepared(prepared, decode, chars=chars)
            doubtful = ((place, some[place]) for place in later.doubtful(found))
            later.add(
                found,
                (
                    (place, second.prepared(picture))
                    for place, picture in doubtful
                    if not isinstance(picture, PictureError)
                ),
            )
        return [result for readings in later.finish() for result in readings.results()]


def _kept(picture: Picture) -> Picture | PictureError:
    """The same, to be prepared twice: an open file can be read once only."""
    if not is_file(picture):
        return picture
    try:
        return file_bytes(picture)
    except PictureError as error:
        return error
