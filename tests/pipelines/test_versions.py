"""A file that is read again is the one that was listed, or isn't; other marks are let be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from crnn.files import storage
from pipelines.stores import file_at, files_at
from pipelines.versions import newer_version


def newer(uri: str, etag: str) -> str:
    return newer_version(uri, etag, storage.read_version(uri, most=2))


@pytest.mark.parametrize("name", ["a b.jpg", "tab\t.jpg", "parts.jpg"])
@pytest.mark.parametrize("place", ["here", "s3"])
def test_each_version_of_a_listing_is_told_from_the_next(
    name: str, place: str, tmp_path: Path, new_bucket: Callable[[], str]
) -> None:
    folder = str(tmp_path / "in") if place == "here" else new_bucket()
    uri = f"{folder}/{name}"
    told = set[str]()
    for size in (1, 6 << 20 if name.startswith("parts") else 2, 3):
        storage.write_bytes(uri, b"x" * size)
        (listed,) = files_at(folder)
        now = {listed["etag"], file_at(uri)["etag"]}
        assert [newer(uri, etag) for etag in now] == [""] * len(now)
        assert {newer(uri, etag) for etag in told} <= now
        assert "" not in {newer(uri, etag) for etag in told}
        told |= now
    assert len(told) == (3 if place == "here" else 6)


@pytest.mark.parametrize("etag", ["", "v1", "1-1", "2026-12-01", "AbC=", "0" * 31])
def test_marks_of_another_form_are_not_compared(
    etag: str, tmp_path: Path, new_bucket: Callable[[], str]
) -> None:
    for folder in (str(tmp_path), new_bucket()):
        storage.write_bytes(f"{folder}/a", b"a")
        assert newer(f"{folder}/a", etag) == ""
