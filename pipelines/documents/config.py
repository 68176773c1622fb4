"""Which documents are written of a bulk job's pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["txt", "json", "hocr", "alto", "pdf"]


@dataclass(frozen=True, kw_only=True)
class DocumentsConfig:
    """The formats to write, and whether a document holds a file or a page."""

    format: tuple[Kind, ...] = ("txt",)
    """Forms to write: plain text, JSON, hOCR, ALTO 4, searchable PDF."""
    per: Literal["file", "page"] = "file"
    """One document for each input file with all its pages, or one for each page."""

    def __post_init__(self) -> None:
        if not self.format:
            raise ValueError("--format names none; expected some of txt, json, hocr, alto, pdf")
