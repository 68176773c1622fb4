"""File systems for a library that writes by itself, as careful as ``crnn.files.storage``."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
from pyarrow import fs

PATIENT_ATTEMPTS = 12


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
