"""What callers give for a picture: an open file, read as one picture and never line by line, or a
path from a home folder on."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol, TypeGuard

from crnn.errors import PictureError


class File(Protocol):
    """Something open to be read, such as what ``open(path, "rb")`` gives."""

    def read(self) -> bytes:
        """All that is left of it."""
        ...


def check_several(given: object) -> None:
    """TypeError for what can't be several pictures, and is not one either."""
    if not isinstance(given, Iterable) or isinstance(given, Mapping):
        raise TypeError(
            "pictures are paths, bytes, files open in mode 'rb', PIL images or uint8 arrays, one "
            f"or several of them, not {type(given).__name__}"
        )


def is_file(given: object) -> TypeGuard[File]:
    """Whether this is open to be read."""
    return callable(getattr(given, "read", None))


def file_bytes(file: File) -> bytes:
    """What is left of a binary file.

    Raises:
        PictureError: ``unreadable``, or ``empty_file`` where nothing is left.
        TypeError: for a file that was opened as text.
    """
    try:
        data: object = file.read()
    except UnicodeDecodeError:
        data = ""
    except (OSError, ValueError) as error:
        raise PictureError("unreadable", f"can't read the file {_name(file)}: {error}") from error
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"the file {_name(file)} is open as text; open it with mode 'rb'")
    if not len(data):
        raise PictureError(
            "empty_file",
            f"the file {_name(file)} has nothing left to read; if it was read before, call seek(0)",
        )
    return bytes(data)


def _name(file: object) -> str:
    name = getattr(file, "name", None)
    return repr(name) if isinstance(name, str) else type(file).__name__


def at_home(path: str) -> str:
    """The path with ``~`` or ``~user`` before its first slash replaced by that home; as it is where
    there is no such user, or with ``~user`` a file of that very name."""
    is_own = path.partition("/")[0] == "~"
    if not path.startswith("~") or (not is_own and os.path.lexists(path)):
        return path
    try:
        return str(Path(path).expanduser())
    except RuntimeError:  # no such user
        return path
