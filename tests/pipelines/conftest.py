from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

PictureOf = Callable[..., bytes]


def encoded(text: str, *, size: tuple[int, int] = (60, 20), format: str = "JPEG") -> bytes:
    """A small picture of ``text``."""
    image = Image.new("L", size, 230)
    ImageDraw.Draw(image).text((3, 3), text, fill=10)
    buffer = io.BytesIO()
    image.save(buffer, format)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def picture_of() -> PictureOf:
    return encoded


@pytest.fixture(scope="session")
def nan_picture() -> bytes:
    """A float TIFF with one pixel that is not a number."""
    pixels = np.full((8, 12), 0.5, dtype=np.float32)
    pixels[2, 3] = np.nan
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "TIFF")
    return buffer.getvalue()


@pytest.fixture
def words_folder(tmp_path: Path) -> Callable[[Sequence[str]], Path]:
    """Makes a source of one picture for each word, with labels.tsv."""

    def make(words: Sequence[str]) -> Path:
        folder = tmp_path / "words"
        (folder / "images").mkdir(parents=True)
        lines = []
        for number, word in enumerate(words):
            name = f"images/{number:03d}.jpg"
            (folder / name).write_bytes(encoded(word, size=(30 + 8 * number % 90, 20)))
            lines.append(f"{name}\t{word}\n")
        (folder / "labels.tsv").write_text("".join(lines), encoding="utf-8")
        return folder

    return make
