"""Which rows are taken for a review, their pictures, and what is written of them."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from crnn.errors import DataError, PictureError
from crnn.files import storage
from crnn.images.region import cut_out
from pipelines.recognition.rows import PAGE_SCHEMA, RESULT_SCHEMA
from pipelines.recognition.source import picture_bytes
from pipelines.review import ReviewConfig, Selection, select
from pipelines.review.pictures import fetch, name_of
from pipelines.review.write import write
from tests.crnn.pages.drawn import in_file
from tests.pipelines.evaluation_cases import rendered, sample, write_set
from tests.pipelines.test_report import EVIL

MODEL = "0123456789abcdef" * 4
OTHER = "fedcba9876543210" * 4
REGION = [10.0, 5.0, 50.0, 5.0, 50.0, 25.0, 10.0, 25.0]
NOT_SURE = ReviewConfig(below=0.9, limit=1000)
SAFE_NAME = re.compile(r"[A-Za-z0-9_-]{1,60}\.[a-z0-9]{2,5}")


def row(uri: str, text: str = "12", confidence: float = 0.5, **more: Any) -> dict[str, Any]:
    chars = [
        {"char": c, "probability": 0.9 - i / 10, "x0": 0.0, "x1": 1.0} for i, c in enumerate(text)
    ]
    found = {"uri": uri, "etag": "v1", "text": text, "confidence": confidence, "chars": chars}
    return found | {"model": MODEL} | more


def failed(uri: str, code: str, message: str = "why", **more: Any) -> dict[str, Any]:
    found = {"uri": uri, "etag": "v1", "error_code": code, "error_message": message}
    return found | {"model": MODEL} | more


def results(
    out: Path | str, *parts: Sequence[dict[str, Any]], model: str = MODEL, report: bool = True
) -> str:
    """An output folder as jobs/recognize.py leaves it; its address."""
    for number, rows in enumerate(parts):
        address = storage.join(str(out), f"model={model[:16]}", f"part-00000-{number:05d}.parquet")
        with storage.replacing(address) as path:
            pq.write_table(pa.Table.from_pylist(list(rows), schema=RESULT_SCHEMA), path)
    if report:
        data = json.dumps({"model": {"digest": model}}).encode()
        storage.write_bytes(storage.join(str(out), "_report.json"), data)
    return str(out)


def results_of_pages(out: Path, rows: list[dict], dpi: int | None) -> str:
    """As ``results``, of a job that has read whole pages."""
    results(out)
    folder = out / f"model={MODEL[:16]}"
    folder.mkdir()
    table = pa.Table.from_pylist(rows, schema=PAGE_SCHEMA)
    pq.write_table(table, folder / "part-00000-00000.parquet")
    if dpi is not None:
        recipe = {"dpi": dpi, "max_pages": 2000}
        (out / "_work" / MODEL[:16]).mkdir(parents=True)
        (out / "_work" / MODEL[:16] / "recipe.json").write_text(json.dumps(recipe))
    return str(out)


def crops(folder: Path, *texts: str) -> list[str]:
    """Writes a picture for every text below a folder; their addresses."""
    paths = [folder / "crops" / f"{number:04d}.png" for number, _ in enumerate(texts)]
    for path, text in zip(paths, texts, strict=True):
        storage.write_bytes(str(path), rendered(text))
    return [str(path) for path in paths]


def uris(selection: Selection) -> list[str]:
    return [found["uri"] for found in selection.rows]


# ---------------------------------------------------------------- which rows


def test_the_least_confident_come_first(tmp_path: Path) -> None:
    confidences = np.random.default_rng(0).random(200).round(4).tolist()
    rows = [row(f"/{i}.png", confidence=c) for i, c in enumerate(confidences)]
    out = results(tmp_path, rows[:90], rows[90:])
    expected = sorted((c, f"/{i}.png") for i, c in enumerate(confidences) if c < 0.6)
    found = select(out, ReviewConfig(below=0.6, limit=30))
    assert uris(found) == [uri for _, uri in expected[:30]]
    assert (found.found, found.total) == (len(expected), 200)
    assert uris(select(out, ReviewConfig(below=1.5, limit=500))) == uris(
        select(f"{out}/model={MODEL[:16]}", ReviewConfig(below=1.5, limit=500))
    )


def test_a_random_sample_is_even_and_stays_the_same(tmp_path: Path) -> None:
    rows = [row(f"/{i}.png", confidence=i / 1000) for i in range(1000)]
    config = ReviewConfig(below=0.9, limit=300, order="random")
    first = select(results(tmp_path / "a", rows), config)
    again = select(results(tmp_path / "b", rows[500:], rows[:500]), config)
    assert uris(first) == uris(again)
    assert uris(select(f"{tmp_path}/a/", replace(config, limit=100))) == uris(first)[:100]
    numbers = [int(Path(uri).stem) for uri in uris(first)]
    assert max(numbers) < 900
    assert abs(np.mean(numbers) - 450) < 4 * 900 / math.sqrt(12 * 300)
    assert numbers != sorted(numbers)


def test_errors_are_taken_when_asked_for(tmp_path: Path) -> None:
    unsure = failed("/unsure.png", "low_confidence", confidence=0.2)
    rows = [row("/a.png", confidence=0.5), failed("/b.png", "undecodable"), unsure]
    out = results(tmp_path, rows)
    assert uris(select(out, NOT_SURE)) == ["/unsure.png", "/a.png"]
    assert uris(select(out, replace(NOT_SURE, errors=True))) == [
        "/b.png", "/unsure.png", "/a.png",
    ]  # fmt: skip


def test_an_input_read_again_is_shown_once(tmp_path: Path) -> None:
    out = results(tmp_path, [row("/a.png", "old")], [row("/a.png", "new")], report=False)
    (found,) = select(out, replace(NOT_SURE, unfinished=True)).rows
    assert found["text"] == "new"


def test_beside_another_bundle_those_that_differ_come_first_where_both_are_sure(
    tmp_path: Path,
) -> None:
    ours = [
        row("/same.png", "12", 0.1),
        row("/near.png", "1234", 0.9),
        row("/far.png", "12", 0.9),
        row("/doubted.png", "12", 0.9),
        row("/unread.png", "12"),
        failed("/bad.png", "empty"),
    ]
    theirs = [
        row("/same.png", "12"),
        row("/near.png", "1235", 0.9),
        row("/far.png", "99", 0.75),
        row("/doubted.png", "98", 0.0),
        failed("/unread.png", "empty"),
        row("/bad.png"),
    ]
    config = ReviewConfig(beside=results(tmp_path / "theirs", theirs, model=OTHER), limit=9)
    found = select(results(tmp_path / "ours", ours), config)
    assert uris(found) == ["/far.png", "/near.png", "/doubted.png"]
    assert (found.found, found.total) == (3, 6)
    assert vars(found.rows[0]["other"]) == {"text": "99", "confidence": 0.75}
    with pytest.raises(ValueError, match="--beside can't be combined"):
        replace(config, order="random")


def test_what_is_laid_beside_must_be_complete(tmp_path: Path) -> None:
    ours = results(tmp_path / "ours", [row("/a.png")])
    theirs = results(tmp_path / "theirs", [row("/a.png", "7")], model=OTHER, report=False)
    with pytest.raises(DataError, match="theirs/model=fedcba9876543210 are unfinished"):
        select(ours, ReviewConfig(beside=theirs))
    assert uris(select(ours, ReviewConfig(beside=theirs, unfinished=True))) == ["/a.png"]


def test_unfinished_results_are_refused(tmp_path: Path) -> None:
    out = results(tmp_path, [row("/a.png")], report=False)
    with pytest.raises(DataError, match="are unfinished"):
        select(out, NOT_SURE)
    assert uris(select(out, replace(NOT_SURE, unfinished=True))) == ["/a.png"]
    (tmp_path / "_report.json").write_text('{"model": 7}')
    with pytest.raises(DataError, match="isn't the report of a bulk job"):
        select(out, NOT_SURE)


def test_results_of_several_models_need_a_choice(tmp_path: Path) -> None:
    results(tmp_path, [row("/a.png")])
    out = results(tmp_path, [row("/b.png")], model=OTHER)
    with pytest.raises(DataError, match="several models") as caught:
        select(out, NOT_SURE)
    folders = [str(tmp_path / f"model={digest[:16]}") for digest in (MODEL, OTHER)]
    assert all(folder in str(caught.value) for folder in folders)
    assert uris(select(folders[1], NOT_SURE)) == ["/b.png"]
    with pytest.raises(DataError, match=f"about model {OTHER[:16]}"):
        select(folders[0], NOT_SURE)


def test_a_folder_without_results_is_an_error(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(DataError, match="no results"):
            select(str(place), NOT_SURE)


@pytest.mark.parametrize("changed", [{"below": 0.0}, {"below": math.nan}, {"limit": 0}])
def test_bad_arguments_name_the_flag(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"--{next(iter(changed))}"):
        replace(NOT_SURE, **changed)


# ---------------------------------------------------------------- their pictures


def test_names_are_unique_safe_and_stay_the_same() -> None:
    places = [
        "/a/b c.png", "/x/b c.png", "s3://b/ü/ñ+1%25.jpeg", "s3://b/k?y=1", "/a/..", "/a/\t\n.png",
        "s3://b/crop.png?endpoint_override=h:1&scheme=http", "/s/part-0.parquet#17", "/日本語.png",
        "/s/part-0.parquet#18", "/" + "long" * 90 + ".png", EVIL,
    ]  # fmt: skip
    rows = [row(uri, region=region) for uri in places for region in (None, REGION)]
    rows.append(row(places[0], etag="v2", region=None))
    names = [name_of(r) for r in rows]
    assert len(set(names)) == len(names)
    assert all(SAFE_NAME.fullmatch(f"{name}.png") for name in names), names
    assert names == [name_of(dict(r)) for r in rows]
    assert names[0].startswith("b-c-")
    assert names[14].startswith("part-0-17-")


def test_a_whole_picture_is_kept_as_it_was(tmp_path: Path) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 90, 3), np.uint8))
    for suffix, format in (("jpg", "JPEG"), ("png", "PNG"), ("tif", "TIFF"), ("webp", "WEBP")):
        path = tmp_path / "name without a suffix"
        image.save(path, format)
        shown = fetch(row(str(path), region=None, error_code=None), picture_bytes)
        assert shown.data == path.read_bytes()
        assert shown.name.endswith(f".{suffix}")
        assert shown.size == (90, 40)
        assert Image.open(io.BytesIO(shown.small)).format == "JPEG"


def test_a_region_is_cut_out_without_loss(tmp_path: Path) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 90, 3), np.uint8))
    image.save(tmp_path / "page.png")
    shown = fetch(row(str(tmp_path / "page.png"), region=REGION, error_code=None), picture_bytes)
    expected = cut_out(image, tuple(REGION))  # type: ignore[arg-type]
    assert (np.asarray(Image.open(io.BytesIO(shown.data))) == np.asarray(expected)).all()
    assert shown.name.endswith(".png")


def test_a_row_of_a_shard_is_found(tmp_path: Path) -> None:
    write_set(tmp_path / "set", [sample(f"d{i}", str(i)) for i in range(50)])
    (shard,) = (tmp_path / "set").glob("*.parquet")
    shown = fetch(row(f"{shard}#33", region=None, error_code=None), picture_bytes)
    assert shown.data == rendered("33")


def test_a_picture_that_killed_its_reader_is_not_opened() -> None:
    def opened(uri: str) -> bytes:
        raise AssertionError(uri)

    with pytest.raises(PictureError, match="not opened here: it died"):
        fetch(failed("/a.png", "decoder_died", "it died", region=None), opened)


# ---------------------------------------------------------------- what is written


def test_what_was_taken_is_recorded(tmp_path: Path) -> None:
    first, second = crops(tmp_path, "12", "34")
    rows = [
        row(first, "12", 0.25),
        row(second, "99", 0.5, region=REGION),
        row(str(tmp_path / "gone.png"), EVIL, 0.75),
        failed("/bad.png", "bad_region", region=[1.0, math.nan]),
    ]
    config = replace(NOT_SURE, errors=True)
    selection = select(results(tmp_path / "results", rows), config)
    out = tmp_path / "review"
    review = write(selection, str(out), config, picture_bytes)
    assert review.page_uri == str(out / "review.html")
    record = json.loads((out / "review.json").read_text())
    assert record["select"] == {
        "below": 0.9,
        "limit": 1000,
        "order": "confidence",
        "per_kind": 0,
        "kind": "characters",
        "beside": "",
        "errors": True,
        "unfinished": False,
        "format": "page",
        "pictures_at": "",
        "whole_pages": False,
    }
    pictures = record["pictures"]
    assert [(p["uri"], p["text"], p["region"]) for p in pictures] == [
        (first, "12", None), (second, "99", REGION),
    ]  # fmt: skip
    assert (out / pictures[0]["image"]).read_bytes() == rendered("12")
    assert Image.open(out / pictures[1]["image"]).size == (40, 20)
    assert {lost["code"] for lost in record["lost"]} == {"not_found"}
    assert len(list((out / "images").iterdir())) == 2


def test_pictures_of_an_earlier_review_stay(tmp_path: Path) -> None:
    rows = [
        row(uri, confidence=c) for uri, c in zip(crops(tmp_path, "1", "2"), (0.2, 0.8), strict=True)
    ]
    place = results(tmp_path / "results", rows)
    out = str(tmp_path / "review")
    for below in (0.9, 0.5):
        config = ReviewConfig(below=below)
        write(select(place, config), out, config, picture_bytes)
    assert len(list((tmp_path / "review/images").iterdir())) == 2
    assert len(json.loads((tmp_path / "review/review.json").read_text())["pictures"]) == 1


def test_all_of_it_in_an_object_store(new_bucket: Callable[[], str]) -> None:
    bucket = new_bucket()
    keys = [f"{bucket}/crops/{name}.png" for name in ("a b", "ü+1", "50%25", "x?y=1")]
    for number, key in enumerate(keys):
        storage.write_bytes(key, rendered(str(number)))
    place = results(f"{bucket}/results", [row(key) for key in keys])
    selection = select(place, NOT_SURE)
    review = write(selection, f"{bucket}/review", NOT_SURE, picture_bytes)
    assert not review.lost
    images = {storage.base_name(i.uri) for i in storage.list_files(f"{bucket}/review/images")}
    assert images == {item.name for item in review.items}
    assert storage.read_bytes(review.page_uri).startswith(b"<!doctype html>")


def test_lines_of_whole_pages_are_shown_as_the_job_drew_them(tmp_path: Path) -> None:
    tones = [Image.new("RGB", (90, 60), (60 * n, 60 * n, 60 * n)) for n in range(1, 4)]
    for name, kind in (("book.pdf", "PDF"), ("fax.tif", "TIFF")):
        (tmp_path / name).write_bytes(in_file(tones, kind))
    rows = [
        row(str(tmp_path / name), f"{name} {page}", 0.09 * page, region=REGION, page=page, line=1)
        for page in (2, 1, 3, 9)
        for name in ("book.pdf", "fax.tif")
    ]
    out = results_of_pages(tmp_path / "out", rows, dpi=72)
    fetched: list[str] = []

    def bytes_of(uri: str) -> bytes:
        fetched.append(uri)
        return picture_bytes(uri)

    selection = select(out, NOT_SURE)
    assert [found["page"] for found in selection.rows] == [1, 1, 2, 2, 3, 3, 9, 9]
    review = write(selection, str(tmp_path / "review"), NOT_SURE, bytes_of)
    assert len(fetched) == 2
    assert [item.row for item in review.items] == selection.rows[:6]
    assert [(lost.row["page"], lost.code) for lost in review.lost] == [(9, "no_such_page")] * 2
    assert len({item.name for item in review.items}) == 6
    for item in review.items:
        with Image.open(tmp_path / "review" / "images" / item.name) as shown:
            assert shown.size == (40, 20)
            assert shown.getpixel((5, 5))[0] == pytest.approx(60 * item.row["page"], abs=2)  # type: ignore[index]
    record = json.loads((tmp_path / "review" / "review.json").read_text())
    assert [one["page"] for one in record["pictures"]] == [1, 1, 2, 2, 3, 3]
