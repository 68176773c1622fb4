from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from crnn.errors import PictureError
from crnn.images.contract import PictureContract
from crnn.images.prepare import prepare
from crnn.images.region import Region, cut_out, from_box
from tests.crnn.poison import noise

PAGE = noise(120, 80, seed=4)
PIXELS = np.asarray(PAGE)
ANYTHING = st.floats(allow_nan=True, allow_infinity=True)
NEARBY = st.floats(-150, 300)


def cut(region: Region, image: Image.Image = PAGE) -> np.ndarray:
    return np.asarray(cut_out(image, region))


def message(region: Region, image: Image.Image = PAGE) -> str:
    with pytest.raises(PictureError) as caught:
        cut_out(image, region)
    assert caught.value.reason == "bad_region"
    return str(caught.value)


@given(data=st.data())
def test_a_box_on_whole_pixels_is_those_pixels(data: st.DataObject) -> None:
    x0, y0 = data.draw(st.integers(0, 119)), data.draw(st.integers(0, 79))
    x1, y1 = data.draw(st.integers(x0 + 1, 120)), data.draw(st.integers(y0 + 1, 80))
    region = from_box(x0, y0, x1, y1)
    assert np.array_equal(cut(region), PIXELS[y0:y1, x0:x1])
    grey = PAGE.convert("L")
    assert np.array_equal(cut(region, grey), np.asarray(grey)[y0:y1, x0:x1])


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_text_that_lies_on_its_side_or_head_comes_out_upright(turns: int) -> None:
    """The corners start at the top left of the text, whichever way that points."""
    box = np.array(from_box(20, 10, 60, 70)).reshape(4, 2)
    region = tuple(np.roll(box, -turns, axis=0).ravel().tolist())
    assert np.array_equal(cut(region), np.rot90(PIXELS[10:70, 20:60], turns))


@pytest.mark.parametrize("first", [0, 1, 2, 3])
def test_corners_in_the_other_order_are_put_right(first: int) -> None:
    upright = PIXELS[10:70, 20:60]
    for x0, x1 in ((20, 60), (60, 20)):
        for y0, y1 in ((10, 70), (70, 10)):
            assert np.array_equal(cut(from_box(x0, y0, x1, y1)), upright)
    box = np.array(from_box(20, 10, 60, 70)).reshape(4, 2)[::-1]
    assert np.array_equal(cut(tuple(np.roll(box, first, axis=0).ravel().tolist())), upright)
    slanted = np.array([[22.0, 12], [58, 16], [56, 68], [18, 62]])
    turned = tuple(np.roll(slanted[::-1], first, axis=0).ravel().tolist())
    assert np.array_equal(cut(turned), cut(tuple(slanted.ravel().tolist())))


def test_a_box_between_pixels_is_their_mean() -> None:
    shifted = cut(from_box(20.5, 10, 60.5, 70)).astype(float)
    left, right = PIXELS[10:70, 20:60].astype(float), PIXELS[10:70, 21:61].astype(float)
    assert np.abs(shifted - (left + right) / 2).max() <= 1


@pytest.mark.parametrize("angle", [-30.0, -8.0, 5.0, 40.0, 170.0])
def test_a_slanted_line_is_set_straight(angle: float) -> None:
    straight = Image.new("L", (160, 40), 255)
    ImageDraw.Draw(straight).text((8, 4), "slanted 47", fill=0, font_size=28)
    turn = cv2.getRotationMatrix2D((80, 20), angle, 1.0) + np.array([[0, 0, 60], [0, 0, 110]])
    page = cv2.warpAffine(np.asarray(straight), turn, (280, 260), borderValue=255)
    corners = np.array([[0, 0], [160, 0], [160, 40], [0, 40]]) - 0.5
    placed = corners @ turn[:, :2].T + turn[:, 2] + 0.5
    found = cut(tuple(placed.ravel().tolist()), Image.fromarray(page))
    assert found.shape == (40, 160)
    assert np.abs(found.astype(float) - np.asarray(straight, dtype=float)).mean() < 8


def test_perspective_is_undone() -> None:
    board = np.kron(np.indices((4, 10)).sum(axis=0) % 2, np.ones((20, 20))).astype(np.uint8) * 255
    target = np.array([[30, 20], [250, 50], [240, 130], [40, 150]], dtype=np.float32)
    corners = np.array([[0, 0], [200, 0], [200, 80], [0, 80]], dtype=np.float32)
    there = cv2.getPerspectiveTransform(corners - np.float32(0.5), target - np.float32(0.5))
    page = cv2.warpPerspective(board, there, (300, 200), borderValue=128)
    found = cut(tuple(target.ravel().tolist()), Image.fromarray(page))
    assert found.shape == (130, 222)  # the longer of opposite sides
    middles = found[16::32, 11::22][:4, :10]
    assert (middles > 128).tolist() == (board[10::20, 10::20] > 128).tolist()


@pytest.mark.parametrize("shift", [0.0, 0.25])
def test_outside_the_picture_its_edge_is_repeated(shift: float) -> None:
    ramp = Image.fromarray(np.tile(np.arange(0, 240, 2, dtype=np.uint8), (80, 1)))
    found = cut(from_box(-10 - shift, -7 - shift, 130 - shift, 90 - shift), ramp)
    assert found.shape == (97, 140)
    assert (found[:, :10] == 0).all() and (found[:, 131:] == 238).all()
    assert np.array_equal(found, np.tile(found[40], (97, 1)))
    assert np.abs(found[40, 10:130].astype(float) - np.arange(0, 240, 2)).max() <= 1


def test_a_picture_wider_than_opencv_takes_can_be_cut() -> None:
    wide = np.zeros((4, 60_000), dtype=np.uint8)
    wide[:, 50_000:50_010] = 200
    found = cut(from_box(49_990.5, 0, 50_020.5, 4), Image.fromarray(wide))
    assert found.shape == (4, 30) and found[2, 10:18].min() == 200 and found[2, :8].max() == 0
    assert np.array_equal(cut(from_box(0, 0, 60_000, 4), Image.fromarray(wide)), wide)
    assert "32000 px" in message(from_box(0.5, 0, 50_000.5, 4), Image.fromarray(wide))


@pytest.mark.parametrize(
    ("region", "what"),
    [
        (from_box(math.nan, 0, 10, 10), "isn't a finite number"),
        (from_box(0, 0, math.inf, 10), "isn't a finite number"),
        (from_box(5, 5, 5, 20), "half a pixel"),
        (from_box(5, 5, 20, 5.4), "half a pixel"),
        (from_box(130, 5, 150, 20), "outside the picture of 120x80"),
        (from_box(-20, -20, 0, 0), "outside"),
        ((110.0, -40.0, 160.0, 10.0, 150.0, 20.0, 100.0, -30.0), "outside"),
        ((0.0, 0.0, 10.0, 10.0, 10.0, 0.0, 0.0, 10.0), "its corners in order"),
        ((0.0, 0.0, 10.0, 0.0, 2.0, 2.0, 0.0, 10.0), "its corners in order"),
        ((0.0, 0.0, 5.0, 0.0, 10.0, 0.0, 0.0, 10.0), "its corners in order"),
        ((1e300, 0.0, -1e300, 0.0, 1.0, 1e300, 0.0, 10.0), "over the limit"),
        (from_box(0, 0, 20_000, 20_000), "over the limit"),
        ((0.0, 0.0, 1.0), "8 numbers"),
    ],
)
def test_regions_that_can_not_be_cut_are_a_reject(region: Region, what: str) -> None:
    assert what in message(region)


@settings(max_examples=300, deadline=None)
@given(region=st.tuples(*[NEARBY] * 8) | st.tuples(*[ANYTHING] * 8))
def test_no_numbers_escape_the_error_tree(region: Region) -> None:
    try:
        found = cut_out(PAGE, region)
    except PictureError as error:
        assert error.reason == "bad_region"
    else:
        assert found.mode == "RGB" and found.width and found.height


def test_other_modes_are_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="mode is P"):
        cut_out(PAGE.convert("P"), from_box(0, 0, 5, 5))


def test_a_prepared_region_is_the_prepared_cut_out() -> None:
    contract = PictureContract(channels=3)
    found = prepare(PAGE, contract, region=from_box(10, 20, 70, 50))
    expected = prepare(PAGE.crop((10, 20, 70, 50)), contract)
    assert found.source_width_px == 60
    assert found.content_width_px == expected.content_width_px == 64
    assert np.array_equal(found.pixels, expected.pixels)
