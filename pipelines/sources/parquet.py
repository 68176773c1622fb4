"""``parquet``: tables with the encoded pictures in a column, also as Hugging Face writes them.

The picture is bytes, or a struct ``{bytes, path}``; where a row has no bytes, its path is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from crnn.errors import DataError, PictureError
from crnn.files import storage
from pipelines.manifest import MANIFEST_NAME
from pipelines.output import PARTS_NAME
from pipelines.sources.columns import TEXT_COLUMNS, by_names, pick, pick_text
from pipelines.sources.files import bounded, read_file, readable_of
from pipelines.sources.format import Encoded, Folder, Format, Lacks, Opened, Reader, SourceOptions
from pipelines.sources.item import Item, Place, pictured, unusable
from pipelines.sources.values import NotTextError, check_text_type, class_names, texts_of
from pipelines.stores import names_in

IMAGE_COLUMNS = ("image", "img", "picture", "jpg", "png", "bytes", "image_bytes")
SUFFIX = ".parquet"
_DATA_FOLDER = "data"
"""Where Hugging Face keeps the tables of a set."""
_LABEL_ROWS = 8192
_PICTURE_ROWS = 64


def _find(folder: Folder, options: SourceOptions, wanted: Sequence[str]) -> Sequence[str]:
    if folder.is_file and not folder.uri.lower().endswith(SUFFIX):
        raise Lacks(f"a name that ends in {SUFFIX}")
    names: Sequence[str] = ()
    if not folder.is_file:
        if folder.has(MANIFEST_NAME) or PARTS_NAME in folder.folders:
            raise Lacks("nothing but that it is a prepared set, or will be: see prepared")
        names = list(wanted) or _tables(folder)
        if not names:
            raise Lacks(f"a *{SUFFIX}, here or in {_DATA_FOLDER}/")
    address = storage.join(folder.uri, readable_of(folder.uri, names)[0]) if names else folder.uri
    try:
        with _opened(address) as table:
            columns_of(table.schema_arrow, options, address)
    except DataError as error:
        raise Lacks(f"a readable table: {error}") from error
    return names


def _tables(folder: Folder) -> list[str]:
    for below in ("", *(name for name in folder.folders if name == _DATA_FOLDER)):
        found = [
            f"{below}/{name}".lstrip("/")
            for name, is_folder in names_in(storage.join(folder.uri, below))
            if not is_folder and name.lower().endswith(SUFFIX)
        ]
        if found:
            return found
    return []


def columns_of(schema: pa.Schema, options: SourceOptions, address: str) -> dict[str, str]:
    """Names of the columns ``image`` and ``text``, and of ``id`` and ``group`` where asked for.

    Raises:
        Lacks: when one of them is missing, or of a type that can't be what it is to be.
        DataError: when a name is there twice.
    """
    by_name = by_names(address, schema.names)
    pictures = {name: by_name[name] for name in by_name if _holds_pictures(schema, by_name[name])}
    found = {
        "image": pick(pictures, options.image_column, IMAGE_COLUMNS),
        "text": pick_text(by_name, options),
    }
    for role, asked in (("id", options.id_column), ("group", options.group_column)):
        if asked:
            found[role] = pick(by_name, asked, ())
    missing = [role for role, name in found.items() if name is None]
    if missing:
        raise Lacks(
            f"columns for {', '.join(missing)} in {address}, which has "
            f"{', '.join(f'{field.name}: {field.type}' for field in schema)}; expected binary or "
            f"a struct of bytes and path under {', '.join(IMAGE_COLUMNS)} and a text under "
            f"{', '.join(TEXT_COLUMNS)}; name others with --image-column and --text-column"
        )
    known = {role: name for role, name in found.items() if name is not None}
    for role in ("text", "id", "group"):
        if role in known:
            _check_type(role, schema.field(known[role]), address)
    return known


def _check_type(role: str, field: pa.Field, address: str) -> None:
    if role == "group" and not pa.types.is_nested(field.type):
        return
    try:
        check_text_type(field.name, field.type)
    except NotTextError as error:
        flag = f"--{role}-column"
        raise Lacks(f"texts in {address}: {error}, or name another one with {flag}") from None


def _holds_pictures(schema: pa.Schema, name: str) -> bool:
    kind = schema.field(name).type
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _items(source: Opened) -> Iterator[Item]:
    for name in source.names or ("",):
        shown = name or storage.base_name(source.uri)
        with _opened(source.address(name)) as table:
            columns = _known(table, source.options, shown)
            yield from _rows(table, name, shown, columns)


def _known(table: pq.ParquetFile, options: SourceOptions, shown: str) -> dict[str, str]:
    """The columns of a table among others that fitted."""
    try:
        return columns_of(table.schema_arrow, options, shown)
    except Lacks as lacks:
        raise DataError(f"{shown} lacks {lacks}") from None


def _rows(table: pq.ParquetFile, name: str, shown: str, columns: dict[str, str]) -> Iterator[Item]:
    names = class_names(table.schema_arrow, columns["text"])
    labels = [column for role, column in columns.items() if role != "image"]
    number = 0
    for group in range(table.num_row_groups):
        row = 0
        for batch in table.iter_batches(_LABEL_ROWS, row_groups=[group], columns=labels):
            rows = pa.Table.from_batches([batch])
            texts = texts_of(rows[columns["text"]], names)
            ids = texts_of(rows[columns["id"]]) if "id" in columns else [None] * len(texts)
            groups = rows[columns["group"]].to_pylist() if "group" in columns else [""] * len(texts)
            for text, id, belongs in zip(texts, ids, groups, strict=True):
                known_as = id if isinstance(id, str) else f"{shown}#{number}"
                yield _item(known_as, text, belongs, Place(name, f"{group}:{row}"))
                row, number = row + 1, number + 1


def _item(id: str, text: str | NotTextError | None, group: Any, place: Place) -> Item:
    if text is None:
        return unusable(id, "no_label", "its text is null", place)
    if isinstance(text, NotTextError):
        return unusable(id, "bad_line", str(text), place)
    return Item(id, text, "" if group is None else _group(group), place)


def _group(value: Any) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


@contextmanager
def _reader(source: Opened) -> Iterator[Reader]:
    """Pictures row by row: going on from where the last one was is cheap, going back is not."""
    with ExitStack() as stack:
        tables: dict[str, _Pictures] = {}

        def pictures(file: str) -> _Pictures:
            if file not in tables:
                address = source.address(file)
                table = stack.enter_context(_opened(address))
                column = _known(table, source.options, address)["image"]
                tables[file] = _Pictures(table, column)
            return tables[file]

        def read(places: Sequence[Place]) -> Iterator[Encoded]:
            for place in places:
                group, row = map(int, place.at.split(":"))
                found = pictures(place.file).at(group, row)
                yield _encoded(found, place, source.address)

        yield read


class _Pictures:
    """The picture column of one file, read in batches."""

    def __init__(self, table: pq.ParquetFile, column: str) -> None:
        self._table, self._column = table, column
        self._group = -1
        self._start = 0
        """First row of the batch that is held, in its row group."""
        self._held: pa.ChunkedArray | pa.Array = pa.array([])
        self._batches: Iterator[pa.RecordBatch] = iter(())

    def at(self, group: int, row: int) -> Any:
        """Bytes, a dict of bytes and path, or None where the row is null or isn't there."""
        if group != self._group or row < self._start:
            self._group, self._start, self._held = group, 0, pa.array([])
            self._batches = self._table.iter_batches(
                _PICTURE_ROWS, row_groups=[group], columns=[self._column]
            )
        while row >= self._start + len(self._held):
            batch = next(self._batches, None)
            if batch is None:
                return None
            self._start += len(self._held)
            self._held = batch.column(0)
        return self._held[row - self._start].as_py()


def _encoded(found: Any, place: Place, address_of: Callable[[str], str]) -> Encoded:
    where = f"{place.file}#{place.at}"
    if isinstance(found, dict):
        path = found.get("path") or ""
        if found.get("bytes") is None and path:
            inside = pictured(where, path, "")
            if inside.picture is None:
                return PictureError("not_found", inside.message)
            data = read_file(address_of(inside.id))
            if "\\" in path and isinstance(data, PictureError) and data.reason == "not_found":
                data = read_file(address_of(inside.id.replace("\\", "/")))
            return data
        found = found.get("bytes")
    if found is None:
        return PictureError("not_found", f"{where} has no picture")
    return bounded(found, where)


@contextmanager
def _opened(address: str) -> Iterator[pq.ParquetFile]:
    storage.check_file(address)
    system, path = storage.resolve(address)
    try:
        file = storage.attempt("read", address, lambda: system.open_input_file(path))
        with file, pq.ParquetFile(file, pre_buffer=False) as table:
            yield table
    except FileNotFoundError:
        raise DataError(f"there is no {address}") from None
    except pa.ArrowException as error:
        raise DataError(f"{address} is damaged or no Parquet: {error}") from error


PARQUET = Format(find=_find, items=_items, reader=_reader, in_order=True, of_files=True)
