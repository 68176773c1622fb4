"""What ``crnn.picture_pool`` and its decoding processes say to each other, as bytes on pipes.

Plain structs, never pickle: a process that hostile bytes have taken over may answer anything, and
then its parent must be able to read it without running it.

A request is a number of files, each with its regions. A reply is one of three: ready (hello),
prepared, failed. Replies come in the order of the requests, one for each region of each file.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO, cast

import numpy as np

from crnn.errors import PictureError
from crnn.image import PictureContract
from crnn.prepare import Prepared
from crnn.region import Region

MAX_MESSAGE_CHARS = 1_000
"""Longest error message; decoders quote the file."""

_COUNT = struct.Struct("<I")
_FILE = struct.Struct("<QI")  # bytes of the file, number of regions
_REGION = struct.Struct("<?8d")  # whether there is one; corners
_REPLY = struct.Struct("<BIIIIII?")
"""Kind, bytes that follow, widths of bucket, content and source, the source's height, the width of
the picture turned to its side (0: there is none), squeezed."""
_READY, _PREPARED, _FAILED = 1, 2, 3
_WHOLE = (0.0,) * 8


class Ready:
    """A process has started and waits for pictures."""


Reply = Ready | Prepared | PictureError


@dataclass(frozen=True, kw_only=True)
class Request:
    """One file to decode, and what to prepare of it: the whole (None) or regions."""

    data: bytes
    regions: Sequence[Region | None]


def pack_requests(requests: Sequence[Request]) -> bytes:
    """One message that ``read_requests`` reads back."""
    parts = [_COUNT.pack(len(requests))]
    for request in requests:
        parts.append(_FILE.pack(len(request.data), len(request.regions)))
        parts += [
            _REGION.pack(region is not None, *(_WHOLE if region is None else region))
            for region in request.regions
        ]
        parts.append(request.data)
    return b"".join(parts)


def read_requests(stream: BinaryIO) -> list[Request] | None:
    """The next message, waiting for it; None when the other end is gone."""
    head = stream.read(_COUNT.size)
    if len(head) < _COUNT.size:
        return None
    requests = []
    for _ in range(_COUNT.unpack(head)[0]):
        data_bytes, num_regions = _FILE.unpack(stream.read(_FILE.size))
        packed = stream.read(num_regions * _REGION.size)
        regions = [
            cast(Region, tuple(corners)) if given else None
            for given, *corners in _REGION.iter_unpack(packed)
        ]
        requests.append(Request(data=stream.read(data_bytes), regions=regions))
    return requests


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


def pack_failed(error: PictureError) -> bytes:
    """A picture that can't be read: its reason and message."""
    text = f"{error.reason}\0{error}"[:MAX_MESSAGE_CHARS].encode("utf-8", "replace")
    return _REPLY.pack(_FAILED, len(text), 0, 0, 0, 0, 0, False) + text


class ReplyReader:
    """Bytes as they come from a process → replies by ``contract``, checked."""

    def __init__(self, contract: PictureContract) -> None:
        self._contract = contract
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
            if size > self._max_bytes:
                raise ValueError(f"a reply of {size} bytes; expected at most {self._max_bytes}")
            end = start + _REPLY.size + size
            if len(self._buffer) < end:
                break
            replies.append(self._reply(kind, start + _REPLY.size, size, geometry))
            start = end
        del self._buffer[:start]
        return replies

    def _reply(self, kind: int, start: int, size: int, geometry: Sequence[int]) -> Reply:
        if kind == _READY:
            return Ready()
        if kind == _FAILED:
            text = self._buffer[start : start + size].decode("utf-8", "replace")
            reason, _, message = text.partition("\0")
            return PictureError(reason, message)
        if kind != _PREPARED:
            raise ValueError(f"a reply of kind {kind}")
        bucket_width, content_width_px, source_width_px, source_height_px, side, squeezed = geometry
        height, channels = self._contract.height, self._contract.channels
        fits = bucket_width in self._contract.widths and 0 < content_width_px <= bucket_width
        if not fits or size != height * (bucket_width + side) * channels:
            raise ValueError(f"{size} bytes for {content_width_px} of {bucket_width} columns")
        values = np.frombuffer(self._buffer, dtype=np.uint8, count=size, offset=start).copy()
        upright, sideways = np.split(values, [height * bucket_width * channels])
        return Prepared(
            pixels=upright.reshape(height, bucket_width, channels),
            content_width_px=content_width_px,
            source_width_px=source_width_px,
            source_height_px=source_height_px,
            squeezed=bool(squeezed),
            sideways_HwC=sideways.reshape(height, side, channels) if side else None,
        )
