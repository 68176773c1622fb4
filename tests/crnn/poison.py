"""Bad pictures, made in code: what each is, and what may come of it. And good ones beside them."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

READ = frozenset[str]()
UNDECODABLE = frozenset({"undecodable"})
TOO_LARGE = frozenset({"too_large"})
HEAVY = frozenset({"out_of_memory", "decoder_died", "decoder_timeout"})
"""What a picture that is whole, but too much for the limits given, may end with."""


@dataclass(frozen=True)
class Poison:
    """One bad picture."""

    data: bytes
    codes: frozenset[str]
    """Error codes allowed."""
    may_read: bool = False
    """Whether reading it is allowed as well; without codes it must be read."""

    def allows(self, code: str | None) -> bool:
        """Whether it may end so: None is read."""
        return code in self.codes if code is not None else self.may_read or not self.codes


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(width: int, height: int, seed: int = 0, mode: str = "RGB") -> Image.Image:
    """A picture in which every pixel counts."""
    shape = (height, width, 3)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


@cache
def good_pictures(count: int) -> tuple[bytes, ...]:
    """Word crops of many sizes and formats, each unlike the others."""
    kinds = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP")
    return tuple(
        encoded(noise(40 + 7 * (i % 23), 16 + 5 * (i % 9), seed=i), kinds[i % len(kinds)])
        for i in range(count)
    )


def png(width: int, height: int, bits: int, colour: int, body: bytes, *chunks: bytes) -> bytes:
    """A PNG of any header; ``body`` is the compressed image data, ``chunks`` go before it."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    data = [png_chunk(b"IHDR", header), *chunks, png_chunk(b"IDAT", body), png_chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(data)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def flat_png(width: int, height: int, colour: int, channels: int) -> bytes:
    """All zeros, a row at a time: small however large the picture."""
    packer = zlib.compressobj(9)
    row = bytes(1 + width * channels)
    body = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    return png(width, height, 8, colour, body)


def jpeg_with_header_size(side: int) -> bytes:
    data = bytearray(encoded(noise(64, 64), "JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", side, side)
    return bytes(data)


def endless_jpeg(side: int, scans: int) -> bytes:
    """A progressive JPEG that goes over all its pixels once more for each 14 bytes."""
    plain = encoded(Image.new("L", (side, side), 128), "JPEG", progressive=True)
    last_scan, end = plain.rindex(b"\xff\xda"), plain.rindex(b"\xff\xd9")
    return plain[:end] + plain[last_scan:end] * scans + plain[end:]


WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, XMP = 256, 257, 258, 259, 262, 700
STRIP_OFFSETS, ROWS_PER_STRIP, STRIP_BYTES = 273, 278, 279
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES = 322, 323, 324, 325
Field = tuple[int, int, int]
STRIPS: dict[int, Field] = {
    STRIP_OFFSETS: (4, 1, 8), ROWS_PER_STRIP: (4, 1, 8), STRIP_BYTES: (4, 1, 64),
}  # fmt: skip


def tiff(changes: dict[int, Field], layout: dict[int, Field] = STRIPS) -> bytes:
    """An 8x8 grey TIFF with other fields: tag → type, count, value."""
    fields: dict[int, Field] = {
        WIDTH: (4, 1, 8), HEIGHT: (4, 1, 8), BITS: (3, 1, 8), COMPRESSION: (3, 1, 1),
        PHOTOMETRIC: (3, 1, 1), **layout, **changes,
    }  # fmt: skip
    entries = [struct.pack("<HHII", tag, *fields[tag]) for tag in sorted(fields)]
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    return b"II*\0" + struct.pack("<I", 72) + bytes(64) + directory


def animated(kind: str) -> bytes:
    first, second = noise(60, 24, 1), noise(60, 24, 2)
    return encoded(first, kind, save_all=True, append_images=[second], duration=50)


def rotated_jpeg() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(noise(32, 90), "JPEG", exif=exif.tobytes())


def see_through_palette() -> bytes:
    paletted = noise(90, 30).quantize(16)
    return encoded(paletted, "PNG", transparency=bytes(range(0, 256, 16)))


@cache
def corpus() -> dict[str, Poison]:
    """Every bad picture by name, for the limits that a ``PicturePool`` has by itself."""
    return {**_damaged(), **_odd(), **_too_large(), **_bombs()}


def _damaged() -> dict[str, Poison]:
    rng = np.random.default_rng(5)
    found = {
        f"truncated_{kind.lower()}": Poison(data[: len(data) * 6 // 10], UNDECODABLE)
        for kind in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF", "JPEG2000")
        for data in [encoded(noise(120, 40), kind)]
    }
    found |= {
        f"random_with_magic_{name}": Poison(magic + rng.bytes(3_000), UNDECODABLE | TOO_LARGE)
        for name, magic in {
            "jpeg": b"\xff\xd8\xff\xe0\0\x10JFIF\0",
            "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
            "gif": b"GIF89a",
            "webp": b"RIFF\0\x10\0\0WEBPVP8 ",
            "tiff": b"II*\0\x08\0\0\0",
        }.items()
    }
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 90 30\n%%EndComments\nshowpage\n"
    return found | {
        "zero_bytes": Poison(b"", frozenset({"empty_file"})),
        "html": Poison(b"<!DOCTYPE html><html><body>404 Not Found</body></html>", UNDECODABLE),
        "eps": Poison(postscript, UNDECODABLE),
        "svg": Poison(b'<svg xmlns="http://www.w3.org/2000/svg" width="9"/>', UNDECODABLE),
        "icon": Poison(encoded(noise(64, 64), "ICO"), UNDECODABLE),
    }


def _odd() -> dict[str, Poison]:
    grey_16 = Image.fromarray(np.arange(2_700, dtype=np.uint16).reshape(30, 90) * 24)
    rgb_16 = zlib.compress(b"".join(b"\0" + bytes(range(180)) * 3 for _ in range(30)))
    pictures = {
        "one_pixel": encoded(noise(1, 1)),
        "one_column": encoded(noise(1, 20_000)),
        "one_row": encoded(noise(20_000, 1)),
        "grey_16_png": encoded(grey_16),
        "grey_16_tiff": encoded(grey_16, "TIFF"),
        "rgb_16_png": png(90, 30, 16, 2, rgb_16),
        "cmyk_jpeg": encoded(noise(90, 30, mode="CMYK"), "JPEG"),
        "palette_with_transparency": see_through_palette(),
        "rotated_jpeg": rotated_jpeg(),
        "animated_gif": animated("GIF"),
        "animated_webp": animated("WEBP"),
        "animated_png": animated("PNG"),
        "animated_avif": animated("AVIF"),
        "mpo": animated("MPO"),
    }
    return {name: Poison(data, READ) for name, data in pictures.items()}


def _too_large() -> dict[str, Poison]:
    side = 50_000
    return {
        "huge_png_header": Poison(png(side, side, 8, 2, zlib.compress(bytes(99))), TOO_LARGE),
        "huge_jpeg_header": Poison(jpeg_with_header_size(side), TOO_LARGE),
        "huge_tiff_header": Poison(tiff({WIDTH: (4, 1, side), HEIGHT: (4, 1, side)}), TOO_LARGE),
        "over_max_pixels": Poison(flat_png(8_001, 8_000, 0, 1), TOO_LARGE),
    }


def _bombs() -> dict[str, Poison]:
    zeros = zlib.compress(bytes(80_000_000), 9)
    text = [png_chunk(b"zTXt", b"Comment\0\0" + zeros)]
    profile = [png_chunk(b"iCCP", b"profile\0\0" + zeros)]
    row = zlib.compress(bytes(91 * 30))
    big_tile: dict[int, Field] = {
        TILE_WIDTH: (4, 1, 60_000), TILE_HEIGHT: (4, 1, 60_000),
        TILE_OFFSETS: (4, 1, 8), TILE_BYTES: (4, 1, 64),
    }  # fmt: skip
    damaged = UNDECODABLE | HEAVY
    return {
        "decompression_bomb": Poison(flat_png(7_900, 8_000, 2, 3), HEAVY, may_read=True),
        "text_bomb": Poison(png(90, 30, 8, 0, row, *text), damaged, may_read=True),
        "profile_bomb": Poison(png(90, 30, 8, 0, row, *profile), damaged, may_read=True),
        "tile_bomb": Poison(tiff({COMPRESSION: (3, 1, 8)}, big_tile), damaged, may_read=True),
        "raw_tile_bomb": Poison(tiff({}, big_tile), damaged, may_read=True),
        "tag_bomb": Poison(tiff({XMP: (1, 1 << 31, 8)}), damaged, may_read=True),
        "strip_bomb": Poison(tiff({STRIP_OFFSETS: (4, 1 << 30, 8)}), damaged, may_read=True),
    }


@cache
def memory_hog() -> bytes:
    """A PNG of 36 million pixels in some ten kilobytes: decoded it is 144 MB."""
    return flat_png(6_000, 6_000, 2, 3)


@cache
def time_hog() -> bytes:
    """A JPEG of 280 kB and 4 million pixels that decodes for many seconds."""
    return endless_jpeg(2_000, 20_000)
