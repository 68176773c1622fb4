"""The samples of a piece, their pictures decoded; what is no picture says why.

Pictures of a prepared set were proven when it was made. Those of other sources are decoded in a
process of their own first (``crnn.images.sandbox.pool``): one that kills or hangs its decoder is a
finding, and ends nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from PIL import Image

from crnn.errors import PictureError
from crnn.images.contract import SMALLEST, decode_picture
from crnn.images.region import cut_out
from crnn.images.sandbox.pool import Encoded, PicturePool
from pipelines.inspection.inputs import DataSet, Piece
from pipelines.inspection.settings import ReadConfig
from pipelines.shards import read_row_group
from pipelines.sources import Item, Source

_COLUMNS = ("id", "text", "image")


@dataclass(frozen=True)
class Row:
    """One sample as it is there."""

    id: str
    text: str
    picture: Image.Image | PictureError
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

    def rows(self, piece: Piece, only: Sequence[int] | None = None) -> Iterator[Row]:
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
            yield Row(name, text, _decoded(encoded), encoded)

    def _listed(self, source: Source, items: Sequence[Item]) -> Iterator[Row]:
        assert self._pool is not None
        groups = [list(run) for _, run in groupby(items, key=_file)]
        held: deque[tuple[list[Item], bytes | PictureError]] = deque()
        with source.reader() as read:
            wanted = [group[0].picture for group in groups if not group[0].reason]
            files = read([place for place in wanted if place is not None])

            def proven() -> Iterator[Encoded]:
                for group in groups:
                    item = group[0]
                    there = item.picture is not None and not item.reason
                    data = next(files) if there else PictureError(item.reason, item.message)
                    held.append((group, data))
                    yield Encoded(data=data, regions=tuple(item.region for item in group))

            for verdicts in self._pool.prepare(proven()):
                group, data = held.popleft()
                yield from _rows(group, data, verdicts)


def _file(item: Item) -> object:
    """Equal for items of one file that follow one another."""
    return (item.id, item.reason) if item.reason or item.picture is None else item.picture


def _rows(
    group: Sequence[Item], data: bytes | PictureError, verdicts: Sequence[object]
) -> Iterator[Row]:
    """The rows of one file, by what the decoding process says of each."""
    whole: Image.Image | PictureError | None = None
    for item, verdict in zip(group, verdicts, strict=True):
        if isinstance(verdict, PictureError) or isinstance(data, PictureError):
            error = verdict if isinstance(verdict, PictureError) else data
            assert isinstance(error, PictureError)
            yield Row(item.id, item.text, error, b"", item.reason, item.message)
            continue
        whole = whole or _decoded(data)
        if item.region is None or isinstance(whole, PictureError):
            yield Row(item.id, item.text, whole, data)
        else:
            yield Row(item.id, item.text, cut_out(whole, item.region))


def _decoded(data: bytes) -> Image.Image | PictureError:
    try:
        return decode_picture(data)
    except PictureError as error:
        return error
