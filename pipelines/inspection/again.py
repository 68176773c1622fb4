"""The second look: a few samples read again, to compare their pictures or to show them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from PIL import Image

from crnn.errors import PictureError
from crnn.images.contract import Pixels
from pipelines.inspection.inputs import DataSet, Piece, pieces
from pipelines.inspection.pictures import signature
from pipelines.inspection.reading import PieceReader, SampleRow
from pipelines.inspection.settings import InspectConfig
from pipelines.inspection.tally import Ref
from pipelines.report.thumbnail import thumbnail

THUMBNAIL_PX = (420, 120)
THUMBNAIL_BYTES = 8_000


@dataclass(frozen=True, kw_only=True)
class ShownSample:
    """A sample as the page shows it."""

    ref: Ref
    id: str
    text: str
    size: tuple[int, int] | None
    """Size of the upright picture, px; None if it can't be decoded."""
    small: bytes
    """A JPEG; empty where the picture can't be decoded."""


class Signed(NamedTuple):
    """A sample with its signature, see ``pictures.signature``."""

    ref: Ref
    signature: Pixels


class AgainConfig(NamedTuple):
    """What every task needs to know."""

    sets: tuple[DataSet, ...]
    inspect: InspectConfig


class Wanted(NamedTuple):
    """Some rows of a piece."""

    piece: Piece
    places: tuple[int, ...]
    """In the piece, ascending."""


def wanted(sets: tuple[DataSet, ...], refs: Iterable[Ref], limit: int) -> Iterator[Wanted]:
    """The pieces with these samples; a source is listed anew, as far as needed."""
    rows: dict[int, list[int]] = {}
    for ref in sorted(set(refs)):
        rows.setdefault(ref.set, []).append(ref.row)
    for number, left in rows.items():
        for piece in pieces(sets[number], number, limit=limit):
            inside = [row for row in left if row < piece.start + piece.rows]
            if inside:
                yield Wanted(piece, tuple(row - piece.start for row in inside))
                left = left[len(inside) :]
            if not left:
                break


def show(config: AgainConfig) -> Callable[[Wanted], Iterator[ShownSample]]:
    """A worker that makes small pictures."""
    reader = PieceReader(*config)

    def each(some: Wanted) -> Iterator[ShownSample]:
        for ref, row in _rows(reader, some):
            image = None if isinstance(row.picture, PictureError) else Image.fromarray(row.picture)
            small = b"" if image is None else thumbnail(
                image, most_px=THUMBNAIL_PX, most_bytes=THUMBNAIL_BYTES
            )  # fmt: skip
            size = image.size if image is not None else None
            yield ShownSample(ref=ref, id=row.id, text=row.text, size=size, small=small)

    return each


def sign(config: AgainConfig) -> Callable[[Wanted], Iterator[list[Signed]]]:
    """A worker that makes signatures, all of a piece in one outcome."""
    reader = PieceReader(*config)

    def each(some: Wanted) -> Iterator[list[Signed]]:
        yield [
            Signed(ref, signature(row.picture))
            for ref, row in _rows(reader, some)
            if not isinstance(row.picture, PictureError)
        ]

    return each


def _rows(reader: PieceReader, some: Wanted) -> Iterator[tuple[Ref, SampleRow]]:
    piece = some.piece
    for place, row in zip(some.places, reader.rows(piece, some.places), strict=True):
        yield Ref(piece.set, piece.start + place), row
