"""Pixels in the colours that a model reads: grey ``HW`` or RGB ``HWC``, uint8."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

_LUMA = np.array([[19595, 38470, 7471, 32768]], dtype=np.float32) / 65536
"""Weights of red, green and blue by ITU-R 601-2, and a half: with these 16 bits, as Pillow has
them, float32 computes without rounding."""
_AT_ONCE_PX = 1 << 16


def in_colours(pixels: NDArray[np.uint8], channels: Literal[1, 3]) -> NDArray[np.uint8]:
    """``HW`` for one channel, ``HWC`` for three; what is so already is returned itself."""
    if pixels.ndim == (2 if channels == 1 else 3):
        return pixels
    return luma(pixels) if channels == 1 else np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB))


def luma(pixels_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The same values as of Pillow's ``convert("L")``, in a quarter of its time."""
    pixels_1NC = np.ascontiguousarray(pixels_HWC).reshape(1, -1, 3)
    grey_N = np.empty(pixels_1NC.shape[1], dtype=np.uint8)
    for start in range(0, len(grey_N), _AT_ONCE_PX):
        end = start + _AT_ONCE_PX
        grey_N[start:end] = cv2.transform(pixels_1NC[:, start:end].astype(np.float32), _LUMA)[0]
    return grey_N.reshape(pixels_HWC.shape[:2])
