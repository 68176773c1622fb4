"""Local files by the system's own calls; pipes and devices, which may never end, are refused."""

from __future__ import annotations

import os
import stat

from crnn.files.content import Content

OWN_DESCRIPTORS = ("/dev/fd/", "/dev/stdin", "/proc/self/fd/")
"""What this process was given open may be a pipe, as in ``--lexicon <(sort words.txt)``."""
_READ_BYTES = 1 << 20


def open_regular(path: str) -> int:
    """A descriptor to read a local file; a folder's can be had, but not read.

    Raises:
        OSError: when it can't be opened, or ``check_kind`` refuses it.
    """
    waits = 0 if path.startswith(OWN_DESCRIPTORS) else os.O_NONBLOCK  # a pipe, for its writer
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | waits)
    try:
        check_kind(path, os.fstat(fd).st_mode)
    except OSError:
        os.close(fd)
        raise
    return fd


def check_kind(path: str, mode: int) -> None:
    """OSError for a pipe, a socket or a device, unless this process was given it open."""
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or path.startswith(OWN_DESCRIPTORS)):
        raise OSError(f"{path} is a pipe, a socket or a device; expected a file")


def read_regular(path: str, most: int | None) -> Content:
    """The whole file, or its first ``most`` bytes; small files come by the million.

    Raises:
        OSError: as ``open_regular``, or when it can't be read.
    """
    fd = open_regular(path)
    try:
        info = os.fstat(fd)
        size = info.st_size
        left = size + 1 if most is None else min(size + 1, most)
        data = os.read(fd, left)
        if len(data) not in (size, most):
            data += _read_on(fd, most, len(data))
        return Content(data, size, info.st_mtime_ns)
    finally:
        os.close(fd)


def _read_on(fd: int, most: int | None, done: int) -> bytes:
    """What comes after a first read that was short, or of a file without a true size."""
    parts = []
    while part := os.read(fd, _READ_BYTES if most is None else min(_READ_BYTES, most - done)):
        parts.append(part)
        done += len(part)
    return b"".join(parts)
