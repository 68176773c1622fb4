"""Fonts: only faces that write, from packages and folders, families held out whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import get_data_path
from PIL import ImageFont

from crnn.errors import DataError
from crnn.text.charset import CHARSETS
from pipelines.render.config import RenderConfig, chosen_fonts
from pipelines.render.faces import read_faces
from pipelines.render.fonts import (
    Font,
    FontSplit,
    find_fonts,
    folder_files,
    held_out_families,
    here,
    select_fonts,
)
from tests.pipelines.render.faces import CODES, bars, collection, edited, file_of, packaged, renamed
from tests.unprivileged import as_nobody, open_folder

ASCII = CHARSETS["ascii_space"]
unhurried = settings(deadline=None)


def lacking(path: Path, characters: str) -> str:
    (face,) = read_faces(path, characters)
    return face.lacks


def test_families_are_held_out_whole_and_the_sides_make_up_all() -> None:
    train, held_out = select_fonts(packaged(), "train"), select_fonts(packaged(), "held_out")
    assert sorted(train + held_out, key=lambda f: f.key) == list(packaged())
    assert not {f.family for f in train} & {f.family for f in held_out}
    assert len({f.family for f in held_out}) >= 2
    assert len(held_out) < len(train) / 3


def test_no_face_is_there_twice_and_packaged_ones_win() -> None:
    with_system = find_fonts(CODES)
    assert len({f.key for f in with_system}) == len(with_system)
    assert {f for f in with_system if f.packaged} == set(packaged())


def test_system_fonts_do_not_move_a_packaged_family_to_the_other_side() -> None:
    ours = {f.family for f in packaged()}
    assert held_out_families(find_fonts(CODES)) & ours == held_out_families(packaged())


@unhurried
@given(st.sets(st.text("abcdefgh", min_size=1, max_size=4), min_size=3, max_size=60), st.data())
def test_a_family_keeps_its_side_when_others_are_installed(
    names: set[str], data: st.DataObject
) -> None:
    fonts = [Font(family=n, style="Regular", path=n, packaged=True) for n in sorted(names)]
    fewer = data.draw(st.sets(st.sampled_from(sorted(names)), min_size=1))
    of_all = held_out_families(fonts)
    of_fewer = held_out_families([f for f in fonts if f.family in fewer])
    assert len(of_all) >= 2
    assert len(of_fewer) < max(2, len(fewer))
    if 2 <= len(of_all & fewer) < len(fewer):  # else some are added, or one is left to train on
        assert of_fewer == of_all & fewer or len(of_all) == 2


def test_a_character_that_no_font_has_is_named() -> None:
    with pytest.raises(DataError, match="漢"):
        find_fonts("A漢", system=False)


def test_a_face_says_what_it_lacks() -> None:
    assert lacking(file_of("DejaVuSans.ttf"), "AaЖж€ 0") == ""
    assert lacking(file_of("Roboto-Regular.ttf"), "A漢") == "漢"
    assert lacking(file_of("cmr10.ttf"), "A€") == "€"


def test_letters_that_are_drawn_alike_are_lacking(tmp_path: Path) -> None:
    """A face of Debian draws the Cyrillic Н as an О; capitals shared with Latin are no fault."""

    def wrong(font: TTFont) -> None:
        for table in font["cmap"].tables:
            if ord("\u041d") in table.cmap:
                table.cmap[ord("\u041d")] = table.cmap[ord("\u041e")]

    cyrillic = CHARSETS["cyrillic"]
    source = str(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")
    before = lacking(Path(source), cyrillic)
    with TTFont(source) as font:
        wrong(font)
        font.save(tmp_path / "wrong.ttf")
    assert not set(before) & set("\u041d\u041eHO")
    assert set(lacking(tmp_path / "wrong.ttf", cyrillic)) - set(before) == set("\u041d\u041e")


def test_small_capitals_are_no_small_letters() -> None:
    amatic = file_of("AmaticSC-Regular.ttf")
    assert lacking(amatic, CODES) == ""
    assert lacking(amatic, CHARSETS["alnum_cased"]) == CHARSETS["lower"]


@pytest.mark.parametrize("kind", ["unmapped", "empty", "stand-ins", "no space"])
def test_boxes_blanks_and_stand_ins_are_lacking(tmp_path: Path, kind: str) -> None:
    """The same font with the glyphs of x, y and z (and the space) made useless in some way."""

    def edit(font: TTFont) -> None:
        spoiled = "xyzwv" if kind != "no space" else " "
        for table in font["cmap"].tables:
            for character in spoiled:
                name = table.cmap.get(ord(character))
                if name is None:
                    continue
                if kind == "empty":
                    font["glyf"][name] = font["glyf"][table.cmap[ord(" ")]]
                elif kind == "stand-ins":
                    table.cmap[ord(character)] = table.cmap[ord("+")]
                else:
                    del table.cmap[ord(character)]

    path = edited("Roboto-Regular.ttf", tmp_path / "spoiled.ttf", edit)
    expected = {"no space": " ", "stand-ins": "+vwxyz"}.get(kind, "vwxyz")
    assert sorted(lacking(path, ASCII)) == sorted(expected)


@pytest.mark.parametrize("flavor", ["", "woff", "woff2"])
def test_files_of_every_kind_in_a_folder(tmp_path: Path, flavor: str) -> None:
    suffix = flavor or "ttf"
    folder = tmp_path / "deep" / "er"
    folder.mkdir(parents=True)
    edited("Roboto-Regular.ttf", folder / f"a.{suffix}", lambda f: renamed(f, "Other"), flavor)
    (folder / f"broken.{suffix}").write_bytes(b"\0\1\0\0 no font at all")
    (found,) = find_fonts(ASCII, folders=(str(tmp_path),), packaged=False, system=False)
    assert (found.family, found.style, found.packaged) == ("Other", "Regular", False)
    assert ImageFont.truetype(found.path, 20, found.index).getlength("abc") > 0


def test_every_face_of_a_collection_counts(tmp_path: Path) -> None:
    collection(tmp_path / "all.ttc", "Roboto-Regular.ttf", "DejaVuSerif.ttf", "cmsy10.ttf")
    found = find_fonts(CODES, folders=(str(tmp_path),), packaged=False, system=False)
    assert [(f.family, f.index) for f in found] == [("DejaVu Serif", 1), ("Roboto", 0)]


def test_symbols_icons_and_bars_are_no_fonts_for_text(tmp_path: Path) -> None:
    bars(tmp_path / "bars.ttf", ASCII)
    edited("Roboto-Regular.ttf", tmp_path / "a.ttf", lambda f: renamed(f, "Nice Icons"))

    def as_symbols(font: TTFont) -> None:
        renamed(font, "Unsuspected")
        font["OS/2"].panose.bFamilyType = 5

    edited("Roboto-Regular.ttf", tmp_path / "b.ttf", as_symbols)
    with pytest.raises(DataError, match="no font here"):
        find_fonts("ABC123", folders=(str(tmp_path),), packaged=False, system=False)


def test_a_face_may_lack_what_is_not_needed(tmp_path: Path) -> None:
    found = find_fonts(ASCII, needed="ABC", system=False)
    amatic = next(f for f in found if f.family == "Amatic SC")
    assert amatic.writes("STOP 12!")
    assert not amatic.writes("Stop")


def test_folders_without_fonts_are_named(tmp_path: Path) -> None:
    for folder, what in ((tmp_path / "none", "isn't a folder"), (tmp_path, "no font file")):
        with pytest.raises(DataError, match=what):
            find_fonts("A", folders=(str(folder),))


def test_a_folder_that_may_not_be_looked_into_is_named() -> None:
    file = Path(packaged()[0].path)
    with open_folder() as root:
        for name in ("open/a.ttf", "open/secret/b.ttf"):
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_bytes(file.read_bytes())
        (root / "open/gone.ttf").symlink_to("nowhere.ttf")
        (root / "open/loop.ttf").symlink_to("loop.ttf")
        assert len(list(folder_files([f"{root}/open"]))) == 2
        (root / "open/secret").chmod(0)
        with as_nobody():
            for folder in ("open", "open/secret"):
                with pytest.raises(DataError, match=r"can't look into .*secret: Permission"):
                    list(folder_files([f"{root}/{folder}"]))
            with pytest.raises(DataError, match="below isn't a folder"):
                list(folder_files([f"{root}/open/secret/below"]))


def test_a_node_knows_its_copy_by_the_bytes(tmp_path: Path) -> None:
    font = next(f for f in packaged() if f.family == "Roboto")
    moved = Font(
        family=font.family,
        style=font.style,
        path=str(tmp_path / "elsewhere" / Path(font.path).name),
        packaged=True,
        digest=font.digest,
    )
    assert here(font) == font
    assert here(moved).path == font.path
    other = tmp_path / "other.ttf"
    other.write_bytes(b"another font")
    with pytest.raises(DataError, match="lacks the font Roboto"):
        here(Font(family="Roboto", style="x", path=str(other), packaged=False, digest="0"))


def test_characters_that_no_face_has_are_named_before_anything_is_drawn() -> None:
    config = RenderConfig(
        count=1, content="english", charset=CHARSETS["ascii"] + "\u6f22\u5b57", fonts="all"
    )
    sides: tuple[FontSplit, ...] = ("train", "held_out", "all")
    for split in sides:
        with pytest.raises(DataError, match=r"none of .* faces has '\u5b57\u6f22' of the charset"):
            chosen_fonts(replace(config, fonts=split), system=False)
    plain = replace(config, charset="ascii")
    assert chosen_fonts(plain, system=False)


def test_fonts_of_a_relative_folder_are_found_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = Path(packaged()[0].path)
    (tmp_path / "fonts").mkdir()
    (tmp_path / "fonts" / file.name).write_bytes(file.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert list(folder_files(["fonts"])) == [tmp_path / "fonts" / file.name]
