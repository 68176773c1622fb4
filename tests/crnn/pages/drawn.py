"""Pages that tests draw: two columns of words, PDFs that are sound and some that aren't."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFont

LEFT = ["the ship left the harbour", "with forty men on board", "and a cargo of timber"]
RIGHT = ["nobody had seen the coast", "for nineteen long days", "when the wind turned"]
HEADING = "A short account of the voyage to the north"
TEXT = [HEADING, *LEFT, *RIGHT]
"""In reading order."""


def two_columns() -> Image.Image:
    """A heading over two columns, whose lines stand level with one another."""
    page = Image.new("RGB", (760, 320), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(24)
    draw.text((60, 30), HEADING, font=ImageFont.load_default(30), fill="black")
    for column, lines in ((40, LEFT), (410, RIGHT)):
        for row, line in enumerate(lines):
            draw.text((column, 110 + 60 * row), line, font=font, fill="black")
    return page


def receipt(first: int = 100) -> Image.Image:
    """A page of six lines that ``bundles/strings`` can read."""
    page = Image.new("RGB", (560, 560), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(48)
    for row in range(6):
        draw.text((50, 30 + 84 * row), f"INV:{first + row}-7K-2044", font=font, fill="black")
    return page


def turned(page: Image.Image, quarters: int) -> Image.Image:
    """Clockwise."""
    return Image.fromarray(np.rot90(np.asarray(page), -quarters))


def in_file(pages: list[Image.Image], kind: str) -> bytes:
    """A PDF or a TIFF of these pages."""
    file = io.BytesIO()
    first, *others = [page.copy() for page in pages]  # saving leaves settings of PDFs behind
    first.save(file, kind, save_all=True, append_images=others)
    return file.getvalue()


def pdf(page: str = "", trailer: str = "", more: str = "") -> bytes:
    """A PDF of one page without a table of its objects, which PDFium then looks for itself."""
    return (
        "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
        "2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
        f"3 0 obj<</Type/Page/Parent 2 0 R {page or '/MediaBox[0 0 72 36]'}>>endobj\n{more}"
        f"trailer<</Root 1 0 R {trailer}>>\n%%EOF\n"
    ).encode("ascii")


def encrypted_pdf() -> bytes:
    """One that wants a password."""
    key = "<" + "ab" * 32 + ">"
    return pdf(
        trailer=f"/Encrypt 5 0 R/ID[{key}{key}]",
        more=f"5 0 obj<</Filter/Standard/V 1/R 2/P -4/O {key}/U {key}>>endobj\n",
    )
