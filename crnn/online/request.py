"""One caller's pictures on their way.

Belongs to the event loop's thread but for ``is_over`` and ``data``.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import NamedTuple

from crnn.bundle.reading_policy import kept
from crnn.decode import Decoder
from crnn.errors import PictureError
from crnn.images.contract import PictureContract
from crnn.images.prepare import Prepared, Small
from crnn.result import Result

Decoding = Future[list[Prepared | PictureError]]
"""What ``PicturePool.submit`` gives."""
Cut = Callable[[PictureContract], Prepared | PictureError]
"""A part of a page that is open here, as a bundle takes it; quick, from any thread."""


def not_again(contract: PictureContract) -> PictureError:
    """A ``Cut`` of what the second bundle of a cascade isn't asked about."""
    return PictureError("not_again", "the second bundle isn't asked")


class Bucket(NamedTuple):
    """Whose pictures share a batch."""

    width_px: int
    is_second: bool = False
    """Whether the second bundle of a cascade reads them."""


class ReadRequest:
    """Results as they come, in the caller's order, and the future that the caller awaits."""

    def __init__(
        self,
        pictures: Sequence[bytes] | Sequence[Cut],
        decode: Decoder,
        *,
        decode_again: Decoder | None = None,
        chars: bool,
        now_s: float,
        extra: int = 0,
        is_of_page: bool = False,
    ) -> None:
        """``decode_again``: of a cascade's second bundle, by default ``decode`` too."""
        self.decode, self.chars, self.accepted_s = decode, chars, now_s
        self.decode_again = decode_again or decode
        self._pictures = pictures
        self.num_pictures = len(pictures)
        self.num_bytes = sum(len(one) for one in pictures if isinstance(one, bytes))
        self.is_of_page = is_of_page
        """Whether its pictures are lines of a page, which counts in their place."""
        self.extra = extra
        """What its pictures weigh in ``Places`` beyond one each, as far as is known."""
        self.decodings: list[Decoding] = []
        self.is_over = False
        """The caller has its results, or waits no more: what is left needn't be read."""
        self.done: asyncio.Future[list[Result]] = asyncio.get_running_loop().create_future()
        self._results: list[Result | None] = [None] * len(pictures)
        self._left = len(pictures)

    def data(self, index: int) -> bytes | Cut | None:
        """Picture ``index``, to be prepared once more; None after cancellation."""
        pictures = self._pictures  # from any thread
        return pictures[index] if pictures else None

    def answer(self, index: int, result: Result) -> None:
        """Picture ``index`` is done."""
        assert self._results[index] is None, f"picture {index} was answered twice"
        self._results[index] = result
        self._left -= 1
        if not self._left and not self.done.done():
            self.done.set_result([result for result in self._results if result is not None])

    def fail(self, error: Exception) -> None:
        """The caller gets an error instead, unless it has its results already."""
        if not self.done.done():
            self.done.set_exception(error)

    def end(self) -> None:
        """Cancels the request: pictures that weren't read yet won't be."""
        self.is_over = True
        self._pictures = ()
        if self._left:
            for decoding in self.decodings:
                decoding.cancel()
        self.decodings.clear()


class Attempts:
    """The readings of one picture that is read more than once, as they come, in any order."""

    def __init__(self, first: Result, log_probability: float, others: int) -> None:
        """Make it for a picture read once, of which this many other readings will come."""
        self._lock = threading.Lock()
        self._readings: list[tuple[Result, float] | None] = [(first, log_probability)]
        self._readings += [None] * others

    def put(self, number: int, result: Result, log_probability: float) -> Result | None:
        """Reading ``number``, from 1 on; the one that counts if it was the last to come."""
        with self._lock:
            self._readings[number] = result, log_probability
            there = [reading for reading in self._readings if reading is not None]
            if len(there) < len(self._readings):
                return None
        return there[kept([log_probability for _, log_probability in there])][0]


@dataclass(slots=True, eq=False)  # frozen ones take four times as long to make
class QueuedPicture:
    """One picture of a request: ready, found to be unreadable, or small, and decoded when it is
    read. Nobody changes it but for its turn."""

    request: ReadRequest
    index: int
    """Its place in the request."""
    picture: Prepared | PictureError | Small
    bucket_width: int | None
    """None for one that is unreadable."""
    ready_s: float
    """When it came as it is here (``time.monotonic``)."""
    attempts: Attempts | None = None
    """For a picture that is read again: where its result goes."""
    number: int = 0
    """Its place there."""
    first: Result | None = None
    """For a picture passed to the second bundle of a cascade: the first bundle's result."""
    turn: int = 0
    """Its place in the order in which pictures are read, set once: when the batcher takes it in."""

    @property
    def bucket(self) -> Bucket | None:
        """Pictures of one bucket share batches; None as ``bucket_width``."""
        return None if self.bucket_width is None else Bucket(self.bucket_width, self.is_second)

    @property
    def is_second(self) -> bool:
        """Whether the second bundle of a cascade is to read it."""
        return self.first is not None

    @property
    def decode(self) -> Decoder:
        """What its request wants it decoded with."""
        return self.request.decode_again if self.is_second else self.request.decode
