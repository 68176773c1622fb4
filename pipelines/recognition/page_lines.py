"""Chunks of files with whole pages: text found, cut out and read, many pages in a batch."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, groupby

import pyarrow as pa

from crnn.decode import Decoder
from crnn.errors import DataError, PictureError
from crnn.pages.detector import Detector
from crnn.pages.lines import lines_of
from crnn.pages.page import PageRequest
from crnn.pages.stream import OnePage, pages_of
from crnn.picture_pool import Encoded, PicturePool
from crnn.prepare import Prepared
from crnn.recognizer import Recognizer
from crnn.region import Region
from pipelines.recognition.inputs import REGION
from pipelines.recognition.plan import Chunk
from pipelines.recognition.rows import LINE, NO_TEXT, PAGE
from pipelines.recognition.second import Read

CHUNK_FILES = 16
"""Files of a chunk: what a process that dies has to read again."""


@dataclass(frozen=True, kw_only=True)
class PageLines:
    """What reads pages in one process."""

    recognizer: Recognizer
    decode: Decoder
    pictures: PicturePool
    detector: Detector
    request: PageRequest
    chars: bool

    def read(
        self, chunks: Sequence[Chunk], inputs: deque[pa.Table], files: Iterator[Encoded]
    ) -> Iterator[Read]:
        """The chunks in their order, with a row for each line of each page.

        ``inputs`` has the tables of the chunks, each by the time that its first file is taken.
        The next pages, of the next chunk too, are opened while these are read.
        """
        ends = list(accumulate(chunk.rows for chunk in chunks))
        pages = pages_of(self.pictures, (file.data for file in files), self.request)
        for place, some in groupby(pages, key=lambda one: bisect_right(ends, one.file)):
            began, chunk = time.time(), chunks[place]
            rows = _Rows(first=ends[place] - chunk.rows)
            readings = self.recognizer.read_prepared(
                self._pictures(some, rows), self.decode, chars=self.chars
            )
            table = rows.of(inputs.popleft())
            yield Read(chunk=chunk, inputs=table, readings=readings, began=began)

    def _pictures(self, pages: Iterator[OnePage], rows: _Rows) -> Iterator[Prepared | PictureError]:
        """The lines of these pages; a page without any, or that can't be opened, is an error."""
        for one in pages:
            if isinstance(one.page, PictureError):
                rows.add(one)
                yield one.page
                continue
            lines = lines_of(one.page.pixels, self.detector, self.recognizer, self.decode)
            for line, found in enumerate(lines.found, start=1):
                rows.add(one, line, found.region)
                yield lines.prepared(found.region)
            if not lines.found:
                rows.add(one)
                yield PictureError(NO_TEXT, "no text was found on the page")


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
