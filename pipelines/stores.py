"""The files of a folder or a bucket, page by page, with what tells their versions apart."""

from __future__ import annotations

import errno
import heapq
import logging
import os
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import chain, islice
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import parse_qsl

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from pyarrow import fs

from crnn import kill_points
from crnn.errors import DataError
from crnn.files import storage
from pipelines import gcs_pages
from pipelines.versions import size_and_time

PICTURE_SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".tif", ".tiff", ".bmp"),
        *(".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".avif"),
    }
)
DOCUMENT_SUFFIXES = frozenset({".pdf"})
"""What is read besides where whole pages are."""
_LOG = logging.getLogger(__name__)
_IS_THERE = (409, 412)
"""Answers to a conditional write: another one at the same moment, or there is a file."""
_NOT_KNOWN = (400, 405, 501)
_RUN_NAMES = 1 << 16
"""Names of one folder that are sorted in memory; more are sorted in files."""
_BLOCK_BYTES = 1 << 16


class NothingThereError(DataError):
    """No folder, no file and no key: of a prefix, that nothing was written below it yet."""


def is_picture_name(name: str, *, documents: bool = False) -> bool:
    """Whether a file of this name is a picture, or a document, as far as its suffix says."""
    suffix = PurePosixPath(name).suffix.lower()
    return suffix in PICTURE_SUFFIXES or (documents and suffix in DOCUMENT_SUFFIXES)


def files_at(uri: str) -> Iterator[dict[str, Any]]:
    """``uri``, ``etag`` and ``size`` of all files below a folder or prefix, or of the one file.

    A folder below that can't be looked into, or a link that leads nowhere but to itself, has a row
    too, with the reason as ``unlisted``; what is below such a folder has none. A file about which
    nothing can be said has an empty ``etag``. Names that aren't UTF-8 come as ``file://``.

    Raises:
        DataError: when there is nothing, or it can't be listed.
    """
    if storage.is_local(uri):
        return _local_files(uri)
    return _stored_files(*storage.split_options(uri))


def is_folder(uri: str) -> bool:
    """Whether there is a folder at ``uri``, or keys below it and none of that name."""
    if storage.is_local(uri):
        return Path(storage.local_path(uri)).is_dir()
    system, path = storage.resolve(uri)
    info = storage.attempt("look at", uri, lambda: system.get_file_info(path))
    return bool(info.type == fs.FileType.Directory)


def file_at(uri: str) -> dict[str, Any]:
    """The same for one file.

    Raises:
        DataError: when there is none.
    """
    if storage.is_local(uri):
        path = storage.local_path(uri)
        return _local_row(path, Path(path).stat())
    system, path = storage.resolve(uri)
    info = storage.attempt("look at", uri, lambda: system.get_file_info(path))
    if not info.is_file:
        raise NothingThereError(f"there is nothing at {uri}; expected a prefix with pictures")
    return {"uri": uri, "etag": size_and_time(info.size, info.mtime_ns), "size": info.size}


def names_in(uri: str) -> Iterator[tuple[str, bool]]:
    """Names of a folder's files (in order) and folders (True, somewhere between), none below.

    Raises:
        FileNotFoundError: when there is no such folder; a prefix without keys gives none.
        DataError: when it can't be listed.
    """
    bare, options = storage.split_options(uri)
    if storage.is_local(uri):
        below: list[str] = []
        path = storage.local_path(uri)
        names = storage.attempt("list", uri, lambda: _looked_into(path, below))
        yield from ((name, False) for name in names)
        yield from ((name, True) for name in sorted(below))
    elif bare.startswith("s3://"):
        for page in _pages(bare, options, Delimiter="/"):
            for entry in page.get("Contents", ()):
                if not entry["Key"].endswith("/"):
                    yield entry["Key"].rpartition("/")[2], False
            for entry in page.get("CommonPrefixes", ()):
                yield from _folder(uri, entry["Prefix"])
    else:
        for page in gcs_pages.pages(*_place(bare), options, below=False):
            for entry in page.get("items", ()):
                if not entry["name"].endswith("/"):
                    yield entry["name"].rpartition("/")[2], False
            for prefix in page.get("prefixes", ()):
                yield from _folder(uri, prefix)


def _folder(uri: str, prefix: str) -> Iterator[tuple[str, bool]]:
    """Name of a folder that keys begin with; none, and it is said, where the name is empty."""
    name = prefix.removesuffix("/").rpartition("/")[2]
    if name:
        yield name, True
    else:
        _LOG.warning(
            "%s: keys below %r have an empty name in their address (//) and can't be read; "
            "rename them", uri, prefix,
        )  # fmt: skip


def write_new(uri: str, data: bytes) -> bool:
    """Write a file where there is none; false where there is one, which stays as it is.

    Of writers of different contents at once one alone gets true, on this machine and on stores of
    S3 that know conditional writes. GCS and other stores of S3 are asked first whether there is
    one, and two writers within the same moment may both get true.

    Raises:
        DataError: when it can't be written.
    """
    kill_points.reached("before", storage.base_name(uri))
    written = _written_new(uri, data)
    kill_points.reached("after", storage.base_name(uri))
    return written


def _written_new(uri: str, data: bytes) -> bool:
    bare, options = storage.split_options(uri)
    written: bool | None = None
    if storage.is_local(uri):
        written = storage.attempt("write", uri, lambda: _link_new(storage.local_path(uri), data))
    elif bare.startswith("s3://"):
        written = _put_new(bare, options, data)
    if written is None and not storage.exists(uri):
        storage.write_bytes(uri, data)
        return True
    return bool(written)


def _link_new(target: str, data: bytes) -> bool | None:
    """Whether it was written; None where this file system has no hard links."""
    folder = Path(target).parent
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f".{uuid.uuid4().hex}.tmp"
    try:
        path.write_bytes(data)
        try:
            os.link(path, target)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
                return None
            raise
    finally:
        path.unlink(missing_ok=True)
    return True


def _put_new(bare: str, options: str, data: bytes) -> bool | None:
    """Whether it was written; None where the store doesn't know conditional writes."""
    bucket, _, key = bare.partition("://")[2].partition("/")
    try:
        s3_client(options).put_object(Bucket=bucket, Key=key, Body=data, IfNoneMatch="*")
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if status in _IS_THERE:  # or our own, whose answer was lost
            return storage.read_bytes(bare + options) == data
        if status in _NOT_KNOWN:
            return None
        raise DataError(f"can't write {bare}: {error}; check address and credentials") from error
    except BotoCoreError as error:
        raise DataError(f"can't write {bare}: {error}; check address and credentials") from error
    return True


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


def _local_files(uri: str) -> Iterator[dict[str, Any]]:
    root = storage.local_path(uri)
    is_there = storage.exists(uri)
    if is_there and Path(root).is_file():
        yield file_at(uri)
        return
    if not is_there or not Path(root).is_dir():
        what = "a pipe, a socket or a device" if is_there else "nothing"
        raise NothingThereError(
            f"there is {what} at {uri}; expected a folder, a picture or a pattern"
        )
    storage.attempt("list", uri, lambda: os.scandir(root).close())
    folders, been = [root], set[tuple[int, int]]()
    while folders:
        folder = folders.pop()
        below: list[str] = []
        try:
            info = Path(folder).stat()
            if (info.st_dev, info.st_ino) in been:  # a link that leads back up
                continue
            been.add((info.st_dev, info.st_ino))
            names = _looked_into(folder, below)
            folder = folder.rstrip("/")
        except FileNotFoundError:  # deleted since its own folder was listed
            continue
        except OSError as error:
            yield _unlisted(folder, error)
            continue
        for name in names:
            yield _any_row(f"{folder}/{name}")
        folders += [f"{folder}/{name}" for name in sorted(below, reverse=True)]


def _looked_into(folder: str, below: list[str]) -> Iterator[str]:
    """Names of a folder's files in order; those of its folders go to ``below``. The folder has
    been read to its end when this returns: OSError comes now or never."""
    names = in_order(_file_names(folder, below))
    return chain(list(islice(names, 1)), names)


def _file_names(folder: str, below: list[str]) -> Iterator[str]:
    """Names of a folder's files, and of what only looks like one, as they come."""
    with os.scandir(folder) as found:
        for entry in found:
            try:
                is_folder = entry.is_dir()
            except OSError:  # a link that leads to itself, or to where nobody may look
                is_folder = False
            if is_folder:
                below.append(entry.name)
            else:
                yield entry.name


def _any_row(path: str) -> dict[str, Any]:
    """The row of a file, whether or not it can be looked at."""
    try:
        return _local_row(path, Path(path).stat())
    except FileNotFoundError:  # deleted meanwhile, or a link whose target is
        pass
    except OSError as error:
        if os.path.islink(path):  # noqa: PTH114 - Path's raises where nobody may look
            return _unlisted(path, error)  # perhaps a folder of pictures
    return {"uri": storage.address_of(path), "etag": "", "size": None}


def _unlisted(path: str, error: OSError) -> dict[str, Any]:
    uri = storage.address_of(path)
    what = f"can't look into {uri}: {error.strerror}; check its permissions"
    return {"uri": uri, "etag": "", "size": None, "unlisted": what}


def in_order(names: Iterable[str]) -> Iterator[str]:
    """File names sorted as bytes; where they are many, most of them lie in temporary files."""
    runs = (sorted(map(os.fsencode, run)) for run in _batched(names, _RUN_NAMES))
    first = next(runs, [])
    second = next(runs, None)
    if second is None:
        yield from map(os.fsdecode, first)
        return
    with ExitStack() as stack:
        files = []
        for run in chain([first, second], runs):
            file = stack.enter_context(tempfile.TemporaryFile())
            file.write(b"\0".join(run) + b"\0")
            file.seek(0)
            files.append(_run(file))
        yield from map(os.fsdecode, heapq.merge(*files))


def _batched(names: Iterable[str], size: int) -> Iterator[list[str]]:
    waiting = iter(names)
    while batch := list(islice(waiting, size)):
        yield batch


def _run(file: IO[bytes]) -> Iterator[bytes]:
    rest = b""
    while block := file.read(_BLOCK_BYTES):
        *names, rest = (rest + block).split(b"\0")
        yield from names


def _local_row(path: str, info: os.stat_result) -> dict[str, Any]:
    etag = size_and_time(info.st_size, info.st_mtime_ns)
    return {"uri": storage.address_of(path), "etag": etag, "size": info.st_size}


def _stored_files(bare: str, options: str) -> Iterator[dict[str, Any]]:
    """Keys below a prefix of whole names, or the one key itself."""
    found = False
    for row in _below(bare, options):
        found = True
        yield row
    if not found:
        yield file_at(bare + options)


def _below(bare: str, options: str) -> Iterator[dict[str, Any]]:
    bucket, prefix = _place(bare)
    if bare.startswith("s3://"):
        for page in _pages(bare, options):
            for entry in page.get("Contents", ()):
                key, etag = entry["Key"], entry["ETag"].strip('"')
                yield from _stored_row("s3", bucket, key, options, etag, entry["Size"])
    else:
        for page in gcs_pages.pages(bucket, prefix, options):
            for entry in page.get("items", ()):
                key, etag = entry["name"], entry["etag"]
                yield from _stored_row("gs", bucket, key, options, etag, int(entry["size"]))


def _stored_row(
    scheme: str, bucket: str, key: str, options: str, etag: str, size: int
) -> Iterator[dict[str, Any]]:
    """None for what some tools leave for a folder."""
    if not key.endswith("/"):
        yield {"uri": f"{scheme}://{bucket}/{key}{options}", "etag": etag, "size": size}


def _place(bare: str) -> tuple[str, str]:
    """The bucket, and what the keys below an address of a folder begin with."""
    bucket, _, prefix = bare.partition("://")[2].partition("/")
    return bucket, prefix.rstrip("/") + "/" if prefix.strip("/") else ""


def _pages(bare: str, options: str, **more: str) -> Iterator[dict[str, Any]]:
    """Pages of the keys below a prefix of whole names, as S3 gives them."""
    bucket, prefix = _place(bare)
    listing = s3_client(options).get_paginator("list_objects_v2")
    try:
        yield from listing.paginate(Bucket=bucket, Prefix=prefix, **more)
    except (BotoCoreError, ClientError) as error:
        raise DataError(
            f"can't list {bare}: {error}; check address, credentials and endpoint"
        ) from error
