"""Rows of the results → documents, one file at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, cast

from crnn.errors import DataError
from crnn.files import storage
from crnn.images.region import Region
from crnn.result import CharResult
from pipelines.documents.page import Document, LeftOut, Line, Page
from pipelines.documents.words import words_of
from pipelines.recognition.finished import (
    COMPLETE_THEM,
    OF_PAGES,
    check_finished,
    names_of_part,
    read_groups,
    results_at,
)

_COLUMNS = [
    *("uri", "etag", "page", "line", "region", "text", "confidence", "chars", "turned"),
    *("error_code", "error_message"),
]
_BATCH_ROWS = 2_048
"""Rows that are turned into Python's objects at a time."""
Row = dict[str, Any]


def results_of_pages(results: str) -> tuple[str, list[str]]:
    """The ``model=…`` folder of a bulk job that read whole pages, and its files.

    Raises:
        DataError: when there are no results, those of several models, those of crops, or they are
            unfinished.
    """
    folder, parts = results_at(storage.absolute(results))
    check_finished(folder, COMPLETE_THEM)
    if not OF_PAGES.issubset(names_of_part(parts[0])):
        raise DataError(
            f"{folder} has the results of crops, without the columns page and line; expected those "
            "of whole pages: python jobs/recognize.py --pages --input SCANS --output RESULTS"
        )
    return folder, parts


def documents_in(address: str) -> Iterator[Document]:
    """The documents of a results file; a file's rows are all in one, and lie together."""
    for uri, rows in groupby(_rows(address), key=lambda row: row["uri"]):
        yield document_of(uri, rows)


def document_of(uri: str, rows: Iterable[Row]) -> Document:
    """The pages of one file, from all its rows in any order.

    What wasn't read, or was read with an error, is a problem. A page that could be opened is there,
    even if it has no lines; lines in which nothing was found are left out.
    """
    etag = ""
    lines: dict[int, list[Line]] = {}
    problems: list[LeftOut] = []
    for row in rows:
        etag = etag or row["etag"] or ""
        page, line = row["page"], row["line"]
        if page is not None and (line is not None or row["error_code"] is None):
            lines.setdefault(page, [])  # it could be opened
        if row["error_code"] is not None:
            code, message = row["error_code"], row["error_message"] or ""
            problems.append(LeftOut(uri=uri, page=page, line=line, code=code, message=message))
        elif page is not None and line is not None and row["text"]:
            lines[page].append(_line(row))
    pages = [
        Page(number=number, lines=sorted(lines[number], key=lambda line: line.number))
        for number in sorted(lines)
    ]
    return Document(uri=uri, etag=etag, pages=pages, problems=problems)


def _line(row: Row) -> Line:
    text, confidence, region = row["text"], row["confidence"], cast(Region, tuple(row["region"]))
    chars = [CharResult(**char) for char in row["chars"] or ()]
    words = words_of(text, confidence, region, chars, row["turned"] or 0)
    return Line(row["line"], text, confidence, region, words)


def _rows(address: str) -> Iterator[Row]:
    for table in read_groups(address, _COLUMNS):
        for batch in table.to_batches(max_chunksize=_BATCH_ROWS):
            yield from batch.to_pylist()
