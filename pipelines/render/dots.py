"""Letters printed dot by dot, as receipts, labels and tickets show them.

A glyph is drawn as a bitmap of few dots a side, where M and H or 0 and O differ by some of them;
each dot then becomes a spot of ink, which touches its neighbours or doesn't.

Shape suffixes: H height, W width (pixels, or dots before they are magnified).
"""

from __future__ import annotations

import math
from functools import lru_cache
from random import Random

import cv2
import numpy as np

from pipelines.render.glyphs import Mask
from pipelines.render.style import StyleConfig

_LEAST_PITCH_PX = 2
_APART = (0.75, 1.0)
"""Diameter of spots that may not touch their neighbours, as a multiple of their distance."""


def dots_an_em(dice: Random, style: StyleConfig) -> int:
    """In how many dots an em is to be printed; 0: not dot by dot."""
    if not style.dots_share or dice.random() >= style.dots_share:
        return 0
    return round(dice.uniform(*style.dots))


def spots(bits_HW: Mask, pitch_px: int, dice: Random, style: StyleConfig) -> Mask:
    """Coverage ``[H·pitch_px, W·pitch_px]`` of dots that are 0 or 255."""
    large_HW = bits_HW.repeat(pitch_px, axis=0).repeat(pitch_px, axis=1)
    if dice.random() >= style.dots_apart_share:
        return large_HW
    spot_HW = _spot(pitch_px, round(dice.uniform(*_APART), 1))
    tiled_HW = np.tile(spot_HW, bits_HW.shape)
    return np.minimum(large_HW, tiled_HW)


def pitch(dots: int, em_px: float) -> int:
    """Distance of dots, px, at which an em of so many is no smaller than in the picture."""
    return max(_LEAST_PITCH_PX, math.ceil(em_px / dots))


@lru_cache(maxsize=64)
def _spot(pitch_px: int, diameter: float) -> Mask:
    """One round spot ``[pitch_px, pitch_px]``, its edge smooth."""
    fine = 8
    side = pitch_px * fine
    spot_HW = np.zeros((side, side), np.uint8)
    cv2.circle(spot_HW, (side // 2, side // 2), round(side * diameter / 2), 255, -1)
    return np.asarray(
        cv2.resize(spot_HW, (pitch_px, pitch_px), interpolation=cv2.INTER_AREA), np.uint8
    )
