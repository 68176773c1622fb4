"""One piece of a row group in one process: pictures read, readings judged, counts made."""

from __future__ import annotations

import heapq
import io
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import pyarrow as pa
import torch

from crnn.bundle.bundle import Bundle
from crnn.bundle.calibration import Calibration
from crnn.images.contract import decode_picture
from crnn.inference.recognizer import BATCH_PIXELS, Recognizer
from crnn.result import Result
from crnn.text.charset import normalise
from crnn.text.metrics import Sums, score
from pipelines.evaluation.plan import Piece
from pipelines.evaluation.tally import (
    GALLERY_SIZE,
    Mistake,
    OutOfReach,
    ReadingTally,
    confusions,
    worst_confident,
    worst_distant,
)
from pipelines.holdout import KEY_COLUMNS, held_out_rows
from pipelines.shards import read_row_group
from pipelines.trainable import Room, judged

PREDICTION_SCHEMA = pa.schema(
    [
        ("set", pa.string()),
        ("id", pa.string()),
        ("group", pa.string()),
        ("label", pa.string()),
        ("text", pa.string()),
        ("log_probability", pa.float64()),
        ("confidence", pa.float64()),
        ("exact", pa.bool_()),
        ("alnum_exact", pa.bool_()),
        ("letters_exact", pa.bool_()),
        ("edits", pa.int32()),
        ("reason", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("squeezed", pa.bool_()),
        ("turned", pa.int16()),
    ]
)
"""One row a sample. ``group`` is what it belongs to, its id where it has none. ``log_probability``
is null where no picture could be read, ``reason`` where nothing stood in the way of a right
reading."""

THUMBNAIL_PX = (480, 120)
_GPU_BATCH_PIXELS = 10 * BATCH_PIXELS
_COLUMNS = ["id", "image", "text", "width", "height"]


@dataclass(frozen=True, kw_only=True)
class ReaderConfig:
    """Everything that a process needs to read pieces."""

    bundle: Bundle
    decoder: str | None
    """A name, or none for the bundle's own (the lexicon decoder if there is a lexicon)."""
    lexicon: Sequence[str] | None
    engine: str
    """A name, or ``auto``."""
    held_out_share: float
    use_gpu: bool


@dataclass(frozen=True, kw_only=True)
class PieceOutcome:
    """What one piece gave."""

    rows: int
    """Rows looked at."""
    predictions: pa.Table
    """Has the schema ``PREDICTION_SCHEMA``."""
    tally: ReadingTally
    engine: str
    """What ran the model."""


@dataclass(frozen=True)
class _Judged:
    """One reading beside its label."""

    sample: dict[str, Any]
    result: Result
    log_probability: float | None
    confidence: float
    sums: Sums
    reason: str | None
    message: str


class PieceReader:
    """A bundle on its device with one decoder; a call reads one piece."""

    def __init__(self, config: ReaderConfig) -> None:
        self._config = config
        self._charset = config.bundle.charset
        # With the neutral calibration a confidence is the probability itself, from which the
        # log-probability is had back; the bundle's own calibration is applied to that.
        plain = replace(config.bundle, calibration=Calibration())
        if config.use_gpu:
            self._recognizer = Recognizer(
                plain, device="cuda", batch_pixels=_GPU_BATCH_PIXELS, engine=config.engine
            )
        else:
            torch.set_num_threads(1)
            cv2.setNumThreads(1)
            self._recognizer = Recognizer(plain, engine=config.engine)
        self._decode = self._recognizer.decoder(config.decoder, lexicon=config.lexicon)

    def __call__(self, piece: Piece) -> PieceOutcome:
        """Read, judge and count.

        Raises:
            DataError: when the shard is missing or damaged.
        """
        samples = self._samples(piece)
        pictures = [sample["image"] for sample in samples]
        results = self._recognizer.read(pictures, decoder=self._decode, chars=False)
        judged = [self._judge(s, r) for s, r in zip(samples, results, strict=True)]
        return PieceOutcome(
            rows=piece.rows,
            predictions=_table(piece.set, judged),
            tally=_tally(piece.set, judged),
            engine=self._recognizer.engine,
        )

    def _samples(self, piece: Piece) -> list[dict[str, Any]]:
        columns = list({*_COLUMNS, *KEY_COLUMNS})
        table = read_row_group(piece.uri, piece.shard, piece.index, columns)
        table = table.slice(piece.start, piece.rows)
        share = self._config.held_out_share
        if share:
            table = table.filter(pa.array(held_out_rows(table, share)))
        samples: list[dict[str, Any]] = table.to_pylist()
        return samples

    def _judge(self, sample: dict[str, Any], result: Result) -> _Judged:
        label = sample["text"]
        if result.error_code is not None:
            unread = replace(score("", label), exact=0, similarity=0.0)
            message = result.error_message or ""
            return _Judged(sample, result, None, 0.0, unread, result.error_code, message)
        log_probability = math.log(result.confidence) if result.confidence > 0 else -math.inf
        confidence = self._config.bundle.calibration.apply(log_probability)
        reason, message = self._obstacle(sample)
        sums = score(self._reading(result.text, normalise(label)), label)
        return _Judged(sample, result, log_probability, confidence, sums, reason, message)

    def _reading(self, text: str, label: str) -> str:
        """What counts as read: the label, where no picture tells it from the text."""
        return label if self._charset.looks_alike(text, label) else text

    def _obstacle(self, sample: dict[str, Any]) -> tuple[str | None, str]:
        """What keeps the label out of this bundle's reach, if anything does."""
        bundle, size = self._config.bundle, (sample["width"], sample["height"])
        steps = bundle.time_steps(bundle.reading.widest_bucket(*size, bundle.picture))
        found = judged(self._charset, sample["text"], Room(steps, *size)).obstacles
        return found[0] if found else (None, "")


def _table(name: str, judged: list[_Judged]) -> pa.Table:
    rows = [
        {
            "set": name,
            "id": j.sample["id"],
            "group": j.sample.get("group") or j.sample["id"],
            "label": j.sample["text"],
            "text": j.result.text,
            "log_probability": j.log_probability,
            "confidence": j.confidence,
            "exact": bool(j.sums.exact),
            "alnum_exact": bool(j.sums.alnum_exact) if j.sums.alnum_count else None,
            "letters_exact": bool(j.sums.letters_exact) if j.sums.letters_count else None,
            "edits": j.sums.edits,
            "reason": j.reason,
            "width": j.sample["width"],
            "height": j.sample["height"],
            "squeezed": j.result.squeezed,
            "turned": j.result.turned,
        }
        for j in judged
    ]
    return pa.Table.from_pylist(rows, schema=PREDICTION_SCHEMA)


def _tally(name: str, judged: list[_Judged]) -> ReadingTally:
    tally = ReadingTally(problems=Counter((name, j.reason) for j in judged if j.reason))
    for j in judged:
        tally.sums[name, j.sums.characters] += j.sums
        if not j.sums.exact and j.result.error_code is None:
            tally.confusions.update(confusions(j.sample["text"], j.result.text))
    tally.keep_examples(
        OutOfReach(
            set=name,
            id=j.sample["id"],
            label=j.sample["text"],
            reason=j.reason,
            message=j.message,
        )
        for j in judged
        if j.reason
    )
    wrong = [j for j in judged if not j.sums.exact and j.reason is None]
    confident = heapq.nlargest(GALLERY_SIZE, wrong, key=lambda j: (j.confidence, j.sums.edits))
    distant = heapq.nlargest(GALLERY_SIZE, wrong, key=lambda j: (j.sums.edits, j.confidence))
    tally.confident = worst_confident(_mistake(name, j) for j in confident)
    tally.distant = worst_distant(_mistake(name, j) for j in distant)
    return tally


def _mistake(name: str, judged: _Judged) -> Mistake:
    return Mistake(
        set=name,
        id=judged.sample["id"],
        label=judged.sample["text"],
        text=judged.result.text,
        confidence=judged.confidence,
        edits=judged.sums.edits,
        picture=_thumbnail(judged.sample["image"]),
    )


def _thumbnail(data: bytes) -> bytes:
    """A JPEG of at most ``THUMBNAIL_PX``."""
    image = decode_picture(data).copy()
    image.thumbnail(THUMBNAIL_PX)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=88)
    return file.getvalue()
