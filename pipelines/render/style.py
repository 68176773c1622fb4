"""How varied rendered pictures are: every amount that may be drawn, with its unit.

Two styles have names. ``plain`` is mild print, as a scanner, a screen or a phone shows it;
``full`` is text as cameras meet it on signs, packages, covers and receipts.

An *em* is the font size in px; amounts in em scale with the text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

MIN_EM_PX = 8.0
MAX_EM_PX = 200.0
MAX_CONTRAST = 255.0
MIN_WIDEN, MAX_WIDEN = 0.2, 5.0
"""What letters can be narrowed and widened to, as a multiple of their width, and still be read."""


@dataclass(frozen=True, kw_only=True)
class StyleConfig:
    """What may be drawn. Fields that end in ``_share`` are shares of pictures, in [0, 1].

    A pair is a lowest and a highest value; a single amount is the largest, to either side where
    it has sides.
    """

    # type
    size_px: tuple[float, float] = (20.0, 48.0)
    """Size of an em in the finished picture, px."""
    spacing_share: float = 0.25
    """Pictures with letters set apart."""
    spacing_em: tuple[float, float] = (0.0, 0.1)
    """How far apart these letters are set, em; negative: closer."""
    jitter_share: float = 0.0
    """Pictures whose letters don't keep to the baseline."""
    jitter_em: float = 0.05
    """How far such a letter lies above or below it, em."""
    initial_share: float = 0.0
    """Words in capitals whose first one is larger."""
    initial_scale: float = 1.3
    """Its size, as a multiple of the others'."""
    condensed_share: float = 0.0
    """Pictures in condensed faces; of the others some are too, as the fonts are."""
    thin_share: float = 0.0
    """Pictures in thin faces, with those that are too thin to be drawn otherwise."""
    dots_share: float = 0.0
    """Pictures printed dot by dot, as on receipts and labels."""
    dots: tuple[float, float] = (11.0, 24.0)
    """Dots of an em in these pictures."""
    dots_apart_share: float = 0.25
    """Of these, pictures whose dots are round and hardly touch."""

    # geometry
    shear: float = 0.12
    """Slant of upright strokes to either side, as a tangent."""
    italic_share: float = 0.0
    """Pictures slanted to the right on purpose, by up to twice ``shear``."""
    stretch: float = 0.0
    """Widening or narrowing of the letters' width over height, as a natural logarithm: 0.4 takes
    it from 0.67 to 1.49 of the face's own; half of that is wider, half less high."""
    widen_share: float = 0.0
    """Pictures whose letters are made wider or narrower besides, by ``widen``."""
    widen: tuple[float, float] = (0.5, 1.7)
    """Least and greatest width of these letters at the same height, as a multiple of the face's
    own; halves and doubles are as likely."""
    rotation_deg: float = 1.5
    """Turn of the line to either side; less for long lines, so that they keep their height."""
    turned_share: float = 0.0
    """Pictures turned further, as text is that was photographed at an angle."""
    turned_deg: float = 15.0
    """Turn of these to either side, damped for long lines too."""
    perspective_share: float = 0.0
    """Pictures of a surface that is turned away from the camera."""
    pan_deg: float = 35.0
    """How far it is turned about the vertical to either side."""
    tilt_deg: float = 25.0
    """How far it is turned about the horizontal to either side."""
    curve_share: float = 0.0
    """Pictures whose baseline is an arc."""
    curve_deg: float = 70.0
    """Angle that the arc spans, up or down; short lines span less of it."""
    margin_em: tuple[float, float] = (0.06, 0.41)
    """Room left and right of the text, em; above and below it half as much. Negative: cut."""
    loose_share: float = 0.0
    """Pictures with up to ``loose_em`` more room on some sides."""
    loose_em: float = 0.5
    """That room, em."""
    cut_share: float = 0.0
    """Pictures with up to ``cut_em`` less room on some sides, into the text where there is none."""
    cut_em: float = 0.1
    """That room, em above and below, half as much beside, so that no letter is gone."""

    # ink
    contrast: tuple[float, float] = (100.0, 255.0)
    """Least and largest difference of ink and paper in brightness, grey levels."""
    contrast_power: float = 1.0
    """1: all contrasts as likely; above 1: the low ones are likelier."""
    extreme_share: float = 0.0
    """Pictures whose lighter tone is white, or whose darker one is black."""
    light_on_dark_share: float = 0.3
    """Pictures with light ink on dark paper."""
    colour_share: float = 0.35
    """Pictures in colour; the others are grey."""
    chroma: float = 45.0
    """Mean strength of the colours, exponentially distributed, grey levels between channels."""
    outline_share: float = 0.0
    """Pictures with a line of another tone around each letter."""
    outline_em: float = 0.06
    """Width of that line, em."""
    hollow_share: float = 0.0
    """Pictures of which only the outline is inked."""
    shadow_share: float = 0.0
    """Pictures with a shadow, sharp or soft."""
    shadow_em: float = 0.1
    """How far it falls in x and in y, em."""
    relief_share: float = 0.0
    """Pictures of raised letters: one flank lit, the other dark."""
    relief_em: float = 0.05
    """Width of these flanks, em."""
    glow_share: float = 0.0
    """Pictures of shining letters with a halo."""
    glow_em: float = 0.2
    """Standard deviation of the halo, em."""
    worn_share: float = 0.0
    """Pictures with ink worn or faded in places."""
    worn: float = 0.8
    """How much of the ink may be missing there, as a share."""
    shading_share: float = 0.0
    """Pictures whose ink changes tone from one side to the other."""
    shading: float = 50.0
    """Change of tone in it, grey levels, as far as the contrast allows."""

    # surroundings
    above_share: float = 0.0
    """Pictures with a line of other text above; what of it is seen depends on the room."""
    below_share: float = 0.0
    """Pictures with a line of other text below."""
    beside_share: float = 0.0
    """Pictures with another word beside the text, for each of the two sides."""
    leading_em: tuple[float, float] = (0.95, 1.4)
    """Distance of baselines to these lines, em."""
    gap_em: tuple[float, float] = (0.25, 0.6)
    """Distance to a word beside the text, em."""
    peek_em: float = 0.2
    """Most that is seen of such a word, em: less than a letter that could be read."""
    rule_share: float = 0.0
    """Pictures with a ruled line, a frame's side or a wire along or over the text."""

    # paper
    texture_share: float = 0.3
    """Pictures on a grainy paper."""
    texture: float = 12.0
    """Strength of that grain, grey levels."""
    photo_share: float = 0.0
    """Pictures on a piece of a photograph (a given one, or made-up clutter where none is)."""
    photo: float = 0.55
    """Strength of that piece, as a share of the contrast of ink and paper."""
    panel_share: float = 0.0
    """Pictures in which a surface of another tone begins near a side."""
    gradient: float = 28.0
    """Difference of light across the picture, grey levels."""
    uneven_share: float = 0.0
    """Pictures in patchy light or half in a shadow."""
    uneven: float = 45.0
    """Strength of these patches, grey levels, as far as the contrast allows."""

    # camera
    blur_em: float = 0.028
    """Standard deviation of the Gaussian blur, em."""
    blur_power: float = 1.0
    """1: all blurs as likely; above 1: the weak ones are likelier."""
    motion_share: float = 0.0
    """Pictures blurred along a line."""
    motion_em: float = 0.3
    """Length of that line, em."""
    low_resolution_share: float = 0.0
    """Pictures shrunk, and some of them enlarged again."""
    low_size_px: tuple[float, float] = (11.0, 20.0)
    """Size of an em when they are smallest, px."""
    sharpen_share: float = 0.0
    """Pictures sharpened by the camera until edges have a rim."""
    exposure_share: float = 0.0
    """Pictures exposed too long or too short."""
    exposure: float = 60.0
    """Shift of all tones by it, grey levels, as far as the contrast allows."""
    noise_sigma: float = 9.0
    """Standard deviation of pixel noise, grey levels."""
    noise_held: float = 1.0
    """That deviation is at most this share of the contrast of ink and paper."""
    noise_power: float = 1.0
    """1: all strengths as likely; above 1: the weak ones are likelier."""
    jpeg_share: float = 0.7
    """Pictures encoded as JPEG; the others are PNG."""
    jpeg_quality: tuple[int, int] = (60, 95)
    """Lowest and highest JPEG quality, 1 to 100."""

    def __post_init__(self) -> None:
        for field in fields(self):
            self._check(field.name)
        if not MIN_EM_PX <= self.size_px[0] <= self.size_px[1] <= MAX_EM_PX:
            raise ValueError(
                f"size_px is {self.size_px}; expected {MIN_EM_PX:g} ≤ low ≤ high ≤ {MAX_EM_PX:g}"
            )
        if not 1 <= self.contrast[0] <= self.contrast[1] <= MAX_CONTRAST:
            raise ValueError(f"contrast is {self.contrast}; expected 1 ≤ low ≤ high ≤ 255")
        if not 1 <= self.jpeg_quality[0] <= self.jpeg_quality[1] <= 100:
            raise ValueError(f"jpeg_quality is {self.jpeg_quality}; expected 1 ≤ low ≤ high ≤ 100")
        if not MIN_WIDEN <= self.widen[0] <= self.widen[1] <= MAX_WIDEN:
            raise ValueError(
                f"widen is {self.widen}; expected {MIN_WIDEN:g} ≤ low ≤ high ≤ {MAX_WIDEN:g}, "
                "multiples of the face's own width"
            )
        if self.condensed_share + self.thin_share > 1:
            raise ValueError(
                f"condensed_share is {self.condensed_share} and thin_share {self.thin_share}; "
                "expected at most 1 together"
            )
        if self.dots[0] < MIN_EM_PX:
            raise ValueError(f"dots is {self.dots}; expected {MIN_EM_PX:g} or more dots an em")
        if self.low_size_px[0] < MIN_EM_PX / 2:
            raise ValueError(f"low_size_px is {self.low_size_px}; expected {MIN_EM_PX / 2:g} px up")

    @property
    def asks_for_builds(self) -> bool:
        """Whether faces are chosen by how wide or bold they are."""
        return self.condensed_share > 0 or self.thin_share > 0

    def _check(self, name: str) -> None:
        value = getattr(self, name)
        pair = value if isinstance(value, tuple) else (0.0, value)
        if not all(math.isfinite(number) for number in pair) or pair[0] > pair[1]:
            wanted = "low ≤ high" if isinstance(value, tuple) else "a number of at least 0"
            raise ValueError(f"{name} is {value}; expected {wanted}")
        if name.endswith("_share") and value > 1:
            raise ValueError(f"{name} is {value}; expected a share from 0 to 1")


BARE = StyleConfig(
    spacing_share=0,
    shear=0,
    rotation_deg=0,
    texture_share=0,
    gradient=0,
    blur_em=0,
    noise_sigma=0,
    colour_share=0,
    jpeg_share=0,
)
"""Sharp grey text on even paper: for tests and for looking at fonts."""

PLAIN = StyleConfig()

FULL = StyleConfig(
    size_px=(14.0, 52.0),
    spacing_share=0.25,
    spacing_em=(-0.03, 0.3),
    jitter_share=0.03,
    initial_share=0.03,
    shear=0.12,
    italic_share=0.12,
    stretch=0.25,
    rotation_deg=3.0,
    turned_share=0.15,
    perspective_share=0.3,
    curve_share=0.07,
    margin_em=(-0.02, 0.2),
    loose_share=0.35,
    contrast=(30.0, 250.0),
    contrast_power=1.25,
    extreme_share=0.2,
    light_on_dark_share=0.5,
    colour_share=0.85,
    outline_share=0.07,
    hollow_share=0.015,
    shadow_share=0.12,
    relief_share=0.07,
    glow_share=0.05,
    worn_share=0.06,
    shading_share=0.1,
    above_share=0.25,
    below_share=0.25,
    beside_share=0.15,
    rule_share=0.06,
    texture_share=0.3,
    texture=14.0,
    photo_share=0.2,
    panel_share=0.1,
    gradient=30.0,
    uneven_share=0.15,
    blur_em=0.075,
    blur_power=2.3,
    motion_share=0.07,
    low_resolution_share=0.15,
    sharpen_share=0.08,
    exposure_share=0.12,
    noise_sigma=14.0,
    noise_held=0.14,
    noise_power=2.0,
    jpeg_share=0.9,
    jpeg_quality=(30, 95),
)

STYLES: dict[str, StyleConfig] = {"plain": PLAIN, "full": FULL}


def named_style(name: str, adjust: Mapping[str, float] | None = None) -> StyleConfig:
    """A style by name, with single amounts changed; ``x_low`` and ``x_high`` change a pair.

    Raises:
        ValueError: for an unknown style or amount, or an impossible value.
    """
    if name not in STYLES:
        raise ValueError(f"style is {name!r}; expected one of {', '.join(STYLES)}")
    style = STYLES[name]
    amounts = {f.name: getattr(style, f.name) for f in fields(style)}
    for key, value in (adjust or {}).items():
        base, _, end = key.rpartition("_")
        if isinstance(amounts.get(base), tuple) and end in _ENDS:
            pair = list(amounts[base])
            pair[_ENDS.index(end)] = type(pair[0])(value)
            amounts[base] = tuple(pair)
        elif key in amounts and not isinstance(amounts[key], tuple):
            amounts[key] = value
        else:
            raise ValueError(f"the style has no amount {key!r}; expected one of {_keys(style)}")
    return StyleConfig(**amounts)


_ENDS = ("low", "high")


def _keys(style: StyleConfig) -> list[str]:
    pairs = [f.name for f in fields(style) if isinstance(getattr(style, f.name), tuple)]
    single = [f.name for f in fields(style) if f.name not in pairs]
    return sorted([*single, *(f"{pair}_{end}" for pair in pairs for end in _ENDS)])
