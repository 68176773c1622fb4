"""Puts a comparison in its place, ``comparison.json`` last: a folder without it is unfinished."""

from __future__ import annotations

import json

from crnn import storage
from pipelines.comparison.page import page
from pipelines.comparison.result import Comparison
from pipelines.owned import begin_page

HTML_NAME = "comparison.html"
JSON_NAME = "comparison.json"


def write(comparison: Comparison, out_uri: str) -> str:
    """Write both files to a folder or address, and return the address of the HTML page.

    Raises:
        DataError: when they can't be written.
    """
    begin_page(out_uri, HTML_NAME, JSON_NAME)
    address = storage.join(out_uri, HTML_NAME)
    storage.write_bytes(address, page(comparison).encode("utf-8", "surrogatepass"))
    text = json.dumps(comparison.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
    storage.write_bytes(storage.join(out_uri, JSON_NAME), text.encode())
    return address
