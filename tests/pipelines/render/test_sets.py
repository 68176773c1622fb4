"""Sets: the same samples in whatever parts and on however many workers, and each once."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crnn.errors import DataError
from crnn.images.contract import decode_picture
from pipelines.render import texts
from pipelines.render.config import RenderConfig
from pipelines.render.fonts import held_out_families
from pipelines.render.style import FULL
from pipelines.render.synth import BLOCK_ROWS, chosen_fonts, render_samples, render_set
from pipelines.shards import Manifest, load_manifest, read_row_group
from tests.pipelines.render.faces import packaged

ROOT = Path(__file__).resolve().parents[3]
ENGLISH = RenderConfig(
    count=96, content="english", charset="ascii", max_length=20, style=FULL, part_rows=16
)
ON_ONE_WORKER = """
import sys
import ray
from pipelines.render.synth import render_set
from tests.pipelines.render.test_sets import ENGLISH
ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
render_set(sys.argv[1], ENGLISH)
"""


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 40), st.integers(0, 40), st.sampled_from(["train", "held_out", "all"]))
def test_a_sample_depends_on_its_number_not_on_the_range(
    a: int, b: int, split: texts.TextSplit
) -> None:
    start = BLOCK_ROWS - 20  # so that a block ends within
    config = RenderConfig(count=2 * BLOCK_ROWS, seed=3, split=split, style=FULL)
    cuts = sorted({0, a, b, 40})
    pieces = [
        sample
        for first, last in itertools.pairwise(cuts)
        for sample in render_samples(config, packaged(), start + first, start + last)
    ]
    assert pieces == list(render_samples(config, packaged(), start, start + 40))


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


def table_of(uri: str, manifest: Manifest) -> pa.Table:
    return pa.concat_tables(
        read_row_group(uri, shard.name, index)
        for shard in manifest.shards
        for index in range(len(shard.row_groups))
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.usefixtures("local_ray")
@pytest.mark.slow
def test_one_worker_and_two_leave_the_same_bytes(tmp_path: Path) -> None:
    """In a process of its own with one worker, and on this session's cluster with two."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_AUTH_MODE": "disabled"}
    command = [sys.executable, "-c", ON_ONE_WORKER, str(tmp_path / "1")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    render_set(str(tmp_path / "2"), ENGLISH)
    one, two = contents(tmp_path / "1"), contents(tmp_path / "2")
    assert sorted(one) == ["manifest.json", *(f"part-{i:05d}-000.parquet" for i in range(6))]
    assert one == two


@pytest.mark.usefixtures("local_ray")
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


@pytest.mark.usefixtures("local_ray")
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
    assert contents(Path(broken)) == contents(Path(whole))
    assert first.stat().st_mtime_ns == written


@pytest.mark.usefixtures("local_ray")
def test_another_configuration_is_refused_or_replaces_the_set(tmp_path: Path) -> None:
    uri = str(tmp_path / "set")
    words = tuple(f"WORD{i}" for i in range(40))
    render_set(uri, RenderConfig(count=60, part_rows=20, words=words))
    other = {"count": 30, "words": words, "seed": 1, "split": "held_out"}
    with pytest.raises(DataError, match="seed: 0 → 1"):
        render_set(uri, RenderConfig(**other))
    manifest = render_set(uri, RenderConfig(**other, overwrite=True))
    assert load_manifest(uri) == manifest
    assert manifest.count == 30
    drawn = set(table_of(uri, manifest)["text"].to_pylist())
    assert drawn <= {word for word in words if texts.split_of(word) == "held_out"}


@pytest.mark.usefixtures("local_ray")
def test_fonts_words_and_photographs_of_the_user_decide_the_set(tmp_path: Path) -> None:
    """Other files in the folders are another set; what was made of the former is refused."""
    listed = tmp_path / "words.tsv"
    listed.write_text("alpha\t5\nbravo\t3\ncharlie\ndelta\necho\nfoxtrot\n")
    photos = tmp_path / "photos"
    photos.mkdir()
    cv2.imwrite(str(photos / "a.png"), np.full((80, 200, 3), 90, np.uint8))
    config = RenderConfig(
        count=30,
        content="english",
        charset="lower",
        max_length=12,
        split="all",
        kinds={"word": 1.0},
        word_list=str(listed),
        backgrounds=str(photos),
        style=FULL,
    )
    uri = str(tmp_path / "set")
    rows = table_of(uri, render_set(uri, config))
    assert set(rows["text"].to_pylist()) <= set(listed.read_text().split())
    assert rows["id"][3].as_py() == "rendered-all-english-0-00000003"
    cv2.imwrite(str(photos / "b.png"), np.full((80, 200, 3), 200, np.uint8))
    with pytest.raises(DataError, match="backgrounds_digest"):
        render_set(uri, config)


def test_tasks_find_files_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = RenderConfig(
        count=1, content="english", style=FULL, word_list="w.tsv", backgrounds="photos"
    ).from_anywhere()
    assert (config.word_list, config.backgrounds) == (f"{tmp_path}/w.tsv", f"{tmp_path}/photos")
    plain = RenderConfig(count=1)
    assert plain.from_anywhere() == plain


def test_photographs_that_are_none_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    for folder, message in (
        (tmp_path, "a.jpg isn't a picture"),
        (tmp_path / "x", "isn't a folder"),
    ):
        config = RenderConfig(count=9, style=FULL, backgrounds=str(folder))
        with pytest.raises(DataError, match=message):
            list(render_samples(config, packaged(), 0, 9))


def test_nonsense_is_refused_by_name() -> None:
    for fields, named in [
        ({"count": 0}, "count"),
        ({"count": 1, "seed": -1}, "seed"),
        ({"count": 1, "kinds": {"dates": 1.0}}, "dates"),
        ({"count": 1, "kinds": {"date": 0.0}}, "date"),
        ({"count": 1, "min_length": 5, "max_length": 4}, "5–4"),
        ({"count": 1, "words": ("a",), "kinds": {"date": 1.0}}, "words"),
        ({"count": 1, "lines": True}, "english"),
        ({"count": 1, "content": "latin"}, "latin"),
        ({"count": 1, "split": "test"}, "test"),
    ]:
        with pytest.raises(ValueError, match=named):
            RenderConfig(**fields)  # type: ignore[arg-type]


def test_a_text_that_no_font_can_write_is_an_error_not_a_box() -> None:
    lacking = next(f for f in packaged() if f.family == "Roboto")
    faces = [replace(lacking, lacks="0123456789")]
    with pytest.raises(DataError, match="no font that was tried"):
        list(render_samples(RenderConfig(count=1, kinds={"digits": 1.0}), faces, 0, 1))
