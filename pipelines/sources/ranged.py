"""A file of any store as Python's own kind of file, read block by block as far as it is used."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator

from crnn.errors import DataError
from crnn.files import storage
from crnn.files.regular_file import open_regular

BLOCK_BYTES = 1 << 20
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_HEAD_BYTES = 4
_BLANKS = " \t\v\f"


def open_ranged(uri: str) -> io.BufferedReader:
    """The file for reading and seeking; passing errors of an object store are tried again.

    Raises:
        FileNotFoundError: when there is no such file.
        DataError: when it can't be read, then or later.
    """
    if storage.is_local(uri):
        path = storage.local_path(uri)
        return storage.attempt("read", uri, lambda: os.fdopen(open_regular(path), "rb"))
    return io.BufferedReader(_Remote(uri), BLOCK_BYTES)


class _Remote(io.RawIOBase):
    """Each read is a request of its own, so that none hangs on a connection that broke."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        system, path = storage.resolve(uri)
        self._file = storage.attempt("read", uri, lambda: system.open_input_file(path))
        self._size: int = storage.attempt("read", uri, self._file.size)
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        self._place = max(0, start + offset)
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        want = max(0, min(len(buffer), self._size - self._place))
        if not want:
            return 0
        data = storage.attempt("read", self._uri, lambda: self._file.read_at(want, self._place))
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def numbered_lines(uri: str) -> Iterator[tuple[int, str, str]]:
    """Number (from 1), text without its end, and what is wrong, of the lines that aren't blank.

    Lines end with LF, CR LF or CR alone. A UTF-8 byte-order mark is dropped. A line that isn't
    UTF-8 has no text but a complaint.

    Raises:
        FileNotFoundError: when there is no such file.
        DataError: when it can't be read or is UTF-16.
    """
    with open_ranged(uri) as file:
        head = file.peek(_HEAD_BYTES)[:_HEAD_BYTES]
        if head.startswith(_UTF16_MARKS) or (b"\0" in head and head.isascii()):
            raise DataError(f"{uri} is UTF-16; expected UTF-8: save it so")
        yield from lines_in(file)


def lines_in(file: io.BufferedReader) -> Iterator[tuple[int, str, str]]:
    """The same of a file that is open, and not in UTF-16."""
    text = io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape")
    for number, ended in enumerate(text, start=1):
        line = ended.removesuffix("\n")
        if not line.strip(_BLANKS):
            continue
        complaint = "" if line.isascii() else _not_utf8(line)
        yield number, "" if complaint else line, complaint


def text_lines(text: str) -> list[str]:
    """The lines of a text that is read whole, by the same ends; the last need not have one."""
    return text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")


def _not_utf8(line: str) -> str:
    """What is wrong with a line whose bad bytes were kept as surrogates; empty for nothing."""
    try:
        line.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeDecodeError as error:
        return f"not UTF-8: {error}"
    return ""
