"""Pages read → the JSON of ``POST /v1/pages``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import orjson

from crnn import wire
from crnn.errors import PictureError
from crnn.online.pages import Document, PageRead
from crnn.pages import Line
from jobs.serving.answers import chars_of, wrong


def read_pages(
    model: str,
    digest: str,
    ids: Sequence[str],
    documents: Sequence[Document],
    options: wire.PageOptions,
    *,
    with_models: bool = False,
) -> bytes:
    """The document: the model, and the pages or an error for each file, in request order.

    ``with_models``: each line says which bundle of a cascade read it.
    """
    answer: wire.Pages = {
        "model": {"name": model, "digest": digest},
        "results": [
            _file(name, document, options, with_model=with_models)
            for name, document in zip(ids, documents, strict=True)
        ],
    }
    return orjson.dumps(answer)


def _file(
    name: str, document: Document, options: wire.PageOptions, *, with_model: bool
) -> wire.PagesOfFile:
    if isinstance(document, PictureError):
        return {"id": name, "error": _error(document)}
    pages = [
        _page(number, page, options, with_model=with_model)
        for number, page in enumerate(document, 1)
    ]
    return {"id": name, "pages": pages}


def _page(
    number: int, page: PageRead | PictureError, options: wire.PageOptions, *, with_model: bool
) -> wire.Page:
    if isinstance(page, PictureError):
        return {"page": number, "error": _error(page)}
    return {
        "page": number,
        "width": page.width,
        "height": page.height,
        "turned": cast(wire.PageTurned, page.turned),
        "lines": [
            _line(number, line, options, with_model=with_model)
            for number, line in enumerate(page.lines, 1)
        ],
    }


def _line(number: int, line: Line, options: wire.PageOptions, *, with_model: bool) -> wire.Line:
    result, (x0, y0, x1, y1, x2, y2, x3, y3) = line.result, line.region
    entry: wire.Line = {
        "line": number,
        "text": result.text,
        "confidence": result.confidence,
        "region": ((x0, y0), (x1, y1), (x2, y2), (x3, y3)),
    }
    if with_model:
        entry["model"] = result.model
    if options["chars"]:
        entry["chars"] = chars_of(result.chars)
    if result.turned:
        entry["turned"] = result.turned
    if error := wrong(result, options):
        entry["error"] = error
    return entry


def _error(error: PictureError) -> wire.Error:
    return {"code": error.reason, "message": str(error)}
