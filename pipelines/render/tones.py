"""Ink and paper: how far apart in brightness, in which colours.

A tone is three grey levels in OpenCV's order blue, green, red; grey pictures use the first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

from pipelines.render.style import MAX_CONTRAST, StyleConfig

Tone = tuple[float, float, float]

LUMA = (0.114, 0.587, 0.299)  # ITU-R BT.601, blue, green, red
_MAX_CHROMA = 200.0
_BLUE_DEG = 240.0
_HUES = ((0, 12), (10, 15), (25, 12), (35, 12), (50, 8), (120, 35), (205, 15), (220, 20), (0, 180))
"""Middles and spreads of hues, degrees from red over green: print and paint are mostly red,
brown, yellow, green or blue."""


@dataclass(frozen=True)
class Tones:
    """The tones of one picture."""

    ink: Tone
    paper: Tone
    coloured: bool

    @property
    def contrast(self) -> float:
        """Ink less paper, in brightness."""
        return brightness(self.ink) - brightness(self.paper)


def pick_tones(dice: Random, style: StyleConfig) -> Tones:
    """Ink and paper, as far apart as the style's contrast allows and asks for."""
    least, most = style.contrast
    contrast = least + (most - least) * dice.random() ** style.contrast_power
    dark = dice.random() * (MAX_CONTRAST - contrast)
    if dice.random() < style.extreme_share:
        dark = dice.choice((0.0, MAX_CONTRAST - contrast))
    coloured = dice.random() < style.colour_share
    chroma = style.chroma if coloured else 0.0
    low, high = tone(dark, chroma, dice), tone(dark + contrast, chroma, dice)
    light_on_dark = dice.random() < style.light_on_dark_share
    return Tones(high, low, coloured) if light_on_dark else Tones(low, high, coloured)


def tone(luma: float, chroma: float, dice: Random) -> Tone:
    """A colour of brightness ``luma``, ``chroma`` grey levels strong in the mean."""
    strength = -math.log(1 - dice.random()) * chroma
    middle_deg, spread_deg = dice.choice(_HUES)
    angle = math.radians(dice.gauss(middle_deg, spread_deg) - _BLUE_DEG)
    if not strength:
        return (luma, luma, luma)
    hue = [math.cos(angle - turn) for turn in (0.0, -math.tau / 3, math.tau / 3)]
    middle = sum(share * part for share, part in zip(LUMA, hue, strict=True))
    tint = [part - middle for part in hue]  # changes the colour, not the brightness
    reach = min(strength, _MAX_CHROMA) / (max(tint) - min(tint))
    for part in tint:  # nor may it leave the range
        room = MAX_CONTRAST - luma if part > 0 else luma
        if abs(part) * reach > room:
            reach = room / abs(part)
    blue, green, red = (luma + part * reach for part in tint)
    return (blue, green, red)


def brightness(of: Tone) -> float:
    """The luma of a tone, 0 to 255."""
    return sum(share * level for share, level in zip(LUMA, of, strict=True))


def against(of: Tone, chroma: float, dice: Random, *, apart: float) -> Tone:
    """A tone at least ``apart`` grey levels from ``of`` where the range allows it."""
    luma = brightness(of)
    below, above = luma - apart, MAX_CONTRAST - luma - apart
    if below <= 0 and above <= 0:
        return tone(0.0 if luma > MAX_CONTRAST / 2 else MAX_CONTRAST, chroma, dice)
    downwards = dice.random() * (max(below, 0.0) + max(above, 0.0)) < max(below, 0.0)
    wanted = dice.random() * below if downwards else luma + apart + dice.random() * above
    return tone(wanted, chroma, dice)
