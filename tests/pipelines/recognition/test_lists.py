"""Lists of pictures as people write them: any types, names of columns, separators and ends."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crnn.errors import DataError, PictureError
from crnn.files import storage
from pipelines.recognition.listing import list_inputs
from pipelines.recognition.source import encoded, picture_bytes

BOX = [1, 2, 5, 2, 5, 8, 1, 8]
EDGES = {"x0": [1], "y0": [2], "x1": [5], "y1": [8]}


def rows(uri: Path | str, **options: Any) -> list[dict[str, Any]]:
    return [row for page in list_inputs(str(uri), **options) for row in page.to_pylist()]


def regions(folder: Path, content: str | bytes, name: str = "list.csv") -> list[Any]:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return [row["region"] for row in rows(path)]


def problems(found: list[dict[str, Any]]) -> dict[str, str]:
    """Messages of the rows that can't be read, by the part of their address behind the list's."""
    return {
        row["uri"].partition("#")[2]: row["problem"]["message"] for row in found if row["problem"]
    }


def test_the_first_rows_decide_nothing_about_those_below(tmp_path: Path) -> None:
    lines = ["uri,x0,y0,x1,y1", *(f"/p{n}.png,,,," for n in range(20_000)), "/q.png,1,2,5,8"]
    lines += ["/r.png,1.0,2e0,5,8", "/s.png,a,2,5,8", "/t.png,1,,5,8", "/u.png,nan,NA,,null"]
    (tmp_path / "list.csv").write_text("\n".join(lines))
    found = rows(tmp_path / "list.csv")
    assert len(found) == 20_005
    assert [row["region"] for row in found[-5:]] == [BOX, BOX, None, None, None]
    assert problems(found) == {
        "line 20004": f"line 20004 of {tmp_path}/list.csv: 'a' is no number, for '/s.png'",
        "line 20005": f"line 20005 of {tmp_path}/list.csv: some of the numbers ('1', '', '5', '8') "
        "are missing; expected all or none, for '/t.png'",
    }
    errors = [file.data for file in encoded([found[-3:-1]])]
    assert [e.reason for e in errors if isinstance(e, PictureError)] == ["bad_line"] * 2


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("uri,xmin,ymin,xmax,ymax\n/a.png,1,2,5,8\n", BOX),
        (" URI , X0,Y0 ,x1,y1\n/a.png, 1,2 ,5,8\n", BOX),
        ("\ufefffile_name,left,top,right,bottom\n/a.png,1,2,5,8\n", BOX),
        ("path;x;y;width;height\n/a.png;1,0;2;4;6\n", BOX),
        ("img;x;y;width;height\n/a.png;1;2;4;6\n", BOX),
        ("image\tx\ty\tw\th\n/a.png\t1\t2\t4\t6\n", BOX),
        ("uri|x1|y1|x2|y2\n/a.png|1|2|5|8\n", BOX),
        ("uri,x0,y0,x1,y1,x2,y2,x3,y3\n/a.png,1,2,5,2,5,8,1,8\n", BOX),
        ("uri,x1,y1,x2,y2,x3,y3,x4,y4\n/a.png,1,2,5,2,5,8,1,8\n", BOX),
        ('uri,xywh\n/a.png,"1, 2, 4, 6"\n', BOX),
        ('uri,points\n/a.png,"[[1, 2], [5, 2], [5, 8], [1, 8]]"\n', BOX),
        ("uri,x0,y0,x1,y1\r/a.png,1,2,5,8\r", BOX),
        ('"uri","x0","y0","x1","y1"\r\n"/a.png","1","2","5","8"\r\n', BOX),
        ("uri,x0,y0,x1,y1\n/a.png,5,8,1,2\n", BOX),
    ],
)
def test_usual_names_and_ways_of_writing(tmp_path: Path, content: str, expected: list) -> None:
    assert regions(tmp_path, content) == [expected]
    assert rows(tmp_path / "list.csv")[0]["uri"] == "/a.png"


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("uri,left_px,top_px", "unknown columns: 'left_px', 'top_px'.*--ignore-columns"),
        ("uri,x0,y0,x1", "'x0', 'y0', 'x1'"),
        ("uri,x0,y0,x1,y1,x2,y2", "'x2', 'y2'"),
        ("uri,bbox", "'bbox', which may hold corners or a width"),
        ("uri,x0,X0", "two columns 'x0'"),
        ("a.png,b", "expected one 'uri'"),
    ],
)
def test_columns_that_nobody_uses_are_named(tmp_path: Path, header: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        regions(tmp_path, f"{header}\n/a.png,1,1,1,1,1,1\n")
    assert str(tmp_path / "list.csv")


def test_columns_can_be_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("uri,Note,x0,y0,x1,y1,text\n/a.png,5,1,2,5,8,word\n")
    for ignored in (("note",), ("*",)):
        assert [row["region"] for row in rows(path, ignore_columns=ignored)] == [BOX]
    assert [r["region"] for r in rows(path, ignore_columns=("note", "x0", "y0", "x1", "y1"))] == [
        None
    ]
    with pytest.raises(DataError, match="'note'"):
        rows(path)


def test_rows_of_another_width_are_told_with_their_line(tmp_path: Path) -> None:
    content = 'uri,x0,y0,x1,y1\n/a,b.png,1,2,5,8\n/c.png\n\n,,,,\n"/d\ne.png",1,2,5,8\n,1,2,5,8\n'
    path = tmp_path / "list.csv"
    path.write_text(content)
    found = rows(path)
    assert [row["uri"] for row in found if not row["problem"]] == ["/d\ne.png"]
    assert list(problems(found)) == ["line 2", "line 3", "line 8"]
    assert "6 fields; the header has 5" in problems(found)["line 2"]
    path.write_text("uri\n/a,b.png\n")
    assert [row["uri"] for row in rows(path)] == ["/a,b.png"], "one column needs no separator"


@pytest.mark.parametrize(
    ("lines", "bad"),
    [
        (['"/0.png,1', "/1.png,2", '/2.png",3', "/3.png,4"], [0, 2]),
        (['"/0.png,1', "/1.png,2", "/2.png,3"], [0]),
        (["/0.png,1", '/1.png,"2', "/2.png,3", '"/3.png,4', "/4.png,5"], [1, 3]),
        (["/0.png,1", '/1.png,"2', "/2.png,3", '/3.png,4"', "/4.png,5"], [1, 3]),
        (['"/0.png,1,9', "/1.png,2", '/2.png",3', "/3.png,4"], [0, 2]),
        (['"/0.png,1', "/1.png,2", *(f"/{n}.png,3" for n in range(2, 300)), '"/300.png,1'],
         [0, 300]),
        (['"/0.png","1"', '"/1.png","2', '"/2.png","3"'], [1]),
    ],
)  # fmt: skip
def test_a_lone_quote_spoils_its_own_lines_only(
    tmp_path: Path, lines: list[str], bad: list[int]
) -> None:
    path = tmp_path / "list.csv"
    path.write_text("\n".join(["uri,etag", *lines, ""]))
    found = rows(path)
    assert list(problems(found)) == [f"line {number + 2}" for number in bad]
    whole = [row["uri"] for row in found if not row["problem"]]
    assert whole == [f"/{number}.png" for number in range(len(lines)) if number not in bad]
    assert all("quote" in message for message in problems(found).values())


def test_quotes_in_a_list_of_one_column(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text('uri\n"/a.png\n/b.png\n/c.png"\n"/d,e.png"\n/f"g".png\n')
    found = rows(path)
    assert list(problems(found)) == ["line 2", "line 4"]
    names = [row["uri"] for row in found if not row["problem"]]
    assert names == ["/b.png", "/d,e.png", '/f"g".png']


def test_spaces_around_an_address_count_only_where_a_file_has_them(
    tmp_path: Path, new_bucket: Callable[[], str]
) -> None:
    for root in (str(tmp_path), new_bucket()):
        for name in ("a.png", "b.png", " b.png"):
            storage.write_bytes(f"{root}/{name}", b"1")
        whole = f" {root}/a.png "
        content = f"uri,etag\n a.png,1\n b.png,2\nb.png ,3\n{whole},4\n  ,5\n none.png,6\n"
        storage.write_bytes(f"{root}/list.csv", content.encode())
        found = rows(f"{root}/list.csv")
        assert [row["uri"] for row in found if not row["problem"]] == [
            f"{root}/{name}" for name in ("a.png", " b.png", "b.png", "a.png", "none.png")
        ]
        assert list(problems(found)) == ["line 6"]


def test_it_is_not_looked_for_files_outside_the_folders_allowed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("secret.png ", "in/open.png "):
        (tmp_path / name).write_bytes(b"1")
    path = tmp_path / "in/list.csv"
    path.write_text(f"uri\n{tmp_path}/secret.png \nopen.png \n")
    spaced = [f"{tmp_path}/secret.png ", f"{tmp_path}/in/open.png "]
    assert [row["uri"] for row in rows(path)] == spaced
    bounded = [row["uri"] for row in rows(path, prefixes=(str(tmp_path / "in"),))]
    assert bounded == [f"{tmp_path}/secret.png", spaced[1]]


@pytest.mark.parametrize("name", ["list.txt", "list.jsonl", "list.json", "list", "pages.pdf"])
def test_a_file_that_is_neither_picture_nor_list_is_refused(
    tmp_path: Path, new_bucket: Callable[[], str], name: str
) -> None:
    for root in (str(tmp_path), new_bucket()):
        storage.write_bytes(f"{root}/{name}", b"a.png\n")
        with pytest.raises(DataError, match=rf"{name} has no picture's suffix.*--all-files"):
            rows(f"{root}/{name}")
        assert [row["uri"] for row in rows(f"{root}/{name}", all_files=True)] == [f"{root}/{name}"]


def test_excel_names_its_separator(tmp_path: Path) -> None:
    assert regions(tmp_path, "sep=;\nuri;x0;y0;x1;y1\n/a.png;1;2;5;8\n") == [BOX]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("uri\n/a.png\n".encode("utf-16"), "is UTF-16"),
        ("uri\n/a.png\n".encode("utf-16-le"), "is UTF-16"),
        ("uri\n/a.png\n".encode("utf-32"), "is UTF-16"),
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"uri,x0\n", "unknown columns"),
        (b"uri\n", "names no picture"),
    ],
)
def test_what_is_no_list_is_told_with_its_name(
    tmp_path: Path, content: bytes, message: str
) -> None:
    with pytest.raises(DataError, match=rf"{tmp_path}/list.csv.*{message}"):
        regions(tmp_path, content)
    (tmp_path / "list.csv.gz").write_bytes(content)
    with pytest.raises(DataError, match=rf"{tmp_path}/list.csv.gz can't be read|is empty"):
        rows(tmp_path / "list.csv.gz")


def test_lines_that_are_not_utf8_are_told_and_the_others_read(tmp_path: Path) -> None:
    content = "uri,etag\n/a.png,1\n/ü.png,2\n/c.png,3\n".encode("latin-1")
    (tmp_path / "list.csv").write_bytes(content)
    found = rows(tmp_path / "list.csv")
    assert [row["uri"] for row in found if not row["problem"]] == ["/a.png", "/c.png"]
    assert "save the list as UTF-8" in problems(found)["line 3"]


def test_packed_lists_and_tabs(tmp_path: Path, new_bucket: Callable[[], str]) -> None:
    content = gzip.compress(b"uri\tx0\ty0\tx1\ty1\na.png\t1\t2\t5\t8\n")
    assert regions(tmp_path, content, "list.tsv.gz") == [BOX]
    remote = f"{new_bucket()}/lists/list.TSV.gz"
    storage.write_bytes(remote, content)
    (row,) = rows(remote)
    assert (row["uri"], row["region"]) == (remote.replace("list.TSV.gz", "a.png"), BOX)


def test_addresses_are_relative_to_the_list(
    tmp_path: Path, new_bucket: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in/back").mkdir(parents=True)
    (tmp_path / "in/back/a.png").write_bytes(b"1")
    (tmp_path / "in/list.csv").write_text("uri\nx.png\n./b/c.png\n../d.png\nback\\a.png\nn\\o.png")
    monkeypatch.chdir(tmp_path)
    folder = str(tmp_path / "in")
    assert [row["uri"] for row in rows("in/list.csv")] == [
        f"{folder}/x.png", f"{folder}/b/c.png", f"{folder}/../d.png", f"{folder}/back/a.png",
        f"{folder}/n\\o.png",
    ]  # fmt: skip
    bucket = new_bucket()
    storage.write_bytes(f"{bucket}/in/list.csv", b"uri\nx y.png\n../d.png\ns3://o/p.png\n/e.png")
    assert [row["uri"] for row in rows(f"{bucket}/in/list.csv")] == [
        f"{bucket}/in/x y.png", f"{bucket}/d.png", "s3://o/p.png", "/e.png",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "columns",
    [
        {name: pa.array(values, pa.int8()) for name, values in EDGES.items()},
        {name: pa.array(values, pa.uint64()) for name, values in EDGES.items()},
        {name: pa.array(values, pa.float64()) for name, values in EDGES.items()},
        {n: pa.array([Decimal(v[0])], pa.decimal128(9, 2)) for n, v in EDGES.items()},
        {name: pa.array([f" {v[0]} "], pa.large_string()) for name, v in EDGES.items()},
        {name: pa.array([str(v[0])]).dictionary_encode() for name, v in EDGES.items()},
        {name: pa.array([str(v[0]).encode()]) for name, v in EDGES.items()},
        {"box": pa.array([[1, 2, 5, 8]], pa.large_list(pa.int32()))},
        {"box": pa.array([[1, 2, 5, 8]], pa.list_(pa.float32(), 4))},
        {"polygon": pa.array([[[1, 2], [5, 2], [5, 8], [1, 8]]], pa.list_(pa.list_(pa.int16())))},
        {"region": pa.array([[1, 2, 5, 2, 5, 8, 1, 8]], pa.list_(pa.float32()))},
    ],
)
def test_columns_of_any_type_that_can_be_meant(tmp_path: Path, columns: dict[str, Any]) -> None:
    for uris in (
        pa.array(["/a.png"], pa.large_string()),
        pa.array(["/a.png"]).dictionary_encode(),
        pa.array([b"/a.png"]),
    ):
        etags = pa.array([7])
        pq.write_table(pa.table({"uri": uris, "etag": etags, **columns}), tmp_path / "l.parquet")
        (row,) = rows(tmp_path / "l.parquet")
        assert (row["uri"], row["etag"], row["region"]) == ("/a.png", "7", BOX)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"uri": [5]}, "'uri' is int64; expected text"),
        ({"uri": [{"bytes": b"x"}]}, "'uri' is struct.*expected text"),
        ({"uri": ["/a"], "x0": [True], "y0": [1], "x1": [1], "y1": [1]}, "'x0' is bool"),
        ({"uri": ["/a"], "box": [{"x0": 1}]}, "'box' is struct.*lists of numbers"),
    ],
)
def test_columns_of_other_types_are_named(
    tmp_path: Path, columns: dict[str, list], message: str
) -> None:
    pq.write_table(pa.table(columns), tmp_path / "l.parquet")
    with pytest.raises(DataError, match=rf"l.parquet.*{message}"):
        rows(tmp_path / "l.parquet")


def test_rows_of_parquet_that_name_nothing(tmp_path: Path) -> None:
    table = pa.table({
        "uri": pa.array([b"/a.png", b"/\xff.png", None, b"/b.png"]),
        "box": pa.array([[1, 2, 5, 8], None, None, [1, None, 5, 8]]),
    })  # fmt: skip
    pq.write_table(table, tmp_path / "l.parquet")
    found = rows(tmp_path / "l.parquet")
    assert list(problems(found)) == ["row 2", "row 3"]
    assert found[0]["region"] == BOX
    (last,) = encoded([found[3:]])
    assert last.regions is not None, "a missing corner is the reader's to refuse"
    pq.write_table(table.slice(0, 0), tmp_path / "l.parquet")
    with pytest.raises(DataError, match="names no picture"):
        rows(tmp_path / "l.parquet")


def test_results_are_a_list_of_what_was_read(tmp_path: Path) -> None:
    from pipelines.recognition.rows import RESULT_SCHEMA

    row = {"uri": "/a.png", "etag": "1", "region": [float(n) for n in BOX], "text": "x"}
    pq.write_table(pa.Table.from_pylist([row], schema=RESULT_SCHEMA), tmp_path / "l.parquet")
    assert [(r["uri"], r["etag"], r["region"]) for r in rows(tmp_path / "l.parquet")] == [
        ("/a.png", "1", BOX)
    ]


@pytest.mark.parametrize("name", ["list.csv", "list.csv.gz", "list.parquet", "x.png"])
def test_pipes_and_devices_hold_nothing(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match="a pipe, a socket or a device"):
        rows(tmp_path / name)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/zero.png").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "folder/pipe.png")
    os.mkfifo(tmp_path / "folder/pipe.parquet")
    found = rows(tmp_path / "folder")
    shard = {"uri": f"{tmp_path}/folder/pipe.parquet#0", "region": None, "size": None}
    errors = [file.data for file in encoded([[*found, shard]])]
    assert [e.reason for e in errors if isinstance(e, PictureError)] == ["unreadable"] * 3
    assert all("a pipe, a socket or a device" in str(error) for error in errors)


def test_a_folder_named_like_a_list_is_a_folder(
    tmp_path: Path, new_bucket: Callable[[], str]
) -> None:
    for root in (str(tmp_path), new_bucket()):
        storage.write_bytes(f"{root}/x.csv/a.png", b"1")
        assert [row["uri"] for row in rows(f"{root}/x.csv")] == [f"{root}/x.csv/a.png"]


def test_a_list_that_breaks_off_is_told(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as file:
        file.write(b"uri\n" + b"".join(os.urandom(20).hex().encode() + b"\n" for _ in range(9999)))
    (tmp_path / "list.csv.gz").write_bytes(buffer.getvalue()[:-9000])
    with pytest.raises(DataError, match=r"list.csv.gz can't be read as a list"):
        rows(tmp_path / "list.csv.gz")


def test_an_address_that_is_too_long_is_not_repeated_whole() -> None:
    with pytest.raises(PictureError, match="characters more: the name is too long") as told:
        picture_bytes("data:image/png;base64," + "A" * 90_000)
    assert told.value.reason == "not_found" and len(str(told.value)) < 400
