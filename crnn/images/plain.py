"""The quick way for what most pictures are: whole, upright JPEGs and PNGs of 8 bits, opaque.

libjpeg-turbo (by simplejpeg) and OpenCV decode them in a third to a half of Pillow's time, and
give a grey model the luma that a JPEG holds, without a way over RGB. ``crnn.images.contract`` takes
all else through Pillow. OpenCV gives the same pixels of a JPEG, but its libjpeg tells of damage on
stderr, a line a picture.

What is small besides may be decoded in a process that answers others (``docs/security.md``). It is
bounded in work, not in size alone: the entropy-coded data is gone through once, and nothing but
pixels is inflated, no more of them than the header says.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

SMALL_BYTES = 1 << 19
SMALL_PIXELS = 1 << 19
SMALL_SIDE_PX = 16_384
"""Limit of a small picture: more than a word or a line needs (2,048x256 px)."""

_BEGIN, _END = b"\xff\xd8", b"\xff\xd9"
_SEGMENT = struct.Struct(">BBH")  # 0xFF, marker, bytes from here on
_FRAME = struct.Struct(">BHHB")  # bits, height, width, components
_SEQUENTIAL = frozenset({0xC0, 0xC1})
"""Start of a frame that comes in one go: baseline and extended, Huffman-coded."""
_FRAMES = _SEQUENTIAL | {0xC2}
"""The same, and progressive."""
_SCAN = 0xDA
_PLAIN_SEGMENTS = frozenset({0xC4, 0xDB, 0xDD, 0xE0, 0xFE})
"""Tables, restart interval, JFIF, comment: nothing that changes how pixels are meant. An Exif
segment may turn them, Adobe's may say that they are CMYK or RGB."""
_YCBCR_IDS = (1, 2, 3)
_MOST_PARTS = 256
"""Segments or chunks that are looked at: hostile files have any number of them."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHUNK = struct.Struct(">I4s")  # bytes of its data, type; after the data comes the checksum
_CHECKSUM = struct.Struct(">I")
_IMAGE_HEADER = struct.Struct(">IIBBBBB")  # width, height, bits, colour, three methods
_IMAGE_HEADER_PLACE = len(_SIGNATURE) + _CHUNK.size
_CHANNELS = {0: 1, 2: 3}
"""By PNG's type of colour: grey and RGB, without alpha or palette."""
_PLAIN_CHUNKS = frozenset({b"pHYs", b"tEXt", b"zTXt", b"iTXt", b"tIME", b"gAMA", b"cHRM", b"sRGB"})
_PLAIN_CHUNKS |= {b"iCCP", b"sBIT", b"bKGD", b"hIST"}
"""Nothing that changes how Pillow means the pixels: no transparency, turning or animation."""
_MOST_INFLATED = 1032
"""Bytes that one of deflate can become."""
_LITTLE_BYTES = 4 << 20
"""Inflated within some milliseconds."""
_INFLATED_AT_ONCE = 1 << 20
"""Bytes: a large picture's data is counted in pieces, not held in memory whole."""


class Header(NamedTuple):
    """What the header of a plain picture tells."""

    width: int
    height: int
    channels: int
    """1 (grey) or 3 (colour)."""
    in_one_go: bool
    """Decoding takes time in proportion to the pixels: a JPEG of several scans, progressive or
    not, may pass over them for thousands of times."""

    @property
    def num_pixels(self) -> int:
        """Number of pixels of the whole picture."""
        return self.width * self.height

    def is_small(self) -> bool:
        """Whether there is little to decode, in one go."""
        return (
            self.in_one_go
            and self.num_pixels <= SMALL_PIXELS
            and max(self.width, self.height) <= SMALL_SIDE_PX
        )


def decode_plain(data: bytes, *, grey: bool, max_pixels: int) -> NDArray[np.uint8] | None:
    """Pixels ``HW`` or RGB ``HWC``; None for all that isn't so plain, or isn't sound.

    Args:
        data: a file's bytes.
        grey: the luma alone of a JPEG in colour.
        max_pixels: of a picture; None for a larger one.
    """
    header = plain_header(data)
    if header is None or header.num_pixels > max_pixels:
        return None
    return decode_by(header, data, grey=grey)


def decode_by(header: Header, data: bytes, *, grey: bool) -> NDArray[np.uint8] | None:
    """The same of a file whose header is known."""
    luma = header.channels == 1 or (grey and data.startswith(_BEGIN))
    if data.startswith(_BEGIN):
        pixels = _decoded_jpeg(data, luma)
    else:
        bare = _bare_png(data, header)
        pixels = None if bare is None else _decoded_png(bare, luma)
    fits = pixels is not None and pixels.shape[:2] == (header.height, header.width)
    return pixels if fits else None


def _decoded_jpeg(data: bytes, luma: bool) -> NDArray[np.uint8] | None:
    """None for a file that libjpeg has any complaint of."""
    try:
        pixels = simplejpeg.decode_jpeg(data, "GRAY" if luma else "RGB")
    except (MemoryError, ValueError):  # Pillow makes of it what can be made, or tells
        return None
    return np.asarray(pixels[:, :, 0] if luma else pixels, dtype=np.uint8)


def _decoded_png(data: bytes, luma: bool) -> NDArray[np.uint8] | None:
    how = cv2.IMREAD_GRAYSCALE if luma else cv2.IMREAD_COLOR_RGB
    encoded = np.frombuffer(data, dtype=np.uint8)
    try:
        pixels = cv2.imdecode(encoded, how | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:  # no memory, perhaps: Pillow will tell
        return None
    return None if pixels is None else np.asarray(pixels, dtype=np.uint8)


def small_header(data: bytes) -> Header | None:
    """Header of a picture that decodes in a few milliseconds and MB at most, for any content.

    None for any other.
    """
    if len(data) > SMALL_BYTES:
        return None
    header = plain_header(data)
    return header if header is not None and header.is_small() else None


def plain_header(data: bytes) -> Header | None:
    """Header of a JPEG or PNG that is plain judging by its header; None for anything else."""
    header = None
    if data.startswith(_BEGIN):
        header = _jpeg_header(data)
    elif data.startswith(_SIGNATURE):
        header = _png_header(data)
    return header if header and header.width and header.height else None


def _jpeg_header(data: bytes) -> Header | None:
    if not data.endswith(_END):
        return None
    place, found = len(_BEGIN), None
    for _ in range(_MOST_PARTS):
        if place + _SEGMENT.size > len(data):
            break
        mark, marker, size = _SEGMENT.unpack_from(data, place)
        if marker == _SCAN:
            return found and _with_scan(found, data, place + _SEGMENT.size)
        if marker in _FRAMES and not found:
            found = _frame(data[place + _SEGMENT.size : place + 2 + size], marker in _SEQUENTIAL)
            if not found:
                return None
        elif marker not in _PLAIN_SEGMENTS or mark != 0xFF:
            return None
        place += 2 + size
    return None


def _frame(header: bytes, in_one_go: bool) -> Header | None:
    if len(header) < _FRAME.size:
        return None
    bits, height, width, count = _FRAME.unpack_from(header)
    ids = tuple(header[_FRAME.size :: 3])
    if bits != 8 or count != len(ids) or not (count == 1 or ids == _YCBCR_IDS):
        return None
    return Header(width, height, count, in_one_go)


def _with_scan(frame: Header, data: bytes, place: int) -> Header:
    """The frame's header, once its first scan is known: one that has all components is the only
    one, and libjpeg refuses others behind it; else it keeps coefficients for any number of them."""
    whole = place < len(data) and data[place] == frame.channels
    return frame if whole else frame._replace(in_one_go=False)


def _png_header(data: bytes) -> Header | None:
    if len(data) < _IMAGE_HEADER_PLACE + _IMAGE_HEADER.size:
        return None
    if _CHUNK.unpack_from(data, len(_SIGNATURE)) != (_IMAGE_HEADER.size, b"IHDR"):
        return None
    width, height, bits, colour, *methods = _IMAGE_HEADER.unpack_from(data, _IMAGE_HEADER_PLACE)
    if bits != 8 or colour not in _CHANNELS or any(methods):  # the last one: interlaced
        return None
    return Header(width, height, _CHANNELS[colour], in_one_go=True)


def _bare_png(data: bytes, header: Header) -> bytes | None:
    """What makes its pixels alone: header, image data and end; None for a PNG that isn't plain.

    libpng never sees the rest, which may inflate to megabytes a chunk (texts, a profile) and says
    nothing of the pixels here. All checksums are compared, or it would tell of damage on stderr.
    """
    place, kept = len(_SIGNATURE), 0
    parts: list[bytes] = []
    pixels: list[bytes] = []
    for number in range(_MOST_PARTS):
        if place + _CHUNK.size + _CHECKSUM.size > len(data):
            break
        size, kind = _CHUNK.unpack_from(data, place)
        began, body = place, place + _CHUNK.size
        place = body + size + _CHECKSUM.size
        if place > len(data) or (number == 0) != (kind == b"IHDR"):
            return None
        if zlib.crc32(data[began + 4 : body + size]) != _CHECKSUM.unpack_from(data, body + size)[0]:
            return None
        if kind == b"IDAT":
            pixels.append(data[body : body + size])
        elif kind == b"IEND":
            if not _ends_with_its_rows(pixels, header):
                return None
            return b"".join([*parts, data[kept:place]]) if parts else data
        elif kind in _PLAIN_CHUNKS:
            parts.append(data[kept:began])
            kept = place
        elif kind != b"IHDR":
            return None
    return None


def _ends_with_its_rows(packed: list[bytes], header: Header) -> bool:
    """Whether image data inflates to what the header says and no more, or to little in any case:
    libpng inflates all that is behind the last row, only to warn of it."""
    if sum(map(len, packed)) * _MOST_INFLATED <= _LITTLE_BYTES:
        return True
    left = header.height * (1 + header.width * header.channels)  # a filter's number before each row
    inflating = zlib.decompressobj()
    try:
        for part in packed:
            while part:
                left -= len(inflating.decompress(part, min(left + 1, _INFLATED_AT_ONCE)))
                if left < 0:
                    return False
                part = inflating.unconsumed_tail
    except zlib.error:
        return False
    return inflating.eof
