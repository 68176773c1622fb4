"""What the ink lies on, and the light on both, as planes of grey levels.

Shape suffixes: C planes (1 grey, or 3 blue, green, red), H height, W width (pixels).
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import cv2
import numpy as np

from pipelines.render.fields import Floats, Pixels, clutter, grain, patches
from pipelines.render.letters import Layer
from pipelines.render.style import StyleConfig
from pipelines.render.tones import Tone, Tones, brightness, tone

_HELD = 0.6
"""Light changes tones by at most this share of the contrast, so that the ink stays apart."""
_PHOTO_ZOOM = (0.5, 3.0)
"""Px of a photograph for a px of the picture."""


def paint(
    inks: Sequence[Layer],
    tones: Tones,
    em_px: float,
    dice: Random,
    style: StyleConfig,
    photos: Sequence[Pixels],
) -> list[Floats]:
    """Planes ``HW`` of paper with the layers of ink on it, in shared light; not yet clipped."""
    height, width = inks[0].cover_HW.shape
    light_HW = _light(height, width, tones, dice, style)
    planes = [light_HW + np.float32(level) for level in _levels(tones.paper, tones)]
    if dice.random() < style.photo_share:
        _add_photo(planes, tones, dice, style, photos)
    if dice.random() < style.panel_share:
        _add_panel(planes, tones, em_px, dice, style)
    shade_HW = light_HW
    if dice.random() < style.shading_share:
        most = min(style.shading, _HELD * abs(tones.contrast))
        shade_HW = light_HW + _slope(height, width, most, dice)
    for ink in inks:
        for plane_HW, level in zip(planes, _levels(ink.tone, tones), strict=True):
            plane_HW += ink.cover_HW * (shade_HW + np.float32(level) - plane_HW)
    return planes


def _levels(of: Tone, tones: Tones) -> tuple[float, ...]:
    return of if tones.coloured else of[:1]


def _light(height: int, width: int, tones: Tones, dice: Random, style: StyleConfig) -> Floats:
    """What uneven light and the paper's grain add to every pixel ``HW``, in grey levels."""
    light_HW = _slope(height, width, style.gradient, dice)
    if dice.random() < style.texture_share:
        light_HW += grain(height, width, dice) * np.float32(dice.random() * style.texture / 2)
    if dice.random() < style.uneven_share:
        strength = dice.random() * min(style.uneven, _HELD * abs(tones.contrast))
        field_HW = patches(height, width, dice.randrange(2, 6), dice)
        if dice.random() < 0.4:  # the edge of a shadow
            field_HW = np.clip(field_HW * np.float32(dice.uniform(3, 20)), -1, 1)
        light_HW += field_HW * np.float32(strength)
    return light_HW


def _slope(height: int, width: int, most: float, dice: Random) -> Floats:
    """A plane ``HW`` that rises by up to ``most / 2`` across and down, 0 in the middle."""
    across, down = (dice.uniform(-1, 1) * most / 2 for _ in range(2))
    column = (np.arange(height, dtype=np.float32) - height / 2) * np.float32(down / height)
    row = (np.arange(width, dtype=np.float32) - width / 2) * np.float32(across / width)
    return np.add(column[:, None], row[None, :], dtype=np.float32)


def _add_photo(
    planes: list[Floats], tones: Tones, dice: Random, style: StyleConfig, photos: Sequence[Pixels]
) -> None:
    """Add a photograph's differences from its own mean, not stronger than the style allows."""
    photo_HWC = dice.choice(photos) if photos else clutter(dice)
    height, width = planes[0].shape
    high, wide = photo_HWC.shape[:2]
    zoom = min(dice.uniform(*_PHOTO_ZOOM), high / height, wide / width)
    rows, columns = max(1, int(height * zoom)), max(1, int(width * zoom))
    y, x = dice.randrange(high - rows + 1), dice.randrange(wide - columns + 1)
    piece_HWC = photo_HWC[y : y + rows, x : x + columns]
    scaled_HWC = cv2.resize(piece_HWC, (width, height), interpolation=cv2.INTER_LINEAR)
    if len(planes) == 1:
        pieces = [cv2.cvtColor(scaled_HWC, cv2.COLOR_BGR2GRAY)]
    else:
        pieces = list(cv2.split(scaled_HWC))
    mean, spread = cv2.meanStdDev(scaled_HWC)
    most = dice.random() * style.photo * abs(tones.contrast)
    share = min(1.0, most / (2 * float(spread.max()) + 1))
    level = float(mean.mean())
    for plane_HW, piece_HW in zip(planes, pieces, strict=True):
        plane_HW += (piece_HW.astype(np.float32) - np.float32(level)) * np.float32(share)


def _add_panel(
    planes: list[Floats], tones: Tones, em_px: float, dice: Random, style: StyleConfig
) -> None:
    """Another surface from some side inwards, hardly further than the room beside the text."""
    height, width = planes[0].shape
    luma = brightness(tones.paper) - np.sign(tones.contrast) * dice.uniform(-0.3, 0.7) * 60
    other = tone(min(255.0, max(0.0, luma)), style.chroma if tones.coloured else 0.0, dice)
    deep, lean = dice.uniform(0.02, 0.25) * em_px, dice.uniform(-0.1, 0.1) * em_px
    corners = {
        "left": ((0, 0), (deep, 0), (deep + lean, height), (0, height)),
        "right": ((width, 0), (width - deep, 0), (width - deep + lean, height), (width, height)),
        "top": ((0, 0), (0, deep), (width, deep + lean), (width, 0)),
        "bottom": ((0, height), (0, height - deep), (width, height - deep + lean), (width, height)),
    }[dice.choice(("left", "right", "top", "bottom"))]
    polygon = np.round(corners).astype(np.int32)
    for plane_HW, level in zip(planes, _levels(other, tones), strict=True):
        cv2.fillPoly(plane_HW, [polygon], level)
