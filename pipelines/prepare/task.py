"""The task of a preparation: one chunk of a plan → its shards, its rejects, its part file.

Every picture is decoded in a process of its own kind (``crnn.images.sandbox.pool``): one that kills
or hangs its decoder is a reject, and harms no neighbour. What is cut out of larger pictures comes
from there as pixels, and becomes a PNG here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from PIL import Image

from crnn.errors import DataError, PictureError
from crnn.files import storage
from crnn.images.contract import SMALLEST, Pixels
from crnn.images.prepare import Prepared
from crnn.images.region import portions
from crnn.images.sandbox import pool as picture_pool
from crnn.images.sandbox.pool import Decoded, PicturePool
from pipelines.ledger import Chunk
from pipelines.manifest import Part
from pipelines.output import part_address
from pipelines.prepare.entries import Entry
from pipelines.prepare.plan import read_entries
from pipelines.shards import Reject, Sample, ShardWriter
from pipelines.sources import Place, Source, to_png
from pipelines.sources.format import Encoded

Made = tuple[Sample | None, Reject | None]
"""One of both."""


@dataclass(frozen=True, kw_only=True)
class TaskConfig:
    """What every task of a preparation is told."""

    sources: tuple[Source, ...]
    max_pixels: int
    decode_memory_mb: int
    decode_timeout_s: float


@dataclass(frozen=True, kw_only=True)
class PartOutcome:
    """A part that is done."""

    chunk: Chunk
    part: Part


class PartMaker:
    """Makes parts in one process, with another one that decodes for it."""

    def __init__(self, config: TaskConfig) -> None:
        self._config = config
        self._pool = PicturePool(
            SMALLEST,
            memory_bytes=config.decode_memory_mb << 20,
            timeout_s=config.decode_timeout_s,
        )

    def __call__(self, chunk: Chunk) -> Iterator[PartOutcome]:
        """Write the shards, the rejects, then the part file of a chunk.

        Raises:
            DataError: when a store fails for good, or the output can't be written.
        """
        entries = read_entries(chunk)
        try:
            with ShardWriter(chunk.uri, chunk.part) as writer:
                for sample, reject in self.made(entries):
                    if sample is not None:
                        writer.write([sample])
                    if reject is not None:
                        writer.reject([reject])
            part = writer.close()
            storage.write_bytes(part_address(chunk.uri, chunk.part), part.to_json().encode())
        except OSError as error:
            raise DataError(
                f"can't write {chunk.part} of {chunk.uri}: {error}; check free space and "
                "permissions"
            ) from error
        yield PartOutcome(chunk=chunk, part=part)

    def made(self, entries: Sequence[Entry]) -> Iterator[Made]:
        """What becomes of each entry, in order."""
        with ExitStack() as stack:
            held: deque[tuple[_File, int]] = deque()
            files = _hold(_files(entries, self._config.sources, stack), held)
            for some in self._pool.decode(files):
                file, first = held.popleft()
                for number, found in enumerate(some, first):
                    yield file.made(number, found, self._config.max_pixels)


class _File(NamedTuple):
    """A picture file, and all that is wanted of it: itself, or what is cut out of it."""

    entries: Sequence[Entry]
    data: Encoded

    def made(self, number: int, found: Decoded, max_pixels: int) -> Made:
        """What becomes of entry ``number``, when the decoding process has said what it found."""
        entry = self.entries[number]
        try:
            if isinstance(found, PictureError):
                raise found
            picture, width, height = self._picture(entry, found)
            if width * height > max_pixels:
                size = f"{width}x{height} px is over the limit of {max_pixels} px"
                raise PictureError("too_large", f"{size}; raise --max-pixels, or shrink it")
        except PictureError as error:
            # Of what can't be cut out there is nothing; the whole file goes with its first entry.
            whole = self.data if entry.region is None or number == 0 else b""
            picture = b"" if isinstance(whole, PictureError) else whole
            return None, _reject(entry, entry.reason or error.reason, str(error), picture)
        if entry.reason:
            return None, _reject(entry, entry.reason, entry.message, picture)
        return Sample(
            id=entry.id,
            image=picture,
            text=entry.text,
            width=width,
            height=height,
            source=entry.source,
            group=entry.group or None,
        ), None

    def _picture(self, entry: Entry, found: Prepared | Pixels) -> tuple[bytes, int, int]:
        """Encoded bytes, width and height in px."""
        assert not isinstance(self.data, PictureError)
        if isinstance(found, Prepared):
            return self.data, found.source_width_px, found.source_height_px
        height, width = found.shape[:2]
        whole = entry.region is None  # beside regions of the same file
        return self.data if whole else to_png(Image.fromarray(found)), width, height


def _files(
    entries: Sequence[Entry], sources: Sequence[Source], stack: ExitStack
) -> Iterator[_File]:
    """Each file once, with the neighbouring entries that are about it."""
    groups = [list(run) for _, run in groupby(entries, key=_file_of)]
    pictures: dict[int, Iterator[Encoded]] = {}
    for number in {group[0].set for group in groups}:
        read = stack.enter_context(sources[number].reader())
        first = (group[0] for group in groups if group[0].set == number)
        pictures[number] = read([Place(e.file, e.at) for e in first if e.has_picture])
    for group in groups:
        entry = group[0]
        nothing = PictureError(entry.reason, entry.message)
        yield _File(group, next(pictures[entry.set]) if entry.has_picture else nothing)


def _hold(files: Iterator[_File], held: deque[tuple[_File, int]]) -> Iterator[picture_pool.Encoded]:
    """The files for a decoding process, with few enough of their regions at a time; what goes to it
    is held until it has answered, with the number of the first entry."""
    for file in files:
        regions = tuple(entry.region for entry in file.entries)
        for some in portions(regions):
            held.append((file, some.start))
            cut = any(region is not None for region in regions[some])
            yield picture_pool.Encoded(data=file.data, regions=regions[some], cut=cut)


def _file_of(entry: Entry) -> tuple[int, str, str, str]:
    """What is the same for entries of one picture, and for no others."""
    return entry.set, entry.file, entry.at, "" if entry.has_picture else entry.id


def _reject(entry: Entry, reason: str, message: str, picture: bytes) -> Reject:
    message = entry.message or message
    return Reject(
        id=entry.id, reason=reason, message=message, source=entry.source, image=picture or None
    )
