"""A font without shapes, in which a PDF holds text that is found and copied, but not seen.

A character of the document has a code of its own, so any of Unicode can be written. Each is half
as wide as it is high; the matrix of a word makes it as wide as it is on the page.
"""

from __future__ import annotations

import io
from functools import cache
from typing import Any

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

_UNITS_PER_EM, _WIDTH = 1000, 500
_NAME = "Unseen"
_MOST_LINES = 100
"""Maximum number of lines in a block of a CMap."""
_CMAP = """/CIDInit /ProcSet findresource begin
12 dict begin
begincmap
/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def
/CMapName /Adobe-Identity-UCS def
/CMapType 2 def
1 begincodespacerange
<0000> <FFFF>
endcodespacerange
{blocks}endcmap
CMapName currentdict /CMap defineresource pop
end
end
"""


class Codes:
    """The font in one PDF, and the codes of the characters that were asked for."""

    def __init__(self, pikepdf: Any, pdf: Any) -> None:
        self._pikepdf, self._pdf = pikepdf, pdf
        self._codes: dict[str, int] = {}
        self.font = pdf.make_indirect(pikepdf.Dictionary())
        """To be named in the resources of pages; complete after ``finish``."""

    def of(self, text: str) -> bytes:
        """The text in the font's codes."""
        codes = (self._codes.setdefault(one, len(self._codes) + 1) for one in text)
        return b"".join(min(code, 0xFFFF).to_bytes(2, "big") for code in codes)

    def finish(self) -> None:
        """Fill in the font; without any text it stays unused."""
        pikepdf, pdf = self._pikepdf, self._pdf
        name, new = pikepdf.Name, pikepdf.Dictionary
        program = pdf.make_stream(_program())
        program.Length1 = len(_program())
        descriptor = new(
            Type=name.FontDescriptor,
            FontName=name(f"/{_NAME}"),
            Flags=4,  # symbolic: none of the usual encodings
            FontBBox=[0, 0, _WIDTH, _UNITS_PER_EM],
            ItalicAngle=0,
            Ascent=_UNITS_PER_EM,
            Descent=0,
            CapHeight=_UNITS_PER_EM,
            StemV=80,
            FontFile2=program,
        )
        descendant = new(
            Type=name.Font,
            Subtype=name.CIDFontType2,
            BaseFont=name(f"/{_NAME}"),
            CIDSystemInfo=new(
                Registry=pikepdf.String("Adobe"),
                Ordering=pikepdf.String("Identity"),
                Supplement=0,
            ),
            FontDescriptor=pdf.make_indirect(descriptor),
            DW=_WIDTH,
            CIDToGIDMap=pdf.make_stream(b"\0\1" * (len(self._codes) + 1)),
        )
        self.font.Type, self.font.Subtype = name.Font, name.Type0
        self.font.BaseFont, self.font.Encoding = name(f"/{_NAME}"), name("/Identity-H")
        self.font.DescendantFonts = [pdf.make_indirect(descendant)]
        self.font.ToUnicode = pdf.make_stream(self._to_unicode())

    def _to_unicode(self) -> bytes:
        lines = [
            f"<{code:04X}> <{one.encode('utf-16-be', 'surrogatepass').hex().upper()}>\n"
            for one, code in self._codes.items()
            if code <= 0xFFFF
        ]
        blocks = ""
        for start in range(0, len(lines), _MOST_LINES):
            some = lines[start : start + _MOST_LINES]
            blocks += f"{len(some)} beginbfchar\n{''.join(some)}endbfchar\n"
        return _CMAP.format(blocks=blocks).encode("ascii")


@cache
def _program() -> bytes:
    """TrueType with two glyphs, each a line across its box: it has an extent, but no area."""
    builder = FontBuilder(_UNITS_PER_EM, isTTF=True)
    names = [".notdef", "unseen"]
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({0x20: "unseen"})
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    pen.lineTo((_WIDTH, _UNITS_PER_EM))
    pen.closePath()
    glyph = pen.glyph()
    builder.setupGlyf(dict.fromkeys(names, glyph))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (_WIDTH, 0)))
    builder.setupHorizontalHeader(ascent=_UNITS_PER_EM, descent=0)
    builder.setupNameTable({"familyName": _NAME, "styleName": "Regular", "psName": _NAME})
    builder.setupOS2(sTypoAscender=_UNITS_PER_EM, usWinAscent=_UNITS_PER_EM, usWinDescent=0)
    builder.setupPost()
    builder.font["head"].created = builder.font["head"].modified = 0
    builder.font.recalcTimestamp = False
    file = io.BytesIO()
    builder.save(file)
    return file.getvalue()
