"""The files of a folder or a bucket, page by page, with what tells their versions apart."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from crnn import storage
from crnn.errors import DataError


def files_at(uri: str) -> Iterator[dict[str, Any]]:
    """``uri``, ``etag`` and ``size`` of all files below a folder or prefix, or of the one file.

    Raises:
        DataError: when there is nothing, or it can't be listed.
    """
    if storage.is_local(uri):
        return _local_files(uri)
    return _stored_files(*storage.split_options(uri))


def file_at(uri: str) -> dict[str, Any]:
    """The same for one file.

    Raises:
        DataError: when there is none.
    """
    if storage.is_local(uri):
        path = storage.absolute(uri)
        return _local_row(path, Path(path).stat())
    system, path = storage.resolve(uri)
    info = storage.attempt("look at", uri, lambda: system.get_file_info(path))
    if not info.is_file:
        raise DataError(f"there is nothing at {uri}; expected a prefix with pictures")
    return {"uri": uri, "etag": f"{info.size}-{info.mtime_ns}", "size": info.size}


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


def _local_files(path: str) -> Iterator[dict[str, Any]]:
    root = storage.absolute(path)
    if Path(root).is_file():
        yield file_at(root)
        return
    if not Path(root).is_dir():
        raise DataError(f"there is nothing at {path}; expected a folder, a picture or a pattern")
    folders, been = [root], set[tuple[int, int]]()
    while folders:
        folder = folders.pop()
        info = Path(folder).stat()
        if (info.st_dev, info.st_ino) in been:  # a link that leads back up
            continue
        been.add((info.st_dev, info.st_ino))
        with os.scandir(folder) as found:
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
        yield file_at(bare + options)


def _below(bare: str, options: str) -> Iterator[dict[str, Any]]:
    if not bare.startswith("s3://"):
        yield from _all_at_once(bare + options)
        return
    bucket, _, prefix = bare.removeprefix("s3://").partition("/")
    prefix = prefix.rstrip("/") + "/" if prefix.strip("/") else ""
    listing = s3_client(options).get_paginator("list_objects_v2")
    try:
        for page in listing.paginate(Bucket=bucket, Prefix=prefix):
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
