"""What is kept of a picture: two digests, its contrast, and what it looks like in 64 bits.

The look is a difference hash: the picture in grey at 32 px height, smoothed, shrunk to nine by
eight cells; a bit says that a cell is clearly darker than its right neighbour. "Clearly", a tenth
of the contrast, keeps flat paper from being noise. Pictures whose looks differ in at most
``near.MOST_BITS`` bits are compared more closely by
their ``Signature``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crnn.images.contract import Pixels

LOOK_HEIGHT = 32
LOOK_MOST_WIDTH = 4096
_SMOOTH = 1.5
_CELLS = 8
_CLEARLY = 0.1
SIGNATURE_HEIGHT = 16
SIGNATURE_WIDTHS = (16, 320)
NEAR_DIFFERENCE = 0.3
"""Signatures of two pictures that are called near duplicates differ at most this much at any
point, as a share of the contrast."""
_DIGEST_BYTES = 8


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What is kept of one picture."""

    pixels: int
    """Digest of the size and of all pixels; a grey picture kept in colour has the grey's."""
    look: int
    """The difference hash."""
    contrast: int
    """The brightest minus the darkest value, 0 to 255, in the channel where they lie farthest
    apart."""


def digest(data: bytes) -> int:
    """64 bits that stand for ``data`` (BLAKE2b)."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest(), "little")


def look_at(image: Image.Image, *, channels: int) -> Looked:
    """What is kept of an upright picture, for a model with this number of channels."""
    pixels = np.asarray(image)
    if pixels.ndim == 3 and _is_grey(pixels):
        pixels = np.ascontiguousarray(pixels[:, :, 0])
    grey_HW = pixels if pixels.ndim == 2 else np.asarray(image.convert("L"))
    seen = grey_HW if channels == 1 else pixels.reshape(*pixels.shape[:2], -1)
    contrast = seen.max(axis=(0, 1)).astype(int) - seen.min(axis=(0, 1))
    size = "x".join(map(str, pixels.shape))
    return Looked(
        pixels=digest(size.encode() + pixels.tobytes()),
        look=_look(grey_HW),
        contrast=int(np.max(contrast)),
    )


def signature(image: Image.Image) -> Pixels:
    """A picture in grey, 16 px high, the aspect about kept, its contrast stretched to 0 to 255."""
    width = round(image.width * SIGNATURE_HEIGHT / image.height)
    width = int(np.clip(width, *SIGNATURE_WIDTHS))
    grey_HW = np.asarray(image.convert("L"))
    small = _shrunk(grey_HW, width, SIGNATURE_HEIGHT).astype(np.float32)
    low, high = float(small.min()), float(small.max())
    stretched: Pixels = np.rint((small - low) * (255 / max(high - low, 1))).astype(np.uint8)
    return stretched


def difference(one_HW: Pixels, other_HW: Pixels) -> float:
    """How far apart two signatures are at worst, 0 to 1, averaged over 2 by 2 points."""
    narrow_HW, wide_HW = sorted((one_HW, other_HW), key=lambda pixels: pixels.shape[1])
    one, other = narrow_HW.astype(np.float32), wide_HW.astype(np.float32)
    if one.shape != other.shape:
        other = cv2.resize(other, one.shape[::-1], interpolation=cv2.INTER_LINEAR).astype(
            np.float32
        )
    return float(np.abs(cv2.blur(one - other, (2, 2))).max()) / 255


def _is_grey(pixels_HWC: Pixels) -> bool:
    first = pixels_HWC[:, :, 0]
    return all(np.array_equal(first, pixels_HWC[:, :, c]) for c in (1, 2))


def _look(grey_HW: Pixels) -> int:
    smooth = np.asarray(cv2.GaussianBlur(_at_look_height(grey_HW), (0, 0), _SMOOTH), np.uint8)
    cells = _shrunk(smooth, _CELLS + 1, _CELLS).astype(np.float32)
    clearly = _CLEARLY * (cells.max() - cells.min())
    bits: NDArray[np.bool_] = cells[:, 1:] - cells[:, :-1] > clearly
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _at_look_height(grey_HW: Pixels) -> Pixels:
    height, width = grey_HW.shape
    scaled = round(width * LOOK_HEIGHT / height)
    return _shrunk(grey_HW, int(np.clip(scaled, _CELLS + 1, LOOK_MOST_WIDTH)), LOOK_HEIGHT)


def _shrunk(grey_HW: Pixels, width: int, height: int) -> Pixels:
    shrinking = grey_HW.shape[0] >= height and grey_HW.shape[1] >= width
    how = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(grey_HW, (width, height), interpolation=how), dtype=np.uint8)
