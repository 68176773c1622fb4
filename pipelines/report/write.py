"""Puts a report in its place: ``report.json`` last, so that a folder without it is unfinished."""

from __future__ import annotations

import json

from crnn import storage
from pipelines.evaluation.result import Evaluation
from pipelines.report.page import page

HTML_NAME = "report.html"
JSON_NAME = "report.json"


def begin_report(out_uri: str) -> None:
    """Make an earlier report in this place unfinished, before anything beside it changes."""
    storage.delete(storage.join(out_uri, JSON_NAME))


def write_report(evaluation: Evaluation, out_uri: str) -> str:
    """Write both files to a folder or address, and return the address of the HTML page.

    Raises:
        DataError: when they can't be written.
    """
    begin_report(out_uri)
    address = storage.join(out_uri, HTML_NAME)
    storage.write_bytes(address, page(evaluation).encode())
    text = json.dumps(evaluation.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
    storage.write_bytes(storage.join(out_uri, JSON_NAME), text.encode())
    return address
