"""``POST /v1/documents``: what ``POST /v1/pages`` answered → a document, without reading again.

curl -F files=@scan.pdf localhost:8000/v1/pages > scan.json
curl --json @scan.json -OJ 'localhost:8000/v1/documents?format=hocr'
"""

from __future__ import annotations

import asyncio
import io
import re
from urllib.parse import parse_qs, quote

from pydantic import TypeAdapter, ValidationError

from crnn.images.region import Region
from crnn.result import CharResult
from jobs.serving.asked import JSON_TYPE
from jobs.serving.bodies import read_body, shown
from jobs.serving.exchange import Answer, Request
from jobs.serving.pages.given import Given, GivenFile, GivenLine, GivenPage
from jobs.serving.problems import ProblemError
from jobs.serving.service import Service
from pipelines.documents.forms import FORMS, TEXTS, Form
from pipelines.documents.page import Line, Page, Sheets
from pipelines.documents.words import words_of

PATH = "/v1/documents"
MOST_VALUES = 1_000_000
"""Commas of JSON: what bounds the memory that its values take."""
_GIVEN = TypeAdapter(Given)


class Documents:
    """Writes what a request brings in the form that it names."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, request: Request) -> Answer:
        """Answer a request; raises ProblemError and ClientGoneError."""
        form = _form(request.query)
        _check_type(request.headers.get(b"content-type", b""))
        service = self._service
        body = await read_body(
            request.receive, request.headers, service.limits, service.held, request.deadline_s
        )
        try:
            name, document = await asyncio.to_thread(_written, body, form)
        finally:
            service.held.give_back(len(body))
        headers = {
            "content-type": form.media_type,
            "content-disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
            "x-content-type-options": "nosniff",
        }
        return Answer(document, headers=[(k.encode(), v.encode()) for k, v in headers.items()])


def _form(query: bytes) -> Form:
    try:
        asked = parse_qs(query.decode("ascii"), keep_blank_values=True, max_num_fields=16)
    except ValueError as error:
        raise ProblemError("malformed", f"the query can't be read: {error}") from None
    names = asked.pop("format", ["txt"])
    if asked or len(names) > 1 or names[0] not in TEXTS:
        raise ProblemError(
            "invalid", f"the query is {query[:80]!r}; expected format={' or '.join(TEXTS)}"
        )
    return FORMS[names[0]]


def _check_type(content_type: bytes) -> None:
    if content_type.partition(b";")[0].strip().lower() != JSON_TYPE:
        raise ProblemError(
            "unsupported_media_type",
            f"the Content-Type is {shown(content_type)}; expected application/json",
        )


def _written(body: bytes, form: Form) -> tuple[str, bytes]:
    """The document's file name and bytes."""
    file = _file(body)
    if file.pages is None:
        raise ProblemError("invalid", f"{file.id[:80]!r} has no pages, so there is no document")
    text = io.StringIO(newline="\n")
    assert form.writer is not None
    form.writer(Sheets(file.id, [_page(page) for page in file.pages if page.error is None], text))
    return _name(file.id) + form.suffix, text.getvalue().encode("utf-8", errors="replace")


def _file(body: bytes) -> GivenFile:
    if body.count(b",") > MOST_VALUES:
        raise ProblemError(
            "too_large",
            f"the JSON has over {MOST_VALUES} values; read the pages with chars=false, or fewer "
            "of them at a time",
        )
    try:
        return _GIVEN.validate_json(body).results[0]
    except ValidationError as error:
        found = "; ".join(
            f"{'.'.join(map(str, entry['loc'])) or 'the body'}: {entry['msg']}"
            for entry in error.errors(include_url=False, include_input=False)[:5]
        )
        raise ProblemError(
            "invalid", f"{found}; expected what POST /v1/pages answers for one file"
        ) from None


def _page(page: GivenPage) -> Page:
    if page.width is None or page.height is None or page.lines is None:
        raise ProblemError(
            "invalid", f"page {page.page} lacks width, height or lines; expected them, or an error"
        )
    lines = [_line(line) for line in page.lines if line.text]
    return Page(number=page.page, lines=lines, whole=(page.width, page.height))


def _line(line: GivenLine) -> Line:
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = line.region
    region: Region = (x0, y0, x1, y1, x2, y2, x3, y3)
    chars = [CharResult(one.char, one.probability, one.x0, one.x1) for one in line.chars or ()]
    words = words_of(line.text, line.confidence, region, chars, line.turned)
    return Line(line.line, line.text, line.confidence, region, words)


def _name(given: str) -> str:
    """The file's name without folders and ending."""
    last = re.split(r"[\\/]", given)[-1]
    return re.sub(r"(?<=.)\.[^.]{1,8}$", "", last)[:120] or "document"
