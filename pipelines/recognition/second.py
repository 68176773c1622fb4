"""A chunk's doubtful pictures, read by the second bundle of a cascade.

Their encoded bytes are held until it is known which are doubtful, as far as ``HELD_BYTES`` go;
what is beyond is fetched again. Chunks wait for one another a little, so that the second bundle's
batches are full.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby

import pyarrow as pa

from crnn.decode import Decoder
from crnn.errors import PictureError
from crnn.images.region import Region
from crnn.images.sandbox.pool import Encoded, PicturePool
from crnn.inference.cascade import SecondReading
from crnn.inference.doubt import Then
from crnn.inference.readings import Readings
from crnn.inference.recognizer import Recognizer
from pipelines.ledger import Chunk
from pipelines.recognition.source import Prefixes, encoded

HELD_BYTES = 64 << 20
"""Limit of encoded pictures waiting for their first reading, in one process."""
WAITING_PICTURES = 1024
"""Doubtful pictures from which on chunks wait no longer."""
WAITING_CHUNKS = 8
"""Chunks that wait for one another, at most: what a process that dies loses."""


@dataclass(frozen=True, kw_only=True)
class Read:
    """A chunk that is read, and not yet written."""

    chunk: Chunk
    inputs: pa.Table
    readings: Readings
    began: float
    """When its first picture was fetched, s since 1970."""


@dataclass(frozen=True, kw_only=True)
class _Held:
    """A file's bytes, None where they are to be fetched again, and its regions."""

    data: bytes | None
    regions: tuple[Region | None, ...]


class SecondReader:
    """The second bundle, and the processes that decode pictures for it."""

    def __init__(
        self,
        then: Then,
        recognizer: Recognizer,
        decode: Decoder,
        pictures: PicturePool,
        *,
        chars: bool,
        prefixes: Prefixes = (),
    ) -> None:
        """``recognizer``, ``decode`` and ``pictures`` are those of the second bundle."""
        self._then, self._recognizer, self._decode = then, recognizer, decode
        self._pictures, self._chars, self._prefixes = pictures, chars, prefixes
        self._held: deque[_Held] = deque()
        self._held_bytes = 0

    def holding(self, files: Iterator[Encoded]) -> Iterator[Encoded]:
        """The same files; each is held until ``settled`` comes to its chunk."""
        self._held.clear()  # of a call that broke off
        self._held_bytes = 0
        for file in files:
            data = b"" if isinstance(file.data, PictureError) else file.data
            has_room = self._held_bytes + len(data) <= HELD_BYTES
            self._held.append(_Held(data=data if has_room else None, regions=file.regions))
            self._held_bytes += len(data) if has_room else 0
            yield file

    def settled(self, reads: Iterator[Read], *, small_here: bool) -> Iterator[Read]:
        """The chunks with what counts of each picture, some of them together."""
        waiting: list[Read] = []
        second = self._second_reading()
        for read in reads:
            waiting.append(read)
            places = second.doubtful(read.readings)
            files = self._doubtful_files(read, places)
            prepared = chain.from_iterable(self._pictures.prepare(files, small_here=small_here))
            second.add(read.readings, zip(places, prepared, strict=True))
            if second.waiting >= WAITING_PICTURES or len(waiting) == WAITING_CHUNKS:
                yield from _replaced(waiting, second)
                waiting, second = [], self._second_reading()
        yield from _replaced(waiting, second)

    def _second_reading(self) -> SecondReading:
        return SecondReading(self._recognizer, self._then, self._decode, chars=self._chars)

    def _doubtful_files(self, read: Read, places: Sequence[int]) -> Iterator[Encoded]:
        """The files of a chunk's pictures at these places, with those pictures' regions."""
        files = self._taken(read.chunk.rows)
        doubtful = [(place, *files[place]) for place in places]
        for _, members in groupby(doubtful, key=lambda one: id(one[1])):
            some = list(members)
            file = some[0][1]
            if file.data is None:
                rows = read.inputs.take([place for place, *_ in some])
                yield from encoded([rows.to_pylist()], self._prefixes)
            else:
                yield Encoded(data=file.data, regions=tuple(region for *_, region in some))

    def _taken(self, rows: int) -> list[tuple[_Held, Region | None]]:
        """What each of the next rows was read from; it is held no longer."""
        found: list[tuple[_Held, Region | None]] = []
        while len(found) < rows:
            file = self._held.popleft()
            self._held_bytes -= len(file.data or b"")
            found += [(file, region) for region in file.regions]
        assert len(found) == rows, "no file's regions are in two chunks"
        return found


def _replaced(waiting: Sequence[Read], second: SecondReading) -> Iterator[Read]:
    for read, readings in zip(waiting, second.finish(), strict=True):
        yield replace(read, readings=readings)
