from __future__ import annotations

import os
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import boto3
import pytest

from crnn.errors import DataError, PictureError
from crnn.files import storage
from pipelines.sources.files import read_file
from pipelines.stores import files_at, in_order, is_picture_name, names_in, write_new
from tests.unprivileged import as_nobody, open_folder


def test_names_come_in_order_however_many_there_are() -> None:
    names = [f"{number:06d} ü" for number in range(150_000)]
    names += ["caf\udce9", "a\nb"]
    shuffled = random.Random(1).sample(names, len(names))
    assert list(in_order(iter(shuffled))) == sorted(names, key=os.fsencode)
    assert list(in_order(iter(shuffled[:9]))) == sorted(shuffled[:9], key=os.fsencode)
    assert list(in_order(iter(()))) == []


def test_a_folder_is_looked_into_here_and_on_s3(
    tmp_path: Path, new_bucket: Callable[[], str]
) -> None:
    for root in (str(tmp_path / "x"), storage.join(new_bucket(), "x y")):
        for name in ("b.jpg", "a.txt", "below/c.jpg", "below/deeper/d.jpg"):
            storage.write_bytes(storage.join(root, name), b"1")
        found = list(names_in(root))
        assert sorted(found) == [("a.txt", False), ("b.jpg", False), ("below", True)]
        assert [name for name, is_folder in found if not is_folder] == ["a.txt", "b.jpg"]
        below = [row["uri"].removeprefix(root + "/") for row in files_at(root)]
        assert sorted(below) == ["a.txt", "b.jpg", "below/c.jpg", "below/deeper/d.jpg"]


def test_a_key_with_an_empty_name_is_refused_and_the_rest_is_read(
    new_bucket: Callable[[], str], s3_endpoint: str, caplog: pytest.LogCaptureFixture
) -> None:
    bucket = new_bucket()
    client = boto3.client("s3", endpoint_url=s3_endpoint)
    keys = ["p//c.png", "p/a//b.png", "p/ok.png"]
    for key in keys:
        client.put_object(Bucket=bucket.removeprefix("s3://"), Key=key, Body=b"1")
    assert [row["uri"] for row in files_at(f"{bucket}/p")] == [f"{bucket}/{key}" for key in keys]
    assert sorted(names_in(f"{bucket}/p")) == [("a", True), ("ok.png", False)]
    assert "p//" in caplog.text and "rename them" in caplog.text
    assert list(names_in(f"{bucket}/p/a")) == []
    assert read_file(f"{bucket}/p/ok.png") == b"1"
    for key in keys[:2]:
        found = read_file(f"{bucket}/{key}")
        assert isinstance(found, PictureError) and found.reason == "unreadable"
        assert "rename it" in str(found)


def test_what_may_not_be_looked_into_has_a_row_and_the_rest_is_listed() -> None:
    with open_folder() as root:
        for name in ("a/1.png", "secret/2.png", "z/3.png", "z/closed.png"):
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_bytes(b"1")
        (root / "loop").symlink_to("loop")
        (root / "gone.png").symlink_to("nowhere.png")
        (root / "into").symlink_to("secret/below")
        (root / os.fsdecode(b"z/caf\xe9.png")).write_bytes(b"12")
        (root / "z/closed.png").chmod(0)
        (root / "secret").chmod(0)
        with as_nobody():
            rows = {row["uri"]: row for row in files_at(str(root))}
            closed = rows[f"{root}/z/closed.png"]
            with pytest.raises(DataError, match=r"can't read .*closed.png: .*Permission denied"):
                storage.read_bytes(closed["uri"])
            assert storage.read_bytes(f"file://{root}/z/caf%E9.png") == b"12"
            with pytest.raises(DataError, match=r"can't list .*secret: .*Permission denied"):
                list(files_at(f"{root}/secret"))
            with pytest.raises(DataError, match=r"can't list .*secret: .*Permission denied"):
                list(names_in(f"{root}/secret"))
            assert ("loop", False) in set(names_in(str(root)))
    unlisted = {uri for uri, row in rows.items() if "unlisted" in row}
    assert unlisted == {f"{root}/{name}" for name in ("secret", "loop", "into")}
    assert rows.keys() - unlisted == {
        f"{root}/a/1.png", f"{root}/gone.png", f"{root}/z/3.png", f"{root}/z/closed.png",
        f"file://{root}/z/caf%E9.png",
    }  # fmt: skip
    assert "Permission denied" in rows[f"{root}/secret"]["unlisted"]
    assert "Too many levels of symbolic links" in rows[f"{root}/loop"]["unlisted"]


def test_pictures_are_told_by_their_names() -> None:
    assert all(map(is_picture_name, ("a.jpg", "b.PNG", "x/y.z.tiff")))
    assert not any(map(is_picture_name, ("a.txt", "jpg", ".png", "a.jpg.txt")))


def test_a_file_is_made_once_here_and_on_s3(tmp_path: Path, new_bucket: Callable[[], str]) -> None:
    for folder in (str(tmp_path / "a"), new_bucket()):
        uri = f"{folder}/below [1]/claim.json"
        assert write_new(uri, b"first")
        assert not write_new(uri, b"late")
        assert storage.read_bytes(uri) == b"first"
        assert [row["uri"] for row in files_at(folder)] == [uri], "nothing else is left"


def test_of_many_writers_at_once_one_alone_makes_a_file(tmp_path: Path) -> None:
    uri = str(tmp_path / "claim.json")
    texts = [str(number).encode() for number in range(8)]
    with ThreadPoolExecutor(8) as writers:
        made = list(writers.map(partial(write_new, uri), texts))
    assert sum(made) == 1
    assert storage.read_bytes(uri) == texts[made.index(True)]


def test_a_claim_that_cannot_be_written_says_where() -> None:
    with open_folder() as folder:
        (folder / "file").write_bytes(b"")
        with pytest.raises(DataError, match=r"can't write .*file/claim"):
            write_new(str(folder / "file/claim"), b"x")
