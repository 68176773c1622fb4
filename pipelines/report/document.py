"""What every page is made of: one file that loads nothing from anywhere, and may not."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.report.figures import number
from pipelines.report.markup import Markup, tag
from pipelines.report.style import STYLE

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; " \
    "form-action 'none'"  # fmt: skip


def document(
    title: str, *content: Markup, style: str = "", script: str = "", data: Any = None
) -> str:
    """A whole HTML page.

    Args:
        title: of the window.
        content: what ``main`` holds.
        style: rules beside the shared ones.
        script: the one script that may run; it finds ``data`` as JSON in the element ``data``.
        data: anything that JSON can hold.
    """
    allowed = f"; script-src 'sha256-{_sha256(script)}'" if script else ""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY + allowed),
        tag("title", title),
        tag("style", Markup(STYLE + style)),
    )
    scripts = [tag("script", _json(data), type="application/json", id="data")] if script else []
    scripts += [tag("script", Markup(script))] if script else []
    body = tag("body", tag("main", *content), *scripts)
    return "<!doctype html>\n" + tag("html", head, body, lang="en")


def tile(name: str, value: str, note: str, *, lead: bool = False) -> Markup:
    """One figure, large."""
    kind = "tile lead" if lead else "tile"
    return tag("div", tag("span", name), tag("b", value), tag("span", note), class_=kind)


def tiles(*figures: Markup) -> Markup:
    """Figures side by side."""
    return tag("div", *figures, class_="tiles")


def table(heads: Sequence[Markup], rows: Sequence[Markup]) -> Markup:
    """``heads`` are cells, ``rows`` whole rows; a wide table scrolls by itself."""
    body = tag("table", tag("tr", *heads), *rows)
    return tag("div", body, class_="wide", tabindex="0", role="region", aria_label="table")


def figure_cell(text: str) -> Markup:
    """A cell with a number in it."""
    return tag("td", text, class_="n")


def facts(entries: Mapping[str, str]) -> Markup:
    """Names with what they stand for."""
    parts = [part for k, v in entries.items() for part in (tag("dt", k), tag("dd", tag("code", v)))]
    return tag("dl", *parts)


def many(count: int, noun: str) -> str:
    """``1 set``, ``2 sets``."""
    return f"{number(count)} {noun}" if count == 1 else f"{number(count)} {noun}s"


def moment(iso_utc: str) -> str:
    """A time of ISO 8601 as people write it."""
    return iso_utc.replace("T", " ").replace("+00:00", " UTC")


def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _json(data: Any) -> Markup:
    """JSON that can stand in a script element: nothing in it ends the element."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))
