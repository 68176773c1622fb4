"""How a page is seen: one homography and perhaps one arc, from the page's px to the picture's.

The window of the picture follows from the text's own box, so the text is whole in it unless the
margins are negative.

Shape suffixes: H height, W width of the picture (pixels).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.render.glyphs import Mask
from pipelines.render.style import StyleConfig

Matrix = NDArray[np.float64]
Box = tuple[int, int, int, int]
"""Left, top, right, bottom (not included), px."""
Sides = tuple[float, float, float, float]
"""Left, top, right, bottom."""

MIN_SIDE_PX = 4
_EDGE_PX = 1.5
"""Least room of text that is not cut on purpose: interpolation reaches that far."""
_TURN_WHOLE = 5.0
"""A line this many times as wide as high is turned in full; longer ones less."""
_FURTHER_WHOLE = 4.0
_AWAY_WHOLE = 6.0
_ARC_WHOLE = 3.0
_ARC_RISE = 1.0
"""An arc's middle is at most this far above its ends, in heights of the line."""
_LEAST_ARC = 0.02
"""A flatter arc, in radians, is a straight line."""
_FOCAL = (1.2, 4.0)
"""Distance of the camera, in lengths of the text."""


@dataclass(frozen=True)
class Bend:
    """An arc through the middle of a line: page px from (``x``, ``y``), flat ↔ bent."""

    x: float
    y: float
    radius: float
    side: int
    """1: the ends hang down; -1: they point up."""

    def forward(self, points_N2: Matrix) -> Matrix:
        """Where points of the flat page lie on the bent one."""
        angle = (points_N2[:, 0] - self.x) / self.radius
        r = self.radius - self.side * (points_N2[:, 1] - self.y)
        down = self.radius - r * np.cos(angle)
        return np.stack([self.x + r * np.sin(angle), self.y + self.side * down], axis=1)

    def backward(
        self, x_HW: NDArray[np.float32], y_HW: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Where points of the bent page lie on the flat one."""
        height_HW = self.radius - self.side * (y_HW - self.y)
        r, angle = cv2.cartToPolar(height_HW, x_HW - self.x)
        angle = np.where(angle > math.pi, angle - 2 * math.pi, angle)
        flat_x = (angle * self.radius + self.x).astype(np.float32)
        return flat_x, (self.side * (self.radius - r) + self.y).astype(np.float32)


@dataclass(frozen=True)
class View:
    """What the picture shows of the page."""

    matrix: Matrix
    """Page px (bent, if it is) → picture px."""
    bend: Bend | None
    width: int
    height: int

    def see(self, page_HW: Mask) -> Mask:
        """The page's coverage in the picture; 0 beyond the page."""
        size = (self.width, self.height)
        if self.bend is None:
            seen = cv2.warpPerspective(page_HW, self.matrix, size, flags=cv2.INTER_LINEAR)
        else:
            x_HW, y_HW = self.bend.backward(*self._page_points())
            seen = cv2.remap(page_HW, x_HW, y_HW, cv2.INTER_LINEAR)
        return np.asarray(seen, dtype=np.uint8)

    def _page_points(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The page's point for every px of the picture."""
        inverse = np.linalg.inv(self.matrix).astype(np.float32)
        x, y = np.arange(self.width, dtype=np.float32), np.arange(self.height, dtype=np.float32)
        columns, rows = inverse[:, 0, None] * x, inverse[:, 1, None] * y + inverse[:, 2, None]
        planes = columns[:, None, :] + rows[:, :, None]
        return planes[0] / planes[2], planes[1] / planes[2]


def look_at(
    box: Box, scale: float, em_px: float, dice: Random, style: StyleConfig, most: Sides
) -> View:
    """A view of the text in ``box`` of the page.

    Args:
        scale: picture px for a px of the page.
        em_px: an em in the picture, px.
        most: most room beside the text, em, e.g. so that no other word is seen whole.
    """
    bend = _bend(box, dice, style)
    matrix = _turned_away(box, scale, dice, style) @ _flat(box, scale, dice, style)
    corners = _outline(box, bend)
    seen = cv2.perspectiveTransform(corners[None], matrix)[0]
    left, top = seen.min(axis=0).tolist()
    right, bottom = seen.max(axis=0).tolist()
    room = [space * em_px for space in _room(dice, style, most)]
    room_px = [max(_EDGE_PX, space) if space >= 0 else space for space in room]
    x0, y0 = left - room_px[0], top - room_px[1]
    width = max(MIN_SIDE_PX, math.ceil(right + room_px[2] - x0))
    height = max(MIN_SIDE_PX, math.ceil(bottom + room_px[3] - y0))
    shift = np.array([[1, 0, -x0], [0, 1, -y0], [0, 0, 1]])
    return View(shift @ matrix, bend, width, height)


def _flat(box: Box, scale: float, dice: Random, style: StyleConfig) -> Matrix:
    """Scale, stretch, slant and turn about the middle of the box."""
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    slant = dice.uniform(-1, 1) * style.shear
    if dice.random() < style.italic_share:
        slant = -dice.random() * 2 * style.shear
    wide = math.exp(dice.uniform(-1, 1) * style.stretch / 2)
    wider = _widened(dice, style)
    angle = dice.uniform(-1, 1) * style.rotation_deg * min(1.0, _TURN_WHOLE * height / width)
    if dice.random() < style.turned_share:
        damped = min(1.0, _FURTHER_WHOLE * height / width)
        angle += dice.uniform(-1, 1) * style.turned_deg * damped
    turn = math.radians(angle)
    cosine, sine = math.cos(turn), math.sin(turn)
    xx, xy, yy = scale * wide * wider, scale * slant, scale / wide
    a, b, c, d = cosine * xx, cosine * xy - sine * yy, sine * xx, sine * xy + cosine * yy
    x, y = (left + right) / 2, (top + bottom) / 2
    return np.array([[a, b, -a * x - b * y], [c, d, -c * x - d * y], [0, 0, 1]])


def _widened(dice: Random, style: StyleConfig) -> float:
    """How much wider letters are made at the same height; styles without it draw nothing here."""
    if not style.widen_share or dice.random() >= style.widen_share:
        return 1.0
    low, high = style.widen
    return math.exp(dice.uniform(math.log(low), math.log(high)))


def _turned_away(box: Box, scale: float, dice: Random, style: StyleConfig) -> Matrix:
    """The surface panned and tilted before a camera some lengths of the text away."""
    if dice.random() >= style.perspective_share:
        return np.eye(3)
    damped = min(1.0, _AWAY_WHOLE * (box[3] - box[1]) / (box[2] - box[0]))
    pan = math.radians(dice.uniform(-1, 1) * style.pan_deg * damped)
    tilt = math.radians(dice.uniform(-1, 1) * style.tilt_deg)
    far = dice.uniform(*_FOCAL) * scale * max(box[2] - box[0], 2 * (box[3] - box[1]))
    across = (math.cos(pan), math.sin(pan) * math.sin(tilt), math.sin(pan) * math.cos(tilt))
    down = (0.0, math.cos(tilt), -math.sin(tilt))
    return np.array(
        [
            [across[0], down[0], 0],
            [across[1], down[1], 0],
            [across[2] / far, down[2] / far, 1],
        ]
    )


def _bend(box: Box, dice: Random, style: StyleConfig) -> Bend | None:
    if dice.random() >= style.curve_share:
        return None
    left, top, right, bottom = box
    long = (right - left) / (bottom - top)
    most = math.radians(style.curve_deg) * min(1.0, long / _ARC_WHOLE)
    span = dice.uniform(-1, 1) * min(most, 8 * _ARC_RISE / long)
    if abs(span) < _LEAST_ARC:
        return None
    radius = (right - left) / abs(span)
    return Bend((left + right) / 2, (top + bottom) / 2, radius, 1 if span > 0 else -1)


def _outline(box: Box, bend: Bend | None) -> Matrix:
    """Points around the box, enough of them to hold a bent one."""
    left, top, right, bottom = box
    if bend is None:
        return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64)
    xs = np.linspace(left, right, 9)
    points = [(x, y) for y in (top, bottom) for x in xs.tolist()]
    return bend.forward(np.array(points))


def _room(dice: Random, style: StyleConfig, most: Sequence[float]) -> list[float]:
    """Room left, above, right and below the text, em."""
    loose = dice.random() < style.loose_share
    cut = bool(style.cut_share) and dice.random() < style.cut_share
    room = []
    for i, limit in enumerate(most):
        space = dice.uniform(*style.margin_em) / (1 + i % 2)
        if loose and dice.random() < 0.5:
            space += dice.random() * style.loose_em
        if cut and dice.random() < 0.5:
            space -= dice.random() * style.cut_em / (2 - i % 2)
        room.append(min(space, limit))
    return room
