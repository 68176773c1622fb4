"""A small prepared set of drawn digits, with what must be refused among it."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from pipelines.manifest import finish
from pipelines.shards import Sample, ShardWriter
from pipelines.stream.assemble import StreamConfig
from pipelines.stream.flow import load_source
from tests.crnn.training.pictures import CHARSET, PICTURE, drawn

STEPS = tuple((width, width // 4) for width in PICTURE.widths)


def sample(sample_id: str, text: str, image: Image.Image | bytes) -> Sample:
    """A row; bytes stand for themselves."""
    if isinstance(image, bytes):
        data, width, height = image, 64, 32
    else:
        file = io.BytesIO()
        image.save(file, "TIFF" if image.mode == "F" else "PNG")
        data, (width, height) = file.getvalue(), image.size
    return Sample(id=sample_id, image=data, text=text, width=width, height=height, source="drawn")


def good(count: int) -> Iterator[Sample]:
    """Samples ``good-N`` whose text is their number."""
    for number in range(count):
        yield sample(f"good-{number}", str(number), drawn(str(number)))


def bad() -> list[Sample]:
    """One sample for each reason to be refused in the stream, ``bad-REASON``."""
    nan = np.full((32, 64), np.nan, dtype=np.float32)
    plain = drawn("12")
    return [
        sample("bad-empty_label", "  ", plain),
        sample("bad-unknown_character", "1x2", plain),
        sample("bad-too_long_for_width", "1" * 30, plain),
        sample("bad-undecodable", "12", b"not a picture"),
        sample("bad-non_finite_pixels", "12", Image.fromarray(nan)),
    ]


def write_set(folder: Path, rows: Iterable[Sample], *, row_group_rows: int = 40) -> str:
    """A finished set in ``folder``."""
    with ShardWriter(str(folder), "part-0000", row_group_rows=row_group_rows) as writer:
        writer.write(rows)
    finish(str(folder), [writer.close()], {"made": "for a test"})
    return str(folder)


def config_for(*uris: str, seed: int | None = 0) -> StreamConfig:
    """A stream over these sets; eight or so samples a batch."""
    return StreamConfig(
        sources=tuple(load_source(uri)[0] for uri in uris),
        charset=CHARSET,
        picture=PICTURE,
        time_steps=STEPS,
        batch_pixels=8 * 32 * 64,
        seed=seed,
    )
