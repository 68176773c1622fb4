"""Arrow's file systems: those of ``crnn.files.storage``, and careful ones for other libraries."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
from pyarrow import fs

from crnn.files.content import Content, ns_of

Options = tuple[tuple[str, str], ...]
"""What stands behind the ``?`` of an address or in the environment, in order."""
PATIENT_ATTEMPTS = 12
CONNECT_S = 10
SILENCE_S = 30
"""A store that sends nothing for this long has failed this attempt."""


@lru_cache(maxsize=1)
def local() -> fs.LocalFileSystem:
    """This machine's."""
    return fs.LocalFileSystem()


@lru_cache(maxsize=32)
def remote(scheme: str, bucket: str, options: Options) -> fs.FileSystem:
    """That of a bucket; it asks once, as ``storage.attempt`` tries again."""
    given: dict[str, object] = dict(options)
    given["anonymous"] = is_anonymous(options)
    if scheme == "gs":
        given.pop("region", None)
        return fs.GcsFileSystem(**given)
    if "region" not in given:
        given["region"] = "us-east-1" if "endpoint_override" in given else _region(bucket)
    return fs.S3FileSystem(
        **given,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=1),
        allow_delayed_open=True,  # small files in one request
        connect_timeout=CONNECT_S,
        request_timeout=SILENCE_S,
    )


def read_content(system: fs.FileSystem, path: str, most: int | None) -> Content:
    """A whole object, or its first ``most`` bytes."""
    with system.open_input_file(path) as file:
        told = {
            name.lower(): value.decode(errors="replace") for name, value in file.metadata().items()
        }
        size = file.size()
        when = told.get("last-modified") or told.get("updated")  # of S3, of Google
        return Content(
            data=bytes(file.read(size if most is None else min(size, most))),
            size=size,
            mtime_ns=ns_of(datetime.fromisoformat(when)) if when else None,
            etag=told.get("etag", "").strip('"'),
        )


def is_anonymous(options: Options) -> bool:
    """Whether an address says that its requests are not to be signed."""
    return dict(options).get("anonymous", "").lower() in ("1", "true", "yes")


def _region(bucket: str) -> str | None:
    try:
        return str(fs.resolve_s3_region(bucket))
    except OSError:
        return None


class PatientS3FileSystem(fs.S3FileSystem):
    """An S3 that asks up to ``PATIENT_ATTEMPTS`` times, with waits that grow to 20 s.

    pyarrow's own forgets its retry strategy when it is pickled.
    """

    def __init__(self, options: Mapping[str, object]) -> None:
        strategy = fs.AwsStandardS3RetryStrategy(max_attempts=PATIENT_ATTEMPTS)
        super().__init__(**options, retry_strategy=strategy)
        self._options = dict(options)

    def __reduce__(self) -> tuple[type[PatientS3FileSystem], tuple[dict[str, object]]]:
        return PatientS3FileSystem, (self._options,)


class WholeLocalFileSystem(fs.LocalFileSystem):
    """A local one where a file being rewritten keeps its old content until it is closed.

    So it is in an object store. A process that is killed while it writes leaves the old file, and
    perhaps a hidden one beside it.
    """

    def __reduce__(self) -> tuple[type[WholeLocalFileSystem], tuple[()]]:
        return WholeLocalFileSystem, ()

    def open_output_stream(
        self,
        path: str,
        compression: str | None = "detect",
        buffer_size: int | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> pa.NativeFile:
        """As pyarrow's."""
        target = Path(path)
        part = target.with_name(f".{uuid.uuid4().hex}.{target.name}")  # its end tells compression
        stream = super().open_output_stream(str(part), compression, buffer_size, metadata)
        return pa.PythonFile(_Replacement(stream, part, target), mode="w")


class _Replacement:
    """A stream into a file that takes another's place when the stream is closed."""

    def __init__(self, stream: pa.NativeFile, part: Path, target: Path) -> None:
        self._stream, self._part, self._target = stream, part, target
        self._is_whole = True

    @property
    def closed(self) -> bool:
        return bool(self._stream.closed)

    def write(self, data: bytes) -> int:
        try:
            return int(self._stream.write(data))
        except BaseException:
            self._is_whole = False
            raise

    def flush(self) -> None:
        self._stream.flush()

    def close(self) -> None:
        if self.closed:
            return
        try:
            self._stream.close()
            if self._is_whole:
                self._part.replace(self._target)
        finally:
            self._part.unlink(missing_ok=True)
