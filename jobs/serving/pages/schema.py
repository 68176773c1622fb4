"""OpenAPI of whole pages and of documents made of them: their operations, with examples."""

from __future__ import annotations

from crnn import wire
from jobs.serving.contract import Schema, reference
from jobs.serving.pages.settings import PagesSettings
from jobs.serving.schema import (
    BODY_CODES,
    BUSY_CODES,
    json_answer,
    parameters_and_body,
    problems,
)
from pipelines.documents.forms import FORMS, TEXTS


def read_operation(pages: PagesSettings, schemas: Schema) -> Schema:
    """``POST /v1/pages``."""
    example = {"chars": False, "dpi": pages.dpi}
    return {
        "summary": "Read whole pages",
        "description": "Finds the text of pictures, TIFFs and PDFs and reads it line by line. A "
        f"file may have {pages.per_file} pages, a request {pages.per_request}. Files come in the "
        "order of the request, lines in reading order. A page or a file that can't be opened has "
        "an error in its place, and its neighbours are read.",
        "tags": ["recognition"],
        **parameters_and_body(wire.PagesRequest, "pages", wire.PageOptions, schemas, example),
        "responses": {
            "200": json_answer("the pages", wire.Pages, _PAGES_EXAMPLE),
            **problems(
                *BODY_CODES,
                "too_many_pages",
                "too_many_pictures",
                *BUSY_CODES,
                "internal",
                "not_installed",
            ),
        },
    }


def picture_operation(pages: PagesSettings) -> Schema:
    """``POST /v1/pages/picture``."""
    return {
        "summary": "A page's picture",
        "description": "Draws a page of a file as it is read, upright as the file says, for "
        "programs that can't draw it themselves. The body is the file. A page that can't be opened "
        "is 422.",
        "tags": ["recognition"],
        "parameters": [
            {
                "name": "page",
                "in": "query",
                "description": "Which page, from 1 on",
                "schema": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": pages.per_file,
                    "default": 1,
                },
            }
        ],
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {}}},
        },
        "responses": {
            "200": {"description": "the page", "content": {"image/jpeg": {"schema": {}}}},
            **problems(*BODY_CODES, *BUSY_CODES, "internal", "not_installed"),
        },
    }


def document_operation() -> Schema:
    """``POST /v1/documents``."""
    kinds = sorted({FORMS[name].media_type.partition(";")[0] for name in TEXTS})
    return {
        "summary": "Write a document",
        "description": "Writes what POST /v1/pages answered for one file as plain text, JSON, hOCR "
        "or ALTO 4. Nothing is read again.",
        "tags": ["recognition"],
        "parameters": [
            {
                "name": "format",
                "in": "query",
                "description": "The form",
                "schema": {"type": "string", "enum": list(TEXTS), "default": "txt"},
            }
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": reference(wire.Given), "example": _GIVEN_EXAMPLE}
            },
        },
        "responses": {
            "200": {
                "description": "the document",
                "content": {kind: {"schema": {}} for kind in kinds},
            },
            **problems(*BODY_CODES, *BUSY_CODES, "internal"),
        },
    }


_PAGES_EXAMPLE: Schema = {
    "model": {"name": "mobile", "digest": "3694bec9…"},
    "results": [
        {
            "id": "book.pdf",
            "pages": [
                {
                    "page": 1,
                    "width": 1654,
                    "height": 2339,
                    "turned": 0,
                    "lines": [
                        {
                            "line": 1,
                            "text": "A short account",
                            "confidence": 0.97,
                            "region": [[120, 90], [640, 90], [640, 132], [120, 132]],
                        }
                    ],
                },
                {"page": 2, "error": {"code": "too_large", "message": "the page is 40000x40000"}},
            ],
        },
        {"id": "locked.pdf", "error": {"code": "encrypted", "message": "wants a password"}},
    ],
}


_GIVEN_EXAMPLE: Schema = {"results": _PAGES_EXAMPLE["results"][:1]}
