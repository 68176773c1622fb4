"""Random fields, made once a process and cut at random for each picture: noise, grain, clutter.

Cutting a piece at a random place costs a fiftieth of drawing its values. Fields are the same in
every process, so a cut depends on its place alone.

Shape suffixes: H height, W width (pixels), C colour channels.
"""

from __future__ import annotations

from functools import lru_cache
from random import Random

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]

_SEED = 20261122
_SIZE_HW = (384, 2048)
_GRAINS = ((2, 2), (4, 4), (9, 9), (24, 24), (2, 40), (30, 3))
"""Height and width of the grain's blobs, px; the last two are streaks."""
_CLUTTERS = 8
_SHAPES = 90


def noise(height: int, width: int, dice: Random) -> Floats:
    """A piece ``HW`` of white noise, standard normal."""
    return _cut(_noise(height, width), height, width, dice)


def grain(height: int, width: int, dice: Random) -> Floats:
    """A piece ``HW`` of blobs or streaks of some size, of mean 0 and deviation about 1."""
    return _cut(_grain(dice.randrange(len(_GRAINS)), height, width), height, width, dice)


def clutter(dice: Random) -> Pixels:
    """A made-up photograph ``HWC``: shapes and shades as behind text on walls and in windows."""
    return _clutter(dice.randrange(_CLUTTERS))


def patches(height: int, width: int, cells: int, dice: Random) -> Floats:
    """A smooth field ``HW`` in about [-1, 1] with ``cells`` by ``cells`` values of its own."""
    values = [[dice.uniform(-1, 1) for _ in range(cells)] for _ in range(cells)]
    field = cv2.resize(
        np.array(values, dtype=np.float32), (width, height), interpolation=cv2.INTER_CUBIC
    )
    return np.asarray(field, dtype=np.float32)


def _cut(field_HW: Floats, height: int, width: int, dice: Random) -> Floats:
    y = dice.randrange(field_HW.shape[0] - height + 1)
    x = dice.randrange(field_HW.shape[1] - width + 1)
    return field_HW[y : y + height, x : x + width]


def _room_for(height: int, width: int) -> tuple[int, int]:
    """The usual size, or doubled until a large picture fits."""
    rows, columns = _SIZE_HW
    while rows < height:
        rows *= 2
    while columns < width:
        columns *= 2
    return rows, columns


def _noise(height: int, width: int) -> Floats:
    return _made_noise(*_room_for(height, width))


def _grain(number: int, height: int, width: int) -> Floats:
    return _made_grain(number, *_room_for(height, width))


@lru_cache(maxsize=4)
def _made_noise(rows: int, columns: int) -> Floats:
    return np.random.default_rng([_SEED, 0]).standard_normal((rows, columns), dtype=np.float32)


@lru_cache(maxsize=2 * len(_GRAINS))
def _made_grain(number: int, rows: int, columns: int) -> Floats:
    rng = np.random.default_rng([_SEED, 1, number])
    field_HW = np.zeros((rows, columns), dtype=np.float32)
    high, wide = _GRAINS[number]
    for octave in range(2):
        cells = (rows // (high << octave) + 2, columns // (wide << octave) + 2)
        coarse = rng.standard_normal(cells, dtype=np.float32)
        field_HW += cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_LINEAR)
    field_HW -= field_HW.mean()
    return np.asarray(field_HW / field_HW.std(), dtype=np.float32)


@lru_cache(maxsize=_CLUTTERS)
def _clutter(number: int) -> Pixels:
    """Rectangles, lines and blobs over a shaded ground, softened here and there."""
    rng = np.random.default_rng([_SEED, 2, number])
    height, width = 256, 1024
    ground = rng.integers(0, 256, (3, 5, 3)).astype(np.float32)
    image = cv2.resize(ground, (width, height), interpolation=cv2.INTER_CUBIC)
    image = np.clip(image, 0, 255).astype(np.uint8)
    for i in range(_SHAPES):
        colour = tuple(rng.integers(0, 256, 3).tolist())
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        a, b = (int(v) for v in rng.integers(4, 140, 2))
        if i % 3 == 0:
            cv2.rectangle(image, (x, y), (x + a, y + b), colour, int(rng.choice([-1, 2, 5])))
        elif i % 3 == 1:
            cv2.line(image, (x, y), (x + 2 * a - 140, y + 2 * b - 140), colour, 1 + a // 30)
        else:
            cv2.ellipse(image, (x, y), (a // 2, b // 2), float(a), 0, 360, colour, -1)
        if i in (_SHAPES // 3, 2 * _SHAPES // 3):
            image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(1, 4)))
    return np.asarray(image, dtype=np.uint8)
