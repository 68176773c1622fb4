"""Whole photographs with boxes or polygons beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from crnn.errors import DataError, PictureError
from crnn.images.contract import decode_picture
from pipelines.sources import open_source
from tests.pipelines.conftest import encoded
from tests.pipelines.sources.made import files, items_of, rows

PHOTO = encoded("photo", size=(120, 60), format="PNG")


def test_pictures_and_their_words_in_one_folder(tmp_path: Path) -> None:
    files(
        tmp_path,
        {
            "img_1.png": PHOTO,
            "gt_img_1.txt": "\ufeff0,0,50,0,50,20,0,20,Two, words\r\n10,30,60,30,60,50,10,50,###\n",
            "img_2.png": PHOTO,
            "gt_img_2.txt": "oops\n",
            "gt_img_3.txt": "0,0,50,0,50,20,0,20,lost\n",
            "gt_img_4.txt": b"\xff\xfe",
        },
    )
    source = open_source(str(tmp_path))
    assert source.format == "scene"
    found = list(source.items())
    assert [(item.id, item.text, item.reason) for item in found] == [
        ("img_1.png#1", "Two, words", ""),
        ("img_1.png#2", "", "unreadable_label"),
        ("gt_img_2.txt:1", "", "bad_line"),
        ("gt_img_3.txt:1", "", "not_found"),
        ("gt_img_4.txt", "", "bad_line"),
    ]
    assert {item.group for item in found if not item.reason} == {"img_1.png"}
    upright = decode_picture(PHOTO)
    for data, box in zip(source.read(found[:2]), [(0, 0, 50, 20), (10, 30, 60, 50)], strict=True):
        assert isinstance(data, bytes)
        assert decode_picture(data).tobytes() == upright.crop(box).tobytes()


def test_ground_truth_in_a_folder_of_its_own(tmp_path: Path) -> None:
    files(
        tmp_path,
        {
            "images/test/img9.jpg": PHOTO,
            "images/train/img1.JPG": PHOTO,
            "images/train/img2.png": PHOTO,
            "gt/poly_gt_img1.txt": "x: [[0 9 9 0]], y: [[0 0 5 5]], ornt: [u'h'], "
            "transcriptions: [u'one']\n",
            "gt/poly_gt_img2.txt": "x: [[0 9 9 0]], y: [[0 0 5 5]], ornt: [u'h'], "
            "transcriptions: [u'two']\n",
        },
    )
    assert rows(tmp_path) == [
        ("images/train/img1.JPG#1", "one", ""),
        ("images/train/img2.png#1", "two", ""),
    ]


def test_icdar_2013_boxes_beside_pictures_of_the_same_name(tmp_path: Path) -> None:
    files(tmp_path, {"100.jpg": PHOTO, "100.txt": '5 2 40 12 "Tiredness"\n', "gt_7.txt": ""})
    (item,) = items_of(tmp_path)
    assert (item.id, item.text) == ("100.jpg#1", "Tiredness")
    assert item.region == (5, 2, 40, 2, 40, 12, 5, 12)


def test_a_region_outside_its_picture_is_an_error_of_its_own(tmp_path: Path) -> None:
    lines = "500,0,600,0,600,20,500,20,far\n0,0,50,0,50,20,0,20,near\n"
    files(tmp_path, {"img_1.png": PHOTO, "gt_img_1.txt": lines})
    source = open_source(str(tmp_path))
    far, near = source.read(list(source.items()))
    assert isinstance(far, PictureError)
    assert far.reason == "bad_region"
    assert isinstance(near, bytes)


def test_words_without_pictures_are_no_scene(tmp_path: Path) -> None:
    files(tmp_path, {"gt_img_1.txt": "0,0,50,0,50,20,0,20,x\n"})
    with pytest.raises(DataError, match="scene: lacks pictures"):
        rows(tmp_path)
