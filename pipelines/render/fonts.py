"""Which fonts this machine has that can write a charset, and which of them training never sees.

Fonts come with installed packages (entry points ``fonts_ttf`` and ``fonts_otf``, Matplotlib's own),
from folders that are named, and from the system's. A face counts only when each character that is
needed has a glyph of its own. Whole families are held out, so that a bold of a held-out family is
never trained on.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from crnn.errors import DataError
from crnn.text.charset import shown
from pipelines.render.faces import read_faces
from pipelines.render.folders import files_below
from pipelines.render.weights import CONDENSED, THIN, Build

FontSplit = Literal["train", "held_out", "all"]

HELD_OUT_SHARE = 0.12
HELD_OUT_SEED = 261  # holds out one serif and one sans family of those we depend on
MIN_HELD_OUT_FAMILIES = 2
MAX_SYSTEM_FACES = 200
_SUFFIXES = (".ttf", ".otf", ".ttc", ".otc", ".woff", ".woff2")
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
    index: int = 0
    """Number of the face in its file."""
    lacks: str = ""
    """Characters that were asked for and that it can't write."""
    digest: str = ""
    """SHA-1 of the file, by which another machine knows its copy; empty: not checked."""
    build: Build | None = None
    """How wide and bold it is; None if not measured."""
    hairline: bool = False
    """Whether it is one of the thinnest weights, drawn only where thin faces are asked for."""

    @property
    def key(self) -> str:
        """A name that is the same on every machine: ``family/style``."""
        return f"{self.family}/{self.style}"

    @property
    def condensed(self) -> bool:
        """Whether its letters are narrow."""
        return self.build is not None and self.build.width <= CONDENSED

    @property
    def thin(self) -> bool:
        """Whether its strokes are thin."""
        return self.hairline or (self.build is not None and self.build.stroke <= THIN)

    def writes(self, text: str) -> bool:
        """Whether it has a glyph for each character of ``text``."""
        return not self.lacks or not any(character in self.lacks for character in text)


@lru_cache(maxsize=32)
def find_fonts(
    characters: str,
    *,
    needed: str | None = None,
    folders: tuple[str, ...] = (),
    packaged: bool = True,
    system: bool = True,
    builds: bool = False,
) -> tuple[Font, ...]:
    """The faces that truly write ``characters``, one per family and style, sorted by key.

    Packaged faces win over those in ``folders``, and these over the system's. At most
    ``MAX_SYSTEM_FACES`` of the system's are taken. Faces of symbols, icons and bars are left
    out, and the thinnest weights unless they are asked for. Cached per process.

    Args:
        needed: the characters that each face must have; a face says what else it ``lacks``.
            None: all of them.
        builds: each face says how wide and bold it is, and the thinnest are among them.

    Raises:
        DataError: when no face has what is needed, or a folder is none.
    """
    must = frozenset(characters if needed is None else needed)
    found: dict[str, Font] = {}
    for path in packaged_files() if packaged else ():
        _add(found, path, characters, must, packaged=True, builds=builds)
    for path in folder_files(folders):
        _add(found, path, characters, must, packaged=False, builds=builds)
    if system:
        wanted = len(found) + MAX_SYSTEM_FACES
        for path in system_files():
            if len(found) >= wanted:
                break
            _add(found, path, characters, must, packaged=False, builds=builds)
    if not found:
        raise DataError(
            f"no font here has all of {shown(sorted(must))}; install a font package that has "
            "them (for instance fonts-noto of the system), or choose a smaller charset"
        )
    return tuple(sorted(found.values(), key=lambda font: font.key))


def folder_files(folders: Iterable[str]) -> Iterator[Path]:
    """Font files in ``folders`` and the folders within, in a stable order.

    Raises:
        DataError: when one of them is no folder, or has no font file.
    """
    for folder in folders:
        yield from files_below(folder, _SUFFIXES, "font file")


def _font_files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in _SUFFIXES and p.is_file())


def select_fonts(fonts: Iterable[Font], split: FontSplit) -> tuple[Font, ...]:
    """The faces of ``fonts`` that belong to ``split``; families are never divided.

    Raises:
        DataError: when none is left, or all that are lack some of the characters asked for.
    """
    faces = tuple(fonts)
    if split == "all":
        return _writing(faces)
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
    return _writing(chosen)


def _writing(faces: tuple[Font, ...]) -> tuple[Font, ...]:
    """The faces; DataError where none of them has some character, which would never be drawn."""
    lacking = frozenset.intersection(*(frozenset(face.lacks) for face in faces))
    if lacking:
        raise DataError(
            f"none of {len(faces)} faces has {shown(sorted(lacking))} of the charset; give folders "
            "of fonts that do, or leave them out of --charset"
        )
    return faces


def held_out_families(fonts: Iterable[Font]) -> frozenset[str]:
    """Families that training never sees: those whose hashed name falls below the share.

    The hash alone decides, so a family keeps its side no matter what else is installed. Only where
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
            yield from _font_files(folder)


def here(font: Font) -> Font:
    """``font`` as this machine has it: the same file, perhaps in another folder of packages.

    Raises:
        DataError: when the file is not here, or is another one.
    """
    if not font.digest or _same(Path(font.path), font.digest):
        return font
    name = Path(font.path).name
    for path in packaged_files():
        if path.name == name and _same(path, font.digest):
            return replace(font, path=str(path))
    raise DataError(
        f"this node lacks the font {font.key} ({font.path}) that the driver has; install the same "
        "packages on all nodes, or put font folders where all of them see the same files"
    )


def _add(
    found: dict[str, Font],
    path: Path,
    characters: str,
    needed: frozenset[str],
    *,
    packaged: bool,
    builds: bool,
) -> None:
    """Add the faces of a file that write what is needed and are not there yet."""
    for face in read_faces(path, characters, builds=builds):
        font = Font(
            family=_STYLE_WORDS.sub("", face.family),
            style=face.style,
            path=str(path),
            packaged=packaged,
            index=face.index,
            lacks=face.lacks,
            digest=_digest(path),
            build=face.build,
            hairline=face.hairline,
        )
        if font.key not in found and not needed & set(face.lacks):
            found[font.key] = font


def _digest(path: Path) -> str:
    return hashlib.sha1(path.read_bytes()).hexdigest()


@lru_cache(maxsize=4096)
def _same(path: Path, digest: str) -> bool:
    return path.is_file() and _digest(path) == digest


def _fraction(family: str) -> float:
    """A number in [0, 1) that depends on the family's name alone."""
    return int.from_bytes(hashlib.sha1(f"{HELD_OUT_SEED}:{family}".encode()).digest()[:8]) / 2**64
