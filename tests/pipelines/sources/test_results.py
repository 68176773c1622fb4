"""Results of a bulk job as labels: which rows become samples, and which pictures go with them."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from crnn.errors import DataError, PictureError
from crnn.files import storage
from crnn.pages.opening import open_page
from crnn.pages.page import PageRequest
from pipelines.prepare import PrepareConfig, begin, prepare
from pipelines.sources import Item, SourceOptions, open_source
from pipelines.sources import results as source_module
from pipelines.sources.files import read_file
from tests.crnn.pages.drawn import in_file
from tests.pipelines.evaluation_cases import random_bundle, rendered, sample, write_set
from tests.pipelines.prepare.outputs import samples_of
from tests.pipelines.test_review import (
    MODEL,
    OTHER,
    failed,
    results,
    results_of_pages,
    row,
)

PAGE = np.arange(60, dtype=np.uint8)[:, None].repeat(90, axis=1) * 4
TOP = [0.0, 0.0, 90.0, 0.0, 90.0, 20.0, 0.0, 20.0]
BOTTOM = [0.0, 40.0, 90.0, 40.0, 90.0, 60.0, 0.0, 60.0]


def written(folder: Path, *numbers: int) -> list[str]:
    """Pictures of numbers; their addresses."""
    paths = [folder / f"{number}.png" for number in numbers]
    for path in paths:
        path.write_bytes(rendered(path.stem))
    return list(map(str, paths))


def reasons(items: list[Item]) -> Counter[str]:
    return Counter(item.reason for item in items)


def test_each_row_is_a_sample_or_says_why_not(tmp_path: Path) -> None:
    sure, unsure, turned, gone = written(tmp_path, 1, 2, 3, 4)
    Path(gone).unlink()
    out = results(
        tmp_path / "out",
        [row(sure, "1", 0.95), row(unsure, "7", 0.5), row(turned, "3", 0.99, turned=90)],
        [
            failed("/no.png", "not_found", "no file"),
            row(gone, "4", 0.9),
            row(sure, "", 0.0, region=TOP),
            row("s3://b/x.png?endpoint_override=h:9", "5", 0.9, error_code="low_confidence"),
        ],
    )
    source = open_source(out, options=SourceOptions(min_confidence=0.8))
    assert source.format == "results" and len(source.names) == 2
    items = list(source.items())
    assert reasons(items) == {"": 2, "low_confidence": 3, "turned": 1, "not_found": 1}
    assert [item.id for item in items] == [
        sure, unsure, turned, "/no.png", gone, f"{sure}#0,0,90,0,90,20,0,20", "s3://b/x.png",
    ]  # fmt: skip
    assert [(item.text, item.group) for item in items if not item.reason] == [("1", ""), ("4", "")]
    assert items[1].message == "0.5000; the minimum is 0.8"
    good = [item for item in items if not item.reason]
    first, missing = source.read(good)
    assert first == Path(sure).read_bytes()
    assert isinstance(missing, PictureError) and missing.reason == "not_found"
    everything = list(open_source(out).items())
    assert reasons(everything) == {"": 4, "low_confidence": 1, "turned": 1, "not_found": 1}


def test_a_bound_by_character_is_alike_for_short_and_long_texts(tmp_path: Path) -> None:
    rows = [row(f"/{text}.png", text, 0.9 ** len(text)) for text in ("1", "12", "1" * 30)]
    out = results(tmp_path, [*rows, row("/8.png", "88", 0.7)])
    items = list(open_source(out, options=SourceOptions(min_character_confidence=0.89)).items())
    assert [bool(item.reason) for item in items] == [False, False, False, True]
    assert items[3].message == "0.8367 a character; the minimum is 0.89"


def test_regions_of_one_page_are_cut_out_and_stay_together(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(PAGE).save(buffer, "PNG")
    (tmp_path / "page.png").write_bytes(buffer.getvalue())
    page = str(tmp_path / "page.png")
    rows = [
        row(page, "top", region=TOP),
        failed(page, "bad_region"),
        row(page, "low", region=BOTTOM),
    ]
    source = open_source(results(tmp_path / "out", rows))
    items = [item for item in source.items() if not item.reason]
    assert [(item.text, item.group) for item in items] == [("top", page), ("low", page)]
    cut = [np.asarray(Image.open(io.BytesIO(data))) for data in source.read(items)]  # type: ignore[arg-type]
    assert np.array_equal(cut[0], PAGE[:20]) and np.array_equal(cut[1], PAGE[40:])


def test_rows_of_a_prepared_set_are_pictures_too(tmp_path: Path) -> None:
    pictures = [rendered(str(number)) for number in range(5)]
    write_set(tmp_path / "set", [sample(f"s{n}", "1", data) for n, data in enumerate(pictures)])
    [shard] = (tmp_path / "set").glob("*.parquet")
    rows = [row(f"{shard}#{n}", str(n)) for n in (0, 3, 1)] + [row(f"{shard}#99", "9")]
    source = open_source(results(tmp_path / "out", rows))
    items = list(source.items())
    *found, missing = source.read(items)
    assert found == [pictures[0], pictures[3], pictures[1]]
    assert isinstance(missing, PictureError) and missing.reason == "not_found"
    assert "has 5 rows" in str(missing)


def test_results_of_one_model_that_are_complete(tmp_path: Path) -> None:
    [picture] = written(tmp_path, 1)
    out = tmp_path / "out"
    results(out, [row(picture, "1")], report=False)
    with pytest.raises(DataError, match=r"are unfinished: no .*_report\.json; run jobs/recognize"):
        open_source(str(out))
    results(out, [row(picture, "2")], model=OTHER)
    with pytest.raises(DataError, match="results of several models; give one of"):
        open_source(str(out))
    other = str(out / f"model={OTHER[:16]}")
    assert [item.text for item in open_source(other).items()] == ["2"]
    with pytest.raises(DataError, match="it isn't known"):
        open_source(str(out / f"model={MODEL[:16]}"))
    labelled = tmp_path / "labelled"
    labelled.mkdir()
    (labelled / "labels.tsv").write_text("1.png\t1\n")
    written(labelled, 1)
    with pytest.raises(ValueError, match="no source is the results of a bulk job"):
        begin([str(labelled)], str(tmp_path / "s"), PrepareConfig(min_confidence=0.5))
    with pytest.raises(ValueError, match="--min-confidence is 2"):
        PrepareConfig(min_confidence=2)


@pytest.mark.slow
@pytest.mark.usefixtures("local_ray")
def test_what_a_bulk_job_read_becomes_shards(tmp_path: Path, new_bucket: Callable[[], str]) -> None:
    """Pictures and results lie in a bucket; labelled pictures are merged with them."""
    from pipelines.recognition import BulkConfig, recognize

    bucket = new_bucket()
    (tmp_path / "crops").mkdir()
    written(tmp_path / "crops", *range(40))
    (tmp_path / "crops" / "bad.png").write_bytes(b"none")
    storage.upload_folder(tmp_path / "crops", f"{bucket}/in")
    bundle = random_bundle(tmp_path / "bundle")
    recognize(bundle, f"{bucket}/in", f"{bucket}/out", BulkConfig())
    table = pq.read_table(_downloaded(f"{bucket}/out", tmp_path))
    rows = [one for one in table.to_pylist() if one["error_code"] is None]
    bound = sorted(one["confidence"] for one in rows)[10]
    (tmp_path / "crops" / "labels.tsv").write_text("1.png\tone\n")

    config = PrepareConfig(min_confidence=bound, source_name=("read", "by_hand"))
    sources = [f"{bucket}/out", str(tmp_path / "crops")]
    [manifest] = prepare(sources, str(tmp_path / "shards"), config)
    samples = samples_of(str(tmp_path / "shards"), manifest)
    expected = {one["uri"]: one["text"] for one in rows if one["confidence"] >= bound}
    read = [one for one in samples if one["source"] == "read"]
    found = {one["id"].removeprefix("read/"): one["text"] for one in read}
    assert found == {storage.split_options(uri)[0]: text for uri, text in expected.items()}
    assert all(one["image"] == rendered(Path(one["id"]).stem) for one in samples)
    assert [one["text"] for one in samples if one["source"] == "by_hand"] == ["one"]
    assert manifest.rejects == {"low_confidence": 40 - len(expected), "undecodable": 1}
    assert json.dumps(manifest.recipe)
    again = replace(config, min_confidence=0.0)
    with pytest.raises(DataError, match="min_confidence"):
        prepare(sources, str(tmp_path / "shards"), again)


def _downloaded(out: str, folder: Path) -> Path:
    for info in list(storage.list_files(out, suffix=".parquet", recursive=True)):
        if "/model=" in info.uri:
            file = folder / "rows" / storage.base_name(info.uri)
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(storage.read_bytes(info.uri))
    return folder / "rows"


def test_lines_of_pdfs_and_of_later_pages_are_cut_out_of_the_page_as_the_job_drew_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = [Image.fromarray(np.roll(PAGE, 20 * n, axis=0)).convert("RGB") for n in range(2)]
    for name, kind in (("book.pdf", "PDF"), ("fax.tif", "TIFF")):
        (tmp_path / name).write_bytes(in_file(pages, kind))
    book, fax = str(tmp_path / "book.pdf"), str(tmp_path / "fax.tif")
    rows = [
        row(uri, f"{page} {where}", region=region, page=page, line=line)
        for uri in (book, fax)
        for page in (1, 2)
        for line, (where, region) in enumerate({"top": TOP, "bottom": BOTTOM}.items(), start=1)
    ]
    rows += [row(fax, "gone", region=TOP, page=3, line=1)]
    rows += [row(fax, "", None, page=2, line=None)]
    out = results_of_pages(tmp_path / "out", rows, dpi=72)
    fetched = Counter[str]()

    def counted(uri: str) -> bytes | PictureError:
        fetched[uri] += 1
        return read_file(uri)

    monkeypatch.setattr(source_module, "read_file", counted)
    source = open_source(out)
    items = list(source.items())
    assert len({item.id for item in items}) == len(items)
    assert reasons(items) == {"": 9, "no_text": 1}
    assert items[2].id == f"{book}#page=2,0,0,90,0,90,20,0,20"
    *cut, gone = source.read(items[:9])
    assert isinstance(gone, PictureError) and gone.reason == "no_such_page"
    for one, item in zip(cut, items, strict=False):
        assert isinstance(one, bytes)
        uri, page = (book if item.id.startswith(book) else fax), int(item.text[0])
        drawn = open_page(Path(uri).read_bytes(), PageRequest(number=page - 1, dpi=72)).pixels
        expected = drawn[:20] if item.text.endswith("top") else drawn[40:]
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(one))), expected)
    with source.reader() as read:
        places = [item.picture for item in items[:8] if item.picture is not None]
        before = fetched.total()
        assert len(list(read(places))) == 8 and fetched.total() == before + 2


def test_pages_need_to_know_how_the_job_drew_them(tmp_path: Path) -> None:
    (tmp_path / "book.pdf").write_bytes(in_file([Image.fromarray(PAGE)], "PDF"))
    rows = [row(str(tmp_path / "book.pdf"), "top", region=TOP, page=1, line=1)]
    source = open_source(results_of_pages(tmp_path / "out", rows, dpi=None))
    with pytest.raises(DataError, match=r"there is no .*recipe\.json, which says how they were"):
        list(source.read(list(source.items())))
