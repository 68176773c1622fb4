"""What reading one picture gives: the same in a program, a bulk job and over HTTP.

Apart from the recognizer so that a client of the service needs no PyTorch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from crnn.errors import PictureError

LOW_CONFIDENCE = "low_confidence"
"""Error of a reading whose confidence is below the caller's minimum; it keeps its text."""


Turned = Literal[0, 90, 270]
"""Degrees clockwise."""


class CharResult(NamedTuple):
    """One character read; ``x0`` and ``x1`` are columns of the upright source picture, px.

    Of a picture that was turned (``Result.turned``) they are columns of the turned one, so rows of
    the upright one: counted from its bottom edge at 90°, from its top edge at 270°.
    """

    char: str
    probability: float
    x0: float
    x1: float


@dataclass(frozen=True)
class Result:
    """What was read in one picture, or why nothing was."""

    text: str
    confidence: float
    """The calibrated probability that the whole text is right; 0 with an error, and of an empty
    text: nothing was found in a picture that should show some."""
    chars: tuple[CharResult, ...]
    """Empty if the caller wanted none."""
    model: str
    """The bundle's digest."""
    squeezed: bool
    """Whether the picture was longer than the largest bucket, so read at a reduced width."""
    error_code: str | None = None
    error_message: str | None = None
    turned: Turned = 0
    """Degrees clockwise, 90 or 270, by which a tall picture was turned to be read so."""

    @classmethod
    def failed(cls, error: PictureError, model: str) -> Result:
        """The result for a picture that couldn't be read."""
        return cls("", 0.0, (), model, False, error.reason, str(error))
