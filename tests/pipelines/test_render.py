"""Rendering: fonts that write, texts that keep to their side, pictures that hold all their text."""

from __future__ import annotations

import datetime
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import ray
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageFont

from crnn.charset import CHARSETS, Charset
from crnn.errors import DataError
from crnn.image import decode_picture
from pipelines.render import texts
from pipelines.render.draw import PLAIN, StyleConfig, draw
from pipelines.render.fonts import (
    Font,
    find_fonts,
    held_out_families,
    packaged_files,
    select_fonts,
    writes,
)
from pipelines.render.synth import RenderConfig, chosen_fonts, render_samples, render_set
from pipelines.shards import Manifest, load_manifest, read_row_group

CODES = CHARSETS["codes"]
WARPED = StyleConfig(
    blur_sigma=0, noise_sigma=0, gradient=0, texture_share=0, colour_share=0, jpeg_share=0
)
SEEDS = st.integers(0, 2**32)
FACES = st.deferred(lambda: st.sampled_from(packaged()))
unhurried = settings(deadline=None)


def packaged() -> tuple[Font, ...]:
    return find_fonts(CODES, system=False)


def face(name: str) -> ImageFont.FreeTypeFont:
    path = next(p for p in packaged_files() if p.name == name)
    return ImageFont.truetype(str(path), 24)


# fonts


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


def test_faces_without_a_glyph_or_with_capitals_only_do_not_write() -> None:
    assert writes(face("DejaVuSans.ttf"), "AaЖж€ 0")
    assert not writes(face("Roboto-Regular.ttf"), "A漢")
    assert not writes(face("cmr10.ttf"), "€")
    assert writes(face("AmaticSC-Regular.ttf"), CODES)
    assert not writes(face("AmaticSC-Regular.ttf"), CHARSETS["alnum_cased"])


# texts


@unhurried
@given(st.sampled_from(sorted(texts.KINDS)), SEEDS)
def test_every_kind_keeps_to_its_characters_and_length(name: str, seed: int) -> None:
    kind = texts.KINDS[name]
    text = kind.draw(np.random.default_rng(seed))
    assert 1 <= len(text) <= texts.MAX_LENGTH
    assert set(text) <= set(kind.characters) <= set(CODES)
    assert Charset(CODES).text(Charset(CODES).encode(text)) == text


def test_default_texts_use_every_character_of_the_default_charset() -> None:
    rng = np.random.default_rng(0)
    kinds = texts.kinds_for()
    seen = {c for _ in range(20_000) for c in texts.draw_text(rng, kinds, split="train")}
    assert seen == set(CODES)


@unhurried
@given(SEEDS)
def test_dates_exist(seed: int) -> None:
    text = texts.date(np.random.default_rng(seed))
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        datetime.date.fromisoformat(text)
    if re.fullmatch(r"\d\d\.\d\d\.\d{4}", text):
        datetime.datetime.strptime(text, "%d.%m.%Y")


def test_the_side_of_a_text_never_changes() -> None:
    """Known answers: another hash would mix up sets that were rendered before."""
    held_out = [text for text in map(str, range(60)) if texts.split_of(text) == "held_out"]
    assert held_out == ["0", "12", "54", "56"]
    share = sum(texts.split_of(str(i)) == "held_out" for i in range(20_000)) / 20_000
    assert share == pytest.approx(0.1, abs=0.01)


@unhurried
@given(SEEDS, SEEDS, st.sampled_from(["codes", "digits", "ascii", "alnum"]))
def test_no_text_is_on_both_sides(one: int, other: int, charset: str) -> None:
    kinds = texts.kinds_for(CHARSETS[charset])
    rng_one, rng_other = np.random.default_rng(one), np.random.default_rng(other)
    train = {texts.draw_text(rng_one, kinds, split="train") for _ in range(20)}
    held_out = {texts.draw_text(rng_other, kinds, split="held_out") for _ in range(20)}
    assert not train & held_out


@pytest.mark.parametrize("charset", sorted(CHARSETS))
def test_the_kinds_for_a_charset_write_all_of_it_and_nothing_else(charset: str) -> None:
    kinds = texts.kinds_for(CHARSETS[charset])
    assert {c for k in kinds.values() for c in k.characters} == set(CHARSETS[charset])


@unhurried
@given(SEEDS)
def test_random_strings_show_all_of_their_spaces(seed: int) -> None:
    kind = texts.chars_kind("ab ", min_length=1, max_length=6)
    text = kind.draw(np.random.default_rng(seed))
    assert text == " ".join(text.split())
    assert 1 <= len(text) <= 6


def test_words_come_from_the_list_and_one_too_short_says_so() -> None:
    words = [f"word{i}" for i in range(50)]
    kinds = {"words": texts.words_kind([*words, " word1 ", ""])}
    rng = np.random.default_rng(0)
    drawn = {texts.draw_text(rng, kinds, split="train") for _ in range(1000)}
    assert drawn == {w for w in words if texts.split_of(w) == "train"}
    word = next(w for w in words if texts.split_of(w) == "train")
    with pytest.raises(DataError, match="held_out"):
        texts.draw_text(rng, {"words": texts.words_kind([word])}, split="held_out")
    with pytest.raises(DataError, match="no words"):
        texts.words_kind(["", " "])


# pictures


@unhurried
@given(
    st.text(CODES, min_size=1, max_size=12),
    FACES,
    SEEDS,
    st.sampled_from([PLAIN, WARPED]),
)
def test_text_is_never_clipped(text: str, font: Font, seed: int, style: StyleConfig) -> None:
    """Where nothing else varies, the outermost pixels are all paper, and there is ink inside."""
    picture = draw(text, font, np.random.default_rng(seed), style)
    grey = np.asarray(decode_picture(picture.data)).astype(int)
    assert grey.shape == (picture.height, picture.width)
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    assert np.ptp(border) == 0
    assert np.abs(grey - border[0]).max() > 25


@unhurried
@given(st.text(CODES, min_size=1, max_size=11), FACES)
def test_each_character_adds_its_width(text: str, font: Font) -> None:
    """The same margins and size for both: the generator's draws don't depend on the text."""
    style = StyleConfig(spacing_share=0, shear=0, rotation_deg=0)
    short = draw(text, font, np.random.default_rng(5), style)
    long = draw(text + "0", font, np.random.default_rng(5), style)
    assert long.width > short.width + 3


@unhurried
@given(st.integers(0, 500))
def test_ink_and_paper_differ_enough_in_colour_too(seed: int) -> None:
    style = StyleConfig(
        colour_share=1,
        jpeg_share=0,
        noise_sigma=0,
        gradient=0,
        texture_share=0,
        blur_sigma=0,
        min_size_px=48,
    )
    font = next(f for f in packaged() if f.key == "Lato/Black")
    picture = draw("HHH", font, np.random.default_rng(seed), style)
    grey = np.asarray(decode_picture(picture.data).convert("L")).astype(int)
    assert np.ptp(grey) >= style.min_contrast - 3


@unhurried
@given(FACES, SEEDS)
def test_the_generator_decides_every_byte(font: Font, seed: int) -> None:
    first = draw("2026-11-22", font, np.random.default_rng(seed))
    assert draw("2026-11-22", font, np.random.default_rng(seed)) == first


def test_a_text_without_ink_is_refused() -> None:
    for text in ("", " "):
        with pytest.raises(ValueError, match="visible"):
            draw(text, packaged()[0], np.random.default_rng(0))


# sets


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 40), st.integers(0, 40), st.sampled_from(["train", "held_out"]))
def test_a_sample_depends_on_its_number_not_on_the_range(
    a: int, b: int, split: texts.TextSplit
) -> None:
    config = RenderConfig(count=40, seed=3, split=split)
    cuts = sorted({0, a, b, 40})
    pieces = [
        sample
        for start, stop in itertools.pairwise(cuts)
        for sample in render_samples(config, packaged(), start, stop)
    ]
    assert pieces == list(render_samples(config, packaged(), 0, 40))


def test_sets_of_the_two_sides_share_no_text_no_id_and_no_font_family() -> None:
    train = RenderConfig(count=1, charset="digits", kinds={"digits": 1})
    held_out = RenderConfig(count=1, charset="digits", kinds={"digits": 1}, split="held_out")
    one = list(render_samples(train, packaged()[:3], 0, 400))
    other = list(render_samples(held_out, packaged()[:3], 0, 400))
    assert not {s["text"] for s in one} & {s["text"] for s in other}
    assert len({s["id"] for s in one + other}) == 800
    assert one[12]["id"] == "rendered-0-00000012"
    faces = [
        chosen_fonts(RenderConfig(count=1, fonts=f), system=True) for f in ("train", "held_out")
    ]
    assert not {f.family for f in faces[0]} & {f.family for f in faces[1]}


def test_samples_say_their_size_and_whether_their_font_is_unseen() -> None:
    unseen = held_out_families(packaged())
    fonts = [
        next(f for f in packaged() if f.family in unseen),
        next(f for f in packaged() if f.family not in unseen),
    ]
    for font, source in zip(fonts, ["rendered, unseen font", "rendered"], strict=True):
        config = RenderConfig(count=5)
        for sample in render_samples(config, [font], 0, 5, unseen_families=unseen):
            assert decode_picture(sample["image"]).size == (sample["width"], sample["height"])
            assert sample["source"] == source


@pytest.fixture(scope="module")
def two_cpus() -> Iterator[None]:
    """A local Ray for this file, or the one that other files of the session have started."""
    ours = not ray.is_initialized()
    if ours:
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    if ours:
        ray.shutdown()


def table_of(uri: str, manifest: Manifest) -> pa.Table:
    return pa.concat_tables(
        read_row_group(uri, shard.name, index)
        for shard in manifest.shards
        for index in range(len(shard.row_groups))
    )


@pytest.mark.usefixtures("two_cpus")
def test_a_set_is_the_same_in_any_parts_and_rendered_once(tmp_path: Path) -> None:
    one, other = str(tmp_path / "one"), str(tmp_path / "other")
    config = RenderConfig(count=90, seed=7, part_rows=90)
    told: list[tuple[int, int]] = []
    manifest = render_set(one, config, lambda done, total: told.append((done, total)))
    in_parts = render_set(other, RenderConfig(count=90, seed=7, part_rows=20))
    assert told == [(90, 90)]
    assert len(in_parts.shards) == 5
    rows = table_of(one, manifest)
    assert rows == table_of(other, in_parts)
    assert rows["id"].to_pylist() == [f"rendered-7-{i:08d}" for i in range(90)]
    assert manifest.count == 90
    assert manifest.length_histogram == in_parts.length_histogram

    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "one").rglob("*")}
    assert render_set(one, config, lambda *_: told.append((-1, -1))) == manifest
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "one").rglob("*")} == before
    assert told == [(90, 90)]


@pytest.mark.usefixtures("two_cpus")
def test_a_run_that_was_broken_off_goes_on_and_ends_in_the_same_set(tmp_path: Path) -> None:
    class BrokenOffError(Exception):
        pass

    def break_off(done: int, total: int) -> None:
        raise BrokenOffError

    broken, whole = str(tmp_path / "broken"), str(tmp_path / "whole")
    config = RenderConfig(count=80, part_rows=10)
    with pytest.raises(BrokenOffError):
        render_set(broken, config, break_off)
    with pytest.raises(DataError, match="unfinished"):
        load_manifest(broken)
    first = next(p for p in Path(broken).glob("part-*.parquet"))
    written = first.stat().st_mtime_ns
    assert render_set(broken, config) == render_set(whole, config)
    assert first.stat().st_mtime_ns == written


@pytest.mark.usefixtures("two_cpus")
def test_another_configuration_is_refused_or_replaces_the_set(tmp_path: Path) -> None:
    uri = str(tmp_path / "set")
    words = tuple(f"WORD{i}" for i in range(40))
    render_set(uri, RenderConfig(count=60, part_rows=20, words=words))
    other = {"count": 30, "words": words, "seed": 1, "split": "held_out"}
    with pytest.raises(DataError, match="seed 0 there, 1 here"):
        render_set(uri, RenderConfig(**other))
    manifest = render_set(uri, RenderConfig(**other, overwrite=True))
    assert load_manifest(uri) == manifest
    assert manifest.count == 30
    drawn = set(table_of(uri, manifest)["text"].to_pylist())
    assert drawn <= {word for word in words if texts.split_of(word) == "held_out"}


def test_nonsense_is_refused_by_name() -> None:
    for fields, named in [
        ({"count": 0}, "count"),
        ({"count": 1, "seed": -1}, "seed"),
        ({"count": 1, "kinds": {"dates": 1.0}}, "dates"),
        ({"count": 1, "kinds": {"date": 0.0}}, "date"),
        ({"count": 1, "min_length": 5, "max_length": 4}, "5–4"),
        ({"count": 1, "words": ("a",), "kinds": {"date": 1.0}}, "words"),
    ]:
        with pytest.raises(ValueError, match=named):
            RenderConfig(**fields)  # type: ignore[arg-type]
    for style in ({"min_size_px": 4}, {"min_contrast": 0}, {"jpeg_quality": (90, 20)}):
        with pytest.raises(ValueError, match=next(iter(style)).removeprefix("min_")[:4]):
            StyleConfig(**style)  # type: ignore[arg-type]
