"""Programs that recipes have besides commands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch
from fontTools.subset import Subsetter
from fontTools.ttLib import TTFont
from matplotlib import get_data_path

from crnn.bundle.bundle import load_bundle
from crnn.model.network import ModelConfig
from crnn.text.charset import Charset
from tests.conftest import PROJECT_ROOT
from tests.crnn.tiny_bundle import save, tiny_model

RECIPES = PROJECT_ROOT / "recipes"
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
    done = run(
        "languages/join_fonts.py", tmp_path / "in", tmp_path / "out", "--scripts", "latin", "greek"
    )
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
    done = run("languages/join_fonts.py", tmp_path, tmp_path / "out")
    assert done.returncode == 1
    assert "has no family; expected folders with files/*.woff2" in done.stderr


def test_the_frequent_characters_of_a_language_are_its_script_s(tmp_path: Path) -> None:
    done = run("languages/frequent_characters.py", "el", "60", tmp_path / "greek.txt")
    assert done.returncode == 0, done.stderr
    characters = (tmp_path / "greek.txt").read_text(encoding="utf-8").strip()
    assert set("αβώ") < set(characters) and "я" not in characters
    assert done.stdout.endswith("of texts\n")


def test_the_average_of_trainings_has_each_character_of_those_that_know_it(tmp_path: Path) -> None:
    charsets = {"first": Charset("ab"), "second": Charset("bacé")}
    for name, charset in charsets.items():
        save(tmp_path / name, model=tiny_model(charset), charset=charset)
    shares = [f"{tmp_path / 'first'}=1", f"{tmp_path / 'second'}=3"]
    done = run("average.py", tmp_path / "out", *shares, "--like", tmp_path / "second")
    assert done.returncode == 0, done.stderr
    first, second, out = (load_bundle(tmp_path / name) for name in ("first", "second", "out"))
    assert out.charset == second.charset
    assert (out.picture, out.calibration) == (second.picture, second.calibration)
    of_first, of_second, mean = (b.network().state_dict() for b in (first, second, out))
    for name, tensor in mean.items():
        if not tensor.is_floating_point():
            continue
        if name.startswith("head."):
            for row, its, shared in ((0, 0, 1), (2, 1, 1), (1, 2, 1), (3, 3, 0), (4, 4, 0)):
                other = of_second[name][row]
                expected = 0.25 * of_first[name][its] + 0.75 * other if shared else other
                torch.testing.assert_close(tensor[row], expected)
        else:
            torch.testing.assert_close(tensor, 0.25 * of_first[name] + 0.75 * of_second[name])


def test_other_networks_and_unknown_characters_are_refused(tmp_path: Path) -> None:
    wide = ModelConfig(backbone="mobile", rnn="gru", rnn_hidden=16, rnn_layers=2)
    save(tmp_path / "tiny")
    save(tmp_path / "wide", model=tiny_model(config=wide))
    save(tmp_path / "few", model=tiny_model(Charset("a")), charset=Charset("a"))
    tiny, few = f"{tmp_path / 'tiny'}=1", f"{tmp_path / 'few'}=1"
    for arguments, message in (
        ([tiny, f"{tmp_path / 'wide'}=1"], "the bundles' networks differ"),
        ([few, few, "--like", str(tmp_path / "tiny")], "none of the bundles has 'bé-` |'"),
        ([f"{tmp_path / 'tiny'}=0"], "invalid share value"),
    ):
        done = run("average.py", tmp_path / "out", *arguments)
        assert done.returncode != 0
        assert message in done.stderr
