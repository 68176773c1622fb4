"""Pictures within larger files: LMDB, tars, Parquet, prepared sets."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import lmdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crnn.errors import DataError, PictureError
from crnn.files import storage
from pipelines.shards import Reject, Sample, ShardWriter, finish
from pipelines.sources import open_source
from tests.pipelines.conftest import encoded
from tests.pipelines.sources.made import PICTURE, files, items_of, options, rows, tar

PICTURES = [encoded(f"p{number}", size=(40 + number, 20)) for number in range(6)]


def database(folder: Path, entries: dict[str, bytes]) -> Path:
    folder.mkdir(exist_ok=True)
    with (
        lmdb.open(str(folder), map_size=1 << 24) as environment,
        environment.begin(write=True) as transaction,
    ):
        for key, value in entries.items():
            transaction.put(key.encode(), value)
    (folder / "lock.mdb").unlink()
    return folder


def test_an_lmdb_as_the_field_packs_it(tmp_path: Path) -> None:
    folder = database(
        tmp_path / "set",
        {
            "num-samples": b"5",
            "image-000000001": PICTURES[1],
            "label-000000001": "Käse".encode(),
            "image-000000002": PICTURES[2],
            "label-000000003": b"three",
            "image-000000004": PICTURES[4],
            "label-000000004": b"\xff",
        },
    )
    source = open_source(str(folder))
    found = list(source.items())
    assert source.format == "lmdb"
    assert [(item.id, item.text, item.reason) for item in found] == [
        ("image-000000001", "Käse", ""),
        ("image-000000002", "", "no_label"),
        ("image-000000003", "", "not_found"),
        ("image-000000004", "", "bad_line"),
        ("image-000000005", "", "no_label"),
    ]
    assert source.read([found[3], found[0], found[1]]) == [PICTURES[4], PICTURES[1], PICTURES[2]]
    assert rows(folder / "data.mdb", format="lmdb") == rows(folder)
    assert {path.name for path in folder.iterdir()} == {"data.mdb"}, "it is read in place"


def test_pictures_that_the_count_of_an_lmdb_leaves_out_are_rejects(tmp_path: Path) -> None:
    entries: dict[str, bytes] = {"num-samples": b"1", "label-000000004": b"lost"}
    for number in range(4):
        entries |= {f"image-{number:09d}": PICTURES[number], f"label-{number:09d}": b"x"}
    assert rows(database(tmp_path / "set", entries)) == [
        ("image-000000001", "x", ""),
        *((f"image-00000000{number}", "", "not_counted") for number in (0, 2, 3)),
        ("label-000000004", "", "not_counted"),
    ]


def test_keys_beyond_a_gap_and_of_another_form_are_rejects(tmp_path: Path) -> None:
    entries = {
        "num-samples": b"1",
        "image-000000001": PICTURES[1],
        "label-000000001": "\ufeffx".encode(),
        "image-000000009": PICTURES[2],
        "label-000000009": b"y",
        "image-00000001": PICTURES[3],
        "image-2": PICTURES[0],
        "label-two": b"z",
    }
    assert rows(database(tmp_path / "set", entries)) == [
        ("image-000000001", "x", ""),
        *((key, "", "not_counted") for key in ("image-000000009", "image-00000001", "image-2")),
        ("label-two", "", "not_counted"),
    ]


def test_an_lmdb_on_an_object_store_is_copied_once_and_anew_when_it_changes(
    tmp_path: Path, new_bucket: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    remote = storage.join(new_bucket(), "set")

    def put(label: bytes, more: bytes = b"") -> None:
        entries = {"num-samples": b"1", "image-000000001": PICTURES[0], "label-000000001": label}
        entries |= {"more": more}  # a store tells versions apart by size, and time in seconds
        local = database(tmp_path / label.decode(), entries)
        storage.write_bytes(storage.join(remote, "data.mdb"), (local / "data.mdb").read_bytes())

    def copies() -> list[Path]:
        return [path for path in tmp_path.glob("temporary/*/*") if not path.suffix]

    put(b"one")
    assert [text for _, text, _ in rows(remote)] == ["one"]
    assert [text for _, text, _ in rows(remote)] == ["one"]
    (old,) = copies()
    os.utime(old, (0, 0))
    put(b"another", bytes(50_000))
    assert [text for _, text, _ in rows(remote)] == ["another"]
    assert len(copies()) == 1, "the old one is gone"
    assert not list(tmp_path.glob("temporary/*/*.part"))


def test_an_lmdb_that_is_none_or_cut_short(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="num-samples"):
        rows(database(tmp_path / "other", {"key": b"value"}))
    whole = database(tmp_path / "cut", {"num-samples": b"1", "image-000000001": bytes(200_000)})
    data = (whole / "data.mdb").read_bytes()
    (whole / "data.mdb").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match="cut short"):
        rows(whole)
    with pytest.raises(DataError, match="not a readable LMDB"):
        rows(files(tmp_path / "text", {"data.mdb": b"text" * 5000}))


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tgz"])
def test_webdataset_tars(tmp_path: Path, suffix: str) -> None:
    mode = "w" if suffix == "tar" else "w:gz"
    first = tar(
        {
            "a/0001.jpg": PICTURES[0],
            "a/0001.txt": "one\n",
            "a/0002.json": json.dumps({"label": "two", "receipt": 7}),
            "a/0002.png": PICTURES[1],
            "a/0003.seg.jpg": PICTURES[2],
            "a/0003.json": json.dumps({"other": "x"}),
            "a/0004.jpg": PICTURES[3],
            "a/0005.txt": "no picture",
            "a/._0001.jpg": b"from a Mac",
        },
        mode,
    )
    last = {"0001.jpg": PICTURES[4], "0001.txt": b"\xff", "0002.jpg": PICTURES[5], "0002.txt": b""}
    second = tar(last, mode)
    files(tmp_path, {f"s-0.{suffix}": first, f"s-1.{suffix}": second})
    source = open_source(str(tmp_path), options=options(group_column="receipt"))
    found = list(source.items())
    assert source.format == "webdataset"
    assert [(item.id, item.text, item.group, item.reason) for item in found] == [
        (f"s-0.{suffix}/a/0001.jpg", "one", "", ""),
        (f"s-0.{suffix}/a/0002.png", "two", "7", ""),
        (f"s-0.{suffix}/a/0003.seg.jpg", "", "", "no_label"),
        (f"s-0.{suffix}/a/0004.jpg", "", "", "no_label"),
        (f"s-0.{suffix}/a/0005.txt", "", "", "not_found"),
        (f"s-1.{suffix}/0001.jpg", "", "", "bad_line"),
        (f"s-1.{suffix}/0002.jpg", "", "", ""),
    ]
    pictures = [item for item in found if item.picture]
    assert source.read(pictures) == PICTURES
    assert source.read(pictures[::-1]) == PICTURES[::-1]
    assert len(rows(tmp_path / f"s-0.{suffix}")) == 5


@pytest.mark.parametrize("suffix", ["tar", "tgz"])
def test_a_tar_that_is_cut_short_gives_what_it_has(tmp_path: Path, suffix: str) -> None:
    members: dict[str, bytes | str] = {}
    for number in range(6):
        members |= {f"{number}.txt": str(number), f"{number}.jpg": PICTURES[number]}
    data = tar(members, "w" if suffix == "tar" else "w:gz")
    files(tmp_path, {f"a.{suffix}": data[: len(data) * 6 // 10], f"b.{suffix}": data})
    found = rows(tmp_path)
    here = [row for row in found if row[0].startswith("a.")]
    whole = [text for _, text, reason in here if not reason]
    assert whole
    assert whole == list("012345")[: len(whole)]
    assert here[-1][2] == "damaged_file"
    assert [text for id, text, _ in found if id.startswith("b.")] == list("012345")


@pytest.mark.parametrize("suffix", ["tar", "tgz"])
def test_what_stands_before_the_damage_is_there_though_its_group_is_not_whole(
    tmp_path: Path, suffix: str
) -> None:
    members: dict[str, bytes | str] = {}
    for number in range(6):  # of one key: the name up to its first dot
        members |= {f"page.{number}.jpg": PICTURES[number], f"page.{number}.txt": str(number)}
    data = tar(members, "w" if suffix == "tar" else "w:gz")
    files(tmp_path, {f"a.{suffix}": data[: len(data) * 6 // 10]})
    found = rows(tmp_path)
    assert found[-1][2] == "damaged_file"
    whole = [text for _, text, reason in found if not reason]
    assert len(whole) >= 2
    assert whole == list("012345")[: len(whole)]


def test_a_member_that_is_neither_a_picture_nor_a_text_says_so(tmp_path: Path) -> None:
    members = {"1.png": PICTURES[0], "1.txt": "one", "notes.pdf": b"%PDF"}
    files(tmp_path, {"a.tar": tar(members)})
    *_, last = open_source(str(tmp_path)).items()
    assert (last.id, last.reason) == ("a.tar/notes.pdf", "not_a_picture")
    assert last.message.endswith("and neither stands beside it")


def hugging_face(path: Path, pictures: list[dict | None], texts: list[str | None]) -> None:
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"image": pa.array(pictures, image), "text": texts, "box": [1] * len(texts)})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=2)


def test_parquet_as_hugging_face_writes_it(tmp_path: Path) -> None:
    files(tmp_path, {"data/below/4.jpg": PICTURES[4], "below/4.jpg": PICTURES[4]})
    hugging_face(
        tmp_path / "data/train-00000-of-00001.parquet",
        [
            {"bytes": PICTURES[0], "path": "x.jpg"},
            {"bytes": PICTURES[1], "path": None},
            None,
            {"bytes": PICTURES[3], "path": "x.jpg"},
            {"bytes": None, "path": "below/4.jpg"},
        ],
        ["zero", "one", "two", None, "four"],
    )
    source = open_source(str(tmp_path))
    found = list(source.items())
    name = "data/train-00000-of-00001.parquet"
    assert source.format == "parquet"
    assert [(item.id, item.text, item.reason) for item in found] == [
        (f"{name}#0", "zero", ""),
        (f"{name}#1", "one", ""),
        (f"{name}#2", "two", ""),
        (f"{name}#3", "", "no_label"),
        (f"{name}#4", "four", ""),
    ]
    read = source.read(found)
    assert [data for data in read if isinstance(data, bytes)] == [PICTURES[n] for n in (0, 1, 3, 4)]
    assert isinstance(read[2], PictureError)
    assert read[2].reason == "not_found"
    assert source.read(found[:2][::-1]) == [PICTURES[1], PICTURES[0]]


def test_parquet_with_bytes_and_columns_of_other_names(tmp_path: Path) -> None:
    table = pa.table({"png": PICTURES, "Word": list("abcdef"), "key": list("ghijkl"), "g": [7] * 6})
    pq.write_table(table, tmp_path / "words.parquet", row_group_size=4)
    with pytest.raises(DataError, match=r"columns for text in .*words.parquet.*--text-column"):
        rows(tmp_path / "words.parquet")
    asked = options(text_column="word", id_column="key", group_column="g")
    source = open_source(str(tmp_path / "words.parquet"), options=asked)
    found = list(source.items())
    assert [(item.id, item.text, item.group) for item in found] == [
        (id, text, "7") for id, text in zip("ghijkl", "abcdef", strict=True)
    ]
    assert source.read(found) == PICTURES


def test_a_prepared_set_keeps_ids_and_where_they_came_from(tmp_path: Path) -> None:
    with ShardWriter(str(tmp_path), "p", row_group_rows=2, shard_bytes=2 * len(PICTURE)) as writer:
        for number, data in enumerate(PICTURES):
            sample = Sample(
                id=f"i{number}", image=data, text=f"t{number}", width=9, height=9, source="first"
            )
            writer.write([sample])
        writer.reject([Reject(id="r", reason="x", message="", source="first", image=None)])
    finish(str(tmp_path), [writer.close()], {})
    source = open_source(str(tmp_path))
    found = list(source.items())
    assert source.format == "prepared"
    assert len(source.names) > 1
    assert [(item.id, item.text, item.source) for item in found] == [
        (f"i{number}", f"t{number}", "first") for number in range(6)
    ]
    assert source.read(found) == PICTURES
    (tmp_path / source.names[0]).write_bytes(b"cut")
    with pytest.raises(DataError, match="cut short or changed"):
        items_of(tmp_path)


@pytest.mark.parametrize(
    ("name", "format"),
    [("a.parquet", "parquet"), ("data.mdb", "lmdb"), ("a.tar", "webdataset"), ("gt.txt", "icdar")],
)
def test_a_pipe_in_place_of_a_file_is_not_waited_at(tmp_path: Path, name: str, format: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match="is a pipe, a socket or a device"):
        list(open_source(str(tmp_path), format=format).items())
