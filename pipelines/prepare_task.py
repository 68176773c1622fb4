"""The task of a preparation: one range of the listing → its shards, its rejects, its part file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from crnn import storage
from crnn.errors import CrnnError, DataError, PictureError
from crnn.image import decode_picture
from pipelines.output import part_address
from pipelines.shards import ROW_GROUP_BYTES, Reject, Sample, ShardWriter

READ_AHEAD = 256
"""Pictures of a task that are held in memory at once, beside its open row group."""
REMOTE_READERS = 16
"""Concurrent requests of one task to an object store."""


def prepare_part(
    row: dict[str, Any], *, source_uri: str, out_uri: str, source_name: str, max_pixels: int
) -> dict[str, Any]:
    """The task: one range of the listing → its shards, its rejects, then its part file.

    Returns ``part`` (its name), ``statistics`` (``Part`` as JSON) and ``error`` (empty, or why
    the whole job can't go on).
    """
    name = str(row["part"])
    entries = zip(row["id"], row["text"], row["reason"], row["message"], strict=True)
    try:
        with ShardWriter(out_uri, name) as writer:
            for sample, reject in _read(list(entries), source_uri, source_name, max_pixels):
                if sample is not None:
                    writer.write([sample])
                elif reject is not None:
                    writer.reject([reject])
        statistics = writer.close().to_json()
        storage.write_bytes(part_address(out_uri, name), statistics.encode())
    except (CrnnError, OSError) as error:
        return {"part": name, "statistics": "", "error": f"{name}: {error}"}
    return {"part": name, "statistics": statistics, "error": ""}


def _read(
    entries: Sequence[tuple[str, str, str, str]], source_uri: str, source_name: str, max_pixels: int
) -> Iterator[tuple[Sample | None, Reject | None]]:
    """Each entry as a sample or a reject, in order; pictures are read ahead by a few threads."""

    def one(entry: tuple[str, str, str, str]) -> tuple[Sample | None, Reject | None]:
        name, text, reason, message = (str(value) for value in entry)
        try:
            if reason:
                raise PictureError(reason, message)
            return read_sample(source_uri, name, text, source_name, max_pixels), None
        except PictureError as error:
            message = str(error)
            return None, Reject(id=name, reason=error.reason, message=message, source=source_name)

    if storage.is_local(source_uri):
        yield from map(one, entries)
        return
    with ThreadPoolExecutor(REMOTE_READERS) as readers:
        for start in range(0, len(entries), READ_AHEAD):
            yield from readers.map(one, entries[start : start + READ_AHEAD])


def read_sample(source_uri: str, name: str, text: str, source: str, max_pixels: int) -> Sample:
    """The picture ``name`` of the source, proven to decode.

    Raises:
        PictureError: with the reason to reject it.
        DataError: when an object store fails for good: that says nothing of the picture.
    """
    address = storage.join(source_uri, name)
    try:
        data = storage.read_bytes(address)
    except FileNotFoundError:
        raise PictureError("missing_file", f"there is no {address}") from None
    except DataError as error:
        if storage.is_local(source_uri):
            raise PictureError("unreadable_file", str(error)) from error
        raise
    if len(data) > ROW_GROUP_BYTES:
        raise PictureError("too_large", f"{len(data)} bytes; expected at most {ROW_GROUP_BYTES}")
    image = decode_picture(data, max_pixels=max_pixels)
    return Sample(
        id=name, image=data, text=text, width=image.width, height=image.height, source=source
    )
