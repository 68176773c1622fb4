"""``webdataset``: tars whose members belong together by name: ``0001.jpg`` and ``0001.txt``.

The label is a member ``.txt`` (or ``.text``, ``.label``, ``.gt``), or a ``.json`` object with the
label in a field. Plain tars are read again at the places of their pictures, compressed ones from
their beginning, once for each part.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import groupby, islice
from typing import IO, NamedTuple, cast

from crnn.errors import DataError, PictureError
from crnn.files import storage
from pipelines.read_ahead import ahead
from pipelines.sources.columns import TEXT_COLUMNS, by_names, pick
from pipelines.sources.files import MAX_PICTURE_BYTES, readable_of, too_large
from pipelines.sources.format import Encoded, Folder, Format, Lacks, Opened, Reader, SourceOptions
from pipelines.sources.item import Item, Place, unusable
from pipelines.sources.pairs import TEXT_SUFFIXES, key_of, paired, plain_text
from pipelines.sources.ranged import open_ranged
from pipelines.sources.values import group_of, parse_json, text_of
from pipelines.stores import is_picture_name, names_in

SUFFIXES = (".tar", ".tar.gz", ".tgz")
LABEL_SUFFIXES = (*TEXT_SUFFIXES, "json")
_MAX_LABEL_BYTES = 1 << 20
_PROBED_MEMBERS = 64
_DAMAGE = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile)


class _Member(NamedTuple):
    name: str
    offset: int
    size: int
    content: bytes
    """Content of a label; empty for a picture."""
    complaint: str = ""
    """Why it is no file of its own."""


def _find(folder: Folder, options: SourceOptions, wanted: Sequence[str]) -> Sequence[str]:
    if folder.is_file and not folder.uri.lower().endswith(SUFFIXES):
        raise Lacks("a name that ends in .tar, .tar.gz or .tgz")
    names: Sequence[str] = ()
    if not folder.is_file:
        if not any(name.lower().endswith(SUFFIXES) for name in (*wanted, *folder.names)):
            raise Lacks("a *.tar, *.tar.gz or *.tgz")
        found = [name for name, is_folder in names_in(folder.uri) if not is_folder]
        names = list(wanted) or [name for name in found if name.lower().endswith(SUFFIXES)]
    first = storage.join(folder.uri, readable_of(folder.uri, names)[0]) if names else folder.uri
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
            members = _members(source.address(name))
            yield from _samples(name, shown, members, source.options)
        except _DAMAGE as error:
            yield unusable(shown, "damaged_file", f"{shown} can't be read further: {error}")


def _members(address: str) -> Iterator[_Member]:
    with _stream(address) as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
        while (info := tar.next()) is not None:
            tar.members.clear()  # type: ignore[attr-defined]  # else it keeps one a file
            base = info.name.rpartition("/")[2]
            if info.isdir() or base.startswith("._") or base == ".DS_Store":
                continue
            is_label = base.rpartition(".")[2].lower() in LABEL_SUFFIXES
            content, complaint = b"", _complaint(info)
            if is_label and not complaint and info.size <= _MAX_LABEL_BYTES:
                content = cast(IO[bytes], tar.extractfile(info)).read()
            yield _Member(info.name, info.offset_data, info.size, content, complaint)
        stream.seek(tar.offset)
        if not stream.read(tarfile.BLOCKSIZE):
            raise EOFError("it ends without an end-of-archive mark")


def _complaint(info: tarfile.TarInfo) -> str:
    """Why a member has no bytes of its own in one piece; empty when it has."""
    if info.islnk() or info.issym():
        return f"it is a link to {info.linkname}; pack with tar --dereference --hard-dereference"
    if info.issparse():
        return "it is packed as a sparse file; pack without tar --sparse"
    return "" if info.isreg() else "it isn't an ordinary file"


def _stream(address: str) -> IO[bytes]:
    file = open_ranged(address)
    if _is_compressed(address):
        return cast(IO[bytes], gzip.GzipFile(fileobj=file, mode="rb"))
    return file


def _is_compressed(address: str) -> bool:
    return not storage.split_options(address)[0].lower().endswith(".tar")


def _samples(
    name: str, shown: str, members: Iterator[_Member], options: SourceOptions
) -> Iterator[Item]:
    """What becomes of each member: samples, and a reject for everything that is part of none."""
    for group in _groups(members):
        yield from _group_items(name, shown, group, options)


def _groups(members: Iterable[_Member]) -> Iterator[list[_Member]]:
    """Members in a row that share a key; a name that comes again begins a sample of its own.

    Raises:
        _DAMAGE: after all members before the damage were given.
    """
    group: dict[str, _Member] = {}
    key = ""
    try:
        for member in members:
            if group and (member.name in group or key_of(member.name) != key):
                yield list(group.values())
                group = {}
            key = key_of(member.name)
            group[member.name] = member
    except _DAMAGE:
        if group:
            yield list(group.values())
        raise
    if group:
        yield list(group.values())


def _group_items(
    name: str, shown: str, members: Sequence[_Member], options: SourceOptions
) -> Iterator[Item]:
    files = [member for member in members if not member.complaint]
    pairs = paired([member.name for member in files], LABEL_SUFFIXES)
    for pair in pairs:
        label = None if pair.text is None else files[pair.text]
        if pair.picture is not None:
            yield _item(name, shown, files[pair.picture], label, options)
        elif label is not None:
            message = f"there is no picture of its name beside it; {_beside(label, members)}"
            yield unusable(_id(shown, label), "not_found", message)
    for member in members:
        if member.complaint:
            yield unusable(_id(shown, member), "not_a_file", member.complaint)
        elif not pairs:
            message = "by its name it is neither a picture nor a text, and neither stands beside it"
            yield unusable(_id(shown, member), "not_a_picture", message)


def _beside(label: _Member, members: Sequence[_Member]) -> str:
    others = [member.name for member in members if member is not label]
    if others:
        return f"beside it: {', '.join(others[:5])}"
    return "members of one sample must follow one another, as tar --sort=name packs them"


def _id(shown: str, member: _Member) -> str:
    return f"{shown}/{member.name.removeprefix('./')}"


def _item(
    name: str, shown: str, picture: _Member, label: _Member | None, options: SourceOptions
) -> Item:
    id, place = _id(shown, picture), Place(name, f"{picture.offset}:{picture.size}")
    if label is None:
        message = f"no .txt or .json stands beside it under the name {key_of(picture.name)}"
        return unusable(id, "no_label", message, place)
    if label.size > _MAX_LABEL_BYTES:
        message = f"{label.name} has {label.size} bytes, more than {_MAX_LABEL_BYTES}"
        return unusable(id, "bad_line", message, place)
    try:
        if not label.name.lower().endswith(".json"):
            return Item(id, plain_text(label.content), picture=place)
        fields = parse_json(label.content.decode("utf-8-sig"))
        return _from_fields(id, label.name, fields, place, options)
    except (ValueError, RecursionError) as error:
        return unusable(id, "bad_line", f"{label.name} can't be read: {error}", place)
    except DataError as error:
        return unusable(id, "bad_line", str(error), place)


def _from_fields(id: str, name: str, fields: object, place: Place, options: SourceOptions) -> Item:
    """The item of a JSON object; ValueError for a text that is none."""
    known = fields if isinstance(fields, dict) else {}
    by_name = by_names(name, list(known))
    key = pick(by_name, options.text_column, TEXT_COLUMNS)
    if key is None or known[key] is None:
        wanted = options.text_column or ", ".join(TEXT_COLUMNS)
        return unusable(id, "no_label", f"{name} has no text under {wanted}", place)
    group = pick(by_name, options.group_column, ())
    return Item(id, text_of(known[key]), group_of(known[group]) if group else "", place)


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
        return PictureError("unreadable", f"{address} can't be read at {offset}: {error}")


def _whole(data: bytes, size: int, address: str) -> Encoded:
    if len(data) < size:
        return PictureError("unreadable", f"{address} is cut short: {len(data)} of {size}")
    return data


WEBDATASET = Format(find=_find, items=_items, reader=_reader, in_order=True, of_files=True)
