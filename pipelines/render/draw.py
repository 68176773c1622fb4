"""One text → one encoded picture: set on a page, seen by a camera, inked, lit, developed.

``page`` sets the type, ``geometry`` looks at it, ``letters`` and ``paper`` ink and light what is
seen, ``camera`` makes a file of it. Each works at the size of the finished picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from numpy.random import Generator

from pipelines.render.camera import develop, encode
from pipelines.render.fields import Pixels
from pipelines.render.fonts import Font
from pipelines.render.geometry import look_at
from pipelines.render.letters import layers
from pipelines.render.page import compose
from pipelines.render.paper import paint
from pipelines.render.style import PLAIN, StyleConfig
from pipelines.render.tones import pick_tones

_SEED_BITS = 63


@dataclass(frozen=True, kw_only=True)
class Picture:
    """An encoded picture and its size."""

    data: bytes
    width: int
    height: int


def draw(
    text: str,
    font: Font,
    rng: Generator,
    style: StyleConfig = PLAIN,
    *,
    others: Sequence[str] = (),
    photos: Sequence[Pixels] = (),
) -> Picture:
    """``text`` in ``font`` as an encoded PNG or JPEG, the same bytes for the same generator state.

    Args:
        others: texts that may stand around it; ``font`` has all of their glyphs.
        photos: pictures ``HWC`` (blue, green, red) to lay text on; none: made-up ones.

    Raises:
        ValueError: when the text is empty or has no visible ink in this font.
    """
    if not text:
        raise ValueError("the text is empty; expected at least one visible character")
    dice = Random(int(rng.integers(1 << _SEED_BITS)))
    em_px = dice.uniform(*style.size_px)
    page = compose(text, font, em_px, dice, style, others)
    view = look_at(page.box, em_px / page.size_px, em_px, dice, style, page.most_room)
    seen_HW = view.see(page.mask_HW)
    if not seen_HW.any():
        raise ValueError(f"{text!r} has no visible ink in {font.key}; expected a visible character")
    tones = pick_tones(dice, style)
    planes = paint(layers(seen_HW, tones, em_px, dice, style), tones, em_px, dice, style, photos)
    pixels = develop(planes, abs(tones.contrast), em_px, dice, style)
    height, width = pixels.shape[:2]
    return Picture(data=encode(pixels, dice, style), width=width, height=height)
