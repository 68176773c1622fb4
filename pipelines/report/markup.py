"""HTML and SVG by construction: plain text is always escaped, only ``Markup`` goes in as it is."""

from __future__ import annotations

import unicodedata
from html import escape

_VOID = frozenset({"meta", "img", "br", "input"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(name: str, /, *children: str | Markup, **attributes: object) -> Markup:
    """An element. ``class_`` is ``class``, other underscores are hyphens; a None is left out."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{given}>")
    return Markup(f"<{name}{given}>{together(*children)}</{name}>")


def together(*children: str | Markup) -> Markup:
    """Children side by side, escaped where they are plain text."""
    return Markup("".join(c if isinstance(c, Markup) else escape(visible(c)) for c in children))


def visible(text: str) -> str:
    """``text`` with its control characters as their pictures: HTML has no way to write them."""
    return "".join(
        chr(0x2400 + ord(c))
        if ord(c) < 0x20
        else "\ufffd"
        if unicodedata.category(c) in ("Cc", "Cs")
        else c
        for c in text
    )


def shown_character(character: str) -> str:
    """One character so that it can be seen alone: a space, a mark that sits on another one."""
    if character.isspace():
        return {" ": "␣"}.get(character, f"U+{ord(character):04X}")
    category = unicodedata.category(character)
    if category.startswith("M"):
        return "◌" + character
    return f"U+{ord(character):04X}" if category.startswith("C") else character
