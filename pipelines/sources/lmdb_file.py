"""``lmdb``: the database that the scene-text field packs: ``num-samples``, ``image-000000001``,
``label-000000001`` and on, counted from 1. It is read from a file of this machine: one on an object
store is copied to every machine that reads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from crnn.errors import DataError, PictureError
from crnn.files import storage
from pipelines.sources.fetched import local_copy
from pipelines.sources.files import bounded
from pipelines.sources.format import Encoded, Folder, Format, Lacks, Opened, Reader, SourceOptions
from pipelines.sources.item import Item, Place, unusable

DATA_NAME = "data.mdb"
COUNT_KEY = b"num-samples"
_DIGITS = 9


def _find(folder: Folder, options: SourceOptions, wanted: Sequence[str]) -> Sequence[str]:
    if folder.is_file and folder.uri.lower().endswith((".mdb", ".lmdb")):
        return ()
    if folder.is_file:
        raise Lacks("a name that ends in .mdb or .lmdb")
    return folder.selected(wanted, (DATA_NAME, "*.mdb", "*.lmdb"))[:1]


def _items(source: Opened) -> Iterator[Item]:
    with _opened(source) as transaction:
        count = _count(transaction, source.uri)
        cursor = transaction.cursor()
        for number in range(1, count + 1):
            image, label = f"image-{number:0{_DIGITS}d}", f"label-{number:0{_DIGITS}d}"
            there = cursor.set_key(image.encode())
            text = transaction.get(label.encode())
            place = Place("", image) if there else None
            if text is None:
                message = f"there is no {label}"
                yield unusable(image, "no_label", message, place)
            elif not there:
                yield unusable(image, "not_found", f"there is {label}, but no {image}")
            else:
                yield _item(image, text, place)
        yield from _beyond(transaction, count)


def _beyond(transaction: Any, count: int) -> Iterator[Item]:
    """What the count leaves out: counted from 0, added later, after a gap, written differently."""
    message = f"its number is not among 1 to {count}, as {COUNT_KEY.decode()} states"
    for key in _uncounted(transaction, b"image-", count):
        yield unusable(key, "not_counted", message, Place("", key))
    for key in _uncounted(transaction, b"label-", count):
        if transaction.get(b"image-" + key.encode().removeprefix(b"label-")) is None:
            yield unusable(key, "not_counted", message)


def _uncounted(transaction: Any, prefix: bytes, count: int) -> Iterator[str]:
    cursor = transaction.cursor()
    there = cursor.set_range(prefix)
    while there and (key := bytes(cursor.key())).startswith(prefix):
        number = key.removeprefix(prefix)
        if len(number) != _DIGITS or not number.isdigit() or not 1 <= int(number) <= count:
            yield key.decode("utf-8", "backslashreplace")
        there = cursor.next()


def _item(key: str, label: bytes, place: Place | None) -> Item:
    try:
        return Item(key, bytes(label).decode("utf-8-sig"), picture=place)
    except UnicodeDecodeError as error:
        return unusable(key, "bad_line", f"its label is not UTF-8: {error}", place)


@contextmanager
def _reader(source: Opened) -> Iterator[Reader]:
    with _opened(source) as transaction:

        def read(places: Sequence[Place]) -> Iterator[Encoded]:
            for place in places:
                data = transaction.get(place.at.encode())
                if data is None:
                    yield PictureError("not_found", f"there is no {place.at}")
                else:
                    yield bounded(bytes(data), place.at)

        yield read


@contextmanager
def _opened(source: Opened) -> Iterator[Any]:
    """A read transaction.

    Raises:
        DataError: it can't be copied here, is cut short, or no LMDB.
    """
    import lmdb  # a native module that other formats do without

    address = source.address(source.names[0] if source.names else "")
    path = str(local_copy(address))
    storage.check_file(path)
    try:
        with lmdb.open(
            path, subdir=False, readonly=True, lock=False, readahead=False, max_readers=1
        ) as environment:
            _check_whole(environment, path)
            with environment.begin(buffers=True) as transaction:
                yield transaction
    except lmdb.Error as error:
        raise DataError(f"{path} is not a readable LMDB: {error}; copy it again") from error


def _check_whole(environment: Any, path: str) -> None:
    """An LMDB that was cut short kills the process that reads past its end."""
    pages = environment.info()["last_pgno"] + 1
    expected, found = pages * environment.stat()["psize"], Path(path).stat().st_size
    if found < expected:
        raise DataError(f"{path} has {found} bytes, its pages {expected}; it is cut short")


def _count(transaction: Any, uri: str) -> int:
    value = transaction.get(COUNT_KEY)
    text = bytes(value or b"").decode("ascii", "replace").strip()
    if not text.isdigit():
        raise DataError(
            f"{uri} has {text!r} in the key {COUNT_KEY.decode()!r}, not a number; expected an "
            "LMDB with num-samples, image-000000001, label-000000001 and so on"
        )
    return int(text)


LMDB = Format(find=_find, items=_items, reader=_reader)
