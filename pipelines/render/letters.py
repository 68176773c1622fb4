"""What makes letters more than flat ink: outlines, shadows, relief, halos, wear.

Works on the coverage as the picture sees it. The result is a stack of layers, the lowest first.

Shape suffixes: H height, W width (pixels).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Any

import cv2
import numpy as np

from pipelines.render.fields import Floats, grain
from pipelines.render.glyphs import Mask
from pipelines.render.style import MAX_CONTRAST, StyleConfig
from pipelines.render.tones import Tone, Tones, against, brightness, tone

_OUTLINE_APART = 0.6
"""Least difference of outline and ink, as a share of the contrast of ink and paper."""
_DARK = 0.35
"""Brightness of a shadow at most, as a share of the paper's."""


@dataclass(frozen=True)
class Layer:
    """One tone laid on through a coverage in [0, 1]."""

    cover_HW: Floats
    tone: Tone


def layers(
    mask_HW: Mask, tones: Tones, em_px: float, dice: Random, style: StyleConfig
) -> list[Layer]:
    """The ink's layers for a coverage of 0–255: effects below, the ink itself on top."""
    chroma = style.chroma if tones.coloured else 0.0
    below: list[Layer] = []
    effect = _effect(dice, style)
    ink_HW: Any = mask_HW
    if effect == "outline":
        wide_HW = cv2.dilate(mask_HW, _disc(_px(style.outline_em, em_px, dice)))
        apart = _OUTLINE_APART * abs(tones.contrast)
        below = [Layer(_cover(wide_HW), against(tones.ink, chroma, dice, apart=apart))]
    elif effect == "hollow":
        eroded_HW = cv2.erode(mask_HW, _disc(max(1, round(style.outline_em * em_px / 2))))
        ink_HW = cv2.subtract(mask_HW, eroded_HW)
    elif effect == "shadow":
        below = [_shadow(mask_HW, tones, em_px, dice, style)]
    elif effect == "relief":
        below = _relief(mask_HW, tones, em_px, dice, style)
    elif effect == "glow":
        halo_HW = cv2.GaussianBlur(mask_HW, (0, 0), 0.3 + dice.random() * style.glow_em * em_px)
        below = [Layer(_cover(halo_HW) * np.float32(dice.uniform(0.4, 0.9)), tones.ink)]
    cover_HW = _cover(ink_HW)
    if dice.random() < style.worn_share:
        cover_HW = cover_HW * _wear(cover_HW.shape, dice, style)
    return [*below, Layer(cover_HW, tones.ink)]


def _effect(dice: Random, style: StyleConfig) -> str:
    point = dice.random()
    for name in ("outline", "hollow", "shadow", "relief", "glow"):
        point -= getattr(style, f"{name}_share")
        if point < 0:
            return name
    return ""


def _shadow(mask_HW: Mask, tones: Tones, em_px: float, dice: Random, style: StyleConfig) -> Layer:
    """Cast to one side: sharp, soft, or as deep as a solid letter."""
    x, y = (dice.uniform(-1, 1) * style.shadow_em * em_px for _ in range(2))
    kind = dice.choice(("sharp", "soft", "solid"))
    shadow_HW: Any = _shifted(mask_HW, x, y)
    if kind == "soft":
        shadow_HW = cv2.GaussianBlur(shadow_HW, (0, 0), 0.3 + dice.random() * 0.06 * em_px)
    if kind == "solid":
        steps = max(1, math.ceil(max(abs(x), abs(y))))
        for step in range(1, steps):
            shadow_HW = cv2.max(shadow_HW, _shifted(mask_HW, x * step / steps, y * step / steps))
    dark = tone(dice.random() * _DARK * brightness(tones.paper), 0.0, dice)
    strength = np.float32(1.0 if kind == "solid" else dice.uniform(0.4, 1.0))
    return Layer(_cover(shadow_HW) * strength, dark)


def _relief(
    mask_HW: Mask, tones: Tones, em_px: float, dice: Random, style: StyleConfig
) -> list[Layer]:
    """Light from one side: that flank lighter than the paper, the other one darker."""
    far = max(0.7, dice.random() * style.relief_em * em_px)
    angle = dice.random() * math.tau
    x, y = far * math.cos(angle), far * math.sin(angle)
    paper = brightness(tones.paper)
    lit = tone(paper + dice.uniform(0.3, 0.9) * (MAX_CONTRAST - paper), 0.0, dice)
    dark = tone(paper * dice.uniform(0.1, 0.6), 0.0, dice)
    return [
        Layer(_cover(_shifted(mask_HW, x, y)), dark),
        Layer(_cover(_shifted(mask_HW, -x, -y)), lit),
    ]


def _wear(shape: tuple[int, ...], dice: Random, style: StyleConfig) -> Floats:
    """What is left of the ink, 0 to 1."""
    field_HW = grain(shape[0], shape[1], dice)
    threshold, loss = dice.uniform(-0.5, 1.5), dice.random() * style.worn
    gone = np.clip((field_HW - np.float32(threshold)) * np.float32(2), 0, 1)
    return np.asarray(1 - np.float32(loss) * gone, dtype=np.float32)


def _shifted(mask_HW: Mask, x: float, y: float) -> Mask:
    height, width = mask_HW.shape
    matrix = np.array([[1, 0, x], [0, 1, y]], dtype=np.float64)
    return np.asarray(cv2.warpAffine(mask_HW, matrix, (width, height)), dtype=np.uint8)


def _cover(mask_HW: Any) -> Floats:
    return np.multiply(mask_HW, np.float32(1 / 255), dtype=np.float32)


def _px(em: float, em_px: float, dice: Random) -> int:
    """Up to ``em``, at least 1 px."""
    return max(1, round(dice.uniform(0.3, 1.0) * em * em_px))


@lru_cache(maxsize=64)
def _disc(radius_px: int) -> Mask:
    side = 2 * radius_px + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), dtype=np.uint8)
