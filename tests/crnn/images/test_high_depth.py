"""Files of 16 bits: the range that is there is used, whichever way it came."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from crnn.errors import PictureError
from crnn.images.contract import decode_picture, upright
from crnn.images.prepare import upright_picture
from crnn.pages.opening import page_first

BITS = [8, 10, 12, 14, 16]


def ramp(bits: int) -> np.ndarray:
    most = (1 << bits) - 1
    return np.linspace(0, most, 40).round().astype(np.uint16).reshape(4, 10)


def png(values: np.ndarray, **extra: bytes) -> bytes:
    """A PNG of 16 bits (RGB order), with these chunks behind its header."""
    done, data = cv2.imencode(".png", values)
    assert done
    whole = data.tobytes()
    for name, body in extra.items():
        kind = name.encode()
        crc = struct.pack(">I", zlib.crc32(kind + body))
        whole = whole[:33] + struct.pack(">I", len(body)) + kind + body + crc + whole[33:]
    return whole


def tiff(values: np.ndarray, **tags: Any) -> bytes:
    file = io.BytesIO()
    info = {{"white": 341}[name]: value for name, value in tags.items()}
    Image.fromarray(values).save(file, "TIFF", tiffinfo=info)
    return file.getvalue()


def spread(image: Image.Image) -> tuple[int, int]:
    pixels = np.asarray(image.convert("L"))
    return int(pixels.min()), int(pixels.max())


@pytest.mark.parametrize("bits", BITS)
def test_values_of_fewer_bits_fill_the_range(bits: int) -> None:
    values = ramp(bits)
    expected = np.rint(values * (255 / ((1 << bits) - 1))).astype(np.uint8)
    for found in (
        decode_picture(png(values)),
        decode_picture(tiff(values)),
        upright(Image.fromarray(values)),
        upright(Image.fromarray(values.astype(np.int32))),
        Image.fromarray(upright_picture(Image.open(io.BytesIO(png(values))))),
    ):
        assert found.mode == "L"
        assert np.array_equal(np.asarray(found), expected)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("kind", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [3, 4])
def test_colours_of_fewer_bits_fill_the_range(kind: str, channels: int, bits: int) -> None:
    values = np.dstack([ramp(bits)] * channels)
    values[:, :, 0] //= 2  # blue
    if channels == 4:
        values[:, :, 3] = (1 << bits) - 1
    done, data = cv2.imencode(kind, values)
    assert done
    found = decode_picture(data.tobytes())
    assert found.mode == "RGB"
    red, green, blue = (np.asarray(found)[:, :, i].astype(int) for i in range(3))
    expected = ramp(bits) * (255 / ((1 << bits) - 1))
    assert np.abs(red - expected).max() <= 1 and np.array_equal(red, green)
    assert np.abs(blue - expected / 2).max() <= 1.5


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("kind", [".jp2", ".ppm"])
def test_colours_of_16_bits_in_other_formats_fill_the_range(kind: str, bits: int) -> None:
    """Pillow makes of white in a JPEG 2000 of 16 bits black: 65535 rounds up to 256."""
    most = (1 << bits) - 1
    grey = np.tile(np.linspace(0, most, 64).round().astype(np.uint16), (64, 1))
    done, data = cv2.imencode(kind, np.dstack([grey // 2, grey, grey]))
    assert done
    found = np.asarray(decode_picture(data.tobytes())).astype(int)
    expected = grey * (255 / most)
    assert np.abs(found[:, :, 0] - expected).max() <= 1  # red
    assert np.abs(found[:, :, 2] - expected / 2).max() <= 1.5


def test_transparency_of_a_jpeg_2000_of_16_bits_is_kept() -> None:
    values = np.full((64, 64, 4), 65535, np.uint16)
    values[:, :, :3] = 0
    values[:, :32, 3] = 0
    done, data = cv2.imencode(".jp2", values)
    assert done
    pixels = np.asarray(decode_picture(data.tobytes()).convert("L"))
    assert pixels[0, 0] == 255 and pixels[0, 63] == 0


def test_the_header_wins_over_the_range() -> None:
    dark = ramp(8)
    assert spread(decode_picture(png(dark, sBIT=b"\x10"))) == (0, 1)
    assert spread(decode_picture(png(dark, sBIT=b"\x0c"))) == (0, 16)
    assert spread(decode_picture(png(ramp(16), sBIT=b"\x08"))) == (0, 255)  # scaled, as PNG wants
    assert spread(decode_picture(tiff(dark, white=1000))) == (0, 65)
    assert spread(decode_picture(tiff(ramp(12), white=1000))) == (0, 255)  # it can't be


def test_a_black_picture_stays_black() -> None:
    assert spread(decode_picture(png(np.zeros((4, 10), np.uint16)))) == (0, 0)
    assert spread(decode_picture(png(np.zeros((4, 10, 3), np.uint16)))) == (0, 0)


def test_what_fills_its_range_is_as_it_was() -> None:
    values = np.random.default_rng(0).integers(0, 65536, (8, 16, 3)).astype(np.uint16)
    data = png(values)
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(np.asarray(decode_picture(data)), np.asarray(image))


def test_light_ink_of_few_bits_on_a_transparent_ground_is_seen() -> None:
    values = np.zeros((20, 40, 4), np.uint16)
    values[8:12, 5:35] = 255
    pixels = np.asarray(decode_picture(png(values)).convert("L"))
    assert pixels[0, 0] == 0 and pixels[10, 20] == 255


def test_an_orientation_is_applied_to_it_as_well() -> None:
    values = np.zeros((10, 20, 3), np.uint16)
    values[:5] = 200
    exif = Image.Exif()
    exif[0x0112] = 6
    data = png(values, eXIf=exif.tobytes()[6:])
    found = np.asarray(decode_picture(data).convert("L"))
    assert found.shape == (20, 10) and found[:, -1].min() > found[:, 0].max()


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_odd_chunks_are_no_word_on_stderr(kind: type, capfd: pytest.CaptureFixture[str]) -> None:
    values = np.dstack([ramp(8)] * 3).astype(kind)
    odd = png(values, iCCP=b"odd\x00\x00" + zlib.compress(b"no profile"), gAMA=b"\0\0\0\0")
    cv2.imdecode(np.frombuffer(odd, np.uint8), cv2.IMREAD_UNCHANGED)
    assert "libpng" in capfd.readouterr().err  # it does warn of them
    assert spread(decode_picture(odd)) == (0, 255)
    assert capfd.readouterr().err == ""


def test_opencv_warns_of_no_tiff(capfd: pytest.CaptureFixture[str]) -> None:
    done, data = cv2.imencode(".tiff", np.dstack([ramp(8)] * 4))
    assert done
    decode_picture(data.tobytes())
    assert capfd.readouterr().err == ""


def test_damage_is_a_picture_or_a_reject() -> None:
    whole = png(np.dstack([ramp(8)] * 3))
    for cut in range(8, len(whole), 3):
        try:
            decode_picture(whole[:cut])
        except PictureError as error:
            assert error.reason in ("undecodable", "empty_file")


@pytest.mark.parametrize(
    ("ground", "ink", "shown"),
    [
        ((0, 0, 0), (900, 900, 900), (255, 4)),  # black on black without the transparency
        ((1000, 2000, 3000), (1001, 2000, 3000), (255, 12)),  # equal in their high bytes
        ((9, 9, 9), (65535, 65535, 65535), (0, 255)),  # white ink is laid on black
        ((59624, 53456, 47288), (232, 208, 184), (255, 1)),
    ],
)
def test_a_transparent_colour_of_16_bits_is_transparent(
    ground: tuple[int, ...], ink: tuple[int, ...], shown: tuple[int, int]
) -> None:
    values = np.full((12, 30, 3), ground[::-1], np.uint16)
    values[4:8, 5:25] = ink[::-1]
    values[5, 6] = (65535, 65535, 65535)  # the range is that of 16 bits
    found = decode_picture(png(values, tRNS=struct.pack(">3H", *ground)))
    picture = np.asarray(found.convert("RGB"))
    assert (picture[0, 0] == shown[0]).all()
    assert picture[6, 15].max() == shown[1]


def test_without_a_transparent_colour_nothing_is() -> None:
    values = np.full((6, 9, 3), 40000, np.uint16)
    assert np.asarray(decode_picture(png(values))).max() == 156


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_a_later_page_fills_its_range_too(bits: int, capfd: pytest.CaptureFixture[str]) -> None:
    page = np.full((20, 60, 3), (1 << bits) - 1, np.uint16)
    page[5:15, 10:50] = 0
    for frames in ([page, page], [page // 2, page]):
        made, encoded = cv2.imencodemulti(".tiff", frames)
        assert made
        found = np.asarray(decode_picture(page_first(encoded.tobytes(), 1)))
        assert found.shape == (20, 60, 3)
        assert (found[0, 0].tolist(), found[10, 30].tolist()) == ([255] * 3, [0] * 3)
    assert capfd.readouterr() == ("", "")
