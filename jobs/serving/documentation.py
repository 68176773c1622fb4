"""``/openapi.json``, and ``/docs``: a page made of it, which loads nothing from elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from jobs.serving.limits import Limits
from jobs.serving.operations import paths, secured
from jobs.serving.pages.settings import PagesSettings
from jobs.serving.problems import MEANINGS, STATUSES
from jobs.serving.schema import components
from pipelines.report.markup import Markup, tag, together

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;
color:#1b1b1b;background:#fff}
code,pre{font:14px/1.45 ui-monospace,monospace}
pre{background:#f3f4f6;padding:.75rem;border-radius:6px;overflow:auto}
summary{cursor:pointer;padding:.3rem 0}
.verb{display:inline-block;min-width:4.5rem;font-weight:700}
table{border-collapse:collapse;display:block;overflow:auto}
td,th{border-bottom:1px solid #d0d4da;padding:.3rem .8rem .3rem 0;text-align:left;
vertical-align:top}
.soft{color:#555}
@media(prefers-color-scheme:dark){body{color:#e6e6e6;background:#15171a}pre{background:#23262b}
td,th{border-color:#3a3f46}.soft{color:#aaa}}
"""
_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}


def add(app: FastAPI, limits: Limits, pages: PagesSettings, *, has_token: bool) -> None:
    """Add both paths to ``app``, which has all its other routes by now."""
    document = openapi(app, limits, pages, has_token=has_token)
    page = str(_page(document))

    async def as_json(request: Request) -> Response:
        return JSONResponse(document)

    async def as_page(request: Request) -> Response:
        return HTMLResponse(page, headers=_HEADERS)

    app.add_route("/openapi.json", as_json, include_in_schema=False)
    app.add_route("/docs", as_page, include_in_schema=False)


def openapi(
    app: FastAPI, limits: Limits, pages: PagesSettings, *, has_token: bool
) -> dict[str, Any]:
    """The OpenAPI document: what FastAPI knows of its routes, and what we know of the others."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        description="Reads the text in pictures of words and lines, and on whole pages. Every "
        "error is application/problem+json. What isn't HTTP/1.1 (an invalid request line, header, "
        "length or chunk, too large a head, or none in time) is answered with 400 or 408, and the "
        "connection is closed.",
        routes=app.routes,
    )
    ours = components(limits, pages, has_token=has_token)
    document["paths"] = paths(limits, pages, ours["schemas"]) | document["paths"]
    if has_token:
        document["paths"] = secured(document["paths"])
    theirs = document.get("components", {})
    document["components"] = {
        part: theirs.get(part, {}) | ours.get(part, {}) for part in {*ours, *theirs}
    }
    return document


def _page(document: dict[str, Any]) -> Markup:
    groups: dict[str, list[Markup]] = {}
    for path, operations in document["paths"].items():
        for verb, operation in operations.items():
            name = (operation.get("tags") or ["service"])[0]
            groups.setdefault(name, []).append(_operation(path, verb, operation))
    sections = [part for name, found in groups.items() for part in (tag("h2", name), *found)]
    return tag(
        "html",
        tag(
            "head",
            tag("meta", charset="utf-8"),
            tag("meta", name="viewport", content="width=device-width"),
            tag("title", "API of crnn"),
            tag("style", Markup(_STYLE)),
        ),
        tag(
            "body",
            tag("h1", "API"),
            tag(
                "p",
                "The same for programs: ",
                tag("a", "openapi.json", href="openapi.json"),
                ". A page to try it: ",
                tag("a", "/", href="."),
            ),
            *sections,
            tag("h2", "Problems"),
            tag("p", document["info"]["description"].partition(". ")[2]),
            _problems(),
        ),
        lang="en",
    )


def _operation(path: str, verb: str, operation: dict[str, Any]) -> Markup:
    return tag(
        "details",
        tag(
            "summary",
            tag("span", verb.upper(), class_="verb"),
            tag("code", path),
            f" {operation.get('summary', '')}",
        ),
        tag("p", operation.get("description", "")),
        _parameters(operation),
        *_bodies(operation),
        tag("p", "Answers:", class_="soft"),
        tag("ul", *(tag("li", line, class_="soft") for line in _answers(operation))),
        *_examples(operation),
    )


def _parameters(operation: dict[str, Any]) -> Markup:
    rows = [
        tag(
            "tr",
            tag("td", tag("code", entry["name"])),
            tag("td", entry["in"]),
            tag("td", entry.get("description") or entry["schema"].get("description", "")),
        )
        for entry in operation.get("parameters", [])
    ]
    return tag("table", *rows) if rows else together()


def _bodies(operation: dict[str, Any]) -> Iterator[Markup]:
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        yield tag("p", "Body: ", tag("code", kind))
        shown = content.get("example") or content["schema"]
        yield tag("pre", json.dumps(shown, indent=2, ensure_ascii=False))


def _answers(operation: dict[str, Any]) -> list[str]:
    return [
        f"{status} {entry.get('description', '')}".strip().replace("`", "")
        for status, entry in operation.get("responses", {}).items()
    ]


def _examples(operation: dict[str, Any]) -> Iterator[Markup]:
    answer = operation.get("responses", {}).get("200", {}).get("content", {})
    for content in answer.values():
        if "example" in content:
            yield tag("pre", json.dumps(content["example"], indent=2, ensure_ascii=False))


def _problems() -> Markup:
    rows = [
        tag(
            "tr",
            tag("td", str(STATUSES[code])),
            tag("td", tag("code", code)),
            tag("td", re.sub(r"\.$", "", meaning)),
            id=code,
        )
        for code, meaning in MEANINGS.items()
    ]
    return tag("table", tag("tr", tag("th", "status"), tag("th", "code"), tag("th", "")), *rows)
