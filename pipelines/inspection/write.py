"""Puts an inspection in its place: ``report.json`` last, so a folder without it is unfinished."""

from __future__ import annotations

import json

from crnn import storage
from pipelines.inspection.page import page
from pipelines.inspection.result import Inspection

HTML_NAME = "report.html"
JSON_NAME = "report.json"


def write(inspection: Inspection, out_uri: str) -> str:
    """Write both files to a folder or address, and return the address of the HTML page.

    Raises:
        DataError: when they can't be written.
    """
    storage.delete(storage.join(out_uri, JSON_NAME))
    address = storage.join(out_uri, HTML_NAME)
    storage.write_bytes(address, page(inspection).encode("utf-8", "surrogatepass"))
    text = json.dumps(inspection.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
    storage.write_bytes(storage.join(out_uri, JSON_NAME), text.encode())
    return address
