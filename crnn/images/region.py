"""A word or a line cut out of a larger picture: four corners → an upright picture.

Coordinates are continuous: pixel ``i`` covers ``i`` to ``i + 1``, so that the box ``0, 0, 2, 1``
is the first two pixels of the first row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crnn.errors import PictureError
from crnn.images.contract import MAX_PIXELS, Pixels

Region = tuple[float, float, float, float, float, float, float, float]
"""Corners x0,y0 … x3,y3, clockwise from the top left of the text, px of the upright picture."""

MAX_WARPED_SIDE_PX = 32_000
"""Limit of a warped region and of the pixels it is cut from: OpenCV uses 16 bits."""
AT_ONCE_PIXELS = 16 << 20
"""Of the cut-outs of one picture that are in memory together, about."""
_WHOLE_PIXELS = 4 << 20
"""What a whole picture is counted as there."""
_MARGIN_PX = 2


def from_box(x0: float, y0: float, x1: float, y1: float) -> Region:
    """The region of an upright box: left, top, right and bottom edge, px.

    Opposite edges in the other order are put right: so they would turn the text on its head.
    """
    x0, y0, x1, y1 = float(x0), float(y0), float(x1), float(y1)
    x0, x1 = (x1, x0) if x0 > x1 else (x0, x1)
    y0, y1 = (y1, y0) if y0 > y1 else (y0, y1)
    return (x0, y0, x1, y0, x1, y1, x0, y1)


def clockwise(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Four corners (4, 2) clockwise; those that run the other way are taken as of upright text.

    Which of them the text begins at isn't known then: they are turned round, and the first is
    where the top side runs most nearly from left to right. y points down.
    """
    near = corners - corners[0]
    following = np.roll(near, -1, axis=0)
    twice_area = (near[:, 0] * following[:, 1] - near[:, 1] * following[:, 0]).sum()
    if twice_area >= 0:
        return corners
    turned = corners[::-1]
    sides = np.roll(turned, -1, axis=0) - turned
    lengths = np.maximum(np.linalg.norm(sides, axis=1), 1e-9)
    return np.roll(turned, -int(np.argmax(sides[:, 0] / lengths)), axis=0)


def portions(regions: Sequence[Region | None]) -> Iterator[slice]:
    """Regions of one picture, in order, with about ``AT_ONCE_PIXELS`` together or one alone."""
    start, held = 0, 0.0
    for place, region in enumerate(regions):
        pixels = float(_WHOLE_PIXELS) if region is None else _about(region)
        if place > start and held + pixels > AT_ONCE_PIXELS:
            yield slice(start, place)
            start, held = place, 0.0
        held += pixels
    yield slice(start, len(regions))


def _about(region: Region) -> float:
    """The pixels of the box around it; none where it isn't one that can be cut out."""
    xs, ys = region[0::2], region[1::2]
    pixels = (max(xs) - min(xs)) * (max(ys) - min(ys))
    return pixels if pixels <= MAX_PIXELS else 0.0


def cut_out(image: Image.Image, region: Region) -> Image.Image:
    """As ``cut``, of a Pillow image of mode ``L`` or ``RGB``."""
    if image.mode not in ("L", "RGB"):
        raise ValueError(
            f"the image's mode is {image.mode}; expected L or RGB, see crnn.images.contract"
        )
    source = _Source(image.width, image.height, lambda box: np.asarray(image.crop(box)))
    return Image.fromarray(_cut(source, region))


def cut(picture: Pixels, region: Region) -> Pixels:
    """The upright picture of ``region`` in an upright one, ``HW`` or ``HWC``; perhaps a view of it.

    A box on whole pixels is copied as it is. Any other region is mapped by the perspective of its
    four corners (bilinear) to a rectangle as wide and as high as the longer of its opposite sides.
    What lies outside the picture repeats its nearest edge pixel. Corners that run the other
    way round are put right by ``clockwise``.

    Raises:
        PictureError: ``bad_region`` when a corner is no finite number, the region is thinner than
            half a pixel, isn't convex, lies wholly outside the picture
            or would be larger than ``MAX_PIXELS`` (or ``MAX_WARPED_SIDE_PX`` where it is mapped).
    """
    height, width = picture.shape[:2]
    return _cut(
        _Source(width, height, lambda box: picture[box[1] : box[3], box[0] : box[2]]), region
    )


class _Source(NamedTuple):
    """What regions are cut out of."""

    width: int
    height: int
    part: Callable[[tuple[int, int, int, int]], Pixels]
    """The pixels from left and top to right and bottom edge."""


def _cut(source: _Source, region: Region) -> Pixels:
    if len(region) != 8:
        raise _bad(region, "expected 8 numbers: x0,y0 … x3,y3")
    corners = np.array(region, dtype=np.float64).reshape(4, 2)
    _size(region, corners)  # finite and bounded: the next can't overflow
    corners = clockwise(corners)
    width, height = _size(region, corners)
    _check_place(region, corners, source)
    x0, y0, x1, y1 = (float(value) for value in (*corners[0], *corners[2]))
    is_box = x0 < x1 and y0 < y1 and from_box(x0, y0, x1, y1) == tuple(corners.flat)
    if is_box and all(value.is_integer() for value in (x0, y0, x1, y1)):
        return _copied(source, int(x0), int(y0), int(x1), int(y1))
    return _warped(source, region, corners, width, height)


def _bad(region: Region, what: str) -> PictureError:
    return PictureError("bad_region", f"the region {tuple(map(float, region))} {what}")


def _size(region: Region, corners: NDArray[np.float64]) -> tuple[int, int]:
    """Width and height of the cut-out, px."""
    if not np.isfinite(corners).all():
        raise _bad(region, "has a corner that isn't a finite number")
    sides = [math.dist(corners[i], corners[(i + 1) % 4]) for i in range(4)]
    across, down = max(sides[0], sides[2]), max(sides[1], sides[3])
    if max(across, down) > MAX_PIXELS or round(across) * round(down) > MAX_PIXELS:
        raise _bad(region, f"is {across:.0f}x{down:.0f} px, over the limit of {MAX_PIXELS} px")
    if round(across) < 1 or round(down) < 1:
        raise _bad(region, f"is {across:.2f}x{down:.2f} px; expected at least half a pixel")
    return round(across), round(down)


def _check_place(region: Region, corners: NDArray[np.float64], source: _Source) -> None:
    near = corners - corners[0]  # small numbers: products can't overflow
    edges = np.roll(near, -1, axis=0) - near
    following = np.roll(edges, -1, axis=0)
    turns = edges[:, 0] * following[:, 1] - edges[:, 1] * following[:, 0]
    if not (turns > 1e-3).all():
        raise _bad(region, "isn't a convex quadrilateral with its corners in order")
    (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
    apart = x1 <= 0 or y1 <= 0 or x0 >= source.width or y0 >= source.height
    if not apart:
        picture = from_box(0, 0, source.width, source.height)
        shared, _ = cv2.intersectConvexConvex(
            corners.astype(np.float32), np.array(picture, dtype=np.float32).reshape(4, 2)
        )
        apart = shared <= 0
    if apart:
        raise _bad(region, f"lies outside the picture of {source.width}x{source.height} px")


def _copied(source: _Source, x0: int, y0: int, x1: int, y1: int) -> Pixels:
    """The pixels of a box on whole pixels, with the picture's edges repeated outside it."""
    inside = (max(x0, 0), max(y0, 0), min(x1, source.width), min(y1, source.height))
    pixels = source.part(inside)
    beyond = ((inside[1] - y0, y1 - inside[3]), (inside[0] - x0, x1 - inside[2]))
    if not any(map(any, beyond)):
        return pixels
    return np.pad(pixels, (*beyond, (0, 0))[: pixels.ndim], mode="edge")


def _warped(
    source: _Source, region: Region, corners: NDArray[np.float64], width: int, height: int
) -> Pixels:
    """The pixels of any region, mapped from the part of the picture that it needs."""
    size = np.array([source.width, source.height])
    low = np.clip(np.floor(corners.min(axis=0)) - _MARGIN_PX, 0, size - 1).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)) + _MARGIN_PX, low + 1, size).astype(int)
    if max(width, height, *(high - low)) > MAX_WARPED_SIDE_PX:
        raise _bad(region, f"needs a side of over {MAX_WARPED_SIDE_PX} px; cut it into pieces")
    part = source.part((*low.tolist(), *high.tolist()))
    centres = 0.5  # the transform counts from the middle of the first pixel, regions from its edge
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
    transform = cv2.getPerspectiveTransform(
        (corners - low - centres).astype(np.float32), target - np.float32(centres)
    )
    warped = cv2.warpPerspective(
        part, transform, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(warped, dtype=np.uint8)
