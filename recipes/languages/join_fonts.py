"""Joins the parts in which the npm registry has a face: one file with all its scripts.

    python recipes/languages/join_fonts.py fonts/node_modules/@fontsource fonts/joined \
        --scripts latin latin-ext greek cyrillic --weights 400 700

A part has the letters of its script alone, without digits and without the unaccented letters, so
that hardly a word of Czech or Russian with a number could be drawn with any of them. Faces that
have the first script alone are left out. Needs the extra ``train``.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from fontTools.merge import Merger
from fontTools.merge.options import Options
from fontTools.ttLib import TTFont

DROPPED = ("GSUB", "GPOS", "GDEF", "vhea", "vmtx", "VORG", "fpgm", "prep", "cvt ", "hdmx", "VDMX")
"""Tables that parts can't share: of layout, without which letters are laid side by side, and of
hinting, by which one part's would move the points of another."""


def main() -> None:
    """Reads the arguments, joins family after family in as many processes as there are cores."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("packages", type=Path, help="folder of the packages, one a family")
    arguments.add_argument("out", type=Path, help="folder to write .ttf files to")
    arguments.add_argument("--scripts", nargs="+", default=["latin", "latin-ext"])
    arguments.add_argument("--weights", nargs="+", default=["400", "700"])
    given = arguments.parse_args()
    families = sorted(path.parent for path in given.packages.glob("*/files"))
    if not families:
        sys.exit(f"{given.packages} has no family; expected folders with files/*.woff2")
    given.out.mkdir(parents=True, exist_ok=True)
    join = partial(join_family, out=given.out, scripts=given.scripts, weights=given.weights)
    with ProcessPoolExecutor() as processes:
        written = sum(processes.map(join, families))
    print(f"{written} faces of {len(families)} families in {given.out}")


def join_family(family: Path, out: Path, scripts: Sequence[str], weights: Sequence[str]) -> int:
    """Writes a face for each weight that has more than its first script; how many."""
    written = 0
    for weight in weights:
        names = [f"{family.name}-{script}-{weight}-normal.woff2" for script in scripts]
        parts = [part for name in names if (part := family / "files" / name).exists()]
        if len(parts) < 2 or parts[0].name != names[0]:
            continue
        try:
            joined(parts).save(out / f"{family.name}-{weight}.ttf")
            written += 1
        except Exception as error:  # the tables of some faces contradict each other in many ways
            print(f"{family.name} {weight} can't be joined: {type(error).__name__}: {error}")
    return written


def joined(parts: Sequence[Path]) -> TTFont:
    """One font of them all; where two have a character, the first one's glyph."""
    logging.getLogger("fontTools").setLevel(logging.ERROR)
    with TemporaryDirectory() as folder:
        plain = [str(Path(folder) / f"{number}.ttf") for number in range(len(parts))]
        for part, path in zip(parts, plain, strict=True):
            font = TTFont(part)
            font.flavor = None
            for table in DROPPED:
                if table in font:
                    del font[table]
            if "glyf" in font:
                for name in font.getGlyphOrder():
                    font["glyf"][name].removeHinting()
            font.save(path)
        return Merger(Options(drop_tables=list(DROPPED))).merge(plain)


if __name__ == "__main__":
    main()
