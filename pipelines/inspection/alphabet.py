"""The characters of the data, and the charset that they suggest."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from crnn.text.charset import CHARSETS, Charset
from pipelines.inspection.labels import troubles
from pipelines.inspection.look_alikes import script, twins
from pipelines.inspection.tally import Ref, Total

_NEVER = ("control_character", "invisible_character", "replacement_character", "whitespace_label")
"""Troubles of a single character that keep it out of a charset."""


@dataclass(frozen=True, kw_only=True)
class Character:
    """One character of the data."""

    character: str
    count: int
    script: str
    """Empty where it belongs to none."""
    rare: bool
    known: bool
    """Whether the chosen charset has it; true where none was chosen."""
    like: str
    """A more frequent character of the data that it looks like, else empty."""


@dataclass(frozen=True, kw_only=True)
class Alphabet:
    """All characters, and a charset for them."""

    characters: list[Character]
    """The most frequent first."""
    proposed: str
    """Those that are not rare and can be seen, in code point order."""
    left_out: str
    labels_left_out: int
    """Labels with a character that is left out; a lower bound, if one of those occurs as often as
    one that is not rare."""
    named: str
    """The smallest of the registered charsets that has all that is proposed, else empty."""


def alphabet(total: Total, charset: Charset | None, rare_below: int) -> Alphabet:
    """What the labels are written with."""
    counts = total.all_characters()
    like = {twin.character: twin.like for twin in twins(counts)}
    known = set(charset.characters) if charset else set(counts)
    out = {c for c, count in counts.items() if count < rare_below or not _can_be_seen(c)}
    proposed = "".join(sorted(set(counts) - out))
    labels: set[Ref] = {ref for c in out for ref in total.labels_of(c)}
    return Alphabet(
        characters=[
            Character(
                character=c,
                count=count,
                script=script(c),
                rare=count < rare_below,
                known=c in known,
                like=like.get(c, ""),
            )
            for c, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        ],
        proposed=proposed,
        left_out="".join(sorted(out)),
        labels_left_out=len(labels),
        named=_named(proposed),
    )


def unseen(total: Total) -> Counter[str]:
    """Characters of later sets that the first set never has, with how often they occur there."""
    first, *later = total.characters
    found: Counter[str] = sum(later, Counter())
    return Counter({c: count for c, count in found.items() if c not in first})


def _can_be_seen(character: str) -> bool:
    if character == " ":
        return True
    return not any(trouble.code in _NEVER for trouble in troubles(character))


def _named(proposed: str) -> str:
    fitting = [name for name, text in CHARSETS.items() if set(proposed) <= set(text)]
    return (
        min(fitting, key=lambda name: (len(CHARSETS[name]), name)) if proposed and fitting else ""
    )
