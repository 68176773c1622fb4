"""Labels that aren't text: one rule for every format."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crnn.errors import DataError
from pipelines.sources import open_source
from tests.pipelines.sources.made import PICTURE, files, items_of, options, rows, tar

OF_JSON = [
    ('"TOTAL"', "TOTAL"),
    ("1.50", "1.50"),
    ("007e1", None),  # no JSON at all
    ("1e3", "1e3"),
    ("12345678901234567890123", "12345678901234567890123"),
    ("null", None),
    ("true", None),
    ("NaN", None),
    ('["TOTAL"]', None),
    ('{"a": "TOTAL"}', None),
    ('"\\ud800"', None),
]


@pytest.mark.parametrize(("written", "text"), OF_JSON)
def test_a_value_of_json_is_a_text_or_a_reject_everywhere(
    tmp_path: Path, written: str, text: str | None
) -> None:
    row = f'{{"file": "1.png", "text": {written}}}'
    packed = tar({"1.png": PICTURE, "1.json": row, "2.png": PICTURE, "2.txt": "x"})
    sources = {
        "lines": files(tmp_path / "lines", {"labels.jsonl": row}),
        "array": files(tmp_path / "array", {"labels.json": f"[{row}]"}),
        "doctr": files(tmp_path / "doctr", {"labels.json": f'{{"1.png": {written}}}'}),
        "packed": files(tmp_path / "packed", {"a.tar": packed}),
    }
    if written == "007e1" or written == "NaN":  # such a list can't be read at all
        for name in ("array", "doctr"):
            with pytest.raises(DataError, match="is no JSON"):
                rows(sources.pop(name))
    for folder in sources.values():
        first = items_of(folder)[0]
        assert first.text == (text or ""), folder
        assert bool(first.reason) == (text is None), folder


def test_null_is_a_picture_without_a_label_everywhere(tmp_path: Path) -> None:
    row = '{"file": "1.png", "text": null}'
    packed = tar({"1.png": PICTURE, "1.json": row, "2.png": PICTURE, "2.txt": "x"})
    pq.write_table(pa.table({"image": [PICTURE], "text": pa.nulls(1)}), tmp_path / "t.parquet")
    sources = {
        "1.png": files(tmp_path / "lines", {"labels.jsonl": row}),
        "./1.png": files(tmp_path / "array", {"labels.json": f"[{row}]"}),
        "images/1.png": files(
            tmp_path / "doctr", {"labels.json": '{"1.png": null}', "images/1.png": PICTURE}
        ),
        "a.tar/1.png": files(tmp_path / "packed", {"a.tar": packed}),
        "t.parquet#0": tmp_path / "t.parquet",
    }
    for id, folder in sources.items():
        first = items_of(folder)[0]
        assert (first.id, first.text, first.reason) == (id.removeprefix("./"), "", "no_label")
        assert first.picture is not None
    outside = items_of(files(tmp_path / "up", {"labels.json": '{"../1.png": null}'}))[0]
    assert (outside.reason, outside.picture) == ("bad_line", None)


def test_an_object_that_names_its_text_twice_is_a_reject(tmp_path: Path) -> None:
    lines = [
        '{"file": "1.png", "text": "a", "text": "b"}',
        '{"file": "2.png", "text": "a", "Text": "b"}',
        '{"file": "3.png", "text": "c"}',
    ]
    found = items_of(files(tmp_path, {"labels.jsonl": "\n".join(lines)}))
    assert [(item.text, item.reason) for item in found] == [
        ("", "bad_line"),
        ("", "bad_line"),
        ("c", ""),
    ]
    assert "'text' twice" in found[0].message
    assert "'text' twice" in found[1].message


def test_doctr_names_pictures_below_images(tmp_path: Path) -> None:
    labels = json.dumps({"img_1.png": "I", "img_2.png": "am, \n", "../x.png": "no"})
    folder = files(tmp_path, {"labels.json": labels, "images/img_1.png": PICTURE})
    source = open_source(str(folder))
    found = list(source.items())
    assert [(item.id, item.text, item.reason) for item in found] == [
        ("images/img_1.png", "I", ""),
        ("images/img_2.png", "am, \n", ""),
        ("labels.json:3", "", "bad_line"),
    ]
    assert source.read(found[:1]) == [PICTURE]
    beside = files(tmp_path / "beside", {"labels.json": '{"1.png": "a"}', "1.png": PICTURE})
    assert rows(beside) == [("1.png", "a", "")]
    boxes = files(tmp_path / "boxes", {"labels.json": '{"1.png": {"polygons": []}}'})
    assert rows(boxes) == [("labels.json:1", "", "bad_line")]


def parquet(path: Path, labels: pa.Array, metadata: dict | None = None) -> Path:
    schema = pa.schema([("image", pa.binary()), ("label", labels.type)], metadata)
    pq.write_table(pa.table([[PICTURE] * len(labels), labels], schema=schema), path)
    return path


COLUMNS: list[tuple[pa.Array, list[str | None]]] = [
    (pa.array(["a", None]), ["a", None]),
    (pa.array(["a"], pa.large_string()), ["a"]),
    (pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
    (pa.array([b"TOTAL", b"\xff"]), ["TOTAL", None]),
    (pa.array(["é".encode()], pa.large_binary()), ["é"]),
    (pa.array([7, -12], pa.int32()), ["7", "-12"]),
    (pa.array([Decimal("1299.00")]), ["1299.00"]),
    (pa.nulls(1), [None]),
    (pa.array([b"\xff\xfe"]).view(pa.string()), [None]),
]


@pytest.mark.parametrize(("labels", "texts"), COLUMNS, ids=lambda value: str(value)[:20])
def test_columns_of_texts(tmp_path: Path, labels: pa.Array, texts: list[str | None]) -> None:
    found = items_of(parquet(tmp_path / "t.parquet", labels))
    assert [None if item.reason else item.text for item in found] == texts


@pytest.mark.parametrize(
    "labels",
    [
        pa.array([["TOTAL"]]),
        pa.array([{"text": "TOTAL"}]),
        pa.array([1.5]),
        pa.array([True]),
        pa.array([0], pa.timestamp("s")),
        pa.array([1.5]).dictionary_encode(),
    ],
    ids=lambda labels: str(labels.type),
)
def test_columns_that_are_no_texts_are_refused_by_name(tmp_path: Path, labels: pa.Array) -> None:
    path = parquet(tmp_path / "t.parquet", labels)
    with pytest.raises(DataError, match=r"'label' is .*isn't text.*--text-column") as told:
        rows(path)
    assert str(pq.read_schema(path).field("label").type) in str(told.value)


def test_a_later_table_with_another_type_is_an_error_with_its_name(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", pa.array(["a"]))
    parquet(tmp_path / "b.parquet", pa.array([["b"]]))
    with pytest.raises(DataError, match=r"b\.parquet.*'label' is list"):
        rows(tmp_path)


def test_classes_of_hugging_face_map_through_their_names(tmp_path: Path) -> None:
    features: dict[str, Any] = {"label": {"names": ["zero", "one"], "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    found = items_of(parquet(tmp_path / "t.parquet", pa.array([1, 0, -1, 2]), metadata))
    assert [(item.text, item.reason) for item in found] == [
        ("one", ""),
        ("zero", ""),
        ("", "no_label"),
        ("", "bad_line"),
    ]


def test_ids_follow_the_same_rule(tmp_path: Path) -> None:
    table = pa.table({"image": [PICTURE] * 2, "text": ["a", "b"], "key": [b"k", None]})
    pq.write_table(table, tmp_path / "t.parquet")
    found = rows(tmp_path / "t.parquet", options=options(id_column="key"))
    assert found == [("k", "a", ""), ("t.parquet#1", "b", "")]
    table = pa.table({"image": [PICTURE], "text": ["a"], "key": [1.5]})
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(DataError, match="--id-column"):
        rows(tmp_path / "t.parquet", options=options(id_column="key"))


@pytest.mark.parametrize(
    ("written", "group"), [("null", ""), ('"p1"', "p1"), ("7", "7"), ('["p1"]', None), ("{}", None)]
)
def test_a_group_is_one_value_or_none_in_every_format(
    tmp_path: Path, written: str, group: str | None
) -> None:
    row = f'{{"file": "1.png", "text": "a", "page": {written}}}'
    sources = {
        "lines": files(tmp_path / "lines", {"labels.jsonl": row}),
        "array": files(tmp_path / "array", {"labels.json": f"[{row}]"}),
        "packed": files(tmp_path / "packed", {"a.tar": tar({"1.png": PICTURE, "1.json": row})}),
    }
    for folder in sources.values():
        (found,) = items_of(folder, options=options(group_column="page"))
        assert (found.group, found.reason) == (group or "", "bad_line" if group is None else "")
