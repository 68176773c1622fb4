"""Annotations exported from Label Studio: texts, rectangles, polygons, and why some are none."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crnn.errors import DataError
from crnn.files import storage
from crnn.images.contract import decode_picture
from crnn.images.region import cut_out
from pipelines.recognition.source import picture_bytes
from pipelines.review import ReviewConfig, select
from pipelines.review.write import write
from pipelines.sources import open_source
from tests.pipelines.conftest import encoded
from tests.pipelines.sources.made import files, items_of, put, rows
from tests.pipelines.test_review import MODEL, crops, results, row

SIZE = (200, 100)
SCAN = encoded("scan", size=SIZE, format="PNG")
NAME = "project-3-at-2026-11-30-08-00-1a2b3c4d.json"
"""As Label Studio calls its exports."""
BOX = {"x": 10, "y": 20, "width": 50, "height": 30, "rotation": 0}
SEEN = {"original_width": SIZE[0], "original_height": SIZE[1], "image_rotation": 0}


def said(text: Any, id: str = "t1", name: str = "transcription", **more: Any) -> dict[str, Any]:
    value = {"text": text} | more.pop("shape", {})
    found = {"id": id, "from_name": name, "to_name": "image", "type": "textarea", "value": value}
    return found | more


def region(
    text: Any, id: str = "r1", shape: Mapping[str, Any] = BOX, kind: str = "rectangle", **more: Any
) -> list[dict[str, Any]]:
    """As the template for optical character recognition makes them: shape, label and text."""
    seen = SEEN | more
    common = {"id": id, "to_name": "image", "origin": "manual"} | seen
    found = [
        {**common, "from_name": "bbox", "type": kind, "value": dict(shape)},
        {**common, "from_name": "label", "type": "labels", "value": {**shape, "labels": ["Text"]}},
    ]
    return [*found, said(text, id, shape=dict(shape), **seen)] if text is not None else found


def task(
    *results: dict[str, Any], image: Any = "/data/local-files/?d=scans/x.png", **more: Any
) -> dict[str, Any]:
    annotation = {
        "id": 7, "completed_by": 1, "result": list(results), "was_cancelled": False,
        "ground_truth": False, "created_at": "2026-11-30T08:00:00.000000Z",
        "updated_at": "2026-11-30T08:00:00.000000Z", "lead_time": 4.2,
    }  # fmt: skip
    predictions = [{"model_version": "m", "result": [said("predicted")]}]
    found = {"id": 1, "data": {"image": image}, "annotations": [annotation], "drafts": []}
    return found | {"predictions": predictions} | more


def export(folder: Path, *tasks: Any, name: str = NAME, **more: bytes | str) -> Any:
    contents: dict[str, bytes | str] = {"scans/x.png": SCAN, name: json.dumps(tasks)}
    return rows(files(folder, contents | more))


def test_a_text_is_of_the_whole_picture(tmp_path: Path) -> None:
    assert export(tmp_path, task(said(["word"]))) == [("scans/x.png", "word", "")]


def test_rectangles_and_polygons_are_cut_out(tmp_path: Path) -> None:
    outline = {"points": [[5, 10], [45, 10], [45, 40], [5, 40]], "closed": True}
    results = [*region(["one"]), *region("two", "r2", outline, "polygon"),
               {"type": "relation", "from_id": "r1", "to_id": "r2", "direction": "right"},
               {"id": "c", "from_name": "q", "type": "choices",
                "value": {"choices": ["good"]}}]  # fmt: skip
    source = open_source(put(tmp_path, {"scans/x.png": SCAN, NAME: json.dumps([task(*results)])}))
    items = list(source.items())
    assert source.format == "label-studio"
    assert [(one.id, one.text, one.group) for one in items] == [
        ("scans/x.png#r1", "one", "scans/x.png"), ("scans/x.png#r2", "two", "scans/x.png"),
    ]  # fmt: skip
    assert items[0].region == (20, 20, 120, 20, 120, 50, 20, 50)
    assert items[1].region == (10, 10, 90, 10, 90, 40, 10, 40)
    pictures = [decode_picture(data) for data in source.read(items)]  # type: ignore[arg-type]
    assert [picture.size for picture in pictures] == [(100, 30), (80, 30)]


def test_a_turned_rectangle_turns_about_its_top_left_corner(tmp_path: Path) -> None:
    turned = {"x": 50, "y": 20, "width": 20, "height": 10, "rotation": 90}
    source = open_source(
        put(tmp_path, {"scans/x.png": SCAN, NAME: json.dumps([task(*region("t", shape=turned))])})
    )
    (item,) = source.items()
    assert item.region == pytest.approx((100, 20, 100, 60, 90, 60, 90, 20))


def test_a_picture_in_another_size_or_name(tmp_path: Path) -> None:
    twice = {"original_width": 400, "original_height": 200}
    source = open_source(put(tmp_path, {
        "x.png": SCAN, "label-studio.json": json.dumps(
            [task(*region("t", **twice), image="/data/upload/3/0123abcd-x.png")])}))  # fmt: skip
    (item,) = source.items()
    assert (item.picture and item.picture.file, item.region) == (
        "x.png", (20, 20, 120, 20, 120, 50, 20, 50),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("https://host/a/scans/x.png?sig=1", "scans/x.png"),
        ("s3://bucket/2026/scans/x.png", "scans/x.png"),
        ("/data/local-files/?d=all%2Fscans%2Fx.png", "scans/x.png"),
        ("http://host/x%20y.png", "images/x y.png"),
        ("C:\\labels\\scans\\x.png", "scans/x.png"),
    ],
)
def test_pictures_are_found_by_the_end_of_their_address(
    tmp_path: Path, address: str, path: str
) -> None:
    tasks = [task(said("t"), image=address)]
    assert export(tmp_path, *tasks, **{"images/x y.png": SCAN}) == [(path, "t", "")]


WHY = {
    "several_labels": [said(["a", "b"])],
    "no_label": [said([""])],
    "bad_region": region("t", shape={"x": 1, "y": 1, "radiusX": 3, "radiusY": 2}, kind="ellipse"),
    "turned": region("t", image_rotation=90),
    "later_page": region("t", item_index=1),
    "other_size": region("t", original_width=100),
    "bad_line": [said([{"a": 1}])],
}


@pytest.mark.parametrize(("reason", "results"), WHY.items(), ids=WHY)
def test_why_a_result_is_no_sample(tmp_path: Path, reason: str, results: Any) -> None:
    ((_, text, found),) = export(tmp_path, task(*results))
    assert (found, text) == (reason, "")


def test_why_a_task_is_no_sample(tmp_path: Path) -> None:
    cancelled = task(said("t"))
    cancelled["annotations"][0]["was_cancelled"] = True
    tasks = (
        cancelled,
        task(annotations=[]),
        task(),
        task(said("t"), image="gone.png"),
        task(said("t"), image=["a.png", "b.png"]),
        {"id": 1, "data": {"image": "x.png"}, "completions": []},
        {"id": 1, "image": "x.png"},
        "text",
        task(said("a"), said("b", name="comment")),
        task(*region(None)),
    )
    found = [reason for _, _, reason in export(tmp_path, *tasks)]
    assert found == [
        "skipped", "no_label", "no_label", "not_found", "later_page", "unknown_format",
        "unknown_format", "bad_line", "several_labels", "no_label",
    ]  # fmt: skip


def test_a_text_beside_regions_is_no_label_of_theirs(tmp_path: Path) -> None:
    found = export(tmp_path, task(*region("one"), said("a note", "n")))
    assert [(text, reason) for _, text, reason in found] == [("", "no_region"), ("one", "")]


def test_the_annotation_that_was_changed_last_counts(tmp_path: Path) -> None:
    both = task(said("old"))
    newer, skipped = (json.loads(json.dumps(both["annotations"][0])) for _ in range(2))
    newer |= {"result": [said("new")], "updated_at": "2026-11-30T09:00:00Z"}
    skipped |= {"was_cancelled": True, "updated_at": "2026-11-30T10:00:00Z"}
    both["annotations"] = [newer, *both["annotations"], skipped]
    assert export(tmp_path, both) == [("scans/x.png", "new", "")]


def test_json_min(tmp_path: Path) -> None:
    common = {"image": "scans/x.png", "id": 1, "annotator": 1, "annotation_id": 7,
              "created_at": "a", "updated_at": "b", "lead_time": 1.0}  # fmt: skip
    box = {**BOX, "original_width": SIZE[0], "original_height": SIZE[1]}
    label = [{**box, "labels": ["Text"]}]
    tasks = (
        common | {"transcription": "whole"},
        common | {"transcription": "one", "bbox": [box], "label": label},
        common | {"transcription": ["one", "two"], "bbox": [box, box], "label": label * 2},
        common,
        common | {"a": "one", "b": "two"},
    )
    found = export(tmp_path, *tasks, name="result.json")
    assert [(text, reason) for _, text, reason in found] == [
        ("whole", ""), ("one", ""), ("", "no_region"), ("", "no_label"), ("", "several_labels"),
    ]  # fmt: skip


def test_files_that_are_no_export(tmp_path: Path) -> None:
    uri = put(tmp_path / "a", {"x.png": SCAN, "result.json": '{"annotations": []}'})
    with pytest.raises(DataError, match=r"no list of tasks but.*JSON-MIN"):
        list(open_source(uri, format="label-studio", lists=["result.json"]).items())
    uri = put(tmp_path / "b", {"x.png": SCAN, NAME: json.dumps([{"image": "x.png"}])})
    with pytest.raises(DataError, match="annotations of Label Studio in"):
        open_source(uri, format="label-studio")


def test_an_export_of_any_name_is_told_from_a_list(tmp_path: Path) -> None:
    made = {"scans/x.png": SCAN, "mine.json": json.dumps([task(said("t"))])}
    source = open_source(put(tmp_path, made), lists=["mine.json"])
    assert source.format == "label-studio"
    assert [item.text for item in source.items()] == ["t"]


def test_an_export_in_a_bucket(new_bucket: Callable[[], str]) -> None:
    uri = put(new_bucket(), {"scans/x.png": SCAN, NAME: json.dumps([task(*region("one"))])})
    assert [(item.text, item.reason) for item in items_of(uri)] == [("one", "")]


def submitted(out: Path) -> None:
    """What Label Studio exports of the tasks when every prediction was accepted as it is."""
    tasks = json.loads((out / "tasks.json").read_text(encoding="utf-8"))
    made = [task(*one["predictions"][0]["result"]) | {"data": one["data"]} for one in tasks]
    (out / NAME).write_text(json.dumps(made), encoding="utf-8")


@pytest.mark.parametrize("whole_pages", [False, True])
def test_a_review_comes_back_as_it_went(tmp_path: Path, whole_pages: bool) -> None:
    (uri,) = crops(tmp_path, "1234567890")
    level = [2.0, 3.0, 40.0, 3.0, 40.0, 20.0, 2.0, 20.0]
    slanted = [10.0, 4.0, 38.0, 8.0, 36.0, 22.0, 8.0, 18.0]
    skewed = [10.0, 4.0, 38.0, 4.0, 48.0, 22.0, 12.0, 20.0]
    regions = [level, slanted, skewed]
    found = [
        row(uri, f"text {n}", region=r, confidence=0.1 * n + 0.1) for n, r in enumerate(regions)
    ]
    config = ReviewConfig(format="label-studio", whole_pages=whole_pages)
    review = write(select(results(tmp_path / "r", found), config), str(tmp_path / "out"), config,
                   picture_bytes)  # fmt: skip
    assert review.page_uri.endswith("tasks.json")
    out = tmp_path / "out"
    tasks = json.loads((out / "tasks.json").read_text(encoding="utf-8"))
    assert len(tasks) == (1 if whole_pages else 3)
    assert tasks[0]["data"]["image"].startswith("/data/local-files/?d=out/images/")
    assert tasks[0]["predictions"][0]["model_version"] == MODEL[:12]
    kinds = [one["type"] for one in tasks[0]["predictions"][0]["result"]]
    shapes = ["rectanglelabels", "textarea", "rectanglelabels", "textarea", "polygonlabels"]
    assert kinds == ([*shapes, "textarea"] if whole_pages else ["textarea"])
    setup = (out / "labeling.xml").read_text(encoding="utf-8")
    assert ("perRegion" in setup, "RectangleLabels" in setup) == (whole_pages, whole_pages)
    submitted(out)
    source = open_source(str(out))
    items = list(source.items())
    assert [item.text for item in items] == ["text 0", "text 1", "text 2"]
    whole = Image.open(uri).convert("L")
    for item, data, corners in zip(items, source.read(items), regions, strict=True):
        assert isinstance(data, bytes)
        cut = cut_out(whole, tuple(corners))  # type: ignore[arg-type]
        read = decode_picture(data).convert("L")
        assert read.size == cut.size
        assert np.abs(np.asarray(read, int) - np.asarray(cut, int)).mean() < 2
        if whole_pages:
            assert item.region == pytest.approx(corners, abs=0.05)


def test_a_review_in_a_bucket_names_its_pictures_there(
    tmp_path: Path, new_bucket: Callable[[], str]
) -> None:
    found = results(tmp_path / "r", [row(uri, "1") for uri in crops(tmp_path, "1")])
    config = ReviewConfig(format="label-studio")
    bucket = new_bucket()
    review = write(select(found, config), f"{bucket}/out", config, picture_bytes)
    (made,) = json.loads(storage.read_bytes(review.page_uri))
    assert made["data"]["image"].startswith(f"{bucket}/out/images/")
    assert storage.exists(made["data"]["image"])
    config = ReviewConfig(format="label-studio", pictures_at="https://host/p/")
    review = write(select(found, config), str(tmp_path / "out"), config, picture_bytes)
    (made,) = json.loads(storage.read_bytes(review.page_uri))
    assert made["data"]["image"].startswith("https://host/p/")


def test_flags_that_need_the_format() -> None:
    for flag, more in (
        ("--pictures-at", {"pictures_at": "x"}),
        ("--whole-pages", {"whole_pages": True}),
    ):
        with pytest.raises(ValueError, match=f"{flag} is for --format label-studio"):
            ReviewConfig(**more)  # type: ignore[arg-type]
