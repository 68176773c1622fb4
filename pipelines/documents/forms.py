"""The forms of documents: what writes each, and how its files are named and served."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from pipelines.documents.alto import write_alto
from pipelines.documents.hocr import write_hocr
from pipelines.documents.page import Sheets
from pipelines.documents.plain import write_json, write_txt

Writer = Callable[[Sheets], None]


class Form(NamedTuple):
    """One of them."""

    suffix: str
    """Suffix of its files."""
    media_type: str
    writer: Writer | None
    """None for PDF, which takes the pictures too."""


FORMS: Mapping[str, Form] = {
    "txt": Form(".txt", "text/plain; charset=utf-8", write_txt),
    "json": Form(".json", "application/json", write_json),
    "hocr": Form(".hocr", "text/vnd.hocr+html; charset=utf-8", write_hocr),
    "alto": Form(".alto.xml", "application/xml", write_alto),
    "pdf": Form(".pdf", "application/pdf", None),
}
TEXTS = [name for name, form in FORMS.items() if form.writer is not None]
"""Those that need no pictures."""
