"""Characters that look like others, and words of more than one script.

Which look alike is the Unicode Consortium's word (UTS #39, ``confusables.txt``), as the package
``confusable-homoglyphs`` carries it; the scripts are from there too. Characters of ASCII (``l``,
``1``, ``I``) are never look-alikes of one another here: they are what people mean to write.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from confusable_homoglyphs import categories, confusables  # type: ignore[import-untyped]

from pipelines.textrules import PUNCTUATION

_NO_SCRIPT = frozenset({"COMMON", "INHERITED", "UNKNOWN"})
_EAST_ASIAN = frozenset({"HAN", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO"})
_DIRECTION_MARK = "\u200e"


class Mixed(NamedTuple):
    """A word whose letters are of more than one script."""

    misleading: bool
    """Whether a letter looks like one of the script that the others are of."""
    message: str


class Twins(NamedTuple):
    """Two characters of the data that look the same."""

    character: str
    """The rarer one."""
    like: str


def described(character: str) -> str:
    """``'а' U+0430 CYRILLIC SMALL LETTER A``."""
    unnamed = "control character" if unicodedata.category(character) == "Cc" else "no name"
    name = unicodedata.name(character, unnamed)
    shown = f"{character!r} " if character.isprintable() else ""
    return f"{shown}U+{ord(character):04X} {name}"


@cache
def script(character: str) -> str:
    """Name of the character's script, such as ``LATIN``; empty where it belongs to none."""
    found = str(categories.alias(character)).upper()
    return "" if found in _NO_SCRIPT else found


@cache
def look_alikes(character: str) -> frozenset[str]:
    """The single characters that ``character`` may be taken for."""
    found = (
        entry["c"].replace(_DIRECTION_MARK, "")
        for entry in confusables.confusables_data.get(character, ())
    )
    return frozenset(c for c in found if len(c) == 1 and c != character)


@cache
def plain_form(character: str) -> str:
    """What is typed in plain text for a quote, a dash, a full-width form or a ligature.

    Empty for what is plain itself.
    """
    plain = character.translate(PUNCTUATION)
    if plain == character:
        plain = unicodedata.normalize("NFKC", character)
    return "" if plain == character or character.isspace() else plain


def mixed_scripts(word: str) -> Mixed | None:
    """What is wrong with the scripts of a word; None for what is ordinary.

    Chinese, Japanese and Korean mix their scripts with one another and with Latin.
    """
    scripts = Counter(script(c) for c in word)
    foreign = [name for name in scripts if name and name not in _EAST_ASIAN]
    if len(foreign) < 2:
        return None
    main = max(sorted(foreign), key=lambda name: (scripts[name], name == "LATIN"))
    strangers = [c for c in dict.fromkeys(word) if script(c) in foreign and script(c) != main]
    for stranger in strangers:
        for like in sorted(look_alikes(stranger)):
            if script(like) == main and (main != "LATIN" or like.isascii()):
                return Mixed(True, f"{described(stranger)} looks like {main.title()} {like!r}")
    names = ", ".join(sorted(name.title() for name in foreign))
    return Mixed(False, f"letters of {names} in {word!r}: {described(strangers[0])}")


def twins(counts: Mapping[str, int]) -> list[Twins]:
    """Characters of the data that can be taken for a more frequent one of it."""
    found = []
    for character in sorted(counts):
        plain = plain_form(character)
        others = look_alikes(character) | (frozenset({plain}) if len(plain) == 1 else frozenset())
        likes = [
            other
            for other in sorted(others)
            if counts.get(other, 0) and not (character.isascii() and other.isascii())
            and (counts[other], character) > (counts[character], other)
        ]  # fmt: skip
        if likes:
            found.append(Twins(character, max(likes, key=lambda c: counts[c])))
    return found
