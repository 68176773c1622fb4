"""Training-only distortions of batches of scaled pictures: seeded, mild, same shapes out as in.

Works on the contents before padding, so the padding stays as it is in recognition. All geometry
of a picture is one homography; all its tone changes are one lookup table.

Shape suffixes: N pictures, D draws, H height, w content width (pixels), C channels (1 or 3).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """What may happen to a training picture; every value is the largest that is drawn.

    Fields that end in ``_share`` are shares of pictures, in [0, 1].
    """

    strength: float = 1.0
    """Factor for all shares and amounts below; 0: no augmentation."""
    geometry_share: float = 0.6
    """Share of pictures that are rotated, sheared, warped and stretched."""
    rotation_deg: float = 3.0
    """Rotation to either side, degrees; less for wide pictures, whose ends would leave the
    canvas."""
    shear: float = 0.15
    """Slant of upright strokes to either side, as a tangent."""
    perspective: float = 0.06
    """Shift of each corner, as a share of the shorter side."""
    stretch: float = 0.08
    """Change of the text's width and height, as a share of its size."""
    tone_share: float = 0.6
    """Share of pictures with changed contrast, brightness and gamma."""
    contrast: float = 0.3
    """Change of contrast around middle grey, as a share."""
    brightness: float = 25.0
    """Change of brightness, in grey levels."""
    gamma: float = 0.3
    """Change of gamma, as a natural logarithm."""
    inversion_share: float = 0.1
    """Share of pictures with light and dark exchanged."""
    blur_share: float = 0.2
    """Share of pictures with a Gaussian blur."""
    blur_sigma: float = 0.9
    """Standard deviation of that blur, in px."""
    motion_share: float = 0.05
    """Share of pictures with a motion blur along a line."""
    motion_px: float = 3.0
    """Length of that line, in px."""
    resample_share: float = 0.12
    """Share of pictures shrunk and enlarged again, as if taken from a distance."""
    resample: float = 0.4
    """Share of the resolution that is lost by it."""
    noise_share: float = 0.25
    """Share of pictures with pixel noise."""
    noise_sigma: float = 12.0
    """Standard deviation of that noise, in grey levels."""
    jpeg_share: float = 0.15
    """Share of pictures encoded as JPEG and decoded again."""
    jpeg_loss: float = 60.0
    """How far the JPEG quality may fall below 95."""
    line_share: float = 0.03
    """Share of pictures with a thin line drawn over the text."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{field.name} is {value}; expected a finite number, at least 0")
            if field.name.endswith("_share") and value > 1:
                raise ValueError(f"{field.name} is {value}; expected a share from 0 to 1")
        if self.strength > 3:
            raise ValueError(f"strength is {self.strength}; expected at most 3, 1 is usual")


def augment_batch(
    contents: Sequence[Pixels], seeds: Sequence[int], config: AugmentConfig
) -> list[Pixels]:
    """Distorted copies of pictures ``HwC``, uint8 of the same shapes; the inputs are not changed.

    Each depends on its own content and seed (64 bits) alone, not on its batch mates. All draws of
    a batch are made at once; so are the corners and the tables of tones.
    """
    draws_ND = _uniforms(seeds, len(_CHANCES) + len(_AMOUNTS))
    happens_ND = draws_ND[:, : len(_CHANCES)] < config.strength * _shares(config)
    amounts_ND = (2 * draws_ND[:, len(_CHANCES) :] - 1) * config.strength
    pictures = [c[..., 0] if c.shape[2] == 1 else c for c in contents]
    happens = [dict(zip(_CHANCES, row, strict=True)) for row in happens_ND.tolist()]
    amounts = [dict(zip(_AMOUNTS, row, strict=True)) for row in amounts_ND.tolist()]
    matrices = _matrices([p.shape[:2] for p in pictures], amounts_ND, happens_ND, config)
    for i, (happen, amount) in enumerate(zip(happens, amounts, strict=True)):
        if happen["geometry"]:
            pictures[i] = _warp(pictures[i], matrices[i])
        pictures[i] = _soften(pictures[i], happen, amount, config)
    toned = [i for i, happen in enumerate(happens) if happen["tone"] or happen["inversion"]]
    tables = _tone_tables([pictures[i] for i in toned], amounts_ND, happens_ND, toned, config)
    for i, table in zip(toned, tables, strict=True):
        pictures[i] = _uint8(cv2.LUT(pictures[i], table))
    for i, (happen, amount) in enumerate(zip(happens, amounts, strict=True)):
        if happen["noise"]:
            pictures[i] = _add_noise(pictures[i], amount, config)
        if happen["jpeg"]:
            pictures[i] = _recode(pictures[i], abs(amount["jpeg"]) * config.jpeg_loss)
    return [
        (p.copy() if np.may_share_memory(p, c) else p).reshape(c.shape)
        for p, c in zip(pictures, contents, strict=True)
    ]


def augment(content_HwC: Pixels, rng: Generator, config: AugmentConfig) -> Pixels:
    """A distorted copy of one picture; the same generator state gives the same pixels."""
    return augment_batch([content_HwC], [int(rng.integers(1 << 63))], config)[0]


_CHANCES = ("geometry", "tone", "blur", "motion", "resample", "noise", "jpeg", "line", "inversion")
"""What may happen, in the order of its draws; each has a ``_share``."""
_CORNERS = tuple(f"corner_{i}" for i in range(8))
_AMOUNTS = (
    *("turn", "across", "down", "slant", *_CORNERS, "blur", "motion", "motion_angle", "resample"),
    *("line_left", "line_right", "line_grey", "gamma", "contrast", "brightness"),
    *("noise", "noise_x", "noise_y", "jpeg"),
)
"""How much of it, in [-strength, strength]."""
_COLUMN = {name: i for i, name in enumerate(_AMOUNTS)}


def _uniforms(seeds: Sequence[int], columns: int) -> Floats:
    """Numbers in [0, 1), a row a seed: splitmix64 (Steele et al. 2014) of seed and column."""
    mask = (1 << 64) - 1
    start_N = np.array([seed & mask for seed in seeds], dtype=np.uint64)
    step_D = np.arange(1, columns + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    bits_ND = _mixed(start_N)[:, None] + step_D[None, :]
    return np.asarray((_mixed(bits_ND) >> np.uint64(11)) * 2.0**-53)


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(bits ^ (bits >> np.uint64(31)))


@lru_cache(maxsize=16)
def _shares(config: AugmentConfig) -> Floats:
    return np.array([getattr(config, f"{name}_share") for name in _CHANCES])


def _soften(
    pixels: Pixels, happen: Mapping[str, bool], amount: Mapping[str, float], config: AugmentConfig
) -> Pixels:
    """What is drawn over the text or takes sharpness away."""
    if happen["line"]:
        pixels = _cross(pixels, amount)
    if happen["blur"]:
        pixels = _blur(pixels, abs(amount["blur"]) * config.blur_sigma)
    if happen["motion"]:
        length_px = 2 + abs(amount["motion"]) * config.motion_px
        pixels = _smear(pixels, length_px, amount["motion_angle"] * math.pi)
    if happen["resample"]:
        pixels = _resample(pixels, abs(amount["resample"]) * config.resample)
    return pixels


def _matrices(
    sizes_hw: Sequence[tuple[int, ...]], amounts_ND: Floats, happens_ND: Any, config: AugmentConfig
) -> dict[int, Floats]:
    """Turn, shear, stretch and perspective in one homography, by place in the batch.

    The moved corners are held within 5% of the height of the canvas, so that text near an edge
    stays in the picture.
    """
    places = np.flatnonzero(happens_ND[:, _CHANCES.index("geometry")])
    amount = amounts_ND[places].T
    height, width = (
        np.array([sizes_hw[i] for i in places.tolist()], dtype=np.float64).reshape(-1, 2).T
    )
    half_w, half_h = width / 2, height / 2
    angle = amount[_COLUMN["turn"]] * math.radians(config.rotation_deg)
    rise = np.tan(angle * np.minimum(1.0, 3 * height / width)) * half_w
    slant = amount[_COLUMN["slant"]] * config.shear * half_h * np.minimum(1.0, width / height)
    across = (1 + amount[_COLUMN["across"]] * config.stretch) * half_w
    down = (1 + amount[_COLUMN["down"]] * config.stretch) * half_h
    first = _COLUMN[_CORNERS[0]]
    shift = amount[first : first + 8] * config.perspective * np.minimum(height, width)
    slack = 0.05 * height
    x_4, y_4 = np.array([[-1, 1, 1, -1], [-1, -1, 1, 1]])[:, :, None]
    to_x = half_w + x_4 * across + y_4 * slant + shift[0::2]
    to_y = half_h + y_4 * down + x_4 * rise + shift[1::2]
    to_x = np.clip(to_x, -slack, width + slack) - 0.5
    to_y = np.clip(to_y, -slack, height + slack) - 0.5
    source = np.stack([half_w + x_4 * half_w - 0.5, half_h + y_4 * half_h - 0.5], axis=-1)
    target = np.stack([to_x, to_y], axis=-1)
    pairs = zip(
        places.tolist(),
        np.ascontiguousarray(source.swapaxes(0, 1), dtype=np.float32),
        np.ascontiguousarray(target.swapaxes(0, 1), dtype=np.float32),
        strict=True,
    )
    return {i: np.asarray(cv2.getPerspectiveTransform(a, b)) for i, a, b in pairs}


def _warp(pixels: Pixels, matrix: Floats) -> Pixels:
    """The picture through a homography; its edges are repeated."""
    height, width = pixels.shape[:2]
    warped = cv2.warpPerspective(
        pixels, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return _uint8(warped)


def _blur(pixels: Pixels, sigma: float) -> Pixels:
    if sigma < 0.3:
        return pixels
    return _uint8(cv2.GaussianBlur(pixels, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE))


def _smear(pixels: Pixels, length_px: float, angle: float) -> Pixels:
    """A motion blur of ``length_px`` along ``angle``, radians."""
    reach = math.ceil(length_px / 2)
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), dtype=np.float32)
    for step in np.linspace(-length_px / 2, length_px / 2, 9):
        y, x = round(reach + step * math.sin(angle)), round(reach + step * math.cos(angle))
        kernel[y, x] += 1 / 9
    return _uint8(cv2.filter2D(pixels, -1, kernel, borderType=cv2.BORDER_REPLICATE))


def _resample(pixels: Pixels, loss: float) -> Pixels:
    height, width = pixels.shape[:2]
    keep = max(0.25, 1 - loss)
    small = (max(1, round(width * keep)), max(1, round(height * keep)))
    shrunk = cv2.resize(pixels, small, interpolation=cv2.INTER_AREA)
    return _uint8(cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_LINEAR))


def _tone_tables(
    pictures: Sequence[Pixels],
    amounts_ND: Floats,
    happens_ND: Any,
    places: Sequence[int],
    config: AugmentConfig,
) -> Pixels:
    """Grey level → grey level, a table of 256 for each picture.

    Gamma within the span of its tones, contrast about their middle, brightness, inversion. The new
    span is moved into 0–255 rather than cut off, so that faint text never drowns in white or black.
    """
    if not pictures:
        return np.zeros((0, 256), dtype=np.uint8)
    toned = happens_ND[places][:, _CHANCES.index("tone")]
    inverted = happens_ND[places][:, _CHANCES.index("inversion")]
    amount = amounts_ND[places] * toned[:, None]
    gamma, contrast, brightness = (
        amount[:, _COLUMN[name], None] for name in ("gamma", "contrast", "brightness")
    )
    ends = [cv2.minMaxLoc(p.reshape(p.shape[0], -1))[:2] for p in pictures]
    low, high = np.array(ends, dtype=np.float64).T[:, :, None]
    span = np.maximum(1.0, high - low)
    new_span = np.minimum(255.0, span * np.exp(contrast * config.contrast))
    start = (low + high - new_span) / 2 + brightness * config.brightness
    start = np.clip(start, 0.0, 255.0 - new_span)
    shares = np.clip((_LEVELS - low) / span, 0, 1) ** np.exp(gamma * config.gamma)
    tables = np.rint(start + new_span * shares).astype(np.uint8)
    return np.where(inverted[:, None], 255 - tables, tables)


_LEVELS = np.arange(256, dtype=np.float64)
_NOISE_SEED = 0x9015E
_NOISE_HW = (64, 4096)


@lru_cache(maxsize=1)
def _noise() -> NDArray[np.float32]:
    """White noise to cut pieces from: a fiftieth of the cost of drawing it."""
    return np.random.default_rng(_NOISE_SEED).standard_normal(_NOISE_HW, dtype=np.float32)


def _add_noise(pixels: Pixels, amount: Mapping[str, float], config: AugmentConfig) -> Pixels:
    """Normal noise, alike in all channels, as a dim sensor's is after conversion."""
    height, width = pixels.shape[:2]
    field = _noise()
    if height > field.shape[0] or width > field.shape[1]:
        field = np.tile(field, (-(-height // field.shape[0]) + 1, -(-width // field.shape[1]) + 1))
    y = int(abs(amount["noise_y"]) * 1e6) % (field.shape[0] - height + 1)
    x = int(abs(amount["noise_x"]) * 1e6) % (field.shape[1] - width + 1)
    piece = field[y : y + height, x : x + width]
    alike = piece if pixels.ndim == 2 else cv2.merge([piece] * 3)
    sigma = abs(amount["noise"]) * config.noise_sigma
    noisy = cv2.addWeighted(pixels.astype(np.float32), 1, alike, sigma, 0, dtype=cv2.CV_8U)
    return _uint8(noisy)


def _recode(pixels: Pixels, loss: float) -> Pixels:
    quality = max(5, round(95 - loss))
    done, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done, "OpenCV encodes any 8-bit picture"
    decoded = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE if pixels.ndim == 2 else cv2.IMREAD_COLOR)
    assert decoded is not None, "OpenCV decodes what it has just encoded"
    return _uint8(decoded)


def _cross(pixels: Pixels, amount: Mapping[str, float]) -> Pixels:
    """A line of 1 px from the left to the right edge, in any grey."""
    height, width = pixels.shape[:2]
    left, right = (int(abs(amount[end]) * 1e6) % height for end in ("line_left", "line_right"))
    grey = int(abs(amount["line_grey"]) * 1e6) % 256
    canvas = np.ascontiguousarray(pixels).copy()
    cv2.line(canvas, (0, left), (width - 1, right), (grey, grey, grey), 1, cv2.LINE_AA)
    return canvas


def _uint8(pixels: Any) -> Pixels:
    """What OpenCV made of 8-bit pixels: 8-bit pixels, though its stubs don't say so."""
    result: Pixels = pixels
    return result
