"""Joins the parts in which the npm registry has a face: one file with all its scripts.

    python recipes/languages/join_fonts.py fonts/node_modules/@fontsource fonts/joined \
        --scripts latin latin-ext greek cyrillic --weights 400 700

A part has the letters of its script alone, without digits and without the unaccented letters, so
that hardly a word of Czech or Russian with a number could be drawn with any of them.
"""

from __future__ import annotations

import argparse
import logging
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from fontTools.merge import Merger
from fontTools.merge.options import Options
from fontTools.ttLib import TTFont, TTLibError

DROPPED = ("GSUB", "GPOS", "GDEF", "vhea", "vmtx", "VORG")
"""Tables that faces often can't be joined with; without them letters are laid side by side."""


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("packages", type=Path, help="folder of the packages, one a family")
    arguments.add_argument("out", type=Path, help="folder to write .ttf files to")
    arguments.add_argument("--scripts", nargs="+", default=["latin", "latin-ext"])
    arguments.add_argument("--weights", nargs="+", default=["400", "700"])
    chosen = arguments.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    families = sorted(path for path in chosen.packages.iterdir() if (path / "files").is_dir())
    if not families:
        sys.exit(f"{chosen.packages} has no family; expected folders with files/*.woff2")
    with ProcessPoolExecutor() as processes:
        written = list(processes.map(partial(join_family, chosen=chosen), families))
    print(f"{sum(written)} faces of {len(families)} families in {chosen.out}")


def join_family(family: Path, chosen: argparse.Namespace) -> int:
    """Writes a face for each weight that has more than its first script; how many."""
    written = 0
    for weight in chosen.weights:
        parts = [family / "files" / f"{family.name}-{s}-{weight}-normal.woff2" for s in chosen.scripts]
        found = [part for part in parts if part.exists()]
        if len(found) < 2 or not parts[0].exists():
            continue
        try:
            joined(found).save(chosen.out / f"{family.name}-{weight}.ttf")
            written += 1
        except (TTLibError, AssertionError, AttributeError, KeyError, ValueError) as e:
            print(f"{family.name} {weight}: can't be joined ({type(e).__name__}: {e})")
    return written


def joined(parts: list[Path]) -> TTFont:
    """One font of them all; where two have a character, the first one's glyph."""
    logging.getLogger("fontTools").setLevel(logging.ERROR)
    plain = []
    for part in parts:
        font = TTFont(part)
        font.flavor = None
        for table in DROPPED:
            if table in font:
                del font[table]
        path = part.with_suffix(".part.ttf")
        font.save(path)
        plain.append(path)
    try:
        return Merger(Options(drop_tables=list(DROPPED))).merge([str(path) for path in plain])
    finally:
        for path in plain:
            path.unlink()


if __name__ == "__main__":
    main()
