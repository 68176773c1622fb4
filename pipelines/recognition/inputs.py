"""One picture to read, as a row: where it is, in which version, and which part of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

REGION = pa.list_(pa.float32())
SCHEMA = pa.schema(
    [
        ("uri", pa.string()),
        ("etag", pa.string()),
        ("size", pa.int64()),
        ("region", REGION),
        ("problem", pa.struct([("code", pa.string()), ("message", pa.string())])),
    ]
)
"""``uri``: a file, or ``SHARD.parquet#ROW``. ``etag`` tells one version of a file from another:
the store's own, or size and time. ``region``: null, or four corners as ``crnn.region`` has them.
``problem``: why there is nothing to read, else null; the row is an error from the start.
"""
PAGE_ROWS = 512
ROW_MARK = "#"
"""Stands between a shard and the row that is meant."""

Keys = NDArray[np.bytes_]
_KEY_BYTES = 16
NO_KEYS: Keys = np.empty(0, dtype=f"S{_KEY_BYTES}")


def problem(code: str, message: str) -> dict[str, str]:
    """Why an input can't be read, known when it is listed."""
    return {"code": code, "message": message}


def pages(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in tables of ``PAGE_ROWS``, or more where one file has more regions."""
    rest = SCHEMA.empty_table()
    for table in tables:
        rest = pa.concat_tables([rest, table])
        uris, start = rest["uri"].to_pylist(), 0
        while end := _page_end(uris, start):
            yield rest.slice(start, end - start)
            start = end
        rest = rest.slice(start)
    if len(rest):
        yield rest


def _page_end(uris: list[str], start: int) -> int | None:
    """Where the page from ``start`` ends; None where more rows may belong to it."""
    end = start + PAGE_ROWS
    while end < len(uris) and uris[end] == uris[end - 1]:
        end += 1
    return end if end < len(uris) else None


def places(table: pa.Table) -> Keys:
    """A hash of each row's address and region: what makes two rows the same input."""
    return _hashed(_place(*row) for row in _columns(table, "uri", "region"))


def versions(table: pa.Table) -> Keys:
    """A hash of each row's address, region and version."""
    rows = _columns(table, "uri", "region", "etag")
    return _hashed(f"{_place(uri, region)}\0{etag}" for uri, region, etag in rows)


def among(keys: Keys, known: Keys) -> NDArray[np.bool_]:
    """Which of ``keys`` are in ``known``, which is sorted."""
    if not len(known):
        return np.zeros(len(keys), dtype=bool)
    found: NDArray[np.bool_] = known[position(keys, known)] == keys
    return found


def position(keys: Keys, known: Keys) -> NDArray[np.intp]:
    """Where each of ``keys`` is in ``known``, sorted and not empty, if it is there."""
    return np.searchsorted(known, keys).clip(max=len(known) - 1)


def _columns(table: pa.Table, *names: str) -> Iterator[tuple]:
    return zip(*(table[name].to_pylist() for name in names), strict=True)


def _place(uri: str, region: list[float] | None) -> str:
    return uri if region is None else f"{uri}\0{region}"


def _hashed(texts: Iterable[str]) -> Keys:
    digests = (
        hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=_KEY_BYTES).digest()
        for text in texts
    )
    return np.fromiter(digests, dtype=NO_KEYS.dtype)
