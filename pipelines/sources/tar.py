"""``webdataset``: tars whose members belong together by name: ``0001.jpg`` and ``0001.txt``.

The label is a member ``.txt`` (or ``.text``, ``.label``, ``.gt``), or a ``.json`` object with the
label in a field. Plain tars are read again at the places of their pictures, compressed ones from
their beginning, once for each part.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import groupby, islice
from typing import IO, NamedTuple, cast

from crnn import storage
from crnn.errors import PictureError
from pipelines.sources.files import MAX_PICTURE_BYTES, ahead, too_large
from pipelines.sources.format import Encoded, Folder, Format, Lacks, Opened, Reader, SourceOptions
from pipelines.sources.item import Item, Place, unusable
from pipelines.sources.labels import TEXT_COLUMNS, pick
from pipelines.sources.ranged import open_ranged
from pipelines.stores import is_picture_name, names_in

SUFFIXES = (".tar", ".tar.gz", ".tgz")
TEXT_SUFFIXES = ("txt", "text", "label", "gt")
_MAX_LABEL_BYTES = 1 << 20
_PROBED_MEMBERS = 64
_DAMAGE = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile)


class _Member(NamedTuple):
    name: str
    offset: int
    size: int
    content: bytes
    """Of a label; of a picture nothing."""

    @property
    def key(self) -> str:
        """What the members of one sample share: the path up to the name's first dot."""
        folder, slash, name = self.name.rpartition("/")
        return folder + slash + name.partition(".")[0]

    @property
    def suffix(self) -> str:
        return self.name.rpartition("/")[2].partition(".")[2].lower()


def _find(folder: Folder, options: SourceOptions, wanted: Sequence[str]) -> Sequence[str]:
    if folder.is_file and not folder.uri.lower().endswith(SUFFIXES):
        raise Lacks("a name that ends in .tar, .tar.gz or .tgz")
    names: Sequence[str] = ()
    if not folder.is_file:
        if not any(name.lower().endswith(SUFFIXES) for name in (*wanted, *folder.names)):
            raise Lacks("a *.tar, *.tar.gz or *.tgz")
        found = [name for name, is_folder in names_in(folder.uri) if not is_folder]
        names = list(wanted) or [name for name in found if name.lower().endswith(SUFFIXES)]
    first = storage.join(folder.uri, names[0]) if names else folder.uri
    members: list[_Member] = []
    try:
        members.extend(islice(_members(first), _PROBED_MEMBERS))
    except _DAMAGE as error:
        if not members:
            raise Lacks(f"a readable tar: {first}: {error}") from error
    if not any(is_picture_name(m.name) for m in members) or not any(m.content for m in members):
        held = ", ".join(member.name for member in members[:5]) or "nothing"
        raise Lacks(f"a picture and a .txt or .json label of one name in {first}; it has {held}")
    return names


def _items(source: Opened) -> Iterator[Item]:
    for name in source.names or ("",):
        shown = name or storage.base_name(source.uri)
        try:
            for _, members in groupby(_members(source.address(name)), key=lambda m: m.key):
                item = _item(name, shown, list(members), source.options)
                if item is not None:
                    yield item
        except _DAMAGE as error:
            yield unusable(shown, "damaged_file", f"{shown} can't be read further: {error}")


def _members(address: str) -> Iterator[_Member]:
    with _stream(address) as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
        while (info := tar.next()) is not None:
            tar.members.clear()  # type: ignore[attr-defined]  # else it keeps one a file
            suffix = info.name.rpartition("/")[2].partition(".")[2].lower()
            if not info.isreg() or info.name.rpartition("/")[2].startswith("."):
                continue
            content = b""
            if suffix in (*TEXT_SUFFIXES, "json") and info.size <= _MAX_LABEL_BYTES:
                content = cast(IO[bytes], tar.extractfile(info)).read()
            yield _Member(info.name, info.offset_data, info.size, content)
        stream.seek(tar.offset)
        if not stream.read(tarfile.BLOCKSIZE):
            raise EOFError("it ends without the mark of its end")


def _stream(address: str) -> IO[bytes]:
    file = open_ranged(address)
    if _is_compressed(address):
        return cast(IO[bytes], gzip.GzipFile(fileobj=file, mode="rb"))
    return file


def _is_compressed(address: str) -> bool:
    return not storage.split_options(address)[0].lower().endswith(".tar")


def _item(name: str, shown: str, members: Sequence[_Member], options: SourceOptions) -> Item | None:
    """The sample of the members that share a key; None where none of them is a picture."""
    picture = next((member for member in members if is_picture_name(member.name)), None)
    if picture is None:
        return None
    id = f"{shown}/{picture.name.removeprefix('./')}"
    place = Place(name, f"{picture.offset}:{picture.size}")
    by_suffix = {member.suffix: member for member in members}
    label = next((by_suffix[s] for s in (*TEXT_SUFFIXES, "json") if s in by_suffix), None)
    if label is None:
        message = f"no .txt or .json stands beside it under the name {picture.key}"
        return unusable(id, "no_label", message, place)
    try:
        text = label.content.decode("utf-8-sig")
        fields = json.loads(text) if label.suffix == "json" else None
    except (ValueError, RecursionError) as error:
        return unusable(id, "bad_line", f"{label.name} can't be read: {error}", place)
    if fields is None:
        return Item(id, text.removesuffix("\n").removesuffix("\r"), picture=place)
    return _from_fields(id, label.name, fields, place, options)


def _from_fields(id: str, name: str, fields: object, place: Place, options: SourceOptions) -> Item:
    known = fields if isinstance(fields, dict) else {}
    by_name = {str(key).lower(): key for key in known}
    key = pick(by_name, options.text_column, TEXT_COLUMNS)
    text = known.get(key) if key is not None else None
    if not isinstance(text, str):
        wanted = options.text_column or ", ".join(TEXT_COLUMNS)
        return unusable(id, "no_label", f"{name} has no text under {wanted}", place)
    group = pick(by_name, options.group_column, ())
    return Item(id, text, str(known[group]) if group else "", place)


@contextmanager
def _reader(source: Opened) -> Iterator[Reader]:
    with ExitStack() as stack:
        streams: dict[str, IO[bytes]] = {}

        def read(places: Sequence[Place]) -> Iterator[Encoded]:
            for file, run in groupby(places, key=lambda place: place.file):
                address, wanted = source.address(file), list(run)
                if _is_compressed(address) or storage.is_local(address):
                    if file not in streams:
                        stream = cast(io.BufferedReader, _stream(address))
                        streams[file] = stack.enter_context(stream)
                    yield from (_piece(streams[file], address, place) for place in wanted)
                else:
                    yield from ahead([partial(_remote_piece, address, place) for place in wanted])

        yield read


def _remote_piece(address: str, place: Place) -> Encoded:
    system, path = storage.resolve(address)
    offset, size = map(int, place.at.split(":"))
    if size > MAX_PICTURE_BYTES:
        return too_large(place.at)

    def read() -> bytes:
        with system.open_input_file(path) as file:
            return bytes(file.read_at(size, offset))

    return _whole(storage.attempt("read", address, read), size, address)


def _piece(stream: IO[bytes], address: str, place: Place) -> Encoded:
    offset, size = map(int, place.at.split(":"))
    if size > MAX_PICTURE_BYTES:
        return too_large(place.at)
    try:
        stream.seek(offset)
        return _whole(stream.read(size), size, address)
    except (*_DAMAGE, OSError) as error:
        return PictureError("unreadable_file", f"{address} can't be read at {offset}: {error}")


def _whole(data: bytes, size: int, address: str) -> Encoded:
    if len(data) < size:
        return PictureError("unreadable_file", f"{address} is cut short: {len(data)} of {size}")
    return data


WEBDATASET = Format(find=_find, items=_items, reader=_reader, in_order=True)
