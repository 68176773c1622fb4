"""A job's ``--charset``: a name, the characters themselves, or a file of them."""

from __future__ import annotations

from crnn.errors import DataError
from crnn.files import storage

CHARSET_SUFFIX = ".txt"
"""Suffix of a charset's file; it can't be meant as characters, as it has one of them twice."""


def charset_of(value: str) -> str:
    """The name or the characters of ``--charset``; those of the file where it is a .txt file.

    Line ends in the file are no characters; one that is there twice counts once.

    Raises:
        DataError: when the file can't be read.
    """
    if not value.endswith(CHARSET_SUFFIX):
        return value
    try:
        text = storage.read_bytes(value).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{value} can't be read as a UTF-8 file of characters: {error}") from None
    return "".join(dict.fromkeys("".join(text.splitlines())))
