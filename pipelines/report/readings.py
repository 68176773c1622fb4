"""A text as it was read: the less sure a character, the stronger its tint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.report.figures import percent
from pipelines.report.markup import Markup, shown_character, tag

LEGEND = "The stronger a character's tint, the less sure it is."
MOST_TINT = 0.75


def reading(text: str, chars: Sequence[Mapping[str, Any]] | None) -> Markup:
    """``text`` with each of its ``chars`` (``char``, ``probability``) tinted; without them, plain.

    A space at either end is shown as one.
    """
    if not text:
        return tag("i", "nothing", class_="soft")
    known = chars and "".join(c["char"] for c in chars) == text
    doubts = [1 - c["probability"] for c in chars] if known and chars else [0.0] * len(text)
    first, last = len(text) - len(text.lstrip()), len(text.rstrip())
    return tag(
        "bdi",
        *(
            _character(c, doubt, at_end=not first <= index < last)
            for index, (c, doubt) in enumerate(zip(text, doubts, strict=False))
        ),
        class_="text reading",
    )


def characters(chars: Sequence[Mapping[str, Any]]) -> Markup:
    """The same as a list of percentages, for those who don't see tints or have no pointer."""
    entries = (f"{shown_character(c['char'])} {percent(c['probability'], 0)}" for c in chars)
    return tag("ul", *(tag("li", tag("bdi", entry)) for entry in entries), class_="pairs")


def _character(character: str, doubt: float, *, at_end: bool) -> Markup:
    tint = f"--tint:{MOST_TINT * doubt:.2f}" if doubt >= 0.005 else None
    shown = shown_character(character) if at_end else character
    title = f"{shown_character(character)}: {percent(1 - doubt)}"
    return tag("span", shown, style=tint, title=title, class_="space" if at_end else None)
