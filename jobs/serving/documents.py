"""``POST /v1/documents``: what ``POST /v1/pages`` answered → a document, without reading again.

curl -F files=@scan.pdf localhost:8000/v1/pages > scan.json
curl --json @scan.json -OJ 'localhost:8000/v1/documents?format=hocr'
"""

from __future__ import annotations

import asyncio
import io
import re
from urllib.parse import parse_qs, quote

from crnn import wire
from crnn.images.region import Region
from crnn.result import CharResult
from jobs.serving.bodies import check_json
from jobs.serving.contract import Checked
from jobs.serving.exchange import Answer, Request
from jobs.serving.problems import ProblemError
from jobs.serving.service import Service
from pipelines.documents.forms import FORMS, TEXTS, Form
from pipelines.documents.page import Line, Page, Sheets
from pipelines.documents.words import words_of

PATH = "/v1/documents"
MOST_VALUES = 1_000_000
"""Commas of JSON: what bounds the memory that its values take."""
_GIVEN = Checked(wire.Given, remedy="expected what POST /v1/pages answers for one file")


class Documents:
    """Writes what a request brings in the form that it names."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, request: Request) -> Answer:
        """Answer a request; raises ProblemError and ClientGoneError."""
        form = _form(request.query)
        check_json(request.headers)
        async with request.body(self._service.limits, self._service.held) as body:
            name, document = await asyncio.to_thread(_written, body, form)
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


def _written(body: bytes, form: Form) -> tuple[str, bytes]:
    """The document's file name and bytes."""
    file = _file(body)
    name, pages = file["id"], file.get("pages")
    if pages is None:
        raise ProblemError("invalid", f"{name[:80]!r} has no pages, so there is no document")
    text = io.StringIO(newline="\n")
    assert form.writer is not None
    form.writer(Sheets(name, [_page(page) for page in pages if "error" not in page], text))
    return _name(name) + form.suffix, text.getvalue().encode("utf-8", errors="replace")


def _file(body: bytes) -> wire.PagesOfFile:
    if body.count(b",") > MOST_VALUES:
        raise ProblemError(
            "too_large",
            f"the JSON has over {MOST_VALUES} values; read the pages with chars=false, or fewer "
            "of them at a time",
        )
    return _GIVEN.json(body)["results"][0]


def _page(page: wire.Page) -> Page:
    number = page["page"]
    if "width" not in page or "height" not in page or "lines" not in page:
        raise ProblemError(
            "invalid", f"page {number} lacks width, height or lines; expected them, or an error"
        )
    lines = [_line(line) for line in page["lines"] if line["text"]]
    return Page(number=number, lines=lines, whole=(page["width"], page["height"]))


def _line(line: wire.Line) -> Line:
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = line["region"]
    text, confidence = line["text"], line["confidence"]
    region: Region = (x0, y0, x1, y1, x2, y2, x3, y3)
    chars = [CharResult(**one) for one in line.get("chars", [])]
    words = words_of(text, confidence, region, chars, line.get("turned", 0))
    return Line(line["line"], text, confidence, region, words)


def _name(given: str) -> str:
    """The file's name without folders and ending."""
    last = re.split(r"[\\/]", given)[-1]
    return re.sub(r"(?<=.)\.[^.]{1,8}$", "", last)[:120] or "document"
