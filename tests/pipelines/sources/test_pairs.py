"""Pictures and texts that belong together by their names: in folders, and in tars."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from crnn.errors import DataError
from crnn.files import storage
from pipelines.sources import open_source
from pipelines.sources.pairs import Pair, paired
from tests.pipelines.sources.made import PICTURE, files, items_of, put, rows, tar

TEXTS = ("txt", "gt", "json")


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (["1.png", "1.txt"], [(0, 1)]),
        (["1.png", "1.gt.txt"], [(0, 1)]),
        (["p.1.png", "p.1.txt", "p.2.png", "p.2.txt"], [(0, 1), (2, 3)]),
        (["p.1.png", "p.2.png", "p.2.txt", "p.3.txt"], [(0, None), (1, 2), (None, 3)]),
        (["1.seg.jpg", "1.json"], [(0, 1)]),
        (["1.jpg", "1.note.txt"], [(0, 1)]),
        (["1.jpg", "1.depth.png", "1.txt"], [(0, 2), (1, None)]),
        (["1.jpg", "1.txt", "1.json", "1.note.txt"], [(0, 1)]),
        (["1.jpg", "1.depth.png", "1.json", "1.txt"], [(0, 3), (1, None)]),
        (["p.txt", "p.1.png", "p.1.txt"], [(1, 2), (None, 0)]),
        (["1.txt"], [(None, 0)]),
        (["a.b/1.png", "a/1.txt"], [(0, None), (None, 1)]),
    ],
)
def test_names_that_belong_together(
    names: list[str], pairs: list[tuple[int | None, int | None]]
) -> None:
    assert paired(names, TEXTS) == [Pair(*pair) for pair in pairs]


def test_many_pictures_under_one_key_are_paired_in_little_time() -> None:
    names = [f"p.{n}.{suffix}" for n in range(50_000) for suffix in ("png", "txt")]
    found = paired(names, TEXTS)
    assert len(found) == 50_000
    assert found[-1] == Pair(99_998, 99_999)


@pytest.mark.parametrize("place", ["here", "store"])
def test_a_text_file_beside_each_picture(
    tmp_path: Path, new_bucket: Callable[[], str], place: str
) -> None:
    contents: dict[str, bytes | str] = {
        "README.md": "x",
        "book/0001.png": PICTURE,
        "book/0001.gt.txt": "\ufeffCafé 1\r\n",
        "book/0002.bin.png": PICTURE,
        "book/0002.gt.txt": "two\nlines",
        "book/0003.png": PICTURE,
        "book/0004.gt.txt": "alone",
        "book/0005.png": PICTURE,
        "book/0005.gt.txt": b"\xff",
        "book/0006.png": PICTURE,
        "book/0006.txt": "not this one",
        "book/p.1.jpg": PICTURE,
        "book/p.1.gt.txt": "one",
    }
    folder = put(tmp_path if place == "here" else storage.join(new_bucket(), "a [1]"), contents)
    source = open_source(folder)
    found = list(source.items())
    assert source.format == "pairs"
    assert [(item.id, item.text, item.reason) for item in found] == [
        ("book/0001.png", "Café 1", ""),
        ("book/0002.bin.png", "two\nlines", ""),
        ("book/0003.png", "", "no_label"),
        ("book/0004.gt.txt", "", "not_found"),
        ("book/0005.png", "", "bad_line"),
        ("book/0006.png", "", "no_label"),
        ("book/p.1.jpg", "one", ""),
    ]
    assert source.read([item for item in found if item.picture]) == [PICTURE] * 6


def test_plain_txt_files_are_texts_when_pairs_are_asked_for(tmp_path: Path) -> None:
    files(tmp_path, {"1.png": PICTURE, "1.txt": "one\n", "2.png": PICTURE})
    with pytest.raises(DataError, match=r"pairs: lacks .*--format pairs"):
        rows(tmp_path)


def test_boxes_in_gt_txt_files_are_no_labels(tmp_path: Path) -> None:
    files(tmp_path, {"1.png": PICTURE, "1.gt.txt": "1,2,3,2,3,4,1,4,word\n"})
    with pytest.raises(DataError, match=r"pairs: lacks texts: 1\.gt\.txt holds boxes, see scene"):
        rows(tmp_path, format="pairs")


def test_every_member_of_a_tar_is_part_of_a_sample_or_a_reject(tmp_path: Path) -> None:
    members: dict[str, bytes | str] = {
        "README": "x",
        "page.1.png": PICTURE,
        "page.1.txt": "ONE",
        "page.2.png": PICTURE,
        "page.3.png": PICTURE,
        "page.3.txt": "SIX",
        "page.4.txt": "lost",
        "scan.heic": b"x",
        "scan.txt": "of no picture we know",
        "big.png": PICTURE,
        "big.txt": "x" * (1 << 20) + "y",
    }
    assert rows(files(tmp_path, {"a.tar": tar(members)})) == [
        ("a.tar/README", "", "not_a_picture"),
        ("a.tar/page.1.png", "ONE", ""),
        ("a.tar/page.2.png", "", "no_label"),
        ("a.tar/page.3.png", "SIX", ""),
        ("a.tar/page.4.txt", "", "not_found"),
        ("a.tar/scan.txt", "", "not_found"),
        ("a.tar/big.png", "", "bad_line"),
    ]
    lost = items_of(tmp_path)[5]
    assert "beside it: scan.heic" in lost.message


def test_links_folders_and_names_that_come_again_in_a_tar(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:

        def add(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, to: str = "") -> None:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, to, len(data)
            archive.addfile(info, io.BytesIO(data))

        add("a", kind=tarfile.DIRTYPE)
        add("a/1.png", PICTURE)
        add("a/1.txt", b"one")
        add("a/1.png", PICTURE)
        add("a/1.txt", b"again")
        add("a/2.png", kind=tarfile.LNKTYPE, to="a/1.png")
        add("a/2.txt", b"two")
        add("a/3.png", kind=tarfile.SYMTYPE, to="1.png")
    found = items_of(files(tmp_path, {"t.tar": buffer.getvalue()}))
    assert [(item.id, item.text, item.reason) for item in found] == [
        ("t.tar/a/1.png", "one", ""),
        ("t.tar/a/1.png", "again", ""),  # a duplicate id, when it is prepared
        ("t.tar/a/2.txt", "", "not_found"),
        ("t.tar/a/2.png", "", "not_a_file"),
        ("t.tar/a/3.png", "", "not_a_file"),
    ]
    assert "link to a/1.png" in found[3].message


def test_texts_behind_all_pictures_say_how_to_pack(tmp_path: Path) -> None:
    members = {"1.png": PICTURE, "2.png": PICTURE, "1.txt": "a", "2.txt": "b", "3.txt": "c"}
    members |= {"3.png": PICTURE}
    found = items_of(files(tmp_path, {"t.tar": tar(members)}))
    reasons = [item.reason for item in found]
    assert reasons == ["no_label", "no_label", "not_found", "not_found", ""]
    assert "--sort=name" in found[2].message
