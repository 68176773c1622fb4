"""Pages read → the JSON of ``POST /v1/pages``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crnn.errors import PictureError
from crnn.online.pages import Document, PageRead
from crnn.pages import Line
from jobs.serving.answers import answer, chars_of, verdict
from jobs.serving.asked import Options


def read_pages(
    model: str,
    digest: str,
    ids: Sequence[str],
    documents: Sequence[Document],
    options: Options,
    *,
    with_models: bool = False,
) -> bytes:
    """The document: the model, and the pages or an error for each file, in request order.

    ``with_models``: each line says which bundle of a cascade read it.
    """
    entries = [
        {"id": name} | _file(document, options, with_model=with_models)
        for name, document in zip(ids, documents, strict=True)
    ]
    return answer(model, digest, entries)


def _file(document: Document, options: Options, *, with_model: bool) -> dict[str, Any]:
    if isinstance(document, PictureError):
        return _error(document.reason, str(document))
    return {
        "pages": [
            {"page": number} | _page(page, options, with_model=with_model)
            for number, page in enumerate(document, 1)
        ]
    }


def _page(page: PageRead | PictureError, options: Options, *, with_model: bool) -> dict[str, Any]:
    if isinstance(page, PictureError):
        return _error(page.reason, str(page))
    return {
        "width": page.width,
        "height": page.height,
        "turned": page.turned,
        "lines": [
            {"line": number} | _line(line, options, with_model=with_model)
            for number, line in enumerate(page.lines, 1)
        ],
    }


def _line(line: Line, options: Options, *, with_model: bool) -> dict[str, Any]:
    result, flat = line.result, line.region
    entry: dict[str, Any] = {
        "text": result.text,
        "confidence": result.confidence,
        "region": [flat[at : at + 2] for at in range(0, 8, 2)],
    }
    if with_model:
        entry["model"] = result.model
    if options.chars:
        entry["chars"] = chars_of(result.chars)
    if result.turned:
        entry["turned"] = result.turned
    wrong = verdict(result, options.min_confidence)
    return entry | (_error(*wrong) if wrong else {})


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}
