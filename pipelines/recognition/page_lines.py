"""Chunks of files with whole pages: text found, cut out and read, many pages in a batch."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, count, groupby, islice

import pyarrow as pa

from crnn.decode import Decoder
from crnn.errors import DataError, PictureError
from crnn.images.prepare import Prepared
from crnn.images.region import Region
from crnn.images.sandbox.pool import Encoded, PicturePool
from crnn.inference.cascade import SecondReading
from crnn.inference.readings import Readings
from crnn.inference.recognizer import Recognizer
from crnn.pages.detector import Detector
from crnn.pages.lines import Second, lines_of
from crnn.pages.page import PageRequest
from crnn.pages.stream import OnePage, pages_of
from pipelines.ledger import Chunk
from pipelines.recognition.inputs import REGION
from pipelines.recognition.rows import LINE, NO_TEXT, PAGE
from pipelines.recognition.second import WAITING_CHUNKS, WAITING_PICTURES, Read

CHUNK_FILES = 16
"""Files of a chunk: what a process that dies has to read again."""
HELD_BYTES = 64 << 20
"""Limit of lines, prepared for the second bundle, that wait for their first reading."""


_Picture = tuple[Prepared | PictureError, Prepared | PictureError]
"""A line as the first and as the second bundle take it; without a second one the same twice."""


@dataclass(frozen=True, kw_only=True)
class PageLines:
    """What reads pages in one process."""

    recognizer: Recognizer
    decode: Decoder
    pictures: PicturePool
    detector: Detector
    request: PageRequest
    chars: bool
    second: Second | None = None
    """What reads the doubtful lines."""

    def read(
        self, chunks: Sequence[Chunk], inputs: deque[pa.Table], files: Iterator[Encoded]
    ) -> Iterator[Read]:
        """The chunks in their order, with a row for each line of each page.

        ``inputs`` has the tables of the chunks, each by the time that its first file is taken.
        The next pages, of the next chunk too, are opened while these are read.
        """
        begun = self._begun(chunks, files)
        if self.second is not None:
            yield from self._by_both(begun, inputs, self.second)
            return
        for one in begun:
            pictures = (first for first, _ in one.pictures)
            readings = self.recognizer.read_prepared(pictures, self.decode, chars=self.chars)
            yield one.read(inputs.popleft(), readings)

    def _begun(self, chunks: Sequence[Chunk], files: Iterator[Encoded]) -> Iterator[_Begun]:
        """The chunks, each when the one before it is read."""
        ends = list(accumulate(chunk.rows for chunk in chunks))
        pages = pages_of(self.pictures, (file.data for file in files), self.request)
        for place, some in groupby(pages, key=lambda one: bisect_right(ends, one.file)):
            rows = _Rows(first=ends[place] - chunks[place].rows)
            pictures = self._pictures(some, rows)
            yield _Begun(chunk=chunks[place], began=time.time(), rows=rows, pictures=pictures)

    def _by_both(
        self, begun: Iterator[_Begun], inputs: deque[pa.Table], second: Second
    ) -> Iterator[Read]:
        """The chunks with what counts of each line, some of them together."""
        waiting: list[tuple[_Begun, pa.Table, int]] = []
        reading = second.reading(chars=self.chars)
        for one in begun:
            parts = self._taken_in(one.pictures, reading)
            waiting.append((one, inputs.popleft(), parts))
            if reading.waiting >= WAITING_PICTURES or len(waiting) == WAITING_CHUNKS:
                yield from _settled(waiting, reading)
                waiting, reading = [], second.reading(chars=self.chars)
        yield from _settled(waiting, reading)

    def _taken_in(self, pictures: Iterator[_Picture], reading: SecondReading) -> int:
        """Read a chunk's lines first, in as many parts as ``HELD_BYTES`` makes of them."""
        for parts in count():
            again: list[Prepared | PictureError] = []
            noted = _noted(pictures, again)
            first = self.recognizer.read_prepared(noted, self.decode, chars=self.chars)
            if not len(first):
                return parts
            reading.add(first, ((place, again[place]) for place in reading.doubtful(first)))
        raise AssertionError("pictures end")

    def _pictures(self, pages: Iterator[OnePage], rows: _Rows) -> Iterator[_Picture]:
        """The lines of these pages; a page without any, or that can't be opened, is an error."""
        contract = None if self.second is None else self.second.recognizer.bundle.picture
        for one in pages:
            if isinstance(one.page, PictureError):
                rows.add(one)
                yield one.page, one.page
                continue
            try:
                lines = lines_of(one.page.pixels, self.detector, self.recognizer, self.decode)
            except PictureError as error:  # of the detector, on this page
                rows.add(one)
                yield error, error
                continue
            for line, found in enumerate(lines.found, start=1):
                rows.add(one, line, found.region)
                first = lines.prepared(found.region)
                yield first, lines.prepared(found.region, contract) if contract else first
            if not lines.found:
                rows.add(one)
                none = PictureError(NO_TEXT, "no text was found on the page")
                yield none, none


@dataclass(frozen=True, kw_only=True)
class _Begun:
    """A chunk whose pages are being opened."""

    chunk: Chunk
    began: float
    rows: _Rows
    """Filled as ``pictures`` are taken."""
    pictures: Iterator[_Picture]

    def read(self, inputs: pa.Table, readings: Readings) -> Read:
        """With what its pictures read, all of which were taken."""
        table = self.rows.of(inputs)
        return Read(chunk=self.chunk, inputs=table, readings=readings, began=self.began)


def _noted(
    pictures: Iterator[_Picture], again: list[Prepared | PictureError]
) -> Iterator[Prepared | PictureError]:
    """What is read first, while ``again`` takes what may be read second, up to ``HELD_BYTES``."""
    held_bytes = 0
    for first, second in pictures:
        again.append(second)
        held_bytes += second.pixels.nbytes if isinstance(second, Prepared) else 0
        yield first
        if held_bytes >= HELD_BYTES:
            return


def _settled(
    waiting: Sequence[tuple[_Begun, pa.Table, int]], reading: SecondReading
) -> Iterator[Read]:
    parts = iter(reading.finish())
    for one, inputs, number in waiting:
        yield one.read(inputs, Readings.joined(list(islice(parts, number))))


@dataclass(kw_only=True)
class _Rows:
    """Where the rows of a chunk come from, in their order."""

    first: int
    """Number of the chunk's first file."""
    files: list[int] = field(default_factory=list)
    pages: list[int | None] = field(default_factory=list)
    lines: list[int | None] = field(default_factory=list)
    regions: list[Region | None] = field(default_factory=list)

    def add(self, one: OnePage, line: int | None = None, region: Region | None = None) -> None:
        """Another row; pages and lines count from 1 in the results."""
        self.files.append(one.file - self.first)
        self.pages.append(None if one.number is None else one.number + 1)
        self.lines.append(line)
        self.regions.append(region)

    def of(self, inputs: pa.Table) -> pa.Table:
        """A row of ``inputs`` for each of ours, with its region, and with ``PAGE`` and ``LINE``."""
        table = inputs.take(pa.array(self.files, pa.int64()))
        place = table.schema.get_field_index("region")
        table = table.set_column(place, "region", pa.array(self.regions, REGION))
        table = table.append_column(PAGE, pa.array(self.pages, PAGE.type))
        return table.append_column(LINE, pa.array(self.lines, LINE.type))


def whole_files(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same inputs, few at a time; DataError where a list names a part of a picture."""
    for table in tables:
        if table["region"].null_count < len(table):
            raise DataError(
                "the list names regions of its pictures, and --pages finds the text of whole ones; "
                "leave --pages out, or pass over the columns with --ignore-columns"
            )
        for start in range(0, len(table), CHUNK_FILES):
            yield table.slice(start, CHUNK_FILES)
