"""The work of one task: every sample of a piece looked at once, its picture and its label."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np

from crnn.errors import PictureError
from crnn.text.charset import Charset, normalise
from crnn.text.order import turning
from pipelines.inspection.inputs import DataSet, Piece
from pipelines.inspection.labels import troubles
from pipelines.inspection.notes import pack
from pipelines.inspection.pictures import digest, look_at
from pipelines.inspection.reading import PieceReader, SampleRow
from pipelines.inspection.settings import InspectConfig
from pipelines.inspection.tally import FEATURES, LABELLED, MOST, READABLE, VARIED, RowTally
from pipelines.trainable import UNKNOWN, Room, judged

CONSTANT = 4
"""Contrast (0 to 255) up to which a picture is called constant: JPEG's noise on a flat picture."""
LOW_CONTRAST = 24
VERTICAL = 1.5
"""Height over width from which a picture of several characters is called vertical."""
_NO_PICTURE = ("not_found", "unreadable")
_BLANK = ("empty_label", "whitespace_label")
_REASONS = {"empty_label": "empty_label", **dict.fromkeys(_NO_PICTURE, "missing_picture")}


@dataclass(frozen=True, kw_only=True)
class LookConfig:
    """What every task needs to know."""

    sets: tuple[DataSet, ...]
    inspect: InspectConfig
    charset: Charset | None
    """None: every character is known."""
    time_steps: Mapping[int, int]
    """T of the network by bucket width in px."""


def looker(config: LookConfig) -> Callable[[Piece], Iterator[RowTally]]:
    """What a process does with its pieces."""
    cv2.setNumThreads(1)
    reader = PieceReader(config.sets, config.inspect)
    return lambda piece: iter([look(config, reader, piece)])


def look(config: LookConfig, reader: PieceReader, piece: Piece) -> RowTally:
    """All there is to know of one piece.

    Raises:
        DataError: for a damaged shard, or a store that fails for good.
    """
    tally = RowTally(
        set=piece.set,
        start=piece.start,
        most_examples=config.inspect.examples,
        rare_below=config.inspect.rare_below,
        features=np.zeros(piece.rows, FEATURES),
    )
    sample = _Sample(config, tally)
    for number, row in enumerate(reader.rows(piece)):
        sample.look(number, row)
    tally.packed, tally.noted = pack(tally.noted), []
    return tally


class _Sample:
    """Looks at one sample after another, and writes down in the tally what is wrong."""

    def __init__(self, config: LookConfig, tally: RowTally) -> None:
        self._config, self._tally = config, tally
        self._contract = config.inspect.picture
        self._with_aspect = replace(self._contract, mode="bucket")

    def look(self, number: int, row: SampleRow) -> None:
        tally, place = self._tally, self._tally.start + number
        if row.reason:
            tally.note(_REASONS.get(row.reason, "unusable_entry"), place, row.message, row.reason)
            return
        size = self._picture(place, number, row)
        text = normalise(row.text)
        kept = tally.features[number]
        kept["text"], kept["length"] = digest(text.encode()), min(len(text), MOST)
        if self._label(place, row.text):
            kept["flags"] |= LABELLED
            tally.count_characters(place, text)
            kept["steps"] = min(self._needed(place, text, size), MOST)
            self._order(place, text)
            if size is not None:
                self._shape(place, text, *size)

    def _picture(self, place: int, number: int, row: SampleRow) -> tuple[int, int] | None:
        """Width and height, px."""
        tally, inspect, picture = self._tally, self._config.inspect, row.picture
        if isinstance(picture, PictureError):
            code = _REASONS.get(picture.reason, "undecodable")
            tally.note(code, place, str(picture), picture.reason)
            return None
        height, width = picture.shape[:2]
        found = look_at(picture, channels=self._contract.channels)
        kept = tally.features[number]
        kept["pixels"], kept["look"] = found.pixels, found.look
        kept["bytes"] = digest(row.encoded) if row.encoded else found.pixels
        kept["width"] = min(self._with_aspect.natural_width(width, height), MOST)
        kept["flags"] = READABLE | (VARIED if found.contrast > CONSTANT else 0)
        if height < inspect.least_height or width < inspect.least_width:
            tally.note("tiny_picture", place, f"{width}x{height} px")
        if found.contrast <= CONSTANT:
            tally.note("constant_picture", place, f"all of {width}x{height} px is of one value")
        elif found.contrast < LOW_CONTRAST:
            tally.note("low_contrast", place, f"contrast {found.contrast} of 255")
        if self._contract.is_squeezed(width, height):
            limit = self._contract.widths[-1]
            message = f"{kept['width']} px at {self._contract.height} px height, {limit} at most"
            tally.note("squeezed_picture", place, message)
        return width, height

    def _label(self, place: int, text: str) -> bool:
        """Whether there is something to see in it."""
        found = troubles(text)
        for trouble in found:
            self._tally.note(trouble.code, place, trouble.message)
        return not any(trouble.code in _BLANK for trouble in found)

    def _needed(self, place: int, text: str, size: tuple[int, int] | None) -> int:
        """The time steps that hold the label; tells what training would set it aside for."""
        charset = self._config.charset
        found = judged(charset, text, None if size is None else self._room(*size))
        for reason, message in found.obstacles:
            self._tally.note(reason, place, message)
            if reason == UNKNOWN and charset is not None:
                self._tally.unknown.update(charset.unknown(text))
        return found.needed

    def _room(self, width_px: int, height_px: int) -> Room:
        bucket_px = self._contract.bucket_width(width_px, height_px)
        return Room(self._config.time_steps[bucket_px], width_px, height_px)

    def _order(self, place: int, text: str) -> None:
        """Tells whether the label looks the same as another text."""
        if text.isascii() or not turning(text):
            return
        charset = self._config.charset or Charset.of_texts([text])
        read = charset.from_picture(charset.in_picture(text).text).text
        if read != text:
            self._tally.note("ambiguous_order", place, f"looks the same as {read!r}")

    def _shape(self, place: int, text: str, width: int, height: int) -> None:
        if len(text) > 1 and height >= VERTICAL * width:
            self._tally.note("vertical_picture", place, f"{len(text)} characters, {width}x{height}")
