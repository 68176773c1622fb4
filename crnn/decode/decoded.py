"""``Decoded``, what every decoder returns, alone or in columns, and how it is read off a CTC path.

Shape suffixes: T time steps, N batch, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crnn.text.charset import BLANK_ID, Charset
from crnn.text.order import Ordered


@dataclass(frozen=True)
class Decoded:
    """One text read from T time steps."""

    text: str
    log_probability: float
    """Natural log of the CTC probability of exactly this text, over all its alignments."""
    char_probabilities: tuple[float, ...]
    """For each character its largest probability within its own time steps."""
    char_steps: tuple[tuple[float, float], ...]
    """For each character the first time step and the one past its last: disjoint, and ascending
    save where the text runs from the right."""


@dataclass(frozen=True, eq=False)
class DecodedColumns(Sequence[Decoded]):
    """The ``Decoded`` of N samples as columns; one is made when it is asked for.

    Bulk jobs take the columns as they are: objects for each character would cost more than
    decoding does.
    """

    log_probabilities: NDArray[np.float64]
    """One for each sample."""
    code_points: NDArray[np.uint32]
    """One for each character, sample after sample."""
    char_probabilities: NDArray[np.float64]
    """One for each character."""
    first: NDArray[np.float64]
    """First time step of each character."""
    end: NDArray[np.float64]
    """Time step after the last one of each character."""
    bounds: NDArray[np.int64]
    """Sample n owns the characters ``bounds[n]`` up to ``bounds[n + 1]``."""

    @classmethod
    def of(cls, samples: Sequence[Decoded]) -> DecodedColumns:
        """These samples as columns: themselves if they are."""
        if isinstance(samples, DecodedColumns):
            return samples
        steps = np.array([span for one in samples for span in one.char_steps], dtype=np.float64)
        first, end = steps.reshape(-1, 2).T
        return cls(
            log_probabilities=np.array([one.log_probability for one in samples], dtype=np.float64),
            code_points=code_points("".join(one.text for one in samples)),
            char_probabilities=np.array(
                [value for one in samples for value in one.char_probabilities], dtype=np.float64
            ),
            first=first,
            end=end,
            bounds=np.cumsum([0, *(len(one.text) for one in samples)]),
        )

    def texts(self) -> list[str]:
        """One for each sample."""
        return cut(characters(self.code_points), self.bounds)

    def replaced(self, places: NDArray[np.int64], others: DecodedColumns) -> DecodedColumns:
        """The samples of ``places`` (ascending, distinct) replaced by ``others``, in their
        order."""
        sample = np.arange(len(self))
        sample[places] = len(self) + np.arange(len(others))
        bounds = np.concatenate([self.bounds, self.bounds[-1] + others.bounds[1:]])
        counts = np.diff(bounds)[sample]
        new_bounds = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts)])
        char = np.arange(new_bounds[-1]) + np.repeat(bounds[sample] - new_bounds[:-1], counts)

        def moved(name: str, index: NDArray[np.int64]) -> NDArray[Any]:
            both = np.concatenate([getattr(self, name), getattr(others, name)])
            return np.asarray(both[index])

        return DecodedColumns(
            log_probabilities=moved("log_probabilities", sample),
            code_points=moved("code_points", char),
            char_probabilities=moved("char_probabilities", char),
            first=moved("first", char),
            end=moved("end", char),
            bounds=new_bounds,
        )

    def without_characters(self) -> DecodedColumns:
        """The samples' log-probabilities alone."""
        none = np.zeros(0)
        return DecodedColumns(
            log_probabilities=self.log_probabilities,
            code_points=np.zeros(0, dtype=np.uint32),
            char_probabilities=none,
            first=none,
            end=none,
            bounds=np.zeros(len(self) + 1, dtype=np.int64),
        )

    def __len__(self) -> int:
        return len(self.log_probabilities)

    @overload
    def __getitem__(self, index: int) -> Decoded: ...
    @overload
    def __getitem__(self, index: slice) -> list[Decoded]: ...
    def __getitem__(self, index: int | slice) -> Decoded | list[Decoded]:
        if isinstance(index, slice):
            return [self[n] for n in range(len(self))[index]]
        n = range(len(self))[index]
        own = slice(self.bounds[n], self.bounds[n + 1])
        return Decoded(
            characters(self.code_points[own]),
            float(self.log_probabilities[n]),
            tuple(self.char_probabilities[own].tolist()),
            tuple(zip(self.first[own].tolist(), self.end[own].tolist(), strict=True)),
        )


def characters(points: NDArray[np.uint32]) -> str:
    """The string of these code points."""
    return points.astype("<u4", copy=False).tobytes().decode("utf-32-le", "surrogatepass")


def code_points(text: str) -> NDArray[np.uint32]:
    """The code points of this string."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def cut(text: str, bounds: NDArray[np.int64]) -> list[str]:
    """The pieces of ``text`` between neighbouring ``bounds``."""
    return [text[start:end] for start, end in pairwise(bounds.tolist())]


@dataclass(frozen=True)
class Runs:
    """The non-blank runs (stretches of equal ids) of N paths: by sample, then by time."""

    ids: NDArray[np.int64]
    """Class of each run."""
    first: NDArray[np.int64]
    """First time step."""
    end: NDArray[np.int64]
    """One past the last time step."""
    peak: NDArray[np.float32]
    """Largest log-probability on the path within the run."""
    bounds: NDArray[np.int64]
    """Sample n owns the runs ``bounds[n]`` up to ``bounds[n + 1]``."""

    def targets(self) -> list[list[int]]:
        """The class ids of each sample: its path collapsed."""
        ids = self.ids.tolist()
        return [ids[i:j] for i, j in pairwise(self.bounds.tolist())]


def check_log_probs(log_probs_TNC: Tensor, charset: Charset) -> Tensor:
    """The tensor without its graph, once its shape and type are as decoders expect them.

    Raises:
        ValueError: unless it is float32 on the CPU, ``T,N,C`` with T > 0 and the charset's C.
    """
    if log_probs_TNC.dtype != torch.float32 or log_probs_TNC.device.type != "cpu":
        raise ValueError(
            f"log-probabilities are {log_probs_TNC.dtype} on {log_probs_TNC.device}; "
            "expected float32 on the CPU: log_softmax, then .float().cpu()"
        )
    shape = tuple(log_probs_TNC.shape)
    if len(shape) != 3 or shape[0] == 0 or shape[2] != charset.num_classes:
        raise ValueError(
            f"log-probabilities have shape {shape}; expected T > 0 time steps, N samples, "
            f"{charset.num_classes} classes for a charset of {len(charset.characters)} characters"
        )
    return log_probs_TNC.detach()


def find_runs(path_NT: NDArray[np.int64], path_log_probs_NT: NDArray[np.float32]) -> Runs:
    """The non-blank runs of ``path_NT``, N > 0, with the log-probabilities along the path."""
    batch, time_steps = path_NT.shape
    starts_NT = np.ones_like(path_NT, dtype=bool)
    starts_NT[:, 1:] = path_NT[:, 1:] != path_NT[:, :-1]
    begin = np.flatnonzero(starts_NT)
    end = np.append(begin[1:], batch * time_steps)
    peak = np.maximum.reduceat(path_log_probs_NT.ravel(), begin)
    ids = path_NT.ravel()[begin]
    inked = ids != BLANK_ID
    begin, end = begin[inked], end[inked]
    sample = begin // time_steps
    return Runs(
        ids=ids[inked],
        first=begin - sample * time_steps,
        end=end - sample * time_steps,
        peak=peak[inked],
        bounds=np.searchsorted(sample, np.arange(batch + 1)),
    )


def describe(
    runs: Runs,
    log_probabilities: Sequence[float] | NDArray[np.float64],
    charset: Charset,
    texts: Sequence[str] | None = None,
) -> DecodedColumns:
    """What stands in each sample, given the exact log-probability of each collapsed path.

    ``texts`` are known: each has a character for each of its sample's runs. By default they are
    what the runs' characters say.
    """
    decoded = DecodedColumns(
        log_probabilities=np.asarray(log_probabilities, dtype=np.float64),
        code_points=charset.code_points[runs.ids],
        char_probabilities=np.exp(runs.peak).astype(np.float64),
        first=runs.first.astype(np.float64),
        end=runs.end.astype(np.float64),
        bounds=runs.bounds,
    )
    if texts is not None:
        decoded = replace(decoded, code_points=code_points("".join(texts)))
    turned = charset.turns[runs.ids] if charset.has_turns else None
    if turned is None or not turned.any():
        return decoded
    samples = np.unique(np.searchsorted(runs.bounds, np.flatnonzero(turned), side="right") - 1)
    seen = characters(charset.code_points[runs.ids])
    ordered = {
        n: reading_order(
            seen[runs.bounds[n] : runs.bounds[n + 1]], charset, texts[n] if texts else None
        )
        for n in samples.tolist()
    }
    return _turned(decoded, ordered)


def reading_order(seen: str, charset: Charset, text: str | None = None) -> Ordered:
    """What stands in a picture as ``seen``, in logical order; ``text`` if that is known."""
    if charset.is_level(seen):
        return Ordered(seen if text is None else text, list(range(len(seen))))
    if text is None:
        return charset.from_picture(seen)
    return Ordered(text, np.argsort(charset.in_picture(text).places).tolist())


def _turned(decoded: DecodedColumns, ordered: Mapping[int, Ordered]) -> DecodedColumns:
    """The same with the characters of the samples ``ordered``, now as in the picture, moved."""
    source = np.arange(len(decoded.code_points))
    points = decoded.code_points.copy()
    for n, (text, places) in ordered.items():
        own = slice(decoded.bounds[n], decoded.bounds[n + 1])
        points[own] = code_points(text)
        source[own] = decoded.bounds[n] + np.array(places)
    return replace(
        decoded,
        code_points=points,
        char_probabilities=decoded.char_probabilities[source],
        first=decoded.first[source],
        end=decoded.end[source],
    )
