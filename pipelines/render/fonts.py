"""Which fonts this machine has that can write a charset, and which of them training never sees.

Fonts come with installed packages (entry points ``fonts_ttf`` and ``fonts_otf``, Matplotlib's own)
and from the system's font folders. A face counts only when each wanted character has a glyph of
its own. Whole families are held out, so that a bold of a held-out family is never trained on.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from PIL import ImageFont

from crnn.errors import DataError

FontSplit = Literal["train", "held_out", "all"]

HELD_OUT_SHARE = 0.12
HELD_OUT_SEED = 261  # holds out one serif and one sans family of those we depend on
MIN_HELD_OUT_FAMILIES = 2
MAX_SYSTEM_FACES = 200
_PROBE_PX = 24
_SUFFIXES = (".ttf", ".otf", ".ttc")
_UNASSIGNED = "\U0010fffd"  # private use: a face answers with its "missing glyph" box
_NOT_FOR_TEXT = re.compile(
    r"symbol|math|emoji|last ?resort|nonunicode|stixsiz|dingbat|icon|awesome|barcode"
    r"|braille|music|ornament|^cm(sy|ex|mi)|hairline|\bthin\b|(extra|ultra)[ -]?light",
    re.IGNORECASE,
)
_STYLE_WORDS = re.compile(
    r"( (thin|hairline|extra ?light|ultra ?light|light|book|regular|medium|semi ?bold|demi ?bold"
    r"|bold|extra ?bold|ultra ?bold|black|heavy|italic|oblique|condensed|narrow|semi ?condensed"
    r"|extra ?condensed|expanded))+$",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Font:
    """One face in one file."""

    family: str
    """Family name without words of weight or width: what is held out as a whole."""
    style: str
    """Style name, e.g. ``Bold Italic``."""
    path: str
    """The file on this machine."""
    packaged: bool
    """Whether it came with an installed package, so that every node has it."""

    @property
    def key(self) -> str:
        """A name that is the same on every machine: ``family/style``."""
        return f"{self.family}/{self.style}"


@lru_cache(maxsize=32)
def find_fonts(characters: str, *, system: bool = True) -> tuple[Font, ...]:
    """The faces that truly write all of ``characters``, one per family and style, sorted by key.

    Packaged faces win over the system's copies of them. At most ``MAX_SYSTEM_FACES`` of the
    system's are taken. Faces for symbols and the thinnest weights are left out, and so are faces
    that draw small letters as capitals where both are wanted. Cached per process.

    Raises:
        DataError: when no face writes them all, naming what is missing from the best one.
    """
    found: dict[str, Font] = {}
    for path in packaged_files():
        _add(found, path, characters, packaged=True)
    if system:
        wanted = len(found) + MAX_SYSTEM_FACES
        for path in system_files():
            if len(found) >= wanted:
                break
            _add(found, path, characters, packaged=False)
    if not found:
        raise DataError(
            f"no installed font has all of {characters!r}; install a font package that has them "
            "(for instance fonts-noto of the system), or choose a smaller charset"
        )
    return tuple(sorted(found.values(), key=lambda font: font.key))


def select_fonts(fonts: Iterable[Font], split: FontSplit) -> tuple[Font, ...]:
    """The faces of ``fonts`` that belong to ``split``; families are never divided.

    Raises:
        DataError: when none is left.
    """
    faces = tuple(fonts)
    if split == "all":
        return faces
    if split not in ("train", "held_out"):
        raise ValueError(f"fonts is {split!r}; expected 'train', 'held_out' or 'all'")
    held_out = held_out_families(faces)
    chosen = tuple(f for f in faces if (f.family in held_out) == (split == "held_out"))
    if not chosen:
        families = sorted({f.family for f in faces})
        raise DataError(
            f"no font is left for {split!r} among the families {families}; at least "
            f"{MIN_HELD_OUT_FAMILIES + 1} families are needed, or use fonts='all'"
        )
    return chosen


def held_out_families(fonts: Iterable[Font]) -> frozenset[str]:
    """Families that training never sees: those whose hashed name falls below the share.

    The hash alone decides, so a family keeps its side whatever else is installed. Only where
    that leaves fewer than ``MIN_HELD_OUT_FAMILIES``, the next in hash order are added, packaged
    families before the system's. One family at least is left to train on.
    """
    packaged: dict[str, bool] = {}
    for font in fonts:
        packaged[font.family] = packaged.get(font.family, False) or font.packaged
    order = sorted(packaged, key=lambda name: (not packaged[name], _fraction(name)))
    held_out = [name for name in order if _fraction(name) < HELD_OUT_SHARE]
    rest = [name for name in order if name not in held_out]
    missing = max(0, MIN_HELD_OUT_FAMILIES - sum(packaged[name] for name in held_out))
    return frozenset([*held_out, *rest[:missing]][: len(order) - 1])


def packaged_files() -> Iterator[Path]:
    """Font files of installed packages, in a stable order; TrueType before OpenType."""
    for group in ("fonts_ttf", "fonts_otf"):
        for entry in sorted(entry_points(group=group), key=lambda e: e.name):
            yield from sorted(Path(p) for p in entry.load().values())
    spec = find_spec("matplotlib")
    if spec is not None and spec.origin is not None:
        yield from sorted((Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf").glob("*.ttf"))


def system_files() -> Iterator[Path]:
    """Font files in the usual folders of Linux, macOS and Windows, in a stable order."""
    home = Path.home()
    folders = [
        Path("/usr/share/fonts"),
        Path("/usr/local/share/fonts"),
        home / ".fonts",
        home / ".local" / "share" / "fonts",
        Path("/System/Library/Fonts"),
        Path("/Library/Fonts"),
        home / "Library" / "Fonts",
        Path(os.environ.get("WINDIR", r"C:\Windows")) / "Fonts",
    ]
    for folder in folders:
        if folder.is_dir():
            yield from sorted(p for p in folder.rglob("*") if p.suffix.lower() in _SUFFIXES)


def writes(face: ImageFont.FreeTypeFont, characters: str) -> bool:
    """Whether ``face`` has a visible glyph of its own for each of ``characters``.

    A space needs none. Where a small letter and its capital are both wanted, the small one must
    be lower, else the face has capitals only.
    """
    missing = bytes(face.getmask(_UNASSIGNED))
    for character in characters:
        if character.isspace():
            continue
        glyph = bytes(face.getmask(character))
        if glyph == missing or not any(glyph):
            return False
    pairs = [c for c in characters if c in "acemnorsuvwxz" and c.upper() in characters]
    return all(_height(face, c) < 0.9 * _height(face, c.upper()) for c in pairs)


def _add(found: dict[str, Font], path: Path, characters: str, *, packaged: bool) -> None:
    try:
        face = ImageFont.truetype(str(path), _PROBE_PX)
    except OSError:
        return  # not a font that FreeType reads
    family, style = face.getname()
    font = Font(
        family=_STYLE_WORDS.sub("", family or path.stem),
        style=style or "Regular",
        path=str(path),
        packaged=packaged,
    )
    if font.key in found or _NOT_FOR_TEXT.search(f"{family} {style}"):
        return
    if writes(face, characters):
        found[font.key] = font


def _height(face: ImageFont.FreeTypeFont, character: str) -> float:
    _, top, _, bottom = face.getbbox(character)
    return bottom - top


def _fraction(family: str) -> float:
    """A number in [0, 1) that depends on the family's name alone."""
    return int.from_bytes(hashlib.sha1(f"{HELD_OUT_SEED}:{family}".encode()).digest()[:8]) / 2**64
