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

from crnn.images.colours import in_colours
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


def digest(*parts: bytes | memoryview) -> int:
    """64 bits that stand for these parts in a row (BLAKE2b)."""
    found = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for part in parts:
        found.update(part)
    return int.from_bytes(found.digest(), "little")


def look_at(pixels: Pixels, *, channels: int) -> Looked:
    """What is kept of an upright picture, for a model with this number of channels."""
    if pixels.ndim == 3 and _is_grey(pixels):
        pixels = pixels[:, :, 0]
    pixels = np.ascontiguousarray(pixels)
    grey_HW = in_colours(pixels, 1)
    size = "x".join(map(str, pixels.shape))
    return Looked(
        pixels=digest(size.encode(), pixels.data),
        look=_look(grey_HW),
        contrast=_contrast(grey_HW if channels == 1 else pixels),
    )


def signature(pixels: Pixels) -> Pixels:
    """A picture in grey, 16 px high, the aspect about kept, its contrast stretched to 0 to 255."""
    height, width = pixels.shape[:2]
    narrow, wide = SIGNATURE_WIDTHS
    width = min(max(round(width * SIGNATURE_HEIGHT / height), narrow), wide)
    small = _shrunk(in_colours(pixels, 1), width, SIGNATURE_HEIGHT).astype(np.float32)
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
    """Whether all channels are equal; the first row tells of most pictures that they aren't."""
    return all(
        np.array_equal(some[:, :, 0], some[:, :, channel])
        for some in (pixels_HWC[:1], pixels_HWC)
        for channel in (1, 2)
    )


def _contrast(pixels: Pixels) -> int:
    channels = [pixels] if pixels.ndim == 2 else cv2.split(pixels)
    found = (cv2.minMaxLoc(channel)[:2] for channel in channels)
    return max(int(high - low) for low, high in found)


def _look(grey_HW: Pixels) -> int:
    smooth = np.asarray(cv2.GaussianBlur(_at_look_height(grey_HW), (0, 0), _SMOOTH), np.uint8)
    cells = _shrunk(smooth, _CELLS + 1, _CELLS).astype(np.float32)
    clearly = _CLEARLY * (cells.max() - cells.min())
    bits: NDArray[np.bool_] = cells[:, 1:] - cells[:, :-1] > clearly
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _at_look_height(grey_HW: Pixels) -> Pixels:
    height, width = grey_HW.shape
    scaled = round(width * LOOK_HEIGHT / height)
    return _shrunk(grey_HW, min(max(scaled, _CELLS + 1), LOOK_MOST_WIDTH), LOOK_HEIGHT)


def _shrunk(grey_HW: Pixels, width: int, height: int) -> Pixels:
    shrinking = grey_HW.shape[0] >= height and grey_HW.shape[1] >= width
    how = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(grey_HW, (width, height), interpolation=how), dtype=np.uint8)
