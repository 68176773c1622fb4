"""Pictures that are files of their own: by several threads ahead where each is a request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from crnn.errors import DataError, PictureError
from crnn.files import storage
from pipelines.read_ahead import ahead
from pipelines.sources.format import Encoded, Opened, Reader
from pipelines.sources.item import Item, Place, unusable
from pipelines.sources.ranged import open_ranged

MAX_PICTURE_BYTES = 64 << 20
"""Limit of one encoded picture wherever pictures are read; a larger one is ``too_large``, and not
read to its end."""


@contextmanager
def whole_files(source: Opened) -> Iterator[Reader]:
    """A reader of places that are whole files below the source."""

    def read(places: Sequence[Place]) -> Iterator[Encoded]:
        jobs = [partial(read_file, source.address(place.file)) for place in places]
        return ahead(jobs) if not storage.is_local(source.uri) else (job() for job in jobs)

    yield read


def read_file(address: str) -> Encoded:
    """The whole file, or why it can't be had: ``not_found``, ``unreadable`` or ``too_large``.

    Raises:
        DataError: when an object store fails for good: that says nothing of the picture.
    """
    try:
        data = storage.read_bytes(address, most=MAX_PICTURE_BYTES + 1)
    except FileNotFoundError:
        return PictureError("not_found", f"there is no {address}")
    except DataError as error:
        if storage.is_local(address) or storage.has_empty_name(address):
            return PictureError("unreadable", str(error))
        raise
    return bounded(data, address)


def head_of(address: str, most_bytes: int) -> bytes:
    """The first bytes of a file that is looked at to tell a format; none where this machine doesn't
    let it be read: whoever reads the source will tell.

    Raises:
        DataError: when an object store fails for good.
    """
    try:
        return storage.read_bytes(address, most=most_bytes)
    except FileNotFoundError:
        return b""
    except DataError:
        if not storage.is_local(address):
            raise
        return b""


def may_be_there(address: str) -> bool:
    """Whether there is a file, or this machine doesn't let it be known: then reading it will tell.

    Raises:
        DataError: when an object store fails for good.
    """
    try:
        return storage.exists(address)
    except DataError:
        if not storage.is_local(address):
            raise
        return True


def closed_among(uri: str, names: Sequence[str]) -> dict[str, Item]:
    """Of several files those that this machine doesn't let be read, each as a reject; none where
    that is all of them: then it is the source that can't be read."""
    closed: dict[str, Item] = {}
    if len(names) > 1 and storage.is_local(uri):
        for name in names:
            try:
                open_ranged(storage.join(uri, name)).close()
            except FileNotFoundError:
                closed[name] = unusable(name, "not_found", f"there is no {name}")
            except DataError as error:
                closed[name] = unusable(name, "unreadable", str(error))
    return closed if len(closed) < len(names) else {}


def readable_of(uri: str, names: Sequence[str]) -> Sequence[str]:
    """The others: those that a format may look into."""
    closed = closed_among(uri, names)
    return [name for name in names if name not in closed]


def bounded(data: bytes, what: str) -> Encoded:
    """``data``, unless it is too large for a picture."""
    return data if len(data) <= MAX_PICTURE_BYTES else too_large(what)


def too_large(what: str) -> PictureError:
    """The error of a picture of too many bytes."""
    return PictureError("too_large", f"{what} has more bytes than the limit of {MAX_PICTURE_BYTES}")
