"""One picture to read, as a row: where it is, in which version, and which part of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from pipelines.keys import Keys, hashed

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
the store's own, or size and time. ``region``: null, or four corners as ``crnn.images.region`` has
them. ``problem``: why there is nothing to read, else null; the row is an error from the start.
"""
PAGE_ROWS = 512
ROW_MARK = "#"
"""Stands between a shard and the row that is meant."""


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
    return hashed(_place(*row) for row in _columns(table, "uri", "region"))


def versions(table: pa.Table) -> Keys:
    """A hash of each row's address, region and version."""
    rows = _columns(table, "uri", "region", "etag")
    return hashed(f"{_place(uri, region)}\0{etag}" for uri, region, etag in rows)


def _columns(table: pa.Table, *names: str) -> Iterator[tuple]:
    return zip(*(table[name].to_pylist() for name in names), strict=True)


def _place(uri: str, region: list[float] | None) -> str:
    return uri if region is None else f"{uri}\0{region}"
