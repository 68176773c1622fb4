"""What ``pool`` and its decoding processes say to each other, as bytes on pipes.

Plain structs, never pickle: a process that hostile bytes have taken over may answer anything, and
then its parent must be able to read it without running it.

A request is a number of files, each with its parts: regions or pages. A reply is one of five:
ready (hello), prepared, pixels, a page, failed. Replies come in the order of the requests, one for
each part of each file.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple, cast

import numpy as np

from crnn.errors import PictureError
from crnn.images.contract import MAX_PIXELS, PictureContract, Pixels
from crnn.images.prepare import Prepared
from crnn.images.region import Region
from crnn.pages.page import PageImage, PageRequest

MAX_MESSAGE_CHARS = 1_000
"""Longest error message; decoders quote the file."""

_COUNT = struct.Struct("<I")
_FILE = struct.Struct("<QI")  # bytes of the file, number of parts
_PART = struct.Struct("<B8d")  # its kind; corners, or what a page's request says
_WHOLE_PART, _REGION_PART, _PAGE_PART, _CUT_WHOLE_PART, _CUT_PART = range(5)
_REPLY = struct.Struct("<BIIIIII?")
"""Kind, bytes that follow, widths of bucket, content and source, the source's height, the width of
the picture turned to its side (0: there is none), squeezed. Of a page the first three are its
width, its height and how many pages there are; of pixels width, height and channels."""
_READY, _PREPARED, _FAILED, _PAGE, _PIXELS = range(1, 6)
_NOTHING = (0.0,) * 8
_CHANNELS = 3
"""Channels of a page: RGB."""


class Started:
    """A process has started and waits for pictures."""


class Cut(NamedTuple):
    """The pixels of a region, or of all of the picture (None), upright, in the file's colours."""

    region: Region | None


Part = Region | PageRequest | Cut | None
"""What is wanted of a file: pixels as they are, those of a page, or what the contract makes of a
region or of all of the picture (None)."""
Answer = Prepared | PageImage | Pixels | PictureError
Reply = Started | Answer


def answers(reply: Reply, part: Part) -> bool:
    """Whether it is of the kind that was asked for, or an error."""
    if isinstance(part, Cut):
        kind: type = np.ndarray
    else:
        kind = PageImage if isinstance(part, PageRequest) else Prepared
    return isinstance(reply, (kind, PictureError))


@dataclass(frozen=True, kw_only=True)
class DecodeRequest:
    """One file to decode, and what to answer of it."""

    data: bytes
    parts: Sequence[Part]


def pack_requests(requests: Sequence[DecodeRequest]) -> bytes:
    """One message that ``read_requests`` reads back."""
    parts = [_COUNT.pack(len(requests))]
    for request in requests:
        parts.append(_FILE.pack(len(request.data), len(request.parts)))
        parts += map(_packed_part, request.parts)
        parts.append(request.data)
    return b"".join(parts)


def read_requests(stream: BinaryIO) -> list[DecodeRequest] | None:
    """The next message, waiting for it; None when the other end is gone."""
    head = stream.read(_COUNT.size)
    if len(head) < _COUNT.size:
        return None
    requests = []
    for _ in range(_COUNT.unpack(head)[0]):
        data_bytes, num_parts = _FILE.unpack(stream.read(_FILE.size))
        packed = stream.read(num_parts * _PART.size)
        parts = [_part(kind, values) for kind, *values in _PART.iter_unpack(packed)]
        requests.append(DecodeRequest(data=stream.read(data_bytes), parts=parts))
    return requests


def _packed_part(part: Part) -> bytes:
    if isinstance(part, Cut):
        kind = _CUT_WHOLE_PART if part.region is None else _CUT_PART
        return _PART.pack(kind, *(part.region or _NOTHING))
    if part is None:
        return _PART.pack(_WHOLE_PART, *_NOTHING)
    if isinstance(part, PageRequest):
        said = (float(part.number), float(part.dpi), float(part.most_pages))
        return _PART.pack(_PAGE_PART, *said, *_NOTHING[len(said) :])
    return _PART.pack(_REGION_PART, *part)


def _part(kind: int, values: Sequence[float]) -> Part:
    if kind == _PAGE_PART:
        number, dpi, most_pages = (int(value) for value in values[:3])
        return PageRequest(number=number, dpi=dpi, most_pages=most_pages)
    region = cast(Region, tuple(values)) if kind in (_REGION_PART, _CUT_PART) else None
    return Cut(region) if kind in (_CUT_WHOLE_PART, _CUT_PART) else region


def pack_ready() -> bytes:
    """The first reply of a process."""
    return _REPLY.pack(_READY, 0, 0, 0, 0, 0, 0, False)


def pack_prepared(picture: Prepared) -> tuple[bytes, memoryview]:
    """A picture, as it goes into the model: what comes first, and its pixels, not copied.

    Turned to its side, if it is tall, its pixels come after those upright.
    """
    sideways = picture.sideways_HwC
    pixels = np.ascontiguousarray(picture.pixels)
    if sideways is not None:
        pixels = np.concatenate([pixels.reshape(-1), sideways.reshape(-1)])
    head = _REPLY.pack(
        _PREPARED,
        pixels.size,
        picture.pixels.shape[1],
        picture.content_width_px,
        picture.source_width_px,
        picture.source_height_px,
        0 if sideways is None else sideways.shape[1],
        picture.squeezed,
    )
    return head, pixels.reshape(-1).data


def pack_pixels(picture: Pixels) -> tuple[bytes, memoryview]:
    """Pixels ``HW`` or ``HWC``: what comes first, and they themselves, copied where they are a
    part of others."""
    pixels = np.ascontiguousarray(picture)
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    head = _REPLY.pack(_PIXELS, pixels.size, width, height, channels, 0, 0, False)
    return head, pixels.reshape(-1).data


def pack_page(page: PageImage) -> tuple[bytes, memoryview]:
    """A page: what comes first, and its pixels, not copied."""
    pixels = np.ascontiguousarray(page.pixels)
    height, width, _ = pixels.shape
    head = _REPLY.pack(_PAGE, pixels.size, width, height, page.count, 0, 0, False)
    return head, pixels.reshape(-1).data


def pack_failed(error: PictureError) -> bytes:
    """A picture that can't be read: its reason and message."""
    text = f"{error.reason}\0{error}"[:MAX_MESSAGE_CHARS].encode("utf-8", "replace")
    return _REPLY.pack(_FAILED, len(text), 0, 0, 0, 0, 0, False) + text


class ReplyReader:
    """Bytes as they come from a process → replies by ``contract``, checked."""

    def __init__(self, contract: PictureContract, max_pixels: int = MAX_PIXELS) -> None:
        self._contract = contract
        self._max_page_bytes = _CHANNELS * max_pixels
        pixel_bytes = contract.height * contract.widths[-1] * contract.channels
        self._max_bytes = max(2 * pixel_bytes, 4 * MAX_MESSAGE_CHARS)
        self._buffer = bytearray()

    def feed(self, received: bytes | memoryview) -> list[Reply]:
        """The replies that are whole by now.

        Raises:
            ValueError: for bytes that no process of ours sends.
        """
        self._buffer += received
        replies, start = [], 0
        while len(self._buffer) - start >= _REPLY.size:
            kind, size, *geometry = _REPLY.unpack_from(self._buffer, start)
            most = self._max_page_bytes if kind in (_PAGE, _PIXELS) else self._max_bytes
            if size > most:
                raise ValueError(f"a reply of {size} bytes; expected at most {most}")
            end = start + _REPLY.size + size
            if len(self._buffer) < end:
                break
            replies.append(self._reply(kind, start + _REPLY.size, size, geometry))
            start = end
        del self._buffer[:start]
        return replies

    def _reply(self, kind: int, start: int, size: int, geometry: Sequence[int]) -> Reply:
        if kind == _READY:
            return Started()
        if kind == _FAILED:
            text = self._buffer[start : start + size].decode("utf-8", "replace")
            reason, _, message = text.partition("\0")
            return PictureError(reason, message)
        if kind == _PAGE:
            return self._page(start, size, geometry)
        if kind == _PIXELS:
            return self._pixels(start, size, geometry)
        if kind != _PREPARED:
            raise ValueError(f"a reply of kind {kind}")
        bucket_width, content_width_px, source_width_px, source_height_px, side, squeezed = geometry
        height, channels = self._contract.height, self._contract.channels
        fits = bucket_width in self._contract.widths and 0 < content_width_px <= bucket_width
        if not fits or size != height * (bucket_width + side) * channels:
            raise ValueError(f"{size} bytes for {content_width_px} of {bucket_width} columns")
        values = self._values(start, size)
        upright, sideways = np.split(values, [height * bucket_width * channels])
        return Prepared(
            pixels=upright.reshape(height, bucket_width, channels),
            content_width_px=content_width_px,
            source_width_px=source_width_px,
            source_height_px=source_height_px,
            squeezed=bool(squeezed),
            sideways_HwC=sideways.reshape(height, side, channels) if side else None,
        )

    def _page(self, start: int, size: int, geometry: Sequence[int]) -> PageImage:
        width, height, count, *_ = geometry
        if size != width * height * _CHANNELS:
            raise ValueError(f"{size} bytes for a page of {width}x{height} px")
        values = self._values(start, size)
        return PageImage(pixels=values.reshape(height, width, _CHANNELS), count=count)

    def _pixels(self, start: int, size: int, geometry: Sequence[int]) -> Pixels:
        width, height, channels, *_ = geometry
        if channels not in (1, _CHANNELS) or not size or size != width * height * channels:
            raise ValueError(f"{size} bytes for {width}x{height} px of {channels} channels")
        shape = (height, width) if channels == 1 else (height, width, channels)
        return self._values(start, size).reshape(shape)

    def _values(self, start: int, size: int) -> Pixels:
        return np.frombuffer(self._buffer, dtype=np.uint8, count=size, offset=start).copy()
