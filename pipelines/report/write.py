"""Puts a report in its place: ``report.json`` last, so that a folder without it is unfinished."""

from __future__ import annotations

import json

from crnn.files import storage
from pipelines.evaluation.losses import Losses
from pipelines.evaluation.result import Evaluation
from pipelines.owned import begin_page
from pipelines.report.page import page

HTML_NAME = "report.html"
JSON_NAME = "report.json"


def begin_report(out_uri: str) -> None:
    """Make an earlier report in this place unfinished, before anything beside it changes."""
    begin_page(out_uri, HTML_NAME, JSON_NAME)


def write_report(evaluation: Evaluation, out_uri: str, lost: Losses | None = None) -> str:
    """Write both files to a folder or address, and return the address of the HTML page.

    Args:
        evaluation: what they tell of.
        out_uri: the folder.
        lost: against the bundle that training began with, where that was measured.

    Raises:
        DataError: when they can't be written.
    """
    begin_report(out_uri)
    address = storage.join(out_uri, HTML_NAME)
    storage.write_bytes(address, page(evaluation, lost).encode())
    figures = evaluation.to_dict() | ({"lost": lost.to_dict()} if lost else {})
    text = json.dumps(figures, indent=1, ensure_ascii=False, allow_nan=False)
    storage.write_bytes(storage.join(out_uri, JSON_NAME), text.encode())
    return address
