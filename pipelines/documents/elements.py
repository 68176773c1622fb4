"""Elements of XML written one after another, by the standard library's own generator."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import TextIOBase
from xml.sax.saxutils import XMLGenerator
from xml.sax.xmlreader import AttributesImpl

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 can't hold, however it is written."""
Attributes = Mapping[str, object]
NONE: Attributes = {}


class Elements:
    """An XML document in a file, written as it comes: nothing is held in memory."""

    def __init__(self, file: TextIOBase) -> None:
        """Writes the declaration; ``file`` is in UTF-8."""
        self._xml = XMLGenerator(file, "utf-8", short_empty_elements=True)
        self._xml.startDocument()

    @contextmanager
    def within(self, name: str, attributes: Attributes = NONE) -> Iterator[None]:
        """An element around what is written within the ``with`` block."""
        known = {key: _legal(str(value)) for key, value in attributes.items()}
        self._xml.startElement(name, AttributesImpl(known))
        yield
        self._xml.endElement(name)

    def leaf(self, name: str, attributes: Attributes = NONE, text: str = "") -> None:
        """An element with nothing but text in it, on a line of its own."""
        with self.within(name, attributes):
            if text:
                self.text(text)
        self.new_line()

    def text(self, text: str) -> None:
        """Text in the element that is open."""
        self._xml.characters(_legal(text))

    def new_line(self) -> None:
        """Ends the line, so that lines of the file stay short."""
        self._xml.ignorableWhitespace("\n")


def _legal(text: str) -> str:
    return _ILLEGAL.sub("�", text)
