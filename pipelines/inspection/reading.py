"""The samples of a piece, their pictures decoded; what is no picture says why.

Pictures of a prepared set were proven when it was made. Of other sources only small plain ones are
decoded here, until one has crashed this process; the others are in a process of their own
(``crnn.images.sandbox.pool``): one that kills or hangs its decoder is a finding, and ends nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import numpy as np

from crnn.errors import PictureError
from crnn.images.contract import SMALLEST, Pixels, decode_pixels
from crnn.images.region import portions
from crnn.images.sandbox.pool import Decoded, Encoded, PicturePool
from pipelines.inspection.inputs import DataSet, Piece
from pipelines.inspection.settings import ReadConfig
from pipelines.shards import read_row_group
from pipelines.sources import Item, Source
from pipelines.spread import is_second_try

_COLUMNS = ("id", "text", "image")


@dataclass(frozen=True)
class SampleRow:
    """One sample as it is there."""

    id: str
    text: str
    picture: Pixels | PictureError
    """Upright, or why there is none."""
    encoded: bytes = b""
    """The file; empty for what is cut out of one."""
    reason: str = ""
    """Why the source has no sample here, else empty."""
    message: str = ""


class PieceReader:
    """Reads pieces in one process, with another one that decodes for it where that is needed."""

    def __init__(self, sets: Sequence[DataSet], config: ReadConfig) -> None:
        self._sets = sets
        self._pool: PicturePool | None = None
        if any(data.source for data in sets):
            self._pool = PicturePool(
                SMALLEST,
                memory_bytes=config.decode_memory_mb << 20,
                timeout_s=config.decode_timeout_s,
            )

    def rows(self, piece: Piece, only: Sequence[int] | None = None) -> Iterator[SampleRow]:
        """The rows of a piece, in order; all, or ``only`` those of these places in it.

        Raises:
            DataError: for a damaged shard, or a store that fails for good.
        """
        data, places = self._sets[piece.set], range(piece.rows) if only is None else only
        if data.source:
            yield from self._listed(data.source, [piece.items[place] for place in places])
            return
        table = read_row_group(data.uri, piece.shard, piece.group, columns=_COLUMNS)
        columns = [table.column(name) for name in _COLUMNS]
        for place in places:
            name, text, encoded = (column[place].as_py() for column in columns)
            yield SampleRow(name, text, _decoded(encoded), encoded)

    def _listed(self, source: Source, items: Sequence[Item]) -> Iterator[SampleRow]:
        assert self._pool is not None
        groups = [list(run) for _, run in groupby(items, key=_file)]
        held: deque[tuple[list[Item], bytes | PictureError]] = deque()
        with source.reader() as read:
            wanted = [group[0].picture for group in groups if not group[0].reason]
            files = read([place for place in wanted if place is not None])

            def proven() -> Iterator[Encoded]:
                for group in groups:
                    item, regions = group[0], tuple(item.region for item in group)
                    there = item.picture is not None and not item.reason
                    data = next(files) if there else PictureError(item.reason, item.message)
                    for some in portions(regions):
                        held.append((group[some], data))
                        yield Encoded(data=data, regions=regions[some], cut=True)

            for pictures in self._pool.decode(proven(), small_here=not is_second_try()):
                group, data = held.popleft()
                yield from map(partial(_row, data), group, pictures)


def _file(item: Item) -> object:
    """Equal for items of one file that follow one another."""
    return (item.id, item.reason) if item.reason or item.picture is None else item.picture


def _row(data: bytes | PictureError, item: Item, picture: Decoded) -> SampleRow:
    if isinstance(picture, np.ndarray):
        assert isinstance(data, bytes)
        return SampleRow(item.id, item.text, picture, data if item.region is None else b"")
    assert isinstance(picture, PictureError)
    return SampleRow(item.id, item.text, picture, b"", item.reason, item.message)


def _decoded(data: bytes) -> Pixels | PictureError:
    try:
        return decode_pixels(data)
    except PictureError as error:
        return error
