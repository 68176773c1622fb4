"""The flat page: the text, and what stands above, below and beside it.

Coordinates are px of the page, at the size in which glyphs are drawn.

Shape suffixes: H height, W width (pixels).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import cv2
import numpy as np

from pipelines.render.dots import dots_an_em, pitch, spots
from pipelines.render.fonts import Font
from pipelines.render.geometry import Box, Sides
from pipelines.render.glyphs import GlyphLine, Mask, Setting, paste, set_line
from pipelines.render.style import StyleConfig

_SMALLEST_DRAWN_PX = 16
_SIZE_STEP = 1.3
_EDGE_PX = 2
_REACH_EM = (0.8, 1.1)
"""How far beside and above the text the page goes on where other text is near."""
_RULE_EM = (0.02, 0.08)
"""Width of ruled lines."""


@dataclass(frozen=True)
class InkPage:
    """Coverage of all ink, with the place of the text that counts."""

    mask_HW: Mask
    box: Box
    size_px: int
    """An em on the page, px."""
    most_room: Sides
    """Room beside the text beyond which another word could be read, em."""


def compose(
    text: str, font: Font, em_px: float, dice: Random, style: StyleConfig, others: Sequence[str]
) -> InkPage:
    """``text`` and pieces of ``others`` around it, drawn at the next of few sizes above ``em_px``.

    Few sizes, so that most glyphs were drawn before. What is printed dot by dot is drawn at a px a
    dot, and then magnified.
    """
    dots = dots_an_em(dice, style)
    size = dots or drawn_size(em_px)
    line = set_line(text, font, size, _setting(text, size, dice, style, bitmap=dots > 0))
    chances = (style.beside_share, style.above_share, style.beside_share, style.below_share)
    near = [bool(others) and dice.random() < chance for chance in chances]
    reach_x, reach_y = (math.ceil(r * size) if any(near) else _EDGE_PX for r in _REACH_EM)
    left, top, right, bottom = line.box
    mask_HW = np.zeros((bottom - top + 2 * reach_y, right - left + 2 * reach_x), np.uint8)
    pen_x, pen_y = reach_x - left, reach_y - top
    paste(line, mask_HW, pen_x, pen_y)
    box = (reach_x, reach_y, reach_x + right - left, reach_y + bottom - top)
    most = [math.inf] * 4
    for side, there in enumerate(near):
        if there:
            other = set_line(dice.choice(others), font, size, Setting(bitmap=dots > 0))
            gap = dice.uniform(*style.gap_em)
            x, y = _place(other, side, box, gap * size, dice)
            paste(other, mask_HW, x, y + pen_y + round(_drop(side, style, dice) * size))
            most[side] = gap + dice.random() * style.peek_em if side % 2 == 0 else math.inf
    if dice.random() < style.rule_share:
        _rule(mask_HW, box, size, dice)
    if dots:
        pitch_px = pitch(dots, em_px)
        mask_HW, size = spots(mask_HW, pitch_px, dice, style), dots * pitch_px
        box = (box[0] * pitch_px, box[1] * pitch_px, box[2] * pitch_px, box[3] * pitch_px)
    return InkPage(mask_HW, box, size, (most[0], most[1], most[2], most[3]))


def drawn_size(em_px: float) -> int:
    """The size at which glyphs are drawn for text of ``em_px``."""
    steps = math.ceil(math.log(max(em_px, _SMALLEST_DRAWN_PX) / _SMALLEST_DRAWN_PX, _SIZE_STEP))
    return math.ceil(_SMALLEST_DRAWN_PX * _SIZE_STEP**steps)


def _setting(text: str, size: int, dice: Random, style: StyleConfig, *, bitmap: bool) -> Setting:
    spaced = dice.random() < style.spacing_share
    spacing_px = dice.uniform(*style.spacing_em) * size if spaced else 0.0
    drops_px: list[int] = []
    if dice.random() < style.jitter_share:
        drops_px = [round(dice.uniform(-1, 1) * style.jitter_em * size) for _ in text]
    large = dice.random() < style.initial_share and text.isupper() and text.isalpha()
    return Setting(
        spacing_px=spacing_px,
        drops_px=drops_px,
        initial_scale=style.initial_scale if large else 1.0,
        bitmap=bitmap,
    )


def _place(other: GlyphLine, side: int, box: Box, gap_px: float, dice: Random) -> tuple[int, int]:
    """Where another line's pen starts: x, and y less the text's own."""
    left, _, right, _ = other.box
    if side == 0:
        return round(box[0] - gap_px - right), 0
    if side == 2:
        return round(box[2] + gap_px - left), 0
    width = right - left
    return round(dice.uniform(box[0] - 0.7 * width, box[2] - 0.3 * width)), 0


def _drop(side: int, style: StyleConfig, dice: Random) -> float:
    """How much lower than the text's baseline the other one's is, em."""
    if side % 2 == 0:
        return 0.0
    return dice.uniform(*style.leading_em) * (-1 if side == 1 else 1)


def _rule(mask_HW: Mask, box: Box, size: int, dice: Random) -> None:
    """A line under, above, beside or rarely across the text, from edge to edge."""
    left, top, right, bottom = box
    height, width = mask_HW.shape
    thick = max(1, round(dice.uniform(*_RULE_EM) * size))
    away = round(dice.uniform(0.02, 0.2) * size) + thick
    where = dice.choice(("under", "under", "above", "left", "right", "across"))
    lean = round(dice.uniform(-0.02, 0.02) * width)
    if where in ("left", "right"):
        x = left - away if where == "left" else right + away
        ends = ((x, 0), (x + round(lean / 4), height))
    else:
        y = {"under": bottom + away, "above": top - away}.get(where, (top + bottom) // 2)
        ends = ((0, y), (width, y + lean))
        thick = thick if where != "across" else max(1, thick // 2)
    cv2.line(mask_HW, *ends, 255, thick, cv2.LINE_AA)
