"""Documents as plain text and as JSON."""

from __future__ import annotations

import json

from pipelines.documents.page import Line, Page, Sheets


def write_txt(sheets: Sheets) -> None:
    """A line for each line, an empty one between pages; pages without text are left out."""
    written = False
    for page in sheets.pages:
        if page.lines:
            sheets.file.write("\n" if written else "")
            sheets.file.writelines(f"{' '.join(line.text.splitlines())}\n" for line in page.lines)
            written = True


def write_json(sheets: Sheets) -> None:
    """``{"uri", "pages": [{"page", "width", "height", "confidence", "lines"}]}``."""
    pages = [_page(page) for page in sheets.pages]
    text = json.dumps({"uri": sheets.uri, "pages": pages}, ensure_ascii=False)
    sheets.file.write(f"{text}\n")


def _page(page: Page) -> dict[str, object]:
    width, height = page.size
    return {
        "page": page.number,
        "width": width,
        "height": height,
        "confidence": page.confidence,
        "lines": [_line(line) for line in page.lines],
    }


def _line(line: Line) -> dict[str, object]:
    return {
        "line": line.number,
        "text": line.text,
        "confidence": line.confidence,
        "region": line.region,
    }
