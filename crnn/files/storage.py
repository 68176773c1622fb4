"""Files by address: local paths, ``s3://bucket/key``, ``gs://bucket/key`` behind one set of calls.

Keys of object stores are taken literally (a ``%`` is a ``%``), as the stores' own tools do; only
``file://`` addresses are percent-decoded. Credentials, region and endpoint come from the usual
environment (``AWS_ACCESS_KEY_ID``, ``AWS_REGION``, ``AWS_ENDPOINT_URL_S3``, ``AWS_ENDPOINT_URL``,
``GOOGLE_APPLICATION_CREDENTIALS``) or from the end of the address:
``s3://bucket/key?endpoint_override=host:port&scheme=http&region=eu-central-1``.
"""

from __future__ import annotations

import os
import random
import re
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qsl, quote, unquote_to_bytes, urlsplit

import pyarrow as pa
from pyarrow import fs

from crnn import kill_points
from crnn.errors import DataError
from crnn.files.content import Content
from crnn.files.file_systems import (
    Options,
    PatientS3FileSystem,
    WholeLocalFileSystem,
    local,
    read_content,
    remote,
)
from crnn.files.regular_file import check_kind, read_regular
from crnn.given import at_home

ATTEMPTS = 6
FIRST_WAIT_S = 0.25
OPTIONS = ("endpoint_override", "scheme", "region", "anonymous")
"""What may stand behind the ``?`` of an address."""

_EMPTY_NAME = "Empty path component"
"""What pyarrow says of a key with nothing between two slashes."""
_PERMANENT = (
    "ACCESS_DENIED",
    "ACCESS DENIED",
    "INVALID_ACCESS_KEY_ID",
    "INVALID_CLIENT_TOKEN_ID",
    "SIGNATURE_DOES_NOT_MATCH",
    "NO_SUCH_BUCKET",
    "EXPIRED_TOKEN",
    "EXPIREDTOKEN",
)
_UNTIDY = re.compile(r"//|/\.|/$")
"""What ``Path`` would take out of an absolute path, or might."""
_ARROWS_KEY = re.compile(r"(^|/)\.{0,2}(/|$)|[\0-\x1f\x7f]")
"""Names that obstore refuses or reads as others: empty, ``.``, ``..``, with control characters."""
_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class FileInfo:
    """One file found by ``list_files``."""

    uri: str
    """Readable by every call of this module."""
    size_bytes: int
    mtime: float
    """Seconds since 1970; 0.0 where the store does not say."""


def is_local(uri: str) -> bool:
    """Whether ``uri`` is a path of this machine."""
    return "://" not in uri or uri.startswith("file://")


def resolve(uri: str) -> tuple[fs.FileSystem, str]:
    """The file system of ``uri`` and the path in it; cheap, connections are shared.

    Raises:
        ValueError: for an empty address, or a scheme other than a path, ``s3`` or ``gs``.
    """
    if not uri:
        raise ValueError(
            "the address is empty; expected a path, s3://bucket/key or gs://bucket/key"
        )
    if is_local(uri):
        return local(), _local_path(uri)
    scheme, bucket, options, path = _stored(uri)
    return remote(scheme, bucket, options), path


def _stored(uri: str) -> tuple[str, str, Options, str]:
    """Scheme, bucket, options (given or of the environment) and path of an address of a store."""
    bare, query = split_options(uri)
    scheme, _, path = bare.partition("://")
    if scheme not in ("s3", "gs"):
        raise ValueError(f"{uri!r} has scheme {scheme!r}; expected a path, s3:// or gs://")
    bucket = path.partition("/")[0]
    if not bucket:
        raise ValueError(f"{uri!r} names no bucket; expected {scheme}://bucket/key")
    options = _s3_env() if scheme == "s3" else {}
    return scheme, bucket, tuple(sorted((options | dict(parse_qsl(query[1:]))).items())), path


def resolve_careful(uri: str) -> tuple[fs.FileSystem, str]:
    """The same for a library that gives up at the first error and writes files in place.

    Here the file system tries again, and a file is the old one until the new one is whole; even
    where the file system was sent pickled. Raises as ``resolve``.
    """
    system, path = resolve(uri)
    if isinstance(system, fs.S3FileSystem):
        return PatientS3FileSystem(system.__reduce__()[1][0]), path
    if isinstance(system, fs.LocalFileSystem):
        return WholeLocalFileSystem(), path
    return system, path


def split_options(uri: str) -> tuple[str, str]:
    """The address and its options with their ``?``; a ``?`` that begins no option is the key's."""
    bare, mark, query = uri.rpartition("?")
    names = [pair.partition("=")[0] for pair in query.split("&")]
    if is_local(uri) or not mark or not all(name in OPTIONS for name in names):
        return uri, ""
    return bare, mark + query


def absolute(uri: str) -> str:
    """``uri`` in a form that means the same in every process, independent of its working folder."""
    return address_of(local_path(uri)) if is_local(uri) else uri


def local_path(uri: str) -> str:
    """The absolute path that a local address means; bytes that aren't UTF-8 as ``os.fsdecode``.

    Raises:
        ValueError: for an empty address, or one that has a null byte.
    """
    return resolve(uri)[1]


def address_of(path: str) -> str:
    """The address of an absolute local path: itself, or ``file://`` where it isn't UTF-8."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return Path(path).as_uri()
    return path


def join(uri: str, *parts: str) -> str:
    """``uri`` with ``parts`` below it; options behind its ``?`` stay at the end."""
    bare, query = split_options(uri)
    below = [part.strip("/") for part in parts if part.strip("/")]
    if uri.startswith("file://"):
        below = [quote(part) for part in below]
    return "/".join([bare.rstrip("/"), *below]) + query


def exists(uri: str) -> bool:
    """Whether there is a file or a folder (on object stores: any key below ``uri``)."""
    system, path = resolve(uri)
    if is_local(uri):
        return attempt("look at", uri, lambda: _stands(path))
    info = attempt("look at", uri, lambda: system.get_file_info(path))
    return bool(info.type != fs.FileType.NotFound)


def is_file(uri: str) -> bool:
    """Whether there is a file, and no folder, at ``uri``."""
    system, path = resolve(uri)
    return bool(attempt("look at", uri, lambda: system.get_file_info(path)).is_file)


def changed_at(uri: str) -> float | None:
    """When a file was written last, s since 1970 (0.0 where the store doesn't say); None where
    there is none."""
    system, path = resolve(uri)
    info = attempt("look at", uri, lambda: system.get_file_info(path))
    if info.type != fs.FileType.File:
        return None
    return float(info.mtime.timestamp()) if info.mtime else 0.0


def read_bytes(uri: str, *, most: int | None = None) -> bytes:
    """The whole file, or its first ``most`` bytes.

    Passing errors of an object store are tried again with growing waits.

    Raises:
        FileNotFoundError: when there is no such file.
        DataError: when it is there and can't be read, naming the address.
    """
    return read_version(uri, most=most).data


def read_version(uri: str, *, most: int | None = None) -> Content:
    """The same with what tells its version from others, which takes no other request."""
    if is_local(uri):
        return attempt("read", uri, lambda: read_regular(_local_path(uri), most))
    scheme, bucket, options, path = _stored(uri)
    key = path.partition("/")[2]
    if scheme == "s3" and not _ARROWS_KEY.search(key):
        from crnn.files import s3_objects  # a process without a bucket does without its libraries

        return attempt("read", uri, lambda: s3_objects.read(bucket, options, key, most))
    system = remote(scheme, bucket, options)
    return attempt("read", uri, lambda: read_content(system, path, most))


def write_bytes(uri: str, data: bytes | memoryview | pa.Buffer) -> None:
    """Write a file so that readers see the old content or the whole new one, never a part.

    Raises:
        DataError: when it can't be written, naming the address.
    """
    kill_points.reached("before", base_name(uri))
    if is_local(uri):
        with replacing(uri) as path:
            attempt("write", uri, lambda: path.write_bytes(data))
    else:
        system, key = resolve(uri)

        def put() -> None:
            with system.open_output_stream(key, compression=None) as stream:  # not by suffix
                stream.write(data)

        attempt("write", uri, put)
    kill_points.reached("after", base_name(uri))


@contextmanager
def replacing(uri: str) -> Iterator[Path]:
    """A local path to write; it becomes ``uri`` when the block ends, and nothing if it raises."""
    if not is_local(uri):
        with tempfile.TemporaryDirectory(prefix="crnn-") as folder:
            path = Path(folder) / "file"
            yield path
            with pa.memory_map(str(path)) if path.stat().st_size else pa.BufferReader(b"") as file:
                write_bytes(uri, file.read_buffer())
        return
    target = Path(_local_path(uri))
    attempt("write", uri, lambda: target.parent.mkdir(parents=True, exist_ok=True))
    path = target.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        yield path
        attempt("write", uri, lambda: path.replace(target))
    finally:
        path.unlink(missing_ok=True)


def list_files(uri: str, *, suffix: str = "", recursive: bool = False) -> Iterator[FileInfo]:
    """The files of a folder whose names end in ``suffix``, in order of their addresses.

    Unfinished files of ``write_bytes`` and ``replacing`` are left out.

    Raises:
        FileNotFoundError: when there is no such folder.
    """
    system, path = resolve(uri)
    _, query = split_options(uri)
    prefix = "" if is_local(uri) else uri.partition("://")[0] + "://"
    selector = fs.FileSelector(path.rstrip("/") or "/", recursive=recursive)
    found = attempt("list", uri, lambda: system.get_file_info(selector))
    for info in sorted(found, key=lambda info: info.path):
        unfinished = info.base_name.startswith(".") and info.base_name.endswith(".tmp")
        if info.type == fs.FileType.File and info.base_name.endswith(suffix) and not unfinished:
            mtime = info.mtime.timestamp() if info.mtime else 0.0
            yield FileInfo(f"{prefix}{info.path}{query}", info.size or 0, mtime)


def delete(uri: str) -> None:
    """Remove a file, or a folder with all it holds; what isn't there is fine.

    Raises:
        ValueError: for a whole bucket or the root of the file system.
    """
    system, path = resolve(uri)
    if "/" not in path.strip("/") if not is_local(uri) else path == "/":
        raise ValueError(f"{uri!r} is a whole bucket or file system; give a folder in it")
    kind = attempt("look at", uri, lambda: system.get_file_info(path)).type
    if kind == fs.FileType.Directory:
        attempt("delete", uri, lambda: system.delete_dir(path))
    elif kind != fs.FileType.NotFound:
        attempt("delete", uri, lambda: system.delete_file(path))


def upload_folder(local: Path, uri: str, *, last: Sequence[str] = ()) -> None:
    """Copy every file below ``local`` to ``uri``; files named in ``last`` go after all others."""
    files = sorted(path for path in local.rglob("*") if path.is_file())
    for path in sorted(files, key=lambda path: path.name in last):
        with replacing(join(uri, path.relative_to(local).as_posix())) as copy:
            copy.write_bytes(path.read_bytes())


def download_folder(uri: str, local: Path) -> None:
    """Copy every file below ``uri`` to ``local``; FileNotFoundError when there is no folder."""
    base = resolve(uri)[1].rstrip("/")
    for info in list_files(uri, recursive=True):
        path = local / resolve(info.uri)[1][len(base) + 1 :]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(read_bytes(info.uri))


def has_empty_name(uri: str) -> bool:
    """Whether it is the address of a key with an empty name in it (``a//b``), which Arrow refuses
    on object stores."""
    return not is_local(uri) and "//" in split_options(uri)[0].partition("://")[2]


def base_name(uri: str) -> str:
    """The last component of ``uri``, without options."""
    return resolve(uri)[1].rstrip("/").rpartition("/")[2]


def attempt(what: str, uri: str, action: Callable[[], _Answer]) -> _Answer:
    """``action()``, again after growing waits while an object store fails in passing.

    Raises:
        FileNotFoundError: as ``action`` raised it.
        DataError: for any other OSError that stays, and for a key with an empty name in it,
            saying ``what`` failed at ``uri``.
    """
    attempts = 1 if is_local(uri) else ATTEMPTS
    for attempt in range(1, attempts + 1):
        try:
            return action()
        except FileNotFoundError:
            raise
        except NotADirectoryError as error:  # a part of the path is a file: there is nothing below
            raise FileNotFoundError(*error.args) from error
        except pa.ArrowInvalid as error:
            if _EMPTY_NAME not in str(error):
                raise
            raise DataError(f"can't {what} {uri}: {error}; rename it") from error
        except OSError as error:
            text = str(error).upper()
            is_permanent = isinstance(error, PermissionError) or any(w in text for w in _PERMANENT)
            if attempt == attempts or is_permanent:
                remedy = (
                    "the file, its permissions and the space on its disk"
                    if is_local(uri)
                    else "address, credentials and endpoint"
                )
                raise DataError(f"can't {what} {uri}: {error}; check {remedy}") from error
            time.sleep(FIRST_WAIT_S * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))
    raise AssertionError("unreachable: the last attempt returns or raises")


def _stands(path: str) -> bool:
    try:
        Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _local_path(uri: str) -> str:
    is_quoted = uri.startswith("file://")
    path = os.fsdecode(unquote_to_bytes(urlsplit(uri).path)) if is_quoted else uri
    if path.startswith("/") and not _UNTIDY.search(path):
        return path
    return str(Path(at_home(path)).absolute())


def check_file(uri: str) -> None:
    """Raise DataError for a pipe, a socket or a device of this machine: reading may never end."""
    path = _local_path(uri) if is_local(uri) else ""
    if path and Path(path).exists():
        try:
            check_kind(path, Path(path).stat().st_mode)
        except OSError as error:
            raise DataError(str(error)) from None


def _s3_env() -> dict[str, str]:
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or ""
    kind, _, host = endpoint.rpartition("://")
    found = {"endpoint_override": host.rstrip("/"), "scheme": kind, "region": region}
    return {name: value for name, value in found.items() if value}
