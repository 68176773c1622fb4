"""Best paths where the network is sure; else a beam that weighs in a language model.

Shallow fusion (Hannun et al. 2014; Gulcehre et al. 2015) by prefix beam search over N samples at a
time: one step of the beam is a few operations on arrays for any N. What is read in a picture
depends on that picture alone. Shape suffixes: T time steps, N batch, C classes, G steps that are
left when runs of blanks are one, W prefixes of the beam, K characters tried a step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from crnn.bundle.fusion_config import FusionConfig
from crnn.decode.alignment import align
from crnn.decode.decoded import DecodedColumns, check_log_probs
from crnn.decode.greedy import greedy
from crnn.decode.language import LanguageModel
from crnn.text.charset import BLANK_ID, Charset

_NEVER = -np.inf
_PRIME = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Fusion:
    """The decoder ``fusion``: as ``greedy``; where that is doubtful, what is likely as a text too.

    A doubtful text's ``log_probability`` is that of the text among all that the beam held, each
    worth ``p_ctc · p_language^weight · e^(bonus · length)``, times the CTC probability of all of
    these: without a language model it would be the CTC probability of the text.
    """

    language: LanguageModel
    config: FusionConfig = field(default_factory=FusionConfig)

    def __call__(self, log_probs_TNC: Tensor, charset: Charset) -> DecodedColumns:
        """Raises ValueError for log-probabilities of another shape, type or device."""
        log_probs_TNC = check_log_probs(log_probs_TNC, charset)
        sure = greedy(log_probs_TNC, charset)
        bound = math.log(self.config.below) if self.config.below else _NEVER
        doubtful = np.flatnonzero(~(sure.log_probabilities >= bound))
        if not len(doubtful):
            return sure
        unsure_TNC = log_probs_TNC[:, doubtful]
        targets, values = search(unsure_TNC.numpy(), charset, self.language, self.config)
        found = DecodedColumns.of(align(unsure_TNC, targets, values, charset))
        return sure.replaced(doubtful, found)

    def check(self, charset: Charset) -> None:
        """Raises ValueError for a charset that it can't be used with."""
        if charset.has_turns:
            raise ValueError(
                "the charset has letters that run from the right; a language model takes scripts "
                "that run from the left only: use the decoder 'beam' with an n-gram"
            )


class _Step(NamedTuple):
    """One step of the beam, for N samples."""

    blank_N: NDArray[np.float64]
    """Log-probability of the blank, over all of a run."""
    tried_NK: NDArray[np.int64]
    """Class ids of the characters to try."""
    log_probs_NK: NDArray[np.float64]
    """Theirs; ``-inf`` where fewer are worth trying."""
    at_N: NDArray[np.int64]
    """The time step; -1 for a run of blanks, and where a sample has no more steps."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Beam:
    """The prefixes of N samples; arrays are ``NW``."""

    blank: NDArray[np.float64]
    """Log-probability of the alignments that end in a blank."""
    char: NDArray[np.float64]
    """And of those that end in the last character."""
    last: NDArray[np.int64]
    """Class id of the last character; the blank's: there is none."""
    worth: NDArray[np.float64]
    """What the language model and the bonus give, nats."""
    state: NDArray[np.int64]
    """State of the language model."""
    name: NDArray[np.uint64]
    """A number that tells prefixes apart."""
    parent: NDArray[np.uint64]
    """The name of the prefix without its last character."""


def search(
    log_probs_TNC: NDArray[np.float32],
    charset: Charset,
    language: LanguageModel,
    config: FusionConfig,
) -> tuple[list[list[int]], list[float]]:
    """The best target of each of N > 0 samples, and its log-probability as ``Fusion`` says."""
    log_SV, next_SV = language.tables
    classes = language.classes_of(charset)
    samples = log_probs_TNC.shape[1]
    rows_N1 = np.arange(samples)[:, None]
    beam = _start(samples, language.begin)
    came, added = [], []
    for blank_N, tried_NK, log_probs_NK, at_N in _steps(log_probs_TNC, config):
        width, most = beam.last.shape[1], tried_NK.shape[1]
        either_NW = np.logaddexp(beam.blank, beam.char)
        same_NWK = beam.last[:, :, None] == tried_NK[:, None, :]
        char_NWK = np.where(same_NWK, beam.blank[:, :, None], either_NW[:, :, None])
        char_NWK += log_probs_NK[:, None, :]
        again_NW = beam.char + _at(log_probs_TNC, at_N, beam.last)
        _merge(again_NW, char_NWK, beam, same_NWK)
        ends_NW = either_NW + blank_N[:, None]
        gain_NWK = config.weight * log_SV[beam.state[:, :, None], classes[tried_NK][:, None, :]]
        grown_NWK = char_NWK + gain_NWK + (beam.worth + config.bonus)[:, :, None]
        stays_NW = np.logaddexp(ends_NW, again_NW) + beam.worth
        total = np.concatenate([stays_NW, grown_NWK.reshape(samples, -1)], axis=1)
        keep = min(config.beam_width, total.shape[1])
        order_NW = np.argpartition(-total, keep - 1, axis=1)[:, :keep]
        grows_NW = order_NW >= width
        tried_NW = np.where(grows_NW, (order_NW - width) % most, 0)
        from_NW = np.where(grows_NW, (order_NW - width) // most, order_NW)
        state_NW, name_NW = beam.state[rows_N1, from_NW], beam.name[rows_N1, from_NW]
        new_NW = tried_NK[rows_N1, tried_NW]
        gain_NW = gain_NWK[rows_N1, from_NW, tried_NW] + config.bonus
        lives_NW = total[rows_N1, order_NW] > _NEVER  # the others have no name: nothing joins them
        beam = _Beam(
            blank=np.where(grows_NW, _NEVER, ends_NW[rows_N1, from_NW]),
            char=np.where(
                grows_NW, char_NWK[rows_N1, from_NW, tried_NW], again_NW[rows_N1, from_NW]
            ),
            last=np.where(grows_NW, new_NW, beam.last[rows_N1, from_NW]),
            worth=beam.worth[rows_N1, from_NW] + np.where(grows_NW, gain_NW, 0.0),
            state=np.where(grows_NW, next_SV[state_NW, classes[new_NW]], state_NW),
            name=np.where(grows_NW, _named(name_NW, new_NW), name_NW) * lives_NW,
            parent=np.where(grows_NW, name_NW, beam.parent[rows_N1, from_NW]) * lives_NW,
        )
        came.append(from_NW)
        added.append(np.where(grows_NW, new_NW, BLANK_ID))
    ctc_NW = np.logaddexp(beam.blank, beam.char)
    worth_NW = ctc_NW + beam.worth + config.weight * log_SV[beam.state, 0]
    best_N = worth_NW.argmax(axis=1)
    held_N = np.minimum(_log_sum(ctc_NW), 0.0)
    log_probability_N = worth_NW[np.arange(samples), best_N] - _log_sum(worth_NW) + held_N
    return _traced(best_N, came, added), log_probability_N.tolist()


def _start(samples: int, state: int) -> _Beam:
    one = (samples, 1)
    return _Beam(
        blank=np.zeros(one),
        char=np.full(one, _NEVER),
        last=np.full(one, BLANK_ID),
        worth=np.zeros(one),
        state=np.full(one, state),
        name=np.ones(one, dtype=np.uint64),
        parent=np.zeros(one, dtype=np.uint64),
    )


def _at(
    log_probs_TNC: NDArray[np.float32], at_N: NDArray[np.int64], last_NW: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Log-probability of each prefix's last character once more; never in a run of blanks."""
    rows = np.arange(len(at_N))[:, None]
    again_NW = log_probs_TNC[at_N[:, None], rows, last_NW].astype(np.float64)
    return np.where((at_N[:, None] < 0) | (last_NW == BLANK_ID), _NEVER, again_NW)


def _merge(
    again_NW: NDArray[np.float64],
    char_NWK: NDArray[np.float64],
    beam: _Beam,
    same_NWK: NDArray[np.bool_],
) -> None:
    """A prefix that its parent grows into once more is that prefix: ``char_NWK`` gives to
    ``again_NW``.

    ``same_NWK``: whether a prefix's last character is the one that is tried.
    """
    parents_NWP = beam.parent[:, :, None] == beam.name[:, None, :]
    sample, prefix = np.nonzero(parents_NWP.any(axis=2) & same_NWK.any(axis=2))
    parent = parents_NWP[sample, prefix].argmax(axis=1)
    tried = same_NWK[sample, prefix].argmax(axis=1)
    given = char_NWK[sample, parent, tried]
    again_NW[sample, prefix] = np.logaddexp(again_NW[sample, prefix], given)
    char_NWK[sample, parent, tried] = _NEVER


def _named(name_NW: NDArray[np.uint64], new_NW: NDArray[np.int64]) -> NDArray[np.uint64]:
    """The names of prefixes that have grown by ``new_NW``."""
    mixed = (name_NW + new_NW.astype(np.uint64)) * _PRIME
    return np.asarray(mixed ^ (mixed >> np.uint64(29)))


def _log_sum(values_NW: NDArray[np.float64]) -> NDArray[np.float64]:
    most_N = values_NW.max(axis=1)
    total_N = np.exp(values_NW - most_N[:, None]).sum(axis=1)
    return np.asarray(most_N + np.log(total_N), dtype=np.float64)


def _traced(
    best_N: NDArray[np.int64], came: list[NDArray[np.int64]], added: list[NDArray[np.int64]]
) -> list[list[int]]:
    """The class ids of the prefixes ``best_N``, by the way that led to each."""
    rows, place_N = np.arange(len(best_N)), best_N
    ids_GN = np.zeros((len(came), len(best_N)), dtype=np.int64)
    for step in reversed(range(len(came))):
        ids_GN[step] = added[step][rows, place_N]
        place_N = came[step][rows, place_N]
    return [ids[ids != BLANK_ID].tolist() for ids in ids_GN.T]


def _steps(log_probs_TNC: NDArray[np.float32], config: FusionConfig) -> Iterator[_Step]:
    """Time steps with a character worth trying, and runs without one as one step each."""
    samples, num_classes = log_probs_TNC.shape[1:]
    chars_TNC = np.delete(log_probs_TNC, BLANK_ID, axis=2)
    most = min(config.classes_per_step, num_classes - 1)
    best_TNK = np.argpartition(-chars_TNC, most - 1, axis=2)[:, :, :most]
    values_TNK = np.take_along_axis(chars_TNC, best_TNK, axis=2).astype(np.float64)
    tried_TNK = best_TNK + (best_TNK >= BLANK_ID)  # the blank stood before them
    enough_TNK = values_TNK >= math.log(config.min_probability)
    values_TNK = np.where(enough_TNK, values_TNK, _NEVER)
    active_TN: NDArray[np.bool_] = np.asarray(enough_TNK.any(axis=2))
    opens_TN = active_TN.copy()
    opens_TN[0] = True
    opens_TN[1:] |= active_TN[:-1]
    step_TN = opens_TN.cumsum(axis=0) - 1
    count = int(step_TN[-1].max()) + 1
    column_TN = np.broadcast_to(np.arange(samples), step_TN.shape)
    blank_GN = np.zeros((count, samples))
    np.add.at(blank_GN, (step_TN, column_TN), log_probs_TNC[:, :, BLANK_ID])
    tried_GNK = np.full((count, samples, most), BLANK_ID + 1)
    values_GNK = np.full((count, samples, most), _NEVER)
    at_GN = np.full((count, samples), -1)
    time, sample = np.nonzero(active_TN)
    step = step_TN[time, sample]
    tried_GNK[step, sample] = tried_TNK[time, sample]
    values_GNK[step, sample] = values_TNK[time, sample]
    at_GN[step, sample] = time
    return map(_Step, blank_GN, tried_GNK, values_GNK, at_GN)
