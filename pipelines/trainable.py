"""Whether a label can be trained on: the one judge of it.

Training sets aside what has an obstacle, evaluation and inspection tell it. What becomes of a label
before it is a sample's text, is ``pipelines.textrules``.
"""

from __future__ import annotations

from typing import NamedTuple

from crnn.errors import CharsetError
from crnn.model.feasible import min_time_steps
from crnn.text.charset import Charset, normalise
from crnn.text.order import turning

EMPTY, UNKNOWN, TOO_LONG = "empty_label", "unknown_character", "too_long_for_width"
_LISTED = 10
"""Characters that one message names."""


class Room(NamedTuple):
    """What a picture offers to a label."""

    time_steps: int
    """T of the network for the picture's bucket."""
    width_px: int
    height_px: int


class Obstacle(NamedTuple):
    """One thing that keeps a label from being trained on."""

    reason: str
    message: str
    """What the label has, lacks or needs; begins with the verb."""


class Judged(NamedTuple):
    """What is known of a label."""

    target: tuple[int, ...]
    """Class ids in the order of the picture; none where there are none for it."""
    needed: int
    """The fewest time steps that can hold it."""
    obstacles: tuple[Obstacle, ...]
    """The one that it is set aside for comes first; none for a label that is fit."""


def judged(charset: Charset | None, label: str, room: Room | None = None) -> Judged:
    """Everything that keeps ``label`` from being trained on with a picture that has this room.

    Args:
        charset: of the network; with None, every character is known.
        label: a sample's text, in any Unicode form.
        room: None where the picture is left out of it.
    """
    text = normalise(label)
    if not text.strip():
        return Judged((), 0, (Obstacle(EMPTY, "has no text"),))
    target: tuple[int, ...] = ()
    found: tuple[Obstacle, ...] = ()
    if charset is not None:
        try:
            target = tuple(charset.encode(text))
        except CharsetError:
            found = (Obstacle(UNKNOWN, _lacking(charset, text)),)
    needed = min_time_steps(target or _in_picture(charset, text))
    if room is not None and needed > room.time_steps:
        size = f"a {room.width_px}x{room.height_px} px picture has {room.time_steps}"
        found = (*found, Obstacle(TOO_LONG, f"needs {needed} time steps, {size}"))
    return Judged(target, needed, found)


def _lacking(charset: Charset, text: str) -> str:
    unknown = charset.unknown(text)
    listed = ", ".join(f"{c!r} (U+{ord(c):04X})" for c in unknown[:_LISTED])
    more = f" and {len(unknown) - _LISTED} more" if len(unknown) > _LISTED else ""
    return f"has {listed}{more}, which the charset lacks"


def _in_picture(charset: Charset | None, text: str) -> str:
    """A label that has no class ids, as it stands in a picture."""
    if text.isascii() or not turning(text):
        return text
    return (charset or Charset.of_texts([text])).in_picture(text).text
