"""Writes documents; one that is newer than the rows it is made of is left as it is.

    OUT/<name>.txt           --per file: all pages of an input
    OUT/<name>/0001.txt      --per page
    OUT/_documents.json      which results they are of

A name is what can be read of the input's address, and a digest of the address.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from crnn.errors import DataError, PictureError
from crnn.files import storage
from pipelines.claim import at_work, lay_down
from pipelines.documents.config import DocumentsConfig
from pipelines.documents.forms import FORMS, Form, Writer
from pipelines.documents.page import Document, LeftOut, Page, Sheets
from pipelines.documents.rows import documents_in, results_of_pages
from pipelines.recognition.finished import page_request
from pipelines.safe_names import safe_name

MARK = "_documents.json"
_ANOTHER = "give another OUT, or delete it"
SHOWN_PROBLEMS = 20
_REMOTE_THREADS, _LOCAL_THREADS = 4, 1


@dataclass(kw_only=True)
class Written:
    """What came of it."""

    results_uri: str
    """The ``model=…`` folder."""
    files: int = 0
    """Inputs of the results."""
    pages: int = 0
    """Pages that could be opened."""
    written: int = 0
    """Outputs."""
    kept: int = 0
    """Outputs that were there and newer than their rows."""
    errors: Counter[str] = field(default_factory=Counter)
    """Files, pages and lines that aren't in the documents, by code."""
    examples: list[LeftOut] = field(default_factory=list)
    """The first of them."""

    def add(self, document: Document, written: int, kept: int) -> None:
        """Counts a document that is in its place."""
        self.files += 1
        self.pages += len(document.pages)
        self.written += written
        self.kept += kept
        self.errors.update(problem.code for problem in document.problems)
        self.examples += document.problems[: SHOWN_PROBLEMS - len(self.examples)]


def write_documents(
    results: str,
    out_uri: str,
    config: DocumentsConfig,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Written:
    """Write the documents of finished results; ``on_progress`` gets results files done, and all.

    Holds the lines of a few inputs at a time, for PDF the inputs themselves too. An input of which
    no PDF can be made, since it is gone or another than was read, is a problem, and an older PDF
    of it goes.

    Raises:
        DataError: for results that can't be taken, an output folder with other documents or another
            job at work in it, or PDF without the packages that it takes.
    """
    folder, parts = results_of_pages(results)
    dpi = page_request(folder).dpi if "pdf" in config.format else 0
    if "pdf" in config.format:
        _check_packages()
    out_uri = storage.absolute(out_uri)
    found = Written(results_uri=folder)
    with at_work(out_uri):
        lay_down(storage.join(out_uri, MARK), {"results": folder}, out_uri, _ANOTHER)
        on_progress(0, len(parts))
        for done, address in enumerate(parts, start=1):
            place = _Place(out_uri, config, storage.changed_at(address) or 0.0, dpi)
            for document, written, kept in _each(place, documents_in(address)):
                found.add(document, written, kept)
            on_progress(done, len(parts))
    return found


class _Place:
    """Where the documents of one results file go."""

    def __init__(self, out_uri: str, config: DocumentsConfig, changed_at: float, dpi: int) -> None:
        self.is_local = storage.is_local(out_uri)
        self._out_uri, self._by_page = out_uri, config.per == "page"
        self._forms = [FORMS[name] for name in dict.fromkeys(config.format)]
        self._changed_at = changed_at
        """When the rows were written."""
        self._dpi = dpi

    def put(self, document: Document) -> tuple[Document, int, int]:
        """Writes its outputs and removes those of older rows; how many were written, and kept.

        Of outputs that can't be made the document gets problems, one for all where its file can't
        be had.
        """
        there = self._there(document)
        wanted = {name: (form, pages) for name, form, pages in self._outputs(document)}
        due = {name for name in wanted if there.get(name, 0.0) <= self._changed_at}
        file = _InputFile(document)
        kept, written, failed = len(wanted) - len(due), 0, set[str]()
        for name in filter(due.__contains__, wanted):
            form, pages = wanted[name]
            try:
                self._write(name, form, document.uri, pages, file)
                written += 1
            except PictureError as error:
                page = pages[0].number if self._by_page and not file.is_missing else None
                problem = LeftOut(document.uri, page, None, error.reason, str(error))
                if problem not in document.problems:
                    document.problems.append(problem)
                failed.add(name)
        for name, changed in there.items():
            is_stale = name not in wanted or name in failed  # a page that isn't any more, or a file
            if is_stale and changed <= self._changed_at:
                storage.delete(storage.join(self._out_uri, name))
        return document, written, kept

    def _write(
        self, name: str, form: Form, uri: str, pages: Sequence[Page], file: _InputFile
    ) -> None:
        address, writer = storage.join(self._out_uri, name), form.writer
        if writer is not None:
            with storage.replacing(address) as path:
                storage.attempt("write", address, lambda: _fill(writer, uri, pages, path))
            return
        from pipelines.documents.pdf import searchable_pdf

        whole = not self._by_page
        storage.write_bytes(address, searchable_pdf(file.data(), pages, self._dpi, whole=whole))

    def _outputs(self, document: Document) -> Iterator[tuple[str, Form, Sequence[Page]]]:
        name = safe_name(document.uri)
        for form in self._forms:
            if self._by_page:
                for page in document.pages:
                    yield f"{name}/{page.number:04d}{form.suffix}", form, [page]
            elif document.pages:
                yield f"{name}{form.suffix}", form, document.pages

    def _there(self, document: Document) -> dict[str, float]:
        """The outputs of this input that exist, and when they were written."""
        name = safe_name(document.uri)
        if not self._by_page:
            names = [f"{name}{form.suffix}" for form in self._forms]
            times = {one: storage.changed_at(storage.join(self._out_uri, one)) for one in names}
            return {one: time for one, time in times.items() if time is not None}
        suffixes = "|".join(re.escape(form.suffix) for form in self._forms)
        ours = re.compile(rf"\d{{4,}}({suffixes})")
        try:
            infos = list(storage.list_files(storage.join(self._out_uri, name)))
        except FileNotFoundError:
            return {}
        times_of = {storage.base_name(info.uri): info.mtime for info in infos}
        return {f"{name}/{one}": time for one, time in times_of.items() if ours.fullmatch(one)}


class _InputFile:
    """The file that a document was read from, fetched once, when it is first needed."""

    def __init__(self, document: Document) -> None:
        self._uri, self._etag = document.uri, document.etag
        self._found: bytes | PictureError | None = None

    @property
    def is_missing(self) -> bool:
        """Whether it couldn't be had."""
        return isinstance(self._found, PictureError)

    def data(self) -> bytes:
        """Its bytes; PictureError, each time, where they can't be had or have changed."""
        from pipelines.recognition.source import picture_bytes

        if self._found is None:
            try:
                self._found = picture_bytes(self._uri, self._etag)
            except PictureError as error:
                self._found = error
        if isinstance(self._found, PictureError):
            raise self._found.with_traceback(None)
        return self._found


def _each(place: _Place, documents: Iterable[Document]) -> Iterator[tuple[Document, int, int]]:
    """All of them put in place, in order; on an object store a few at a time."""
    threads = _LOCAL_THREADS if place.is_local else _REMOTE_THREADS
    waiting: deque[Future[tuple[Document, int, int]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for document in documents:
            waiting.append(pool.submit(place.put, document))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _fill(writer: Writer, uri: str, pages: Sequence[Page], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        writer(Sheets(uri, list(pages), file))


def _check_packages() -> None:
    from pipelines.documents.pdf import packages

    try:
        packages()
    except PictureError as error:
        raise DataError(str(error)) from error
