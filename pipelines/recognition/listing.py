"""What there is to read: addresses with their versions, in tables, while the store is listed.

Nothing holds a whole listing: a bucket of any size goes by in pages.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl

import boto3
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from crnn import storage
from crnn.errors import DataError

SCHEMA = pa.schema([("uri", pa.string()), ("etag", pa.string()), ("size", pa.int64())])
"""``etag`` tells one version of a file from another: the store's own, or size and time."""
PAGE_ROWS = 1000
PICTURE_SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".png", ".webp", ".gif", ".tif", ".tiff", ".bmp"),
        *(".ppm", ".pgm", ".pbm", ".jp2", ".avif"),
    }
)
_WILD = "*?["
_TABLES = (".parquet", ".csv")


def list_inputs(uri: str, *, all_files: bool = False) -> Iterator[pa.Table]:
    """Tables of ``SCHEMA`` with every picture that ``uri`` stands for, each once.

    Args:
        uri: a folder or prefix (read with all folders below it), one picture, a pattern
            (``*`` also crosses folders), or a ``.parquet`` or ``.csv`` file with a column ``uri``
            and perhaps ``etag``.
        all_files: take files whose names don't look like pictures too.

    Raises:
        DataError: when there is nothing at ``uri``, or it can't be listed.
    """
    bare, options = storage.split_options(uri)
    if bare.lower().endswith(_TABLES):
        return _from_table(uri)
    pattern = ""
    if any(mark in bare for mark in _WILD):
        pattern, head = bare, bare[: min(bare.find(mark) for mark in _WILD if mark in bare)]
        bare = head.rpartition("/")[0] or "."
    files = _local_files(bare) if storage.is_local(uri) else _stored_files(bare, options)
    if pattern and storage.is_local(uri):
        pattern = storage.absolute(pattern)
    return _pages(row for row in files if _wanted(row["uri"], pattern + options, all_files))


def _wanted(uri: str, pattern: str, all_files: bool) -> bool:
    bare, _ = storage.split_options(uri)
    if pattern and not fnmatch.fnmatchcase(bare, storage.split_options(pattern)[0]):
        return False
    return all_files or Path(bare).suffix.lower() in PICTURE_SUFFIXES


def _pages(rows: Iterable[dict[str, Any]]) -> Iterator[pa.Table]:
    page: list[dict[str, Any]] = []
    for row in rows:
        page.append(row)
        if len(page) == PAGE_ROWS:
            yield pa.Table.from_pylist(page, schema=SCHEMA)
            page = []
    if page:
        yield pa.Table.from_pylist(page, schema=SCHEMA)


def _local_files(path: str) -> Iterator[dict[str, Any]]:
    root = storage.absolute(path)
    if Path(root).is_file():
        yield _local_row(root, Path(root).stat())
        return
    if not Path(root).is_dir():
        raise DataError(f"there is nothing at {path}; expected a folder, a picture or a pattern")
    folders = [root]
    while folders:
        with os.scandir(folders.pop()) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        folders += [entry.path for entry in reversed(entries) if entry.is_dir()]
        for entry in entries:
            if entry.is_file():
                yield _local_row(entry.path, entry.stat())


def _local_row(path: str, info: os.stat_result) -> dict[str, Any]:
    return {"uri": path, "etag": f"{info.st_size}-{info.st_mtime_ns}", "size": info.st_size}


def _stored_files(bare: str, options: str) -> Iterator[dict[str, Any]]:
    """Keys below a prefix of whole names, or the one key itself."""
    found = False
    for row in _below(bare, options):
        found = True
        yield row
    if not found:
        yield from _stored_file(bare, options)


def _below(bare: str, options: str) -> Iterator[dict[str, Any]]:
    if not bare.startswith("s3://"):
        yield from _all_at_once(bare + options)
        return
    bucket, _, prefix = bare.removeprefix("s3://").partition("/")
    prefix = prefix.rstrip("/") + "/" if prefix.strip("/") else ""
    pages = s3_client(options).get_paginator("list_objects_v2")
    try:
        for page in pages.paginate(Bucket=bucket, Prefix=prefix):
            for entry in page.get("Contents", ()):
                if not entry["Key"].endswith("/"):  # what some tools leave for a folder
                    yield {
                        "uri": f"s3://{bucket}/{entry['Key']}{options}",
                        "etag": entry["ETag"].strip('"'),
                        "size": entry["Size"],
                    }
    except (BotoCoreError, ClientError) as error:
        raise DataError(
            f"can't list {bare}: {error}; check address, credentials and endpoint"
        ) from error


def _all_at_once(uri: str) -> Iterator[dict[str, Any]]:
    """The listing of a store that Arrow doesn't page through: gs://."""
    try:
        for info in storage.list_files(uri, recursive=True):
            etag = f"{info.size_bytes}-{info.mtime:.6f}"
            yield {"uri": info.uri, "etag": etag, "size": info.size_bytes}
    except FileNotFoundError:
        return


def _stored_file(bare: str, options: str) -> Iterator[dict[str, Any]]:
    uri = bare + options
    system, path = storage.resolve(uri)
    info = storage.attempt("look at", uri, lambda: system.get_file_info(path))
    if not info.is_file:
        raise DataError(f"there is nothing at {bare}; expected a prefix with pictures")
    yield {"uri": uri, "etag": f"{info.size}-{info.mtime_ns}", "size": info.size}


def s3_client(options: str) -> Any:
    """A client of S3 for addresses with these ``options``, else as the environment says."""
    given = dict(parse_qsl(options[1:]))
    endpoint = given.get("endpoint_override", "")
    if endpoint and "://" not in endpoint:
        endpoint = f"{given.get('scheme', 'https')}://{endpoint}"
    unsigned = given.get("anonymous", "").lower() in ("1", "true", "yes")
    return boto3.client(
        "s3",
        endpoint_url=endpoint or None,
        region_name=given.get("region"),
        config=Config(
            retries={"mode": "adaptive", "max_attempts": 8},
            signature_version=UNSIGNED if unsigned else None,
        ),
    )


def _from_table(uri: str) -> Iterator[pa.Table]:
    """A list that the user made; without versions, a file in it counts as unchanged for ever."""
    system, path = storage.resolve(uri)
    try:
        with system.open_input_file(path) as file:
            for batch in _batches(uri, file):
                if "uri" not in batch.schema.names:
                    raise DataError(f"{uri} has columns {batch.schema.names}; expected one 'uri'")
                yield _listed(pa.Table.from_batches([batch]))
    except FileNotFoundError:
        raise DataError(f"there is no list of pictures at {uri}") from None
    except pa.ArrowException as error:
        raise DataError(f"{uri} can't be read as a list of pictures: {error}") from error


def _batches(uri: str, file: pa.NativeFile) -> Iterator[pa.RecordBatch]:
    if storage.split_options(uri)[0].lower().endswith(".csv"):
        return iter(pyarrow.csv.open_csv(file))
    return cast(Iterator[pa.RecordBatch], pq.ParquetFile(file).iter_batches(PAGE_ROWS))


def _listed(table: pa.Table) -> pa.Table:
    uris = [storage.absolute(uri) for uri in table.column("uri").cast(pa.string()).to_pylist()]
    missing = pa.nulls(len(uris))
    etags = table.column("etag") if "etag" in table.column_names else missing
    return pa.table(
        {
            "uri": pa.array(uris, pa.string()),
            "etag": etags.cast(pa.string()).fill_null(""),
            "size": missing.cast(pa.int64()),
        },
        schema=SCHEMA,
    )
