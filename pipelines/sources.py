"""Labelled pictures as people have them → one table of (id, text), in the order of their lists.

Formats: ``labels`` (``labels.tsv``, or ``labels.csv`` with a header, beside the pictures) and
``mjsynth`` (``annotation_*.txt`` and ``lexicon.txt``; Jaderberg et al. 2014). A line that gives
no sample is kept with its reason, so that nothing goes missing unseen. No picture is opened here.
"""

from __future__ import annotations

import csv
import fnmatch
import hashlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa

from crnn import storage
from crnn.charset import normalise
from crnn.errors import DataError

LISTING_SCHEMA = pa.schema(
    [pa.field(name, pa.large_string()) for name in ("id", "text", "reason", "message")]
)
LEXICON_NAME = "lexicon.txt"
CSV_PATH_COLUMNS = ("path", "file", "image", "filename", "file_name")
CSV_TEXT_COLUMNS = ("text", "label", "transcription")
_BATCH_ROWS = 65536


class Entry(NamedTuple):
    """One line of a list: a picture with its text, or the reason why it gives none."""

    id: str
    """Path of the picture relative to the source, else ``<list>:<line>``."""
    text: str
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Everything that a source lists."""

    format: str
    names: tuple[str, ...]
    """The list files it was read from."""
    table: pa.Table
    """``LISTING_SCHEMA``; ``reason`` is empty for a usable line."""
    digest: str
    """sha256 over the lines as understood."""


def scan(uri: str, *, format: str = "auto", lists: Sequence[str] = ()) -> Listing:
    """Read the lists of the source at ``uri``: all that its format has, or those named.

    Raises:
        DataError: the source or a list is missing or empty, or no format fits.
        ValueError: for an unknown format.
    """
    if format != "auto" and format not in FORMATS:
        raise ValueError(f"format is {format!r}; expected auto or one of {', '.join(FORMATS)}")
    names = _names(uri)
    chosen = _detect(uri, names) if format == "auto" else format
    patterns, read = FORMATS[chosen]
    selected = _select(uri, names, lists or _first_match(names, patterns), patterns)
    entries = _unique(entry for name in selected for entry in read(uri, name))
    table, digest = _collect(entries)
    if not table.num_rows:
        raise DataError(f"{', '.join(selected)} in {uri} has no lines; expected one per picture")
    return Listing(format=chosen, names=tuple(selected), table=table, digest=digest)


def read_labels(uri: str, name: str) -> Iterator[Entry]:
    """Lines ``path<TAB>text`` (a BOM, CRLF and further tabs in the text are fine), or a CSV."""
    data = storage.read_bytes(storage.join(uri, name)).removeprefix(b"\xef\xbb\xbf")
    if name.endswith(".csv"):
        yield from _read_csv(name, data)
        return
    for number, line in _lines(name, data):
        if isinstance(line, Entry):
            yield line
            continue
        path, tab, text = line.partition("\t")
        if tab:
            yield _entry(f"{name}:{number}", path, text)
        else:
            yield Entry(f"{name}:{number}", "", "bad_line", f"no tab in {line[:80]!r}")


def read_mjsynth(uri: str, name: str) -> Iterator[Entry]:
    """Lines ``./2425/1/115_Lube_45484.jpg 45484``; the number is a line of the lexicon, from 0.

    The text is the lexicon's word, and must be the file name's too. Where only the case differs,
    the file name's is taken, for that is how the word was painted. Without a lexicon the file
    name decides alone.
    """
    lexicon = _lexicon(uri)
    for number, line in _lines(name, storage.read_bytes(storage.join(uri, name))):
        if isinstance(line, Entry):
            yield line
        else:
            yield _mjsynth_entry(f"{name}:{number}", line, lexicon)


FORMATS: Mapping[str, tuple[tuple[str, ...], Callable[[str, str], Iterator[Entry]]]] = {
    "labels": (("labels.tsv", "labels.csv"), read_labels),
    "mjsynth": (("annotation_*.txt", "annotation.txt"), read_mjsynth),
}
"""Patterns of the list files, the first that fits counts; and how to read one."""


def _names(uri: str) -> list[str]:
    try:
        names = [storage.base_name(info.uri) for info in storage.list_files(uri)]
    except FileNotFoundError:
        raise DataError(f"there is no folder {uri}; expected labelled pictures") from None
    if not names and next(storage.list_files(uri, recursive=True), None) is None:
        raise DataError(f"{uri} is empty; expected labelled pictures")
    return names


def _first_match(names: Sequence[str], patterns: Sequence[str]) -> list[str]:
    matches = ([n for n in names if fnmatch.fnmatchcase(n, pattern)] for pattern in patterns)
    return next((match for match in matches if match), [])


def _detect(uri: str, names: Sequence[str]) -> str:
    fitting = [name for name, (patterns, _) in FORMATS.items() if _first_match(names, patterns)]
    if len(fitting) == 1:
        return fitting[0]
    wanted = ", ".join(pattern for patterns, _ in FORMATS.values() for pattern in patterns)
    if fitting:
        raise DataError(f"{uri} fits the formats {' and '.join(fitting)}; choose with --format")
    raise DataError(f"{uri} has none of {wanted}; expected one of them beside the pictures")


def _select(
    uri: str, names: Sequence[str], wanted: Sequence[str], patterns: Sequence[str]
) -> list[str]:
    if not wanted:
        raise DataError(f"{uri} has none of {', '.join(patterns)}; add one or change --format")
    missing = [name for name in wanted if name not in names]
    if missing:
        raise DataError(f"{uri} has no {', '.join(missing)}; it has {', '.join(names[:20])}")
    return list(wanted)


def _lines(name: str, data: bytes) -> Iterator[tuple[int, str | Entry]]:
    """Numbered lines that aren't blank; one that isn't UTF-8 comes as its reject."""
    for number, raw in enumerate(io.BytesIO(data), start=1):
        line = raw.rstrip(b"\r\n")
        if not line.strip():
            continue
        try:
            yield number, line.decode("utf-8")
        except UnicodeDecodeError as error:
            yield number, Entry(f"{name}:{number}", "", "bad_line", f"not UTF-8: {error}")


def _read_csv(name: str, data: bytes) -> Iterator[Entry]:
    try:
        rows = csv.DictReader(io.StringIO(data.decode("utf-8"), newline=""))
        columns = {(column or "").strip().lower(): column for column in rows.fieldnames or ()}
        path, text = (
            next((columns[c] for c in wanted if c in columns), None)
            for wanted in (CSV_PATH_COLUMNS, CSV_TEXT_COLUMNS)
        )
        if path is None or text is None:
            raise DataError(
                f"{name} has the columns {list(columns)}; expected a header with one of "
                f"{CSV_PATH_COLUMNS} and one of {CSV_TEXT_COLUMNS}"
            )
        for row in rows:
            where = f"{name}:{rows.line_num}"
            if row[path] is None or row[text] is None:
                yield Entry(where, "", "bad_line", "fewer cells than the header")
            else:
                yield _entry(where, row[path], row[text])
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{name} is not a CSV in UTF-8: {error}; save it as one") from error


def _lexicon(uri: str) -> list[str] | None:
    address = storage.join(uri, LEXICON_NAME)
    try:
        text = storage.read_bytes(address).decode("utf-8-sig")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise DataError(f"{address} is not UTF-8: {error}; save it as UTF-8") from error
    return [line.rstrip("\r") for line in text.removesuffix("\n").split("\n")]


def _mjsynth_entry(where: str, line: str, lexicon: list[str] | None) -> Entry:
    path, space, number = line.rstrip().rpartition(" ")
    if not space or not number.isascii() or not number.isdigit():
        return Entry(where, "", "bad_line", f"expected 'path number', found {line[:80]!r}")
    stem = path.rpartition("/")[2].rpartition(".")[0]
    named = stem.partition("_")[2].rpartition("_")[0]
    if lexicon is None:
        if not named:
            return Entry(where, "", "bad_line", f"{path!r} is not named NNN_label_id; no lexicon")
        return _entry(where, path, named)
    if int(number) >= len(lexicon):
        message = f"{number} is past the {len(lexicon)} lines of {LEXICON_NAME}"
        return Entry(where, "", "bad_line", message)
    word = lexicon[int(number)]
    if named and normalise(named).casefold() != normalise(word).strip().casefold():
        message = f"the file name says {named!r}, line {number} of {LEXICON_NAME} {word!r}"
        return Entry(path.removeprefix("./"), "", "label_mismatch", message)
    return _entry(where, path, named or word)


def _entry(where: str, path: str, text: str) -> Entry:
    """A sample, unless its path leaves the source or its text is empty."""
    inside = path.removeprefix("./")
    if not inside or inside.startswith("/") or "://" in inside or ".." in inside.split("/"):
        return Entry(where, "", "bad_line", f"{path!r} is not a path below the source")
    clean = normalise(text).strip()
    if not clean:
        return Entry(inside, "", "empty_label", f"{where} has no text")
    return Entry(inside, clean)


def _unique(entries: Iterator[Entry]) -> Iterator[Entry]:
    """A picture listed again becomes a reject: its id is taken."""
    seen: set[bytes] = set()  # 12 bytes an id: millions of long paths would not fit in memory
    for entry in entries:
        if entry.reason:
            yield entry
            continue
        key = hashlib.blake2b(entry.id.encode("utf-8", "surrogatepass"), digest_size=12).digest()
        if key in seen:
            yield entry._replace(reason="duplicate_id", message="listed before; the first counts")
        else:
            seen.add(key)
            yield entry


def _collect(entries: Iterator[Entry]) -> tuple[pa.Table, str]:
    batches: list[pa.RecordBatch] = []
    digest = hashlib.sha256()
    rows: list[Entry] = []

    def flush() -> None:
        columns = [pa.array(column, pa.large_string()) for column in zip(*rows, strict=True)]
        batches.append(pa.RecordBatch.from_arrays(columns, schema=LISTING_SCHEMA))
        rows.clear()

    for entry in entries:
        digest.update(f"{entry.id}\t{entry.text}\t{entry.reason}\n".encode())
        rows.append(entry)
        if len(rows) == _BATCH_ROWS:
            flush()
    if rows:
        flush()
    return pa.Table.from_batches(batches, schema=LISTING_SCHEMA), digest.hexdigest()
