"""What becomes of pictures: cut-outs, pictures that harm decoders, bytes of rejects."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from crnn.errors import PictureError
from crnn.images import region
from crnn.images.contract import MAX_PIXELS, decode_picture
from crnn.images.region import from_box
from pipelines.prepare import PrepareConfig, prepare
from pipelines.prepare.entries import Entry
from pipelines.prepare.task import PartMaker, TaskConfig
from pipelines.shards import Sample
from pipelines.sources import SourceOptions, open_source, to_png
from tests.crnn import poison
from tests.pipelines.conftest import encoded
from tests.pipelines.prepare.outputs import rejects_of, samples_of

LIMITS = PrepareConfig(decode_memory_mb=512, decode_timeout_s=6.0)


def turned(kind: str, orientation: int) -> bytes:
    """A picture of 50x20 px whose EXIF says how it lies."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return poison.encoded(poison.noise(50, 20, orientation), kind, exif=exif)


def entries_of(file: str) -> list[Entry]:
    """All of a picture, and two regions: a box, and one that stands upright aslant."""
    aslant = (2.0, 12.0, 10.0, 4.0, 14.0, 8.0, 6.0, 16.0)
    return [
        Entry(f"{file}#{number}", "t", 0, file, "", part, True, "", "", "s")
        for number, part in enumerate((None, from_box(5, 3, 17, 11), aslant))
    ]


def made_of(folder: Path, pictures: dict[str, bytes]) -> dict[str, Sample]:
    """The samples that become of these files, by id."""
    for name, data in pictures.items():
        (folder / name).write_bytes(data)
    made = maker(folder).made([entry for name in pictures for entry in entries_of(name)])
    return {sample["id"]: sample for sample, _ in made if sample is not None}


def maker(folder: Path) -> PartMaker:
    source = open_source(str(folder), options=SourceOptions(label_pattern="(?P<text>.*)"))
    return PartMaker(
        TaskConfig(
            sources=(source,),
            max_pixels=MAX_PIXELS,
            decode_memory_mb=LIMITS.decode_memory_mb,
            decode_timeout_s=LIMITS.decode_timeout_s,
        )
    )


def check_size(sample: Sample) -> None:
    """The size of a sample is that of its picture as everything reads it."""
    assert (sample["width"], sample["height"]) == decode_picture(sample["image"]).size


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_sizes_are_those_of_upright_pictures_and_of_regions(tmp_path: Path, kind: str) -> None:
    pictures = {f"{o}.{kind.lower()}": turned(kind, o) for o in range(1, 9)}
    made = made_of(tmp_path, pictures)
    assert len(made) == 3 * len(pictures)
    for name in pictures:
        whole, box, aslant = (made[f"{name}#{number}"] for number in range(3))
        assert whole["image"] == pictures[name]
        lies = int(name[0]) >= 5
        assert (whole["width"], whole["height"]) == ((20, 50) if lies else (50, 20))
        assert (box["width"], box["height"]) == (12, 8)
        assert (aslant["width"], aslant["height"]) == (11, 6)
        for sample in (whole, box, aslant):
            check_size(sample)


def test_sizes_of_pictures_of_every_kind(tmp_path: Path) -> None:
    odd = [case.data for case in poison.corpus().values() if not case.may_read]
    pictures = {f"{n}.png": data for n, data in enumerate((*poison.good_pictures(12), *odd))}
    made = made_of(tmp_path, pictures)
    whole = [sample for id, sample in made.items() if id.endswith("#0")]
    assert len(whole) > 20
    for sample in whole:
        check_size(sample)


@pytest.mark.parametrize("at_once", [region.AT_ONCE_PIXELS, 1])
def test_regions_are_what_a_program_cuts_out_of_the_decoded_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(region, "AT_ONCE_PIXELS", at_once)
    pictures = {f"{n}.png": data for n, data in enumerate(poison.good_pictures(30))}
    made = made_of(tmp_path, pictures)
    for name, data in pictures.items():
        image = decode_picture(data)
        for entry in entries_of(name):
            sample = made.get(entry.id)
            if entry.region is None:
                assert sample is not None and sample["image"] == data
                continue
            try:
                expected = region.cut_out(image, entry.region)
            except PictureError:
                assert sample is None
                continue
            assert sample is not None and sample["image"] == to_png(expected)
            assert (sample["width"], sample["height"]) == expected.size


def test_a_file_that_is_no_picture_goes_whole_with_its_first_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(region, "AT_ONCE_PIXELS", 1)
    data = encoded("photo")[:200]
    (tmp_path / "a.jpg").write_bytes(data)
    rejects = [reject for _, reject in maker(tmp_path).made(entries_of("a.jpg")[1:])]
    assert [reject and (reject["reason"], reject["image"]) for reject in rejects] == [
        ("undecodable", data),
        ("undecodable", None),
    ]


@pytest.mark.usefixtures("local_ray")
def test_words_are_cut_out_of_photographs(tmp_path: Path) -> None:
    photo = encoded("photo", size=(120, 60))
    source, out = tmp_path / "scene", tmp_path / "out"
    source.mkdir()
    for number in (1, 2):
        (source / f"img_{number}.jpg").write_bytes(photo)
    (source / "img_3.jpg").write_bytes(photo[: len(photo) // 3])
    lines = [
        "0,0,50,0,50,20,0,20,first",
        "10,30,60,32,58,50,8,50,second",
        "10,30,60,30,60,50,10,50,###",
        "500,0,600,0,600,20,500,20,far",
    ]
    (source / "gt_img_1.txt").write_text("\n".join(lines))
    (source / "gt_img_2.txt").write_text("5,0,25,0,25,20,5,20,third\n")
    (source / "gt_img_3.txt").write_text(f"{lines[0]}\n{lines[1]}\n")
    (manifest,) = prepare(str(source), str(out), PrepareConfig())
    rows = {row["id"]: row for row in samples_of(str(out), manifest)}
    assert {id: row["text"] for id, row in rows.items()} == {
        "img_1.jpg#1": "first",
        "img_1.jpg#2": "second",
        "img_2.jpg#1": "third",
    }
    upright = decode_picture(photo)
    cut = Image.open(io.BytesIO(rows["img_1.jpg#1"]["image"]))
    assert cut.tobytes() == upright.crop((0, 0, 50, 20)).tobytes()
    assert (rows["img_1.jpg#1"]["width"], rows["img_1.jpg#1"]["height"]) == (50, 20)
    rejects = rejects_of(out)
    assert {id: reason for id, (reason, _) in rejects.items()} == {
        "img_1.jpg#3": "unreadable_label",
        "img_1.jpg#4": "bad_region",
        "img_3.jpg#1": "undecodable",
        "img_3.jpg#2": "undecodable",
    }
    unread = rejects["img_1.jpg#3"][1]
    assert unread
    assert decode_picture(unread).tobytes() == upright.crop((10, 30, 60, 50)).tobytes()
    assert rejects["img_1.jpg#4"][1] is None
    assert rejects["img_3.jpg#1"][1] == photo[: len(photo) // 3], "whole, once"
    assert rejects["img_3.jpg#2"][1] is None


@pytest.mark.usefixtures("local_ray")
@pytest.mark.slow
def test_pictures_that_harm_decoders_are_rejects_and_their_neighbours_samples(
    tmp_path: Path, words_folder: Callable[..., Path]
) -> None:
    source = words_folder([f"w{number}" for number in range(20)])
    bad = {
        "memory.png": poison.flat_png(7_900, 8_000, 6, 4),
        "endless.jpg": poison.time_hog(),
        **{
            f"bad{number}.png": case.data
            for number, case in enumerate(poison.corpus().values())
            if case.codes and not case.may_read
        },
    }
    with (source / "labels.tsv").open("a") as labels:
        for name, data in bad.items():
            (source / name).write_bytes(data)
            labels.write(f"{name}\tx\n")
    (manifest,) = prepare(str(source), str(tmp_path / "out"), LIMITS)
    assert manifest.count == 20
    rejects = rejects_of(tmp_path / "out")
    assert set(rejects) == set(bad)
    assert rejects["endless.jpg"][0] == "decoder_timeout"
    assert rejects["memory.png"][0] in ("out_of_memory", "decoder_died")
    assert all(data == (bad[id] or None) for id, (_, data) in rejects.items())
