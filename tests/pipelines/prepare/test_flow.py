from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from crnn.errors import DataError
from crnn.files import storage
from pipelines.output import part_address
from pipelines.prepare import Preparation, PrepareConfig, Progress, begin, carry_out, prepare
from pipelines.prepare.task import PartMaker
from pipelines.shards import load_manifest
from tests.pipelines.prepare.outputs import rejects_of, samples_of

WORDS = [f"word{number}" for number in range(23)]

pytestmark = pytest.mark.usefixtures("local_ray")


def do_parts(job: Preparation, numbers: Sequence[int]) -> None:
    """What the tasks of these parts do, and no more: the state that a killed job leaves."""
    while not job.agenda.complete:
        job.agenda.wait()
    make = PartMaker(job.task)
    for number, chunk in enumerate(job.agenda.take()):
        if number in numbers:
            assert [outcome.chunk for outcome in make(chunk)] == [chunk]


def test_every_picture_becomes_a_sample_with_its_very_bytes(
    tmp_path: Path, words_folder: Callable[[Sequence[str]], Path]
) -> None:
    source, out = words_folder(WORDS), str(tmp_path / "out")
    seen: list[Progress] = []
    (manifest,) = prepare(str(source), out, PrepareConfig(part_rows=5), seen.append)
    samples = samples_of(out, manifest)
    assert sorted(row["id"] for row in samples) == [f"images/{n:03d}.jpg" for n in range(23)]
    for row in samples:
        data = (source / row["id"]).read_bytes()
        assert row["image"] == data
        assert (row["width"], row["height"]) == Image.open(io.BytesIO(data)).size
        assert (row["text"], row["source"]) == (WORDS[int(row["id"][7:10])], "words")
    assert len(manifest.shards) == 5
    assert load_manifest(out) == manifest
    assert [p.done for p in seen][-1] == seen[-1].total == 23
    assert seen[-1].listed
    assert not (tmp_path / "out" / "_parts").exists()


def test_every_unusable_picture_is_a_reject_with_its_reason(
    tmp_path: Path, picture_of: Callable[..., bytes], nan_picture: bytes
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    good = picture_of("good")
    contents = {
        "good.jpg": good,
        "empty_file.jpg": b"",
        "undecodable.jpg": b"this is no picture",
        "cut.jpg": good[: len(good) // 2],
        "nan.tif": nan_picture,
        "large.png": picture_of("x", size=(200, 200), format="PNG"),
        "unlabelled.jpg": good,
    }
    for name, data in contents.items():
        (source / name).write_bytes(data)
    (source / "folder.jpg").mkdir()
    labelled = [*contents, "missing.jpg", "folder.jpg", "good.jpg"]
    lines = [f"{name}\t{'' if name == 'unlabelled.jpg' else 'text'}\n" for name in labelled]
    (source / "labels.tsv").write_text("".join(lines) + "bad line\n")
    out = tmp_path / "out"
    (manifest,) = prepare(str(source), str(out), PrepareConfig(max_pixels=10_000, shuffle_seed=-1))
    assert [row["id"] for row in samples_of(str(out), manifest)] == ["good.jpg"]
    assert rejects_of(out) == {
        "empty_file.jpg": ("empty_file", None),
        "undecodable.jpg": ("undecodable", contents["undecodable.jpg"]),
        "cut.jpg": ("undecodable", contents["cut.jpg"]),
        "nan.tif": ("non_finite_pixels", nan_picture),
        "large.png": ("too_large", contents["large.png"]),
        "unlabelled.jpg": ("empty_label", good),
        "missing.jpg": ("not_found", None),
        "folder.jpg": ("unreadable", None),
        "good.jpg": ("duplicate_id", good),
        "labels.tsv:11": ("bad_line", None),
    }
    assert manifest.rejects["undecodable"] == 2
    assert sum(manifest.rejects.values()) == 10


def test_width_and_height_are_of_the_upright_picture(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    image = Image.new("L", (30, 90), 200)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    image.save(source / "turned.jpg", exif=exif)
    (source / "labels.tsv").write_text("turned.jpg\tx\n")
    (manifest,) = prepare(str(source), str(tmp_path / "out"), PrepareConfig())
    (row,) = samples_of(str(tmp_path / "out"), manifest)
    assert (row["width"], row["height"]) == (90, 30)


def test_a_killed_job_run_again_ends_in_the_same_data(
    tmp_path: Path, words_folder: Callable[[Sequence[str]], Path]
) -> None:
    source = str(words_folder(WORDS))
    config = PrepareConfig(part_rows=4)
    (undisturbed,) = prepare(source, str(tmp_path / "whole"), config)

    out = tmp_path / "killed"
    do_parts(begin([source], str(out), config), [0, 3])
    (out / f".{'01' * 16}.tmp").write_bytes(b"half a shard")
    (out / "part-00001-000.parquet").write_bytes(b"a shard whose part file was not written")
    done = {path: path.stat().st_mtime_ns for path in out.glob("part-0000[03]*")}
    assert len(done) == 2
    with pytest.raises(DataError, match="unfinished"):
        load_manifest(str(out))

    seen: list[Progress] = []
    (manifest,) = prepare(source, str(out), config, seen.append)
    assert manifest == undisturbed
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert sorted(p.done for p in seen)[0] > 8, "the two finished ranges count from the start"
    names = {path.name for path in out.iterdir()}
    assert names == {path.name for path in (tmp_path / "whole").iterdir()}


def test_a_finished_output_is_left_alone(
    tmp_path: Path, words_folder: Callable[[Sequence[str]], Path]
) -> None:
    source, out = str(words_folder(WORDS[:3])), tmp_path / "out"
    (manifest,) = prepare(source, str(out), PrepareConfig())
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    (made,) = carry_out(begin([source], str(out), PrepareConfig()))
    assert made.was_complete
    assert made.manifest == manifest
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_another_recipe_is_refused_by_its_difference_until_overwrite(
    tmp_path: Path, words_folder: Callable[[Sequence[str]], Path]
) -> None:
    folder = words_folder(WORDS[:9])
    source, out = str(folder), str(tmp_path / "out")
    prepare(source, out, PrepareConfig(part_rows=2))
    with pytest.raises(DataError, match="part_rows: 2 → 9"):
        prepare(source, out, PrepareConfig(part_rows=9))
    with (folder / "labels.tsv").open("a") as labels:
        labels.write("images/none.jpg\tnew\n")
    with pytest.raises(DataError, match="listing_digest"):
        prepare(source, out, PrepareConfig(part_rows=2))
    (manifest,) = prepare(source, out, PrepareConfig(part_rows=2, overwrite=True))
    assert (manifest.count, manifest.rejects) == (9, {"not_found": 1})
    assert sorted(path.name for path in (tmp_path / "out").glob("*.parquet")) == sorted(
        shard.name for shard in manifest.shards
    )
    (manifest,) = prepare(source, out, PrepareConfig(part_rows=20, overwrite=True))
    assert len(manifest.shards) == 1 == len(list((tmp_path / "out").glob("*.parquet")))
    assert manifest.rejects == {"not_found": 1}


def test_an_unfinished_output_of_another_recipe_is_refused_too(
    tmp_path: Path, words_folder: Callable[[Sequence[str]], Path]
) -> None:
    source, out = str(words_folder(WORDS)), str(tmp_path / "out")
    do_parts(begin([source], out, PrepareConfig(part_rows=4)), [1])
    with pytest.raises(DataError, match="part_rows: 4 → 6"):
        begin([source], out, PrepareConfig(part_rows=6))
    (manifest,) = prepare(source, out, PrepareConfig(part_rows=6, overwrite=True))
    assert manifest.count == 23


def test_folders_of_other_files_are_never_touched(
    tmp_path: Path, words_folder: Callable[[Sequence[str]], Path]
) -> None:
    source = words_folder(WORDS[:3])
    before = sorted(source.rglob("*"))
    with pytest.raises(DataError, match="aren't prepared data"):
        prepare(str(source), str(source), PrepareConfig(overwrite=True))
    assert sorted(source.rglob("*")) == before


def test_the_split_is_disjoint_whole_and_stable(
    tmp_path: Path, words_folder: Callable[[Sequence[str]], Path]
) -> None:
    folder = words_folder(WORDS)
    config = PrepareConfig(val_share=0.3)
    manifests = prepare(str(folder), str(tmp_path / "out"), config)
    train, val = (
        {row["id"] for row in samples_of(str(tmp_path / "out" / name), manifest)}
        for name, manifest in zip(("train", "val"), manifests, strict=True)
    )
    assert train | val == {f"images/{n:03d}.jpg" for n in range(23)}
    assert not train & val
    assert 1 <= len(val) <= 14
    lines = (folder / "labels.tsv").read_text().splitlines()
    (folder / "labels.tsv").write_text("\n".join(lines[:11]))
    fewer = str(tmp_path / "fewer")
    prepare(str(folder), fewer, config)
    found = samples_of(f"{fewer}/val", load_manifest(f"{fewer}/val"))
    assert {row["id"] for row in found} == val & {f"images/{n:03d}.jpg" for n in range(11)}
    with pytest.raises(DataError, match="with a split"):
        begin([str(folder)], str(tmp_path / "out"), PrepareConfig())
    with pytest.raises(DataError, match="none of 11 pictures in val"):
        prepare(str(folder), str(tmp_path / "none"), PrepareConfig(val_share=1e-9))
    assert not list((tmp_path / "none").rglob("manifest.json"))


def test_shuffling_is_by_seed_and_can_be_turned_off(
    tmp_path: Path, words_folder: Callable[[Sequence[str]], Path]
) -> None:
    source = str(words_folder(WORDS))

    def order(name: str, seed: int) -> list[str]:
        out = str(tmp_path / name)
        (manifest,) = prepare(source, out, PrepareConfig(shuffle_seed=seed, part_rows=8))
        return [row["id"] for row in samples_of(out, manifest)]

    listed = [f"images/{n:03d}.jpg" for n in range(23)]
    assert order("listed", -1) == listed
    assert order("one", 1) != listed
    assert sorted(order("two", 2)) == listed


def test_nothing_usable_is_an_error_and_leaves_no_manifest(tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    (source / "labels.tsv").write_text("a.jpg\tx\nb.jpg\ty\n")
    with pytest.raises(DataError, match=r"none of the 2 pictures.*not_found"):
        prepare(str(source), str(out), PrepareConfig())
    with pytest.raises(DataError, match="unfinished"):
        load_manifest(str(out))


def test_mjsynth_to_s3_and_back_with_odd_keys(
    picture_of: Callable[..., bytes], new_bucket: Callable[[], str]
) -> None:
    source = storage.join(new_bucket(), "a source+of 100% ü")
    names = ["1/1/1_plus+_0.jpg", "1/1/2_a b_1.jpg", "1/2/3_ünï_2.jpg", "1/2/4_50%25_3.jpg"]
    words = ["plus+", "a b", "ünï", "50%25"]
    for name, word in zip(names, words, strict=True):
        storage.write_bytes(storage.join(source, name), picture_of(word.encode("ascii", "replace")))
    storage.write_bytes(storage.join(source, "1/1/5_empty_4.jpg"), b"")
    lexicon = "\n".join([*words, "empty"])
    storage.write_bytes(storage.join(source, "lexicon.txt"), lexicon.encode())
    lines = [f"./{name} {number}\n" for number, name in enumerate([*names, "1/1/5_empty_4.jpg"])]
    storage.write_bytes(storage.join(source, "annotation_train.txt"), "".join(lines).encode())

    out = storage.join(new_bucket(), "shards of #1")
    config = PrepareConfig(part_rows=2)
    do_parts(begin([source], out, config), [1])
    assert json.loads(storage.read_bytes(part_address(out, "part-00001")))["shards"]
    (manifest,) = prepare(source, out, config)
    assert {row["id"]: row["text"] for row in samples_of(out, manifest)} == dict(
        zip(names, words, strict=True)
    )
    assert manifest.rejects == {"empty_file": 1}
    assert prepare(source, out, config) == (manifest,)
    (again,) = prepare(source, out, PrepareConfig(part_rows=3, overwrite=True))
    assert again.count == 4
    found = {storage.base_name(info.uri) for info in storage.list_files(out)}
    assert found == {"manifest.json", *(shard.name for shard in again.shards)}


@pytest.mark.parametrize("values", [{"val_share": 1.0}, {"part_rows": -1}, {"max_pixels": 0}])
def test_settings_that_make_no_sense(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        PrepareConfig(**values)
