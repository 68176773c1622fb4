"""Labels that a trained bundle contradicts: read with confidence, and read as something else.

The bundle reads as it does everywhere (``crnn.inference.recognizer``): with its own decoder,
reading policy and calibration. A label with characters that its charset lacks can't be read, and is
counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import pyarrow as pa
import torch

from crnn.bundle.bundle import Bundle
from crnn.errors import PictureError
from crnn.images.prepare import Prepared
from crnn.inference.recognizer import Recognizer
from crnn.text.charset import normalise
from pipelines.inspection.inputs import DataSet, Piece
from pipelines.inspection.labels import spelled
from pipelines.inspection.reading import PieceReader
from pipelines.inspection.settings import InspectConfig
from pipelines.inspection.tally import Example, Ref
from pipelines.trainable import UNKNOWN, judged

CONTRADICTED = "contradicted"
MORE_EXAMPLES = 4
"""Factor by which more examples are shown than of other findings: people check each one."""
_SCHEMA = pa.schema(
    [("set", pa.int32()), ("row", pa.int64()), ("confidence", pa.float64()), ("text", pa.string())]
)


class ContradictConfig(NamedTuple):
    """What every task needs to know."""

    sets: tuple[DataSet, ...]
    inspect: InspectConfig
    bundle: Bundle


@dataclass(frozen=True, kw_only=True)
class Contradicted:
    """Labels of some samples that the bundle contradicts."""

    rows: int
    """Samples looked at."""
    beyond_charset: int
    """Labels with characters that the bundle doesn't know."""
    found: pa.Table
    """Set and row, and what the bundle reads with which confidence."""

    @classmethod
    def of(cls, parts: Sequence[Contradicted]) -> Contradicted:
        """The sum, the most confident first."""
        table = pa.concat_tables([_SCHEMA.empty_table(), *(part.found for part in parts)])
        order = [("confidence", "descending"), ("set", "ascending"), ("row", "ascending")]
        return cls(
            rows=sum(part.rows for part in parts),
            beyond_charset=sum(part.beyond_charset for part in parts),
            found=table.sort_by(order),
        )

    def counts(self, num_sets: int) -> list[int]:
        """How many each set has."""
        return [int(n) for n in np.bincount(self.found["set"].to_numpy(), minlength=num_sets)]

    def examples(self, most: int) -> list[Example]:
        """The most confident ones."""
        rows = self.found.slice(0, most * MORE_EXAMPLES).to_pylist()
        return [
            Example((Ref(r["set"], r["row"]),), message(r["text"], r["confidence"])) for r in rows
        ]


def message(text: str, confidence: float) -> str:
    """What is said of a sample that the bundle reads as ``text``."""
    shown = f"{text!r}" if text.isprintable() else spelled(text)
    return f"read as {shown} with confidence {confidence:.3f}"


def contradicter(config: ContradictConfig) -> Callable[[Piece], Iterator[Contradicted]]:
    """A worker that reads pieces with the bundle."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    recognizer = Recognizer(config.bundle)
    decode = recognizer.decoder()
    reader = PieceReader(config.sets, config.inspect)
    charset = config.bundle.charset

    def each(piece: Piece) -> Iterator[Contradicted]:
        beyond = 0
        labels: list[tuple[int, str]] = []

        def pictures() -> Iterator[Prepared | PictureError]:
            nonlocal beyond
            for number, row in enumerate(reader.rows(piece), piece.start):
                if row.reason or isinstance(row.picture, PictureError):
                    continue
                obstacles = judged(charset, row.text).obstacles
                beyond += any(obstacle.reason == UNKNOWN for obstacle in obstacles)
                if obstacles:
                    continue
                labels.append((number, normalise(row.text)))
                yield recognizer.prepared(row.picture)

        readings = recognizer.read_prepared(pictures(), decode, chars=False)
        found = [
            (piece.set, number, result.confidence, result.text)
            for (number, label), result in zip(labels, readings.results(), strict=True)
            if result.error_code is None
            and result.confidence >= config.inspect.contradicted_from
            and not charset.looks_alike(normalise(result.text), label)
        ]
        rows = [dict(zip(_SCHEMA.names, values, strict=True)) for values in found]
        table = pa.Table.from_pylist(rows, _SCHEMA)
        yield Contradicted(rows=piece.rows, beyond_charset=beyond, found=table)

    return each
