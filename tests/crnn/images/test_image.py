from __future__ import annotations

import io
import pickle
import warnings

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from crnn.errors import PictureError
from crnn.images.contract import (
    FORMATS,
    PAD_GREY,
    PictureContract,
    decode_picture,
    normalise,
    upright,
)
from tests.crnn import poison

SIZES = st.integers(1, 600)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def reason(data: bytes, **options: int) -> str:
    with pytest.raises(PictureError) as caught:
        decode_picture(data, **options)
    return caught.value.reason


@given(width=SIZES, height=SIZES)
def test_the_bucket_is_the_narrowest_that_holds_the_picture(width: int, height: int) -> None:
    contract = PictureContract()
    natural = contract.natural_width(width, height)
    bucket = contract.bucket_width(width, height)
    assert abs(natural - width * 32 / height) <= 1
    if contract.is_squeezed(width, height):
        assert bucket == 2048 < natural
    else:
        assert natural <= bucket <= 2048
        assert all(other < natural for other in contract.widths if other < bucket)


@settings(max_examples=30, deadline=None)
@given(width=SIZES, height=SIZES, channels=st.sampled_from([1, 3]))
def test_content_is_scaled_and_padded_with_grey(width: int, height: int, channels: int) -> None:
    contract = PictureContract(channels=channels)
    content = contract.fit(np.full((height, width), 9, np.uint8))
    bucket = contract.bucket_width(width, height)
    padded = contract.pad(content, bucket)
    assert content.shape == (32, min(2048, contract.natural_width(width, height)), channels)
    assert padded.shape == (32, bucket, channels)
    assert (padded[:, : content.shape[1]] == 9).all()
    assert (padded[:, content.shape[1] :] == PAD_GREY).all()


def test_fixed_mode_stretches_every_picture_to_its_one_width() -> None:
    contract = PictureContract(mode="fixed", widths=(100,))
    for size in [(7, 90), (100, 32), (3000, 10)]:
        assert contract.fit(np.zeros(size[::-1], np.uint8)).shape == (32, 100, 1)
        assert contract.bucket_width(*size) == 100
        assert not contract.is_squeezed(*size)


@given(width=SIZES, height=SIZES, stretch=st.sampled_from([0.5, 1.0, 1.5, 4.0]))
def test_a_stretch_multiplies_the_width_and_the_bucket_holds_that(
    width: int, height: int, stretch: float
) -> None:
    contract = PictureContract(stretch=stretch)
    natural = contract.natural_width(width, height)
    assert natural == max(1, round(stretch * 32 * width / height))
    assert contract.bucket_width(width, height) == contract.bucket_of(natural)
    assert contract.is_squeezed(width, height) == (natural > 2048)
    content = contract.fit(np.full((height, width), 9, np.uint8))
    assert content.shape == (32, min(2048, natural), 1) and (content == 9).all()


def test_what_shrinks_is_averaged_though_the_other_side_grows() -> None:
    stripes = np.zeros((96, 64), np.uint8)
    stripes[1::3] = 240
    content = PictureContract(stretch=4).fit(stripes)
    assert content.shape == (32, 85, 1) and (content == 80).all()
    ends = PictureContract(stretch=4).fit(np.repeat(stripes[:2].max(0)[None], 96, 0))
    assert (ends == 240).all()


def test_a_stretched_picture_lies_where_it_lay() -> None:
    pixels = np.zeros((32, 80), np.uint8)
    pixels[:, 40:] = 255
    content = PictureContract(stretch=1.5).fit(pixels)[..., 0]
    assert content.shape == (32, 120)
    assert (content[:, :59] == 0).all() and (content[:, 61:] == 255).all()


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"height": 7}, "height is 7"),
        ({"channels": 2}, "channels is 2"),
        ({"mode": "crop"}, "'crop'"),
        ({"widths": ()}, "widths are"),
        ({"widths": (128, 64)}, "widths are"),
        ({"mode": "fixed"}, "one width, not 11"),
        ({"padding": 256}, "padding is 256"),
        ({"shrinking": "cubic"}, "shrinking is 'cubic'"),
        ({"rounding": "down"}, "rounding is 'down'"),
        ({"stretch": 0.0}, "stretch is 0.0; expected a multiple, 0.25 to 4"),
        ({"stretch": float("nan")}, "stretch is nan"),
        ({"mode": "fixed", "widths": (96,), "stretch": 1.5}, "leave it at 1"),
    ],
)
def test_contracts_that_make_no_sense_are_refused(settings_: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PictureContract(**settings_)


def test_settings_added_later_change_neither_what_a_bundle_states_nor_its_pixels() -> None:
    contract = PictureContract(height=48, channels=3, widths=(64, 128))
    before = {"height": 48, "channels": 3, "mode": "bucket", "widths": (64, 128)}
    assert contract.stated() == before and PictureContract(**contract.stated()) == contract
    other = PictureContract(**before, padding=0, shrinking="linear", rounding="up")
    added = {"padding": 0, "shrinking": "linear", "rounding": "up"}
    assert other.stated() == {**before, **added}


def test_an_imported_contract_pads_rounds_and_shrinks_as_it_says() -> None:
    stripes = np.zeros((96, 101), dtype=np.uint8)
    stripes[:, ::2] = 200
    usual = PictureContract(height=48, widths=(64,))
    other = PictureContract(height=48, widths=(64,), padding=0, shrinking="linear", rounding="up")
    assert [c.natural_width(101, 96) for c in (usual, other)] == [50, 51]
    assert (usual.pad(usual.fit(stripes), 64)[:, 50:] == PAD_GREY).all()
    assert (other.pad(other.fit(stripes), 64)[:, 51:] == 0).all()
    linear = cv2.resize(stripes, (51, 48), interpolation=cv2.INTER_LINEAR)
    area = cv2.resize(stripes, (50, 48), interpolation=cv2.INTER_AREA)
    assert (other.fit(stripes)[..., 0] == linear).all()
    assert (usual.fit(stripes)[..., 0] == area).all()


def test_every_exif_orientation_comes_out_upright() -> None:
    scene = Image.new("RGB", (32, 16), (255, 255, 255))
    scene.paste((255, 0, 0), (0, 0, 16, 8))  # red in the upper left
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    for orientation, transposition in undo.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored = encoded(scene.transpose(transposition), exif=exif.tobytes())
        assert np.array_equal(np.asarray(decode_picture(stored)), np.asarray(scene)), orientation


@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "WEBP", "AVIF", "MPO"])
def test_exif_turns_pictures_of_other_formats_once(kind: str) -> None:
    scene = Image.new("RGB", (64, 32), (255, 255, 255))
    scene.paste((255, 0, 0), (0, 0, 32, 16))
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = encoded(scene.transpose(Image.Transpose.ROTATE_90), kind, exif=exif.tobytes())
    found = np.asarray(decode_picture(stored), dtype=float)
    assert found.shape == (32, 64, 3)
    assert np.abs(found - np.asarray(scene, dtype=float)).mean() < 12


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "MPO", "AVIF"])
def test_of_many_frames_the_first_is_read(kind: str) -> None:
    first, second = Image.new("RGB", (40, 20), (250, 250, 250)), Image.new("RGB", (40, 20))
    stored = encoded(first, kind, save_all=True, append_images=[second])
    assert int(np.asarray(decode_picture(stored)).min()) > 240


@pytest.mark.parametrize("kind", ["EPS", "ICO", "ICNS", "TGA", "PCX", "SGI", "PDF", "DDS"])
def test_formats_that_are_not_listed_are_not_opened(kind: str) -> None:
    assert reason(encoded(Image.new("RGB", (64, 64)), kind)) == "undecodable"


def test_the_listed_formats_are_read() -> None:
    scene = Image.new("RGB", (40, 20), (250, 250, 250))
    for kind in FORMATS:
        assert int(np.asarray(decode_picture(encoded(scene, kind))).min()) > 240, kind


def test_pictures_that_pillow_warns_of_are_read_without_a_word() -> None:
    """Where warnings are errors, as in these tests, they would be lost otherwise."""
    odd = [poison.corpus()[name].data for name in ("tag_bomb", "palette_with_transparency")]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for data in odd:
            with Image.open(io.BytesIO(data)) as image:
                image.convert("L")
        assert {warning.category for warning in said} == {UserWarning}
        said.clear()
        for data in odd:
            assert decode_picture(data).width
        assert not said


def test_damaged_exif_does_not_cost_the_picture() -> None:
    scene = Image.new("RGB", (16, 8), (10, 20, 30))
    plain = encoded(scene, "JPEG")
    segment = b"Exif\0\0" + b"garbagegarbagegarbag"
    damaged = plain[:2] + b"\xff\xe1" + (2 + len(segment)).to_bytes(2, "big") + segment + plain[2:]
    assert np.array_equal(np.asarray(decode_picture(damaged)), np.asarray(decode_picture(plain)))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV", "I", "F"])
def test_every_mode_becomes_grey_or_rgb_and_keeps_its_look(mode: str) -> None:
    image = upright(Image.new("L", (8, 4), 255).convert("RGB").convert(mode))
    assert image.mode in ("L", "RGB")
    assert int(np.asarray(image.convert("L")).min()) >= 254


@pytest.mark.parametrize("mode", ["LA", "La", "RGBA", "RGBa"])
def test_transparency_is_laid_on_white(mode: str) -> None:
    for alpha, expected in [(0, 255), (128, 127), (255, 0)]:
        black = Image.new("RGBA", (8, 4), (0, 0, 0, alpha))
        laid = upright((black.convert("LA") if mode == "La" else black).convert(mode))
        assert laid.mode == ("L" if mode in ("LA", "La") else "RGB")
        assert np.unique(np.asarray(laid)).tolist() == [expected]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "I;16"])
def test_a_png_transparent_colour_is_laid_on_white(mode: str) -> None:
    image = Image.new(mode, (8, 4), 0)
    key = (0, 0, 0) if mode == "RGB" else 0
    assert int(np.asarray(decode_picture(encoded(image, transparency=key))).min()) == 255
    assert int(np.asarray(decode_picture(encoded(image))).max()) == 0


def test_sixteen_bits_are_scaled_by_type_and_floats_by_range() -> None:
    ramp = np.array([[0, 257, 25_700, 65_535]], dtype=np.uint16)
    assert np.asarray(upright(Image.fromarray(ramp))).tolist() == [[0, 1, 100, 255]]
    unit = np.array([[0.0, 0.2, 1.0]], dtype=np.float32)
    assert np.asarray(upright(Image.fromarray(unit))).tolist() == [[0, 51, 255]]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_no_numbers_are_a_reject(value: float) -> None:
    pixels = np.full((4, 8), 0.5, dtype=np.float32)
    pixels[1, 2] = value
    assert reason(encoded(Image.fromarray(pixels), "TIFF")) == "non_finite_pixels"


def test_what_is_no_picture_is_a_reject_with_its_reason() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 90), dtype=np.uint8)
    whole = encoded(Image.fromarray(noise), "JPEG")
    assert reason(b"") == "empty_file"
    assert reason(b"plain text") == "undecodable"
    assert reason(whole[: len(whole) // 2]) == "undecodable"
    assert reason(whole, max_pixels=90 * 40 - 1) == "too_large"
    assert decode_picture(whole, max_pixels=90 * 40).size == (90, 40)


@pytest.mark.parametrize("side", [9_000, 10_000, 20_000])
def test_a_huge_canvas_is_refused_unread(side: int) -> None:
    assert reason(encoded(Image.new("1", (side, side)))) == "too_large"


@settings(max_examples=30, deadline=None)
@given(data=st.binary(max_size=200))
def test_no_bytes_escape_the_error_tree(data: bytes) -> None:
    try:
        assert decode_picture(data).mode in ("L", "RGB")
    except PictureError as error:
        assert error.reason in ("empty_file", "undecodable", "too_large", "non_finite_pixels")


def test_normalise_maps_bytes_to_minus_one_to_one_and_padding_to_about_zero() -> None:
    pixels_NHWC = torch.tensor([0, PAD_GREY, 255], dtype=torch.uint8).view(1, 1, 1, 3)
    images_NCHW = normalise(pixels_NHWC)
    assert images_NCHW.shape == (1, 3, 1, 1)
    torch.testing.assert_close(images_NCHW.flatten(), torch.tensor([-1.0, -0.5 / 127.5, 1.0]))
    assert pixels_NHWC.dtype == torch.uint8


def test_an_error_of_a_picture_travels_between_processes() -> None:
    error = pickle.loads(pickle.dumps(PictureError("undecodable", "what is wrong")))
    assert (error.reason, str(error)) == ("undecodable", "what is wrong")


@pytest.mark.parametrize("kind", ["tiff_lzw", "tiff_adobe_deflate", "jpeg", "group4"])
def test_a_damaged_tiff_is_told_by_its_error_alone(
    kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    image = Image.fromarray(np.arange(96 * 32, dtype=np.uint8).reshape(32, 96))
    file = io.BytesIO()
    image.convert("1" if kind == "group4" else "L").save(file, "TIFF", compression=kind)
    whole, errors = file.getvalue(), 0
    for place in range(8, len(whole), max(1, len(whole) // 60)):
        damaged = bytearray(whole)
        damaged[place : place + 3] = b"\xff\x00\xff"
        for data in (bytes(damaged), whole[:place]):
            try:
                decode_picture(data)
            except PictureError:
                errors += 1
    assert errors > 10
    assert capfd.readouterr() == ("", "")
