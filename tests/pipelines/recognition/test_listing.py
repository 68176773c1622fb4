"""What an input stands for: folders, patterns, lists with regions, prepared sets."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from crnn.errors import DataError, PictureError
from crnn.files import storage
from pipelines.recognition.listing import list_inputs
from pipelines.recognition.source import encoded, picture_bytes
from tests.pipelines.evaluation_cases import rendered, sample, write_set
from tests.unprivileged import as_nobody, open_folder


def rows(uri: Path | str, **options: Any) -> list[dict[str, Any]]:
    return [row for page in list_inputs(str(uri), **options) for row in page.to_pylist()]


def test_links_that_lead_back_and_the_results_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/1.png").write_bytes(b"1")
    (tmp_path / "a/b/up").symlink_to(tmp_path / "a")
    (tmp_path / "a/out").mkdir()
    (tmp_path / "a/out/thumb.png").write_bytes(b"1")
    found = rows(tmp_path / "a", all_files=True, without=str(tmp_path / "a/out"))
    assert [row["uri"] for row in found] == [str(tmp_path / "a/b/1.png")]


def test_a_pattern_begins_where_its_first_mark_is(tmp_path: Path) -> None:
    for name in ("2025/x.png", "2026/x.png", "2026/deep/y.png", "2026/z.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"1")
    found = {row["uri"] for row in rows(tmp_path / "20[2]6/*")}
    assert found == {str(tmp_path / "2026/x.png"), str(tmp_path / "2026/deep/y.png")}


def test_what_has_the_very_name_is_no_pattern(
    tmp_path: Path, new_bucket: Callable[[], str]
) -> None:
    for root in (str(tmp_path / "r [1]"), f"{new_bucket()}/r [1]"):
        for name in (
            "x[1].png",
            "x1.png",
            "f [2024]/a.png",
            "f [2024]/b.txt",
            "f 2/a.png",
            "x?.png",
        ):
            storage.write_bytes(f"{root}/{name}", name.encode())

        def names(uri: str, root: str = root) -> set[str]:
            return {row["uri"].removeprefix(f"{root}/") for row in rows(f"{root}/{uri}")}

        assert names("x[1].png") == {"x[1].png"}
        assert names("x[12].png") == {"x1.png"}
        assert names("f [2024]") == names("f [2024]/*.png") == {"f [2024]/a.png"}
        assert names("f [29]/*.png") == {"f 2/a.png"}
        assert names("x?.png") == {"x?.png"}
        assert names("x*.png") == {"x[1].png", "x1.png", "x?.png"}
        assert names("none [1]/a.png") == set()


def test_what_may_not_be_looked_into_is_an_error_of_its_own(tmp_path: Path) -> None:
    with open_folder() as root:
        (root / "secret").mkdir()
        (root / "secret/1.png").write_bytes(b"1")
        (root / "loop").symlink_to("loop")
        (root / os.fsdecode(b"caf\xe9.png")).write_bytes(b"12")
        (root / "gone.png").symlink_to("nowhere.png")
        (root / "secret").chmod(0)
        with as_nobody():
            found = rows(root)
            read = list(encoded([found]))
    codes = {
        row["uri"].removeprefix(f"{root}/"): getattr(file.data, "reason", file.data)
        for row, file in zip(found, read, strict=True)
    }
    assert codes == {
        "secret": "unreadable", "loop": "unreadable", "gone.png": "not_found",
        f"file://{root}/caf%E9.png": b"12",
    }  # fmt: skip


BOX = [1, 2, 5, 2, 5, 8, 1, 8]


@pytest.mark.parametrize(
    ("columns", "regions"),
    [
        ({}, [None, None]),
        ({"x0": [1, None], "y0": [2, None], "x1": [5, None], "y1": [8, None]}, [BOX, None]),
        ({"box": [[1.0, 2.0, 5.0, 8.0], None]}, [BOX, None]),
        ({"polygon": [[1.0, 2.0, 5.0, 2.5, 5.0, 8.0, 1.0, 7.5], None]},
         [[1, 2, 5, 2.5, 5, 8, 1, 7.5], None]),
        ({"polygon": [[[1.0, 2.0], [5.0, 2.0], [5.0, 8.0], [1.0, 8.0]], None]}, [BOX, None]),
        ({"polygon": ["1 2, 5 2, 5 8, 1 8", ""]}, [BOX, None]),
        ({"box": ["[1, 2, 5, 8]", "1 2 3"]}, [BOX, [1, 2, 3]]),
    ],
)  # fmt: skip
def test_boxes_and_polygons_as_people_write_them(
    tmp_path: Path, columns: dict[str, list], regions: list[list[float] | None]
) -> None:
    path = tmp_path / "list.parquet"
    pq.write_table(pa.table({"uri": ["/a.png", "/b.png"], "etag": ["x", None], **columns}), path)
    found = rows(path)
    assert [row["region"] for row in found] == regions
    assert [row["etag"] for row in found] == ["x", ""]


def test_a_csv_with_boxes(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("uri,x0,y0,x1,y1\n/a.png,1,2,5,8\n/b.png,,,,\n")
    assert [row["region"] for row in rows(tmp_path / "list.csv")] == [BOX, None]


def test_a_list_without_addresses_says_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("picture,x0\n/a.png,1\n")
    with pytest.raises(DataError, match=r"\['picture', 'x0'\]; expected one 'uri'"):
        rows(tmp_path / "list.csv")


def test_a_prepared_set_is_its_samples(tmp_path: Path) -> None:
    pictures = [rendered(str(n)) for n in range(30)]
    write_set(tmp_path / "set", [sample(f"s{n}", str(n), p) for n, p in enumerate(pictures)])
    found = rows(tmp_path / "set")
    assert len(found) == 30
    assert [entry.data for entry in encoded([found])] == pictures
    assert [entry.data for entry in encoded([found[7:9], found[20:21]])] == [
        pictures[n] for n in (7, 8, 20)
    ]
    assert picture_bytes(found[17]["uri"]) == pictures[17]
    (tmp_path / "set/manifest.json").unlink()
    with pytest.raises(PictureError, match="rows"):
        picture_bytes(found[17]["uri"].split("#")[0] + "#99")


def test_regions_of_one_page_are_read_from_one_file(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.new("L", (100, 50), 9).save(file, "PNG")
    (tmp_path / "page.png").write_bytes(file.getvalue())
    page = str(tmp_path / "page.png")
    uris = [page, page, page, page, str(tmp_path / "gone.png")]
    boxes = [[0, 0, 10, 10], [5, 5, 40, 20], None, [1, 2, 3], [0, 0, 1, 1]]
    pq.write_table(pa.table({"uri": uris, "box": boxes}), tmp_path / "list.parquet")
    one, malformed, gone = encoded([rows(tmp_path / "list.parquet")])
    assert isinstance(malformed.data, PictureError)
    assert malformed.data.reason == "bad_region"
    assert one.data == file.getvalue()
    assert [region is None for region in one.regions] == [False, False, True]
    assert isinstance(gone.data, PictureError)
    assert gone.data.reason == "not_found"


def test_odd_names_are_files_not_rows(tmp_path: Path) -> None:
    odd = tmp_path / "a#1.png"
    odd.write_bytes(b"bytes")
    assert picture_bytes(str(odd)) == b"bytes"


def test_a_name_with_a_tilde_lies_beside_the_list(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("uri\n~a.png\n~/b.png\n", encoding="utf-8")
    found = [row["uri"] for row in rows(tmp_path / "list.csv")]
    assert found == [str(tmp_path / "~a.png"), str(Path("~/b.png").expanduser())]


def test_folders_that_lead_nowhere_are_left_out_of_a_list(new_bucket: Callable[[], str]) -> None:
    root = f"{new_bucket()}/r"
    storage.write_bytes(f"{root}/list.csv", b"uri\na//b.png\n./a/./b.png\nc/../a/b.png\n")
    assert [row["uri"] for row in rows(f"{root}/list.csv")] == [f"{root}/a/b.png"] * 3


def test_a_set_in_a_bucket(tmp_path: Path, new_bucket: Callable[[], str]) -> None:
    uri = f"{new_bucket()}/set"
    pictures = [rendered(str(n)) for n in range(5)]
    write_set(uri, [sample(f"s{n}", str(n), p) for n, p in enumerate(pictures)])
    assert [entry.data for entry in encoded([rows(uri)])] == pictures
    assert json.loads(picture_bytes(f"{uri}/manifest.json"))["count"] == 5
