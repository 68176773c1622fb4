"""``Decoded``, what every decoder returns, and how it is read off a CTC path.

Shape suffixes: T time steps, N batch, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crnn.charset import BLANK_ID, Charset


@dataclass(frozen=True)
class Decoded:
    """One text read from T time steps."""

    text: str
    log_probability: float
    """Natural log of the CTC probability of exactly this text, over all its alignments."""
    char_probabilities: tuple[float, ...]
    """For each character its largest probability within its own time steps."""
    char_steps: tuple[tuple[float, float], ...]
    """For each character the first time step and the one past its last; ascending, disjoint."""


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
    bounds: list[int]
    """Sample n owns the runs ``bounds[n]`` up to ``bounds[n + 1]``."""

    def targets(self) -> list[list[int]]:
        """The class ids of each sample: its path collapsed."""
        ids = self.ids.tolist()
        return [ids[i:j] for i, j in pairwise(self.bounds)]


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
        bounds=np.searchsorted(sample, np.arange(batch + 1)).tolist(),
    )


def describe(runs: Runs, log_probabilities: Sequence[float], charset: Charset) -> list[Decoded]:
    """A ``Decoded`` for each sample, given the exact log-probability of each collapsed path."""
    characters = charset.text(runs.ids.tolist())
    probabilities = np.exp(runs.peak).tolist()
    first, end = runs.first.astype(float).tolist(), runs.end.astype(float).tolist()
    steps = list(zip(first, end, strict=True))
    spans = pairwise(runs.bounds)
    return [
        Decoded(characters[i:j], log_probability, tuple(probabilities[i:j]), tuple(steps[i:j]))
        for (i, j), log_probability in zip(spans, log_probabilities, strict=True)
    ]
