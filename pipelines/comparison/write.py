"""Puts a comparison in its place, ``comparison.json`` last: a folder without it is unfinished."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from crnn.files import storage
from pipelines.comparison.page import page
from pipelines.comparison.result import Comparison
from pipelines.owned import begin_page

HTML_NAME = "comparison.html"
JSON_NAME = "comparison.json"
CHANGED_NAME = "changed.parquet"
"""Beside them, where the rows or readings of two are compared: every one that changed."""


def write(comparison: Comparison, out_uri: str) -> str:
    """Write both files to a folder or address, and return the address of the HTML page.

    Raises:
        DataError: when they can't be written.
    """
    begin(out_uri)
    return put(out_uri, page(comparison), comparison.to_dict())


def begin(out_uri: str) -> None:
    """Make an earlier comparison in this place unfinished, before anything beside it changes.

    Raises:
        DataError: when what lies there isn't one.
    """
    begin_page(out_uri, HTML_NAME, JSON_NAME)


def put(out_uri: str, html: str, figures: Mapping[str, Any]) -> str:
    """Write the page, then the figures, of any comparison that was begun; the page's address."""
    address = storage.join(out_uri, HTML_NAME)
    storage.write_bytes(address, html.encode("utf-8", "surrogatepass"))
    text = json.dumps(figures, indent=1, ensure_ascii=False, allow_nan=False)
    storage.write_bytes(storage.join(out_uri, JSON_NAME), text.encode())
    return address
