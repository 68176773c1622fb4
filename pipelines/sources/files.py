"""Pictures that are files of their own: by several threads ahead where each is a request."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from threading import Condition
from typing import TypeVar

from crnn.errors import DataError, PictureError
from crnn.files import storage
from pipelines.sources.format import Encoded, Opened, Reader
from pipelines.sources.item import Item, Place, unusable
from pipelines.sources.ranged import open_ranged

MAX_PICTURE_BYTES = 64 << 20
"""Limit of one encoded picture wherever pictures are read; a larger one is ``too_large``, and not
read to its end."""
REMOTE_THREADS = 16
_AHEAD = 2 * REMOTE_THREADS
_AHEAD_BYTES = 32 << 20
"""Of files that were read and wait to be taken."""
_Given = TypeVar("_Given")


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


def ahead(jobs: Iterable[Callable[[], _Given]]) -> Iterator[_Given]:
    """What the jobs give, in order, run by threads some ahead of what is taken.

    While more than ``_AHEAD_BYTES`` of files wait to be taken, none is begun but the next to be
    taken: in memory there are at most these and a file for each thread, whatever they hold.
    """
    running: deque[Future[_Given]] = deque()
    room = _Room()
    with ThreadPoolExecutor(REMOTE_THREADS) as threads:
        try:
            for number, job in enumerate(jobs):
                running.append(threads.submit(room.run, number, job))
                if len(running) > _AHEAD:
                    yield room.taken(running.popleft().result())
            while running:
                yield room.taken(running.popleft().result())
        finally:
            room.close()


class _Room:
    """Lets jobs begin as far as there is room for what they give."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._bytes = self._next = 0
        """Bytes that wait, and number of the job whose outcome is taken next."""
        self._is_closed = False

    def run(self, number: int, job: Callable[[], _Given]) -> _Given:
        """What the job gives, begun when there is room for it."""
        with self._changed:
            self._changed.wait_for(lambda: self._may_begin(number))
        if self._is_closed:
            raise CancelledError
        given = job()
        with self._changed:
            self._bytes += _size_of(given)
        return given

    def taken(self, given: _Given) -> _Given:
        """The same; its room is free from now on."""
        with self._changed:
            self._bytes -= _size_of(given)
            self._next += 1
            self._changed.notify_all()
        return given

    def close(self) -> None:
        """Nothing is begun from now on, and nothing waits."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _may_begin(self, number: int) -> bool:
        return self._is_closed or self._bytes <= _AHEAD_BYTES or number == self._next


def _size_of(given: object) -> int:
    return len(given) if isinstance(given, bytes) else 0
