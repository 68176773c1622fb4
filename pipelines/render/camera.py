"""From light to an encoded file: blur, resolution, sharpening, exposure, noise, JPEG or PNG.

Shape suffixes: H height, W width (pixels), C channels (absent or 3: blue, green, red).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random
from typing import Any

import cv2
import numpy as np

from pipelines.render.fields import Floats, Pixels, noise
from pipelines.render.style import StyleConfig

_LEAST_BLUR_PX = 0.3
"""A weaker blur changes nothing that could be seen."""
_KERNEL_SIGMAS = 2.5
_HELD = 0.5
"""Exposure moves tones by at most this share of the span they have."""


def develop(
    planes: Sequence[Floats], contrast: float, em_px: float, dice: Random, style: StyleConfig
) -> Pixels:
    """Planes of light → 8-bit pixels ``HW`` or ``HWC``; ``contrast`` is that of ink and paper."""
    image = planes[0] if len(planes) == 1 else _floats(cv2.merge(list(planes)))
    image = _blur(image, dice.random() ** style.blur_power * style.blur_em * em_px)
    if dice.random() < style.motion_share:
        image = _smear(image, max(2.0, dice.random() * style.motion_em * em_px), dice)
    height, width = image.shape[:2]
    enlarge = False
    if dice.random() < style.low_resolution_share:
        image = _shrink(image, dice.uniform(*style.low_size_px) / em_px)
        enlarge = dice.random() < 0.5
    if dice.random() < style.sharpen_share:
        soft = cv2.GaussianBlur(image, (0, 0), 0.8 + dice.random() * 0.04 * em_px)
        strength = dice.uniform(0.5, 2.0)
        image = _floats(cv2.addWeighted(image, 1 + strength, soft, -strength, 0))
    if dice.random() < style.exposure_share:
        image = image + np.float32(_shift(image, dice, style))
    sigma = min(style.noise_sigma, style.noise_held * contrast)
    pixels = _sense(image, dice.random() ** style.noise_power * sigma, dice)
    if enlarge and pixels.shape[0] < height:
        curve = dice.choice((cv2.INTER_LINEAR, cv2.INTER_CUBIC))
        pixels = np.asarray(cv2.resize(pixels, (width, height), interpolation=curve), np.uint8)
    return pixels


def encode(pixels: Pixels, dice: Random, style: StyleConfig) -> bytes:
    """A JPEG or PNG file."""
    if dice.random() < style.jpeg_share:
        options = [cv2.IMWRITE_JPEG_QUALITY, dice.randint(*style.jpeg_quality)]
        done, data = cv2.imencode(".jpg", pixels, options)
    else:  # run lengths: nearly the size of full compression on noisy pictures, twice as fast
        options = [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
        done, data = cv2.imencode(".png", pixels, options)
    assert done, "OpenCV encodes any 8-bit picture"
    return data.tobytes()


def _blur(image: Floats, sigma_px: float) -> Floats:
    if sigma_px < _LEAST_BLUR_PX:
        return image
    side = 2 * math.ceil(_KERNEL_SIGMAS * sigma_px) + 1
    blurred = cv2.GaussianBlur(image, (side, side), sigma_px, borderType=cv2.BORDER_REPLICATE)
    return _floats(blurred)


def _smear(image: Floats, length_px: float, dice: Random) -> Floats:
    """A blur along a line of ``length_px`` in any direction."""
    reach = math.ceil(length_px / 2)
    side, angle = 2 * reach + 1, dice.random() * math.pi
    kernel = np.zeros((side, side), dtype=np.uint8)
    x, y = length_px / 2 * math.cos(angle), length_px / 2 * math.sin(angle)
    ends = [(round(reach + sign * x), round(reach + sign * y)) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 255, 1, cv2.LINE_AA)
    weights = kernel.astype(np.float32) / np.float32(kernel.sum())
    smeared = cv2.filter2D(image, -1, weights, borderType=cv2.BORDER_REPLICATE)
    return _floats(smeared)


def _shrink(image: Floats, scale: float) -> Floats:
    if scale >= 1:
        return image
    height, width = image.shape[:2]
    size = (max(2, round(width * scale)), max(2, round(height * scale)))
    return _floats(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def _floats(image: Any) -> Floats:
    """What OpenCV made of float pixels: float pixels, though its stubs don't say so."""
    result: Floats = image
    return result


def _shift(image: Floats, dice: Random, style: StyleConfig) -> float:
    """Grey levels to move all tones by; where they leave the range, detail is lost."""
    low, high, *_ = cv2.minMaxLoc(image.reshape(image.shape[0], -1))
    return dice.uniform(-1, 1) * min(style.exposure, _HELD * (high - low))


def _sense(image: Floats, sigma: float, dice: Random) -> Pixels:
    """Noise added and the range cut to 0–255, in one pass."""
    height, width = image.shape[:2]
    noise_HW = noise(height, width, dice)
    grains = noise_HW if image.ndim == 2 else cv2.merge([noise_HW] * 3)
    sensed = cv2.addWeighted(image, 1, grains, sigma, 0, dtype=cv2.CV_8U)
    return np.asarray(sensed, dtype=np.uint8)
