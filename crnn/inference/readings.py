"""The results of many pictures as columns: what bulk jobs write, and ``Result`` is cut from.

A line of print has dozens of characters. As Python objects they would cost a bulk job more time
than decoding the line does; as columns they cost next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import cast

import numpy as np
from numpy.typing import NDArray

from crnn.bundle.reading_policy import kept
from crnn.decode.decoded import characters
from crnn.errors import PictureError
from crnn.result import CharResult, Result

_char_result = cast(
    Callable[[tuple[str, float, float, float]], CharResult], partial(tuple.__new__, CharResult)
)
"""As ``CharResult._make``, without a call of Python for each character."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Readings:
    """What was read in N pictures, or why nothing was, in their order."""

    texts: list[str]
    """Empty where the picture couldn't be read."""
    confidences: NDArray[np.float64]
    """As ``Result.confidence``."""
    log_probabilities: NDArray[np.float64]
    """Natural logs of the decoder's probabilities, not calibrated; ``-inf`` of an empty text."""
    squeezed: NDArray[np.bool_]
    """As ``Result.squeezed``."""
    turned: NDArray[np.int16]
    """As ``Result.turned``."""
    code_points: NDArray[np.uint32]
    """One for each character, picture after picture; empty if the caller didn't ask for them."""
    probabilities: NDArray[np.float64]
    """One for each character."""
    x0: NDArray[np.float64]
    """One for each character, px, as ``CharResult.x0``."""
    x1: NDArray[np.float64]
    """One for each character, px."""
    bounds: NDArray[np.int64]
    """Picture n owns the characters ``bounds[n]`` up to ``bounds[n + 1]``."""
    models: list[str]
    """Digests: which bundle's reading it is."""
    errors: Mapping[int, PictureError] = field(default_factory=dict)
    """By the number of the picture."""

    @classmethod
    def failed(cls, errors: Sequence[PictureError], model: str) -> Readings:
        """Readings of pictures none of which can be read."""
        none = np.zeros(0)
        return cls(
            texts=[""] * len(errors),
            confidences=np.zeros(len(errors)),
            log_probabilities=np.full(len(errors), -np.inf),
            squeezed=np.zeros(len(errors), dtype=np.bool_),
            turned=np.zeros(len(errors), dtype=np.int16),
            code_points=np.zeros(0, dtype=np.uint32),
            probabilities=none,
            x0=none,
            x1=none,
            bounds=np.zeros(len(errors) + 1, dtype=np.int64),
            models=[model] * len(errors),
            errors=dict(enumerate(errors)),
        )

    @classmethod
    def joined(cls, parts: Sequence[Readings]) -> Readings:
        """One's pictures after another's."""
        starts = np.cumsum([0, *(len(part) for part in parts)]).tolist()
        counts = np.concatenate([np.diff(part.bounds) for part in parts])
        return cls(
            texts=[text for part in parts for text in part.texts],
            confidences=np.concatenate([part.confidences for part in parts]),
            log_probabilities=np.concatenate([part.log_probabilities for part in parts]),
            squeezed=np.concatenate([part.squeezed for part in parts]),
            turned=np.concatenate([part.turned for part in parts]),
            code_points=np.concatenate([part.code_points for part in parts]),
            probabilities=np.concatenate([part.probabilities for part in parts]),
            x0=np.concatenate([part.x0 for part in parts]),
            x1=np.concatenate([part.x1 for part in parts]),
            bounds=np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts)]),
            models=[model for part in parts for model in part.models],
            errors={
                start + n: error
                for start, part in zip(starts, parts, strict=False)
                for n, error in part.errors.items()
            },
        )

    def take(self, order: NDArray[np.int64]) -> Readings:
        """The pictures of these places, in this order."""
        counts = np.diff(self.bounds)
        starts = self.bounds[:-1]
        bounds = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts[order])])
        moved = np.repeat(starts[order] - bounds[:-1], counts[order])
        source = np.arange(bounds[-1]) + moved
        places = order.tolist()
        return Readings(
            texts=[self.texts[n] for n in places],
            confidences=self.confidences[order],
            log_probabilities=self.log_probabilities[order],
            squeezed=self.squeezed[order],
            turned=self.turned[order],
            code_points=self.code_points[source],
            probabilities=self.probabilities[source],
            x0=self.x0[source],
            x1=self.x1[source],
            bounds=bounds,
            models=[self.models[n] for n in places],
            errors={place: self.errors[n] for place, n in enumerate(places) if n in self.errors}
            if self.errors
            else {},
        )

    def __len__(self) -> int:
        return len(self.texts)

    def results(self) -> list[Result]:
        """One object for each picture."""
        found = list(
            map(
                _char_result,
                zip(
                    characters(self.code_points),
                    self.probabilities.tolist(),
                    self.x0.tolist(),
                    self.x1.tolist(),
                    strict=True,
                ),
            )
        )
        results = [
            Result(text, confidence, tuple(found[start:end]), model, squeezed, turned=turned)
            for text, confidence, (start, end), model, squeezed, turned in zip(
                self.texts,
                self.confidences.tolist(),
                pairwise(self.bounds.tolist()),
                self.models,
                self.squeezed.tolist(),
                self.turned.tolist(),
                strict=True,
            )
        ]
        for place, error in self.errors.items():
            results[place] = Result.failed(error, self.models[place])
        return results


def in_order(parts: Sequence[tuple[Sequence[int], Readings]]) -> Readings:
    """One ``Readings`` of several, whose pictures have these numbers, from 0 on.

    Of a picture that was read more than once counts what ``crnn.bundle.reading_policy.kept`` takes.
    """
    if not parts:
        return Readings.failed([], "")
    places = np.concatenate([np.asarray(numbers, dtype=np.int64) for numbers, _ in parts])
    readings = Readings.joined([part for _, part in parts])
    return readings.take(_kept(places, readings.log_probabilities))


def _kept(places: NDArray[np.int64], log_probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
    """By place, where the reading lies that ``crnn.bundle.reading_policy.kept`` takes of it."""
    order = np.argsort(places, kind="stable")
    if not len(order) or len(order) == places[order[-1]] + 1:
        return order
    readings = np.split(order, np.flatnonzero(np.diff(places[order])) + 1)
    return np.array([few[kept(log_probabilities[few].tolist())] for few in readings])
