"""What one face of a font file can write: by its character map, and by the ink it really draws.

A font that lacks a character draws a box, a blank or a stand-in for it; none of these may ever
get a label. Faces of symbols, icons and bars are told from letters by name, by class and by shape.
"""

from __future__ import annotations

import logging
import re
import struct
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from fontTools.ttLib import TTFont, TTLibError
from matplotlib import get_data_path
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pipelines.render import weights
from pipelines.render.weights import Build, build_of

PROBE_PX = 24
_UNASSIGNED = "\U0010fffd"  # private use: a face answers with its "missing glyph" box
_JOINERS = "\u200c\u200d"
_SAME_GLYPH = 4
"""This many characters that look alike to the pixel are stand-ins, not letters."""
_ALPHABETS = ("LATIN", "GREEK", "CYRILLIC")
_TWINS = ("ETH", "STROKE")
"""What the names of letters have that look like others of their alphabet, as Ð and Đ do."""
_UNLIKE_CAPITALS = "abdeghnqrt"
"""Small letters that look unlike their capitals in every face that has both."""
_SAME_SHAPE = 0.68
"""Median correlation of these with their capitals, above which the face has capitals only."""
_PANOSE_SYMBOLS = 5
_SHAPE_PX = 12
_LEAST_LIKENESS = 0.25
"""Mean correlation of capitals and digits with a plain face's, below which they are no letters."""
_NOT_FOR_TEXT = re.compile(
    r"symbol|math|emoji|last ?resort|nonunicode|stixsiz|dingbat|icon|awesome|barcode|code ?(39|128)"
    r"|braille|music|ornament|^cm(sy|ex|mi)"
    r"|pictogram|webdings|wingdings|redacted|\bblank\b|glyphs|key ?caps|\b(ean|upc)\b",
    re.IGNORECASE,
)
_HAIRLINES = re.compile(r"hairline|\bthin\b|(extra|ultra)[ -]?light", re.IGNORECASE)
_BROKEN: tuple[type[Exception], ...] = (
    *(TTLibError, OSError, EOFError, struct.error, ValueError, KeyError, IndexError, TypeError),
    *(AttributeError, AssertionError, NotImplementedError),
)
"""What fontTools and FreeType raise on tables that are cut short, contradictory or unknown."""


@dataclass(frozen=True, kw_only=True)
class Face:
    """One face of a file."""

    index: int
    """Its number in the file; more than 0 in collections (``.ttc``) only."""
    family: str
    style: str
    lacks: str
    """Those of the characters asked for that it can't write."""
    hairline: bool
    """Whether it calls itself one of the thinnest weights."""
    build: Build | None
    """How wide and bold it is; None if not measured, or if it can't be measured."""


def read_faces(path: Path, characters: str, *, builds: bool = False) -> Iterator[Face]:
    """The faces of a ttf, otf, ttc, woff or woff2 file that are for text; none if it is broken.

    With ``builds`` they say how wide and bold they are, and the thinnest are not left out.
    """
    logging.getLogger("fontTools").setLevel(logging.ERROR)  # it warns of irrelevant bytes
    for index in range(_count(path)):
        try:
            drawing = _face_to_draw(path, index)
            family, style = drawing.getname()
            hairline = bool(_HAIRLINES.search(f"{family} {style}"))
            if _NOT_FOR_TEXT.search(f"{family} {style}") or (hairline and not builds):
                continue
            with TTFont(path, fontNumber=index, lazy=True) as tables:
                mapped = _mapped(tables)
            lacking = lacks(drawing, mapped, characters)
            readable = _resembles_letters(drawing, mapped)
            build = _build(path, index, mapped - set(lacking)) if builds else None
        except _BROKEN:
            continue  # not a font, or one with broken tables
        if readable:
            yield Face(
                index=index,
                family=family or path.stem,
                style=style or "Regular",
                lacks=lacking,
                hairline=hairline,
                build=build,
            )


def lacks(face: ImageFont.FreeTypeFont, mapped: Iterable[str], characters: str) -> str:
    """Those of ``characters`` that are not in the map, or have no visible glyph of their own.

    A space needs a width and no ink; zero-width joiners are the shaper's, not the font's. Where
    small letters have the shapes of capitals, the face has capitals only, and lacks the small
    letters. Of two letters of an alphabet that are drawn alike one is wrong; nothing says which.
    """
    there = set(mapped)
    missing = bytes(face.getmask(_UNASSIGNED))
    ink = {c: bytes(face.getmask(c)) if c in there else b"" for c in characters}
    alike = Counter(ink[c] for c in characters if not c.isspace())
    lacking = _drawn_alike(ink)
    for character in characters:
        drawn = ink[character]
        if character.isspace():
            absent = character not in there or any(drawn) or face.getlength(character) <= 0
        elif character in _JOINERS:
            absent = False
        else:
            absent = not any(drawn) or drawn == missing or alike[drawn] >= _SAME_GLYPH
        if absent:
            lacking.append(character)
    if _capitals_only(face, [c for c in characters if c not in lacking]):
        lacking += [c for c in characters if c.islower() and c not in lacking]
    return "".join(c for c in characters if c in lacking)


def _drawn_alike(ink: Mapping[str, bytes]) -> list[str]:
    """Plain letters whose ink is that of another one of the same alphabet and case."""
    letters: dict[tuple[str, bool, bytes], list[str]] = {}
    for character, drawn in ink.items():
        words = unicodedata.name(character, "").split()
        if any(drawn) and words[:1] and words[0] in _ALPHABETS and "LETTER" in words:
            if unicodedata.decomposition(character) or not set(words).isdisjoint(_TWINS):
                continue
            letters.setdefault((words[0], character.isupper(), drawn), []).append(character)
    return [character for alike in letters.values() if len(alike) > 1 for character in alike]


def _capitals_only(face: ImageFont.FreeTypeFont, characters: Collection[str]) -> bool:
    """Whether the small letters are capitals in shape, be they smaller or not."""
    alike = []
    for small in _UNLIKE_CAPITALS:
        if small in characters and small.upper() in characters:
            shapes = _shape(face, small), _shape(face, small.upper())
            if shapes[0] is not None and shapes[1] is not None:
                alike.append(float(np.dot(shapes[0], shapes[1])))
    return bool(alike) and float(np.median(alike)) > _SAME_SHAPE


def _count(path: Path) -> int:
    """Faces in the file: a collection says how many, anything else has one."""
    with path.open("rb") as file:
        head = file.read(12)
    return struct.unpack(">L", head[8:12])[0] if head[:4] == b"ttcf" and len(head) == 12 else 1


def _face_to_draw(path: Path, index: int, size_px: int = PROBE_PX) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(path), size_px, index, layout_engine=ImageFont.Layout.BASIC)


def _build(path: Path, index: int, characters: Collection[str]) -> Build | None:
    return build_of(_face_to_draw(path, index, weights.PROBE_PX), characters)


def _mapped(tables: TTFont) -> frozenset[str]:
    """The characters of the Unicode map; none for a face of symbols."""
    if "OS/2" in tables and tables["OS/2"].panose.bFamilyType == _PANOSE_SYMBOLS:
        return frozenset()
    return frozenset(map(chr, tables.getBestCmap() or {}))


def _resembles_letters(face: ImageFont.FreeTypeFont, mapped: frozenset[str]) -> bool:
    """Whether capitals and digits look like those of a plain face, as far as both have them."""
    known = _plain_shapes()
    likeness = [
        float(np.dot(known[c], shape))
        for c in known
        if c in mapped and (shape := _shape(face, c)) is not None
    ]
    return not likeness or sum(likeness) / len(likeness) >= _LEAST_LIKENESS


@lru_cache(maxsize=1)
def _plain_shapes() -> dict[str, NDArray[np.float32]]:
    plain = Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    face = _face_to_draw(plain, 0)
    shapes = {c: _shape(face, c) for c in "ABCDEFGHKLMNPRSTUVXZ23456789"}
    return {c: shape for c, shape in shapes.items() if shape is not None}


def _shape(face: ImageFont.FreeTypeFont, character: str) -> NDArray[np.float32] | None:
    """A glyph's ink in a small square, of mean 0 and length 1; None where there is none."""
    left, top, right, bottom = (round(v) for v in face.getbbox(character))
    if right <= left or bottom <= top:
        return None
    canvas = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(canvas).text((-left, -top), character, fill=255, font=face)
    small = cv2.resize(
        np.asarray(canvas), (_SHAPE_PX, _SHAPE_PX), interpolation=cv2.INTER_AREA
    ).astype(np.float32)
    flat = small.ravel() - small.mean()
    length = float(np.linalg.norm(flat))
    return flat / np.float32(length) if length else None
