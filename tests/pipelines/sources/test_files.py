"""Pictures that are files: one limit and one name of each failure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from crnn.errors import PictureError
from crnn.files import storage
from pipelines.recognition.source import picture_bytes
from pipelines.sources.files import MAX_PICTURE_BYTES, read_file

MIB = 1 << 20


def prepared_as(address: str) -> str:
    found = read_file(address)
    return found.reason if isinstance(found, PictureError) else ""


def recognized_as(address: str) -> str:
    try:
        picture_bytes(address)
    except PictureError as error:
        return error.reason
    return ""


def test_preparing_and_recognizing_have_one_limit_and_one_name_of_a_failure(tmp_path: Path) -> None:
    expected = {"small": "", "gone": "not_found", "folder": "unreadable", "loop": "unreadable"}
    expected |= {"largest": "", "larger": "too_large"}
    (tmp_path / "small").write_bytes(b"1")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    for name, size in (("largest", MAX_PICTURE_BYTES), ("larger", MAX_PICTURE_BYTES + 1)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
    addresses = {name: str(tmp_path / name) for name in expected}
    assert {name: prepared_as(address) for name, address in addresses.items()} == expected
    assert {name: recognized_as(address) for name, address in addresses.items()} == expected


def test_the_same_of_an_object_store(new_bucket: Callable[[], str]) -> None:
    address = storage.join(new_bucket(), "a.png")
    assert prepared_as(address) == recognized_as(address) == "not_found"
    storage.write_bytes(address, b"1")
    assert prepared_as(address) == recognized_as(address) == ""
