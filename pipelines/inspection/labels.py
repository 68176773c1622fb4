"""What can be wrong with a label by itself: spaces, characters nobody sees, forms, scripts."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import NamedTuple

from crnn.text.charset import normalise
from crnn.text.order import backwards
from pipelines.inspection.look_alikes import described, mixed_scripts, plain_form
from pipelines.textrules import PICTURE_PATH, is_needed_joiner

_LOST = "\ufffd"
_UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Fillers and blanks that have other categories than ``Cf``."""


class Trouble(NamedTuple):
    """One thing wrong with a label."""

    code: str
    message: str


def troubles(text: str) -> list[Trouble]:
    """All that is wrong with ``text``, each kind once; none for an ordinary label."""
    if not text:
        return [Trouble("empty_label", "the label has no characters")]
    if all(c.isspace() or is_unseen(c) for c in text):
        return [Trouble("whitespace_label", f"nothing to see: {spelled(text)}")]
    found = list(_spaces(text))
    path = PICTURE_PATH.search(text)
    if path is not None:
        found.append(Trouble("path_label", f"holds the path {path[0]!r}"))
    if not (text.isascii() and text.isprintable()):
        found += _characters(text)
        found += _forms(text)
        found += _words(text)
    return found


def is_unseen(character: str) -> bool:
    """Whether it is a control character or one that shows nothing; spaces aren't."""
    return _kind(character) in ("control_character", "invisible_character")


def spelled(text: str) -> str:
    """The code points of ``text``."""
    return " ".join(f"U+{ord(c):04X}" for c in text)


def differing(texts: Sequence[str]) -> str:
    """In what different texts differ, where that is little: ``differ only in case``, or empty."""
    if len(set(map(normalise, texts))) < 2:
        return ""
    for what, reduce in _REDUCED.items():
        if len({reduce(text) for text in texts}) == 1:
            return f"differ only in {what}"
    return ""


def _spaces(text: str) -> Iterator[Trouble]:
    if text != text.strip():
        where = "begins" if text[0].isspace() else "ends"
        yield Trouble("edge_space", f"{where} with a space")
    if "  " in text.strip():
        yield Trouble("double_space", "has two spaces in a row")


def _characters(text: str) -> Iterator[Trouble]:
    seen: set[str] = set()
    for place, character in enumerate(text):
        kind = _kind(character)
        if not kind or kind in seen or is_needed_joiner(text, place):
            continue
        seen.add(kind)
        plain = plain_form(character) if kind == "variant_character" else ""
        yield Trouble(kind, described(character) + (f", a form of {plain!r}" if plain else ""))


def _forms(text: str) -> Iterator[Trouble]:
    if not unicodedata.is_normalized("NFC", text):
        yield Trouble("not_nfc", f"{len(text)} code points, {len(normalise(text))} in NFC")
    for encoding in ("cp1252", "latin-1"):
        try:
            meant = text.encode(encoding).decode("utf-8")
        except UnicodeError:
            continue
        if _LOST in meant:
            yield Trouble("replacement_character", f"U+FFFD in UTF-8, read as {encoding}: lost")
            return
        if meant != text:
            yield Trouble("mojibake", f"UTF-8 read as {encoding}: probably {meant!r}")
            return


def _words(text: str) -> Iterator[Trouble]:
    for word in text.split():
        mixed = None if word.isascii() else mixed_scripts(word)
        if mixed:
            yield Trouble("look_alike" if mixed.misleading else "mixed_scripts", mixed.message)
            break
    word = backwards(text)
    if word:
        yield Trouble("visual_order", f"{word!r} begins with {described(word[0])}, as words end")


@cache
def _kind(character: str) -> str:
    """What is wrong with a character, regardless of its position; empty for nothing."""
    category = unicodedata.category(character)
    if category == "Cc":
        return "control_character"
    if character == _LOST or category in ("Cs", "Cn", "Co"):
        return "replacement_character"
    is_selector = 0xFE00 <= ord(character) <= 0xFE0F
    if category in ("Cf", "Zl", "Zp") or character in _UNSEEN or is_selector:
        return "invisible_character"
    if category == "Zs" and character != " ":
        return "odd_space"
    return "variant_character" if plain_form(character) else ""


_REDUCED: dict[str, Callable[[str], str]] = {
    "spaces": lambda text: "".join(normalise(text).split()),
    "case": lambda text: normalise(text).casefold(),
    "case and spaces": lambda text: "".join(normalise(text).casefold().split()),
    "punctuation, case or spaces": lambda text: "".join(
        c for c in normalise(text).casefold() if c.isalnum()
    ),
}
