"""Fonts for the tests: those that come with packages, and files made for a purpose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTCollection, TTFont

from crnn.text.charset import CHARSETS
from pipelines.render.fonts import Font, find_fonts, packaged_files

CODES = CHARSETS["codes"]


def packaged() -> tuple[Font, ...]:
    return find_fonts(CODES, system=False)


def file_of(name: str) -> Path:
    return next(p for p in packaged_files() if p.name == name)


def edited(source: str, target: Path, edit: Callable[[TTFont], None], flavor: str = "") -> Path:
    """A packaged font, changed and written anew."""
    with TTFont(file_of(source)) as font:
        edit(font)
        font.flavor = flavor or None
        font.save(target)
    return target


def renamed(font: TTFont, family: str) -> None:
    for record in font["name"].names:
        if record.nameID in (1, 16):
            record.string = family


def collection(target: Path, *sources: str) -> Path:
    """A ``.ttc`` of packaged fonts."""
    made = TTCollection()
    made.fonts = [TTFont(file_of(source)) for source in sources]
    made.save(target)
    return target


def bars(target: Path, characters: str) -> Path:
    """A font that draws each character as bars that are no letters."""
    glyphs, order = {}, [".notdef", *(f"bar{ord(c):04x}" for c in characters)]
    for number, name in enumerate(order):
        pen = TTGlyphPen(None)
        for bit in range(6):
            if number >> bit & 1 or bit == 0:
                x = 90 * bit
                for point, draw in zip(
                    ((x, 0), (x + 50, 0), (x + 50, 700), (x, 700)),
                    (pen.moveTo, pen.lineTo, pen.lineTo, pen.lineTo),
                    strict=True,
                ):
                    draw(point)
                pen.closePath()
        glyphs[name] = pen.glyph()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(order)
    builder.setupCharacterMap({ord(c): f"bar{ord(c):04x}" for c in characters})
    builder.setupGlyf(glyphs)
    builder.setupHorizontalMetrics(dict.fromkeys(order, (600, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Plain Name", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(target)
    return target
