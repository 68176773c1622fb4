"""A picture with transparency → opaque: laid on white, or on black where white would hide it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LEAST_CONTRAST = 64
"""Least contrast of ink with white (0 to 255), a quarter; below it, black may be better."""
_STRAY = 0.02
"""Share of the ink that may stand out more: stray pixels."""
_LEAST_GROUND = 0.1
"""Share of the picture that the ground must be: of an opaque one it shows nothing."""
_GREY = frozenset({"1", "L", "LA", "La"})


def opaque(image: Image.Image) -> Image.Image:
    """The picture in ``L`` or ``RGB``, by its own pixels alone.

    White is laid beneath, as paper is. Where nearly all that isn't transparent is so light that it
    would hardly show there, black is.
    """
    rgba = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    alpha = np.asarray(rgba.getchannel("A"))
    ground = ground_of(np.asarray(rgba.convert("L")), alpha)
    below = Image.new("RGBA", rgba.size, (ground, ground, ground, 255))
    flat = Image.alpha_composite(below, rgba).convert("RGB")
    return flat.convert("L") if image.mode in _GREY else flat


def ground_of(luma_HW: NDArray[np.uint8], alpha_HW: NDArray[np.uint8]) -> int:
    """255, or 0 where ink (weighted by its opacity) hardly shows on that and better on 0."""
    if not alpha_HW.size or alpha_HW.mean() > 255 * (1 - _LEAST_GROUND):
        return 255
    on_white = _contrast(255 - luma_HW, alpha_HW)
    if on_white >= LEAST_CONTRAST:
        return 255
    return 0 if _contrast(luma_HW, alpha_HW) > on_white else 255


def _contrast(apart_HW: NDArray[np.uint8], alpha_HW: NDArray[np.uint8]) -> int:
    """Contrast of the ink with a background at these colour distances, ignoring stray pixels."""
    shown = (apart_HW.astype(np.uint16) * alpha_HW // 255).ravel()
    ink = np.bincount(shown, weights=alpha_HW.ravel(), minlength=256).cumsum()
    return int(np.searchsorted(ink, (1 - _STRAY) * ink[-1]))
