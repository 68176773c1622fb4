"""Training-only distortions of a scaled picture: seeded, mild by default, same shape out as in.

Works on the content before padding, so the padding stays as it is in recognition. All geometry
is one homography; all tone changes are one lookup table.

Shape suffixes: H height, w content width (pixels), C channels (1 or 3).
"""

from __future__ import annotations

import math
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
    """Scales every share and every amount; 0 leaves each picture exactly as it is."""
    geometry_share: float = 0.6
    """Pictures that are turned, sheared, bent and stretched."""
    rotation_deg: float = 3.0
    """Turn to either side; less for wide pictures, whose ends would leave the canvas."""
    shear: float = 0.15
    """Slant of the uprights to either side, as a tangent."""
    perspective: float = 0.06
    """Shift of each corner, as a share of the shorter side."""
    stretch: float = 0.08
    """Narrowing or widening, and lowering or raising, of the text, as a share of its size."""
    tone_share: float = 0.6
    """Pictures with another contrast, brightness and gamma."""
    contrast: float = 0.3
    """Change of contrast about the middle grey, as a share."""
    brightness: float = 25.0
    """Change of brightness, in grey levels."""
    gamma: float = 0.3
    """Change of gamma, as a natural logarithm."""
    inversion_share: float = 0.1
    """Pictures with light and dark exchanged."""
    blur_share: float = 0.2
    """Pictures with a Gaussian blur."""
    blur_sigma: float = 0.9
    """Standard deviation of that blur, in px."""
    motion_share: float = 0.05
    """Pictures blurred along a line."""
    motion_px: float = 3.0
    """Length of that line, in px."""
    resample_share: float = 0.12
    """Pictures shrunk and enlarged again, as from a distance."""
    resample: float = 0.4
    """Part of the resolution that is lost in it."""
    noise_share: float = 0.25
    """Pictures with pixel noise."""
    noise_sigma: float = 12.0
    """Standard deviation of that noise, in grey levels."""
    jpeg_share: float = 0.15
    """Pictures encoded as JPEG and decoded again."""
    jpeg_loss: float = 60.0
    """What that JPEG's quality lacks to 95."""
    line_share: float = 0.03
    """Pictures with a thin line drawn over the text."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{field.name} is {value}; expected a finite number, at least 0")
            if field.name.endswith("_share") and value > 1:
                raise ValueError(f"{field.name} is {value}; expected a share in [0, 1]")
        if self.strength > 3:
            raise ValueError(f"strength is {self.strength}; expected at most 3, 1 is usual")


def augment(content_HwC: Pixels, rng: Generator, config: AugmentConfig) -> Pixels:
    """A distorted copy of ``content_HwC``, uint8 of the same shape; the input is not changed.

    The same generator state and configuration give the same pixels.
    """
    strength = config.strength
    chance, amount = rng.random(8), rng.uniform(-1, 1, 16) * strength
    happens = (chance < strength * _shares(config)).tolist()
    pixels: Pixels = content_HwC[..., 0] if content_HwC.shape[2] == 1 else content_HwC
    geometry, tone, blur, motion, resample, noise, jpeg, line = happens
    if geometry:
        pixels = _warp(pixels, amount[:12], config)
    if line:
        pixels = _cross(pixels, rng)
    if blur:
        pixels = _blur(pixels, abs(amount[12]) * config.blur_sigma)
    if motion:
        pixels = _smear(pixels, 2 + abs(amount[13]) * config.motion_px, rng)
    if resample:
        pixels = _resample(pixels, abs(amount[14]) * config.resample)
    inverted = bool(rng.random() < strength * config.inversion_share)
    if tone or inverted:
        tones = rng.uniform(-1, 1, 3) * strength if tone else np.zeros(3)
        low, high = float(pixels.min()), float(pixels.max())
        pixels = _uint8(cv2.LUT(pixels, _tone_table(low, high, tones, inverted, config)))
    if noise:
        pixels = _add_noise(pixels, rng.random() * strength * config.noise_sigma, rng)
    if jpeg:
        pixels = _recode(pixels, abs(amount[15]) * config.jpeg_loss)
    if np.may_share_memory(pixels, content_HwC):
        pixels = pixels.copy()
    return pixels.reshape(content_HwC.shape)


@lru_cache(maxsize=16)
def _shares(config: AugmentConfig) -> Floats:
    return np.array(
        [
            config.geometry_share,
            config.tone_share,
            config.blur_share,
            config.motion_share,
            config.resample_share,
            config.noise_share,
            config.jpeg_share,
            config.line_share,
        ]
    )


def _warp(pixels: Pixels, amount: Floats, config: AugmentConfig) -> Pixels:
    """Turn, shear, stretch and perspective in one homography; the edges are repeated.

    The moved corners are held within 5% of the height of the canvas, so that text near an edge
    stays in the picture.
    """
    height, width = pixels.shape[:2]
    angle = amount[0] * math.radians(config.rotation_deg) * min(1.0, 3 * height / width)
    stretch = 1 + amount[1:3] * config.stretch
    # About the middle: x' = sx·x + shear·y, y' = tan(angle)·x + sy·y.
    half_w, half_h = width / 2, height / 2
    rise = math.tan(angle) * half_w
    slant = amount[3] * config.shear * half_h * min(1.0, width / height)
    across, down = stretch[0] * half_w, stretch[1] * half_h
    shift = amount[4:12] * config.perspective * min(height, width)
    slack = 0.05 * height
    source, target = [], []
    for i, (x, y) in enumerate(((-1, -1), (1, -1), (1, 1), (-1, 1))):
        to_x = half_w + x * across + y * slant + shift[2 * i]
        to_y = half_h + y * down + x * rise + shift[2 * i + 1]
        source.append((half_w + x * half_w - 0.5, half_h + y * half_h - 0.5))
        target.append(
            (
                min(max(to_x, -slack), width + slack) - 0.5,
                min(max(to_y, -slack), height + slack) - 0.5,
            )
        )
    matrix = cv2.getPerspectiveTransform(
        np.array(source, dtype=np.float32), np.array(target, dtype=np.float32)
    )
    warped = cv2.warpPerspective(
        pixels, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return _uint8(warped)


def _blur(pixels: Pixels, sigma: float) -> Pixels:
    if sigma < 0.3:
        return pixels
    return _uint8(cv2.GaussianBlur(pixels, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE))


def _smear(pixels: Pixels, length_px: float, rng: Generator) -> Pixels:
    """A motion blur of ``length_px`` in any direction."""
    reach = math.ceil(length_px / 2)
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), dtype=np.float32)
    angle = rng.uniform(0, math.pi)
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


def _tone_table(
    low: float, high: float, amount: Floats, inverted: bool, config: AugmentConfig
) -> Pixels:
    """Grey level → grey level for a picture that spans ``low``–``high``.

    Gamma within the span, contrast about its middle, brightness, inversion. The new span is
    moved into 0–255 rather than cut off, so that faint text never drowns in white or black.
    """
    span = max(1.0, high - low)
    new_span = min(255.0, span * math.exp(amount[1] * config.contrast))
    start = (low + high - new_span) / 2 + amount[2] * config.brightness
    start = min(max(start, 0.0), 255.0 - new_span)
    shares = np.clip((_LEVELS - low) / span, 0, 1) ** math.exp(amount[0] * config.gamma)
    table = np.rint(start + new_span * shares).astype(np.uint8)
    return 255 - table if inverted else table


_LEVELS = np.arange(256, dtype=np.float32)


def _add_noise(pixels: Pixels, sigma: float, rng: Generator) -> Pixels:
    """Normal noise, alike in all channels, as a dim sensor's is after conversion."""
    noise = rng.standard_normal(pixels.shape[:2], dtype=np.float32)
    alike = noise if pixels.ndim == 2 else cv2.merge([noise] * 3)
    noisy = cv2.addWeighted(pixels.astype(np.float32), 1, alike, sigma, 0, dtype=cv2.CV_8U)
    return _uint8(noisy)


def _recode(pixels: Pixels, loss: float) -> Pixels:
    quality = max(5, round(95 - loss))
    done, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done, "OpenCV encodes any 8-bit picture"
    decoded = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE if pixels.ndim == 2 else cv2.IMREAD_COLOR)
    assert decoded is not None, "OpenCV decodes what it has just encoded"
    return _uint8(decoded)


def _cross(pixels: Pixels, rng: Generator) -> Pixels:
    """A line of 1 px from the left to the right edge, in any grey."""
    height, width = pixels.shape[:2]
    left, right = rng.integers(0, height, 2).tolist()
    grey = int(rng.integers(0, 256))
    canvas = np.ascontiguousarray(pixels).copy()
    cv2.line(canvas, (0, left), (width - 1, right), (grey, grey, grey), 1, cv2.LINE_AA)
    return canvas


def _uint8(pixels: Any) -> Pixels:
    """What OpenCV made of 8-bit pixels: 8-bit pixels, though its stubs don't say so."""
    result: Pixels = pixels
    return result
