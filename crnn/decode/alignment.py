"""The likeliest alignment of a known text to time steps: where each character stands.

Viterbi over the CTC states of the text (Graves et al. 2006, section 4.1, with the maximum in
place of the sum). Shape suffixes: T time steps, N batch, C classes, S states of the longest
text: a blank, then each character followed by a blank.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from crnn.decode.decoded import Decoded, describe, find_runs, reading_order
from crnn.model.feasible import min_time_steps
from crnn.text.charset import BLANK_ID, Charset
from crnn.text.order import Ordered

FLOOR = -1e6
"""Stands for ``-inf`` in the input, so that only impossible moves are infinitely bad."""


def align(
    log_probs_TNC: Tensor,
    targets: Sequence[Sequence[int]],
    log_probabilities: Sequence[float],
    charset: Charset,
    texts: Sequence[str] | None = None,
) -> list[Decoded]:
    """Each sample's target described along its likeliest alignment, N > 0.

    A target that needs more than T time steps has no alignment: its characters share the
    time evenly and have probability 0.

    Args:
        texts: what the targets are called, a character for each class id; by default the
            charset's own text of them.
    """
    time_steps = log_probs_TNC.shape[0]
    fits = [min_time_steps(target) <= time_steps for target in targets]
    alignable = [target if ok else () for target, ok in zip(targets, fits, strict=True)]
    log_probs = log_probs_TNC.numpy()
    path_NT = best_alignments(log_probs, alignable)
    values_TN = np.take_along_axis(log_probs, path_NT.T[:, :, None], axis=2)[:, :, 0]
    called = None if texts is None else [t if ok else "" for t, ok in zip(texts, fits, strict=True)]
    decoded = describe(find_runs(path_NT, values_TN.T), log_probabilities, charset, called)
    return [
        decoded[n]
        if ok
        else _spread(
            reading_order(charset.seen(targets[n]), charset, texts[n] if texts else None),
            log_probabilities[n],
            time_steps,
        )
        for n, ok in enumerate(fits)
    ]


def best_alignments(
    log_probs_TNC: NDArray[np.float32], targets: Sequence[Sequence[int]]
) -> NDArray[np.int64]:
    """The likeliest path ``NT`` of class ids that collapses to each target; all must fit T."""
    labels_NS, may_skip_NS = _states(targets)
    rows = np.arange(len(targets))
    scores_TNS = np.take_along_axis(log_probs_TNC, labels_NS[None], axis=2).astype(np.float64)
    np.maximum(scores_TNS, FLOOR, out=scores_TNS)
    best_NS = np.full(labels_NS.shape, -np.inf)
    best_NS[:, :2] = scores_TNS[0, :, :2]
    moves_TNS = np.zeros(scores_TNS.shape, dtype=np.int8)
    for t in range(1, len(scores_TNS)):
        came_3NS = np.full((3, *labels_NS.shape), -np.inf)
        came_3NS[0] = best_NS
        came_3NS[1, :, 1:] = best_NS[:, :-1]
        came_3NS[2, :, 2:] = np.where(may_skip_NS[:, 2:], best_NS[:, :-2], -np.inf)
        moves_TNS[t] = came_3NS.argmax(axis=0)
        best_NS = came_3NS.max(axis=0) + scores_TNS[t]
    last_blank_N = 2 * np.array([len(target) for target in targets])
    last_char_N = np.maximum(last_blank_N - 1, 0)
    ends_in_char = best_NS[rows, last_char_N] > best_NS[rows, last_blank_N]
    state_N = np.where(ends_in_char, last_char_N, last_blank_N)
    path_NT = np.empty((len(targets), len(scores_TNS)), dtype=np.int64)
    for t in reversed(range(len(scores_TNS))):
        path_NT[:, t] = labels_NS[rows, state_N]
        state_N = state_N - moves_TNS[t, rows, state_N]
    return path_NT


def _states(targets: Sequence[Sequence[int]]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Class of each state, and whether it may follow the state two before it."""
    longest = max(len(target) for target in targets)
    labels_NS = np.full((len(targets), 2 * longest + 1), BLANK_ID, dtype=np.int64)
    for n, target in enumerate(targets):
        labels_NS[n, 1 : 2 * len(target) : 2] = target
    may_skip_NS = labels_NS != BLANK_ID
    may_skip_NS[:, 2:] &= labels_NS[:, 2:] != labels_NS[:, :-2]
    return labels_NS, may_skip_NS


def _spread(ordered: Ordered, log_probability: float, time_steps: int) -> Decoded:
    text, places = ordered
    edges = [time_steps * i / len(text) for i in range(len(text) + 1)]
    steps = list(pairwise(edges))
    return Decoded(text, log_probability, (0.0,) * len(text), tuple(steps[i] for i in places))
