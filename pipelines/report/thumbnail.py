"""A picture small enough to lie in a page."""

from __future__ import annotations

import base64
import io

from PIL import Image

_QUALITIES = (88, 75, 60, 40)
_SMALLER = 0.7


def thumbnail(
    image: Image.Image, *, most_px: tuple[int, int] = (480, 240), most_bytes: int = 20_000
) -> bytes:
    """A JPEG of an upright picture, at most so wide and high, and about so large.

    A picture that is too large is shrunk first, then compressed more, then shrunk again.
    """
    small = image.convert("L" if image.mode == "L" else "RGB")
    small.thumbnail(most_px, reducing_gap=2.0)
    while True:
        for quality in _QUALITIES:
            data = _jpeg(small, quality)
            if len(data) <= most_bytes:
                return data
        if min(small.size) < 8:
            return data
        small = small.resize([max(1, round(side * _SMALLER)) for side in small.size])


def data_uri(data: bytes) -> str:
    """A JPEG as an address that holds it whole."""
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"


def _jpeg(image: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, optimize=True)
    return file.getvalue()
