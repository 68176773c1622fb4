"""Programs that recipes have besides commands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from fontTools.subset import Subsetter
from fontTools.ttLib import TTFont
from matplotlib import get_data_path

from tests.conftest import PROJECT_ROOT

RECIPES = PROJECT_ROOT / "recipes" / "languages"
FONT = Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"


def run(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(RECIPES / program), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def part(folder: Path, script: str, characters: str) -> None:
    """A face of ``folder`` as the npm registry has it: one script alone."""
    font = TTFont(FONT)
    subsetter = Subsetter()
    subsetter.populate(text=characters)
    subsetter.subset(font)
    font.flavor = "woff2"
    (folder / "files").mkdir(parents=True, exist_ok=True)
    font.save(folder / "files" / f"{folder.name}-{script}-400-normal.woff2")


def test_a_face_in_parts_becomes_one(tmp_path: Path) -> None:
    part(tmp_path / "in" / "both", "latin", "ab12")
    part(tmp_path / "in" / "both", "greek", "αβ")
    part(tmp_path / "in" / "latin-alone", "latin", "ab12")
    done = run("join_fonts.py", tmp_path / "in", tmp_path / "out", "--scripts", "latin", "greek")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 faces of 2 families")
    (file,) = (tmp_path / "out").iterdir()
    joined, whole = TTFont(file), TTFont(FONT)
    for character in "ab12αβ":
        outlines = [
            list(font["glyf"][name].getCoordinates(font["glyf"])[0])
            for font in (joined, whole)
            for name in [font.getBestCmap()[ord(character)]]
        ]
        assert outlines[0] == outlines[1] != [], character


def test_without_families_it_says_what_it_wants(tmp_path: Path) -> None:
    done = run("join_fonts.py", tmp_path, tmp_path / "out")
    assert done.returncode == 1
    assert "has no family; expected folders with files/*.woff2" in done.stderr


def test_the_frequent_characters_of_a_language_are_its_script_s(tmp_path: Path) -> None:
    done = run("frequent_characters.py", "el", "60", tmp_path / "greek.txt")
    assert done.returncode == 0, done.stderr
    characters = (tmp_path / "greek.txt").read_text(encoding="utf-8").strip()
    assert set("αβώ") < set(characters) and "я" not in characters
    assert done.stdout.endswith("of texts\n")
