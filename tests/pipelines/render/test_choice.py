"""Condensed and thin faces: known by their ink, and drawn as often as asked."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fontTools.ttLib import TTFont
from fontTools.ttLib.scaleUpem import scale_upem
from PIL import ImageFont

from crnn.errors import DataError
from pipelines.render import config as render_config
from pipelines.render.choice import BLOCK_CHOSEN, Faces, faces_of
from pipelines.render.config import RenderConfig, key_of
from pipelines.render.fonts import Font, find_fonts
from pipelines.render.style import BARE, FULL
from pipelines.render.synth import chosen_fonts, render_samples
from pipelines.render.weights import CONDENSED, PROBE_PX, THIN, Build, build_of
from tests.pipelines.render.faces import CODES, edited, file_of, renamed

CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def narrowed(font: TTFont) -> None:
    """Every glyph half as wide; the family gets another name."""
    glyphs = font["glyf"]
    for name in font.getGlyphOrder():
        glyph = glyphs[name]
        if glyph.isComposite():
            for component in glyph.components:
                component.x = round(component.x / 2)
        elif glyph.numberOfContours > 0:
            glyph.coordinates.scale((0.5, 1.0))
            glyph.recalcBounds(glyphs)
        advance, bearing = font["hmtx"][name]
        font["hmtx"][name] = (advance // 2, round(bearing / 2))
    renamed(font, "Half As Wide")


def build(path: Path) -> Build:
    face = ImageFont.truetype(str(path), PROBE_PX)
    found = build_of(face, CAPITALS)
    assert found is not None
    return found


def test_the_ink_says_how_wide_a_face_is(tmp_path: Path) -> None:
    usual = build(file_of("Roboto-Regular.ttf"))
    half = build(edited("Roboto-Regular.ttf", tmp_path / "half.ttf", narrowed))
    assert half.width == pytest.approx(usual.width / 2, rel=0.06)
    assert half.width < CONDENSED < usual.width


def test_the_ink_says_how_bold_a_face_is() -> None:
    """In the order of the names, and for a plain stem as thick as it is."""
    weights = ("Thin", "Light", "Regular", "Medium", "Bold", "Black")
    strokes = [build(file_of(f"Roboto-{weight}.ttf")).stroke for weight in weights]
    assert strokes == sorted(strokes)
    assert strokes[0] < THIN < strokes[2]
    assert strokes[2] == pytest.approx(0.125, abs=0.02)  # its stem is 0.13 of the capitals


def test_the_build_does_not_depend_on_units(tmp_path: Path) -> None:
    rescaled = edited("Roboto-Regular.ttf", tmp_path / "a.ttf", lambda f: scale_upem(f, 1000))
    assert build(rescaled) == pytest.approx(build(file_of("Roboto-Regular.ttf")), rel=0.03)


def test_nothing_to_tell_by_is_no_build() -> None:
    assert build_of(ImageFont.truetype(str(file_of("Roboto-Regular.ttf")), PROBE_PX), "+-") is None


def test_the_thinnest_faces_are_there_only_when_builds_are_asked_for() -> None:
    usual = find_fonts(CODES, system=False)
    more = find_fonts(CODES, system=False, builds=True)
    assert {f.key for f in usual} == {f.key for f in more if not f.hairline}
    assert {f.key for f in more if f.hairline} >= {"Lato/Hairline", "Roboto/Thin"}
    assert all(f.build is None for f in usual)
    assert all(f.build is not None for f in more)
    assert all(f.thin for f in more if f.hairline)
    assert sum(f.thin for f in more) < len(more) / 3


def face(name: str, width: float, stroke: float, *, hairline: bool = False) -> Font:
    return Font(
        family=name, style="", path="", packaged=False, build=Build(width, stroke),
        hairline=hairline,
    )  # fmt: skip


def test_faces_come_as_often_as_asked() -> None:
    fonts = [
        *(face(f"usual {n}", 0.9, 0.12) for n in range(60)),
        *(face(f"narrow {n}", 0.5, 0.12) for n in range(20)),
        *(face(f"thin {n}", 0.9, 0.05) for n in range(3)),
        face("hairline", 0.5, 0.02, hairline=True),
    ]
    style = replace(FULL, condensed_share=0.3, thin_share=0.1)
    faces = faces_of(fonts, style)
    assert {f.family for f in faces.thin} == {"thin 0", "thin 1", "thin 2", "hairline"}
    assert len(faces.condensed) == 20
    assert len(faces.usual) == 83
    rng = np.random.default_rng(1)
    some = faces.some(rng)
    assert (len(some.condensed), len(some.thin)) == (BLOCK_CHOSEN, 4)
    kinds = Counter(id(some.kind(rng, style)) for _ in range(4000))
    assert kinds[id(some.condensed)] / 4000 == pytest.approx(0.3, abs=0.03)
    assert kinds[id(some.thin)] / 4000 == pytest.approx(0.1, abs=0.02)
    plain = faces_of(fonts, FULL)
    assert (plain.condensed, plain.thin) == ([], [])
    assert "hairline" not in {f.family for f in plain.usual}


def test_a_kind_that_no_face_is_is_named() -> None:
    fonts = [face("usual", 0.9, 0.12)]
    for kind in ("condensed", "thin"):
        with pytest.raises(DataError, match=rf"{kind}_share 0\.2.* none of 1 faces"):
            faces_of(fonts, replace(FULL, **{f"{kind}_share": 0.2}))


def test_styles_that_ask_for_no_kind_draw_nothing_for_it() -> None:
    """So that sets rendered before have the same bytes now."""
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    faces = Faces(usual=[face("usual", 0.9, 0.12)])
    assert faces.kind(rng, FULL) is faces.usual
    assert rng.bit_generator.state == before


def test_a_set_in_thin_faces(tmp_path: Path) -> None:
    """All of it, where the share is 1."""
    edited("Roboto-Regular.ttf", tmp_path / "half.ttf", narrowed)
    config = RenderConfig(
        count=12, font_folders=(str(tmp_path),), system_fonts=False, fonts="all",
        style=replace(BARE, condensed_share=1.0),
    )  # fmt: skip
    fonts = chosen_fonts(config, system=False)
    narrow = {f.key for f in fonts if f.condensed}
    assert "Half As Wide/Regular" in narrow
    wide = replace(config, style=BARE)
    shapes = [
        [s["width"] / s["height"] / len(s["text"]) for s in render_samples(c, chosen, 0, 12)]
        for c, chosen in (
            (config, [f for f in fonts if f.key == "Half As Wide/Regular"]),
            (wide, [f for f in fonts if f.key == "Roboto/Regular"]),
        )
    ]
    assert np.mean(shapes[0]) < 0.75 * np.mean(shapes[1])


def test_sets_of_another_renderer_have_other_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a training renders lies under its key: an older set is passed by, not refused."""
    one, other = RenderConfig(count=1), RenderConfig(count=2)
    now = key_of(one, other)
    assert key_of(RenderConfig(count=1), RenderConfig(count=2)) == now != key_of(other, one)
    monkeypatch.setattr(render_config, "RENDERER_VERSION", render_config.RENDERER_VERSION + 1)
    assert key_of(one, other) != now
