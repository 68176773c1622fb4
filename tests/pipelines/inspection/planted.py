"""Pictures and labels with troubles that are known, for the tests of the inspection."""

from __future__ import annotations

import io
import random
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from pipelines.inspection import InspectConfig, Inspection, plan_inspection
from pipelines.inspection.inputs import pieces
from pipelines.inspection.look import LookConfig, look
from pipelines.inspection.reading import PieceReader
from pipelines.inspection.tally import Total
from pipelines.shards import Sample
from tests.pipelines.evaluation_cases import rendered, write_set

LETTERS = string.ascii_letters + string.digits
PLAIN = InspectConfig(rare_below=1, examples=4)
"""Small sets: no character is called rare."""


def words(count: int, seed: int) -> list[str]:
    """Different ones of 3 to 8 letters and digits."""
    rng = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        found["".join(rng.choices(LETTERS, k=rng.randint(3, 8)))] = None
    return list(found)


def row(name: str, text: str, picture: bytes | None = None) -> Sample:
    """A sample; its picture is of its text unless given."""
    data = rendered(text) if picture is None else picture
    return Sample(id=name, image=data, text=text, width=0, height=0, source="planted")


def clean(count: int, seed: int, prefix: str = "c") -> list[Sample]:
    """Samples with nothing wrong."""
    return [row(f"{prefix}{i:04d}", text) for i, text in enumerate(words(count, seed))]


def png(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()


def noise(width: int, height: int, seed: int = 0) -> bytes:
    """A PNG that is equal to no other."""
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width), np.uint8)
    return png(Image.fromarray(pixels))


def flat(width: int, height: int, value: int = 200) -> bytes:
    return png(Image.new("L", (width, height), value))


def repacked(data: bytes) -> bytes:
    """The same pixels in other bytes."""
    again = png(Image.open(io.BytesIO(data)), compress_level=0)
    assert again != data
    return again


def recoded(data: bytes, *, scale: float = 1.0, quality: int = 70) -> bytes:
    """Another encoding, and size, of a picture."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def prepared(folder: Path | str, rows: Sequence[Sample]) -> str:
    """A finished set; its address."""
    return write_set(folder, list(rows), row_group_rows=25)


def total_of(folder: Path, rows: list[Sample], config: InspectConfig = PLAIN) -> Total:
    """The sum over all pieces, without Ray."""
    planned = plan_inspection([prepared(folder / "set", rows)], config)
    look_config = LookConfig(
        sets=planned.sets,
        inspect=config,
        charset=planned.charset,
        time_steps={w: planned.time_steps(w) for w in config.picture.widths},
    )
    reader = PieceReader(planned.sets, config)
    total = Total(1, most_examples=config.examples, rare_below=config.rare_below)
    for piece in reversed(list(pieces(planned.sets[0], 0))):
        total.add(look(look_config, reader, piece))
    total.finish()
    return total


def counts(inspection: Inspection) -> dict[str, int]:
    return {finding.code: finding.count for finding in inspection.findings}


def by_set(inspection: Inspection, code: str) -> dict[str, int]:
    return next(dict(f.by_set) for f in inspection.findings if f.code == code)


def examples(inspection: Inspection, code: str) -> list[tuple[str, ...]]:
    """Ids of the samples of each example."""
    (found,) = (f for f in inspection.findings if f.code == code)
    return [tuple(inspection.shown[ref].id for ref in e.refs) for e in found.examples]
