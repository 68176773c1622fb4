"""Which faces a block of samples has, and which of them a sample is drawn in.

Faces are as they come: most families have a few condensed or thin ones. A style may ask for a
share of either beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from numpy.random import Generator

from crnn.errors import DataError
from pipelines.render.fonts import Font
from pipelines.render.style import StyleConfig

Entry = TypeVar("Entry")

BLOCK_FACES = 48
BLOCK_CHOSEN = 12
"""Faces of a kind that a style asks for, in a block."""


@dataclass(frozen=True, kw_only=True)
class Faces:
    """Faces to choose from, by kind."""

    usual: Sequence[Font]
    condensed: Sequence[Font] = ()
    """Those for the style's ``condensed_share``; none where it asks for none."""
    thin: Sequence[Font] = ()
    """Those for its ``thin_share``."""

    def some(self, rng: Generator) -> Faces:
        """A few of each kind for a block, so that caches of glyphs serve."""
        return Faces(
            usual=some(rng, self.usual, BLOCK_FACES),
            condensed=some(rng, self.condensed, BLOCK_CHOSEN),
            thin=some(rng, self.thin, BLOCK_CHOSEN),
        )

    def kind(self, rng: Generator, style: StyleConfig) -> Sequence[Font]:
        """Those that one sample may be drawn in; draws nothing where no kind is asked for."""
        if not style.asks_for_builds:
            return self.usual
        point = rng.random() - style.condensed_share
        if point < 0:
            return self.condensed
        return self.thin if point < style.thin_share else self.usual


def faces_of(fonts: Sequence[Font], style: StyleConfig) -> Faces:
    """All faces, by kind as far as the style asks for it.

    Raises:
        DataError: when it asks for a kind that none of them is.
    """
    kinds = {
        "condensed": [font for font in fonts if font.condensed and not font.hairline],
        "thin": [font for font in fonts if font.thin],
    }
    for kind, faces in kinds.items():
        if not getattr(style, f"{kind}_share"):
            faces.clear()
        elif not faces:
            raise DataError(
                f"the style asks for {kind} faces ({kind}_share "
                f"{getattr(style, f'{kind}_share'):g}), but none of {len(fonts)} faces is; give "
                f"folders with such fonts, or set {kind}_share to 0"
            )
    return Faces(usual=[font for font in fonts if not font.hairline], **kinds)


def some(rng: Generator, entries: Sequence[Entry], most: int) -> list[Entry]:
    """All of them, or ``most`` in their order; draws nothing where all of them are few enough."""
    if len(entries) <= most:
        return list(entries)
    return [entries[i] for i in sorted(rng.choice(len(entries), most, replace=False).tolist())]
