"""An open file in place of a picture: read as one, never line by line as many."""

from __future__ import annotations

from typing import Protocol, TypeGuard

from crnn.errors import PictureError


class File(Protocol):
    """Something open to be read, such as what ``open(path, "rb")`` gives."""

    def read(self) -> bytes:
        """All that is left of it."""
        ...


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
        raise TypeError(f"the file {_name(file)} gives text; open it with mode 'rb'")
    if not len(data):
        raise PictureError(
            "empty_file", f"nothing is left of the file {_name(file)}; if it was read, seek(0)"
        )
    return bytes(data)


def _name(file: object) -> str:
    name = getattr(file, "name", None)
    return repr(name) if isinstance(name, str) else type(file).__name__
