"""The CTC loss (Graves et al. 2006, "Connectionist temporal classification"), per sample.

Nothing is hidden here: a target that doesn't fit into its time steps has an infinite loss, and
the training code decides what to do about it. Dividing by target lengths and averaging over a
global batch are the caller's.

Shape suffixes: T time steps, N batch, C classes, S states: a target's characters with a blank
before, between and after them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from crnn.text.charset import BLANK_ID

_FEW_SAMPLES = 12
"""So few are scored faster one by one than by NumPy's calls for each step."""
_RESCALE_STEPS = 8
"""The likeliest class of a step has at least 1/C, so that eight steps keep far from underflow."""


def ctc_losses(logits_TNC: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
    """−ln p(target) of each sample in nats, shape ``N``, float32; not divided by anything.

    Args:
        logits_TNC: Unnormalised scores of any float type; normalised here in float32. Every
            sample uses all T time steps.
        targets: Class ids without blanks, int64, all samples' one after another.
        target_lengths: How many of them belong to each sample, int64, shape ``N``; 0 is the
            empty text, whose alignment is all blanks.

    A target with ``min_time_steps`` (``crnn.model.feasible``) above T gives ``inf``, and a NaN
    gradient if summed.
    """
    return _losses(logits_TNC.float().log_softmax(dim=-1), targets, target_lengths)


def log_probabilities(log_probs_TNC: Tensor, targets: Sequence[Sequence[int]]) -> Tensor:
    """ln p(target) of each target, summed over all its alignments; shape ``N``, one CTC call.

    Args:
        log_probs_TNC: Normalised log-probabilities, float32. With N = 1 all targets are
            scored against that one sample.
        targets: Class ids of each sample, without blanks. One that can't fit gives ``-inf``.
    """
    if not targets:
        return log_probs_TNC.new_zeros(0)
    log_probs_TNC = log_probs_TNC.expand(-1, len(targets), -1)
    joined = torch.tensor(list(chain.from_iterable(targets)), dtype=torch.int64)
    lengths = torch.tensor([len(target) for target in targets], dtype=torch.int64)
    return -_losses(log_probs_TNC, joined.to(log_probs_TNC.device), lengths)


def best_path_log_probabilities(
    log_probs_TNC: NDArray[np.float32], ids: NDArray[np.int64], bounds: NDArray[np.int64]
) -> NDArray[np.float64]:
    """As ``log_probabilities`` of what the likeliest paths collapse to, in a third of its time.

    That is for many samples; a few are left to it, which gives the same but for rounding. The
    forward variables of all samples move on together, as probabilities, scaled every few
    steps (Rabiner 1989, "A tutorial on hidden Markov models", V.A). That is sound for targets one
    of whose alignments is the likeliest path: no state is likelier than theirs by more than 3^T.

    Args:
        log_probs_TNC: Normalised log-probabilities.
        ids: Class ids of all targets without blanks, one sample's after another's.
        bounds: Sample n owns ``ids[bounds[n]:bounds[n + 1]]``; shape ``N + 1``.
    """
    steps, batch, classes = log_probs_TNC.shape
    lengths = np.diff(bounds)
    if batch <= _FEW_SAMPLES:
        log_probs = torch.from_numpy(log_probs_TNC).double()
        one_by_one: NDArray[np.float64] = -_losses(
            log_probs, torch.from_numpy(ids), torch.from_numpy(lengths)
        ).numpy()
        return one_by_one
    samples = np.arange(batch)
    owner = np.repeat(samples, lengths)
    states_SN = np.full((2 * int(lengths.max(initial=0)) + 1, batch), BLANK_ID)
    states_SN[2 * (np.arange(len(ids)) - bounds[owner]) + 1, owner] = ids
    may_skip_SN = np.zeros(states_SN.shape)  # the blank between two characters that differ
    may_skip_SN[3::2] = states_SN[3::2] != states_SN[1:-2:2]
    places = (states_SN + samples * classes).ravel()
    emitted = np.exp(log_probs_TNC.reshape(steps, batch * classes).take(places, axis=1))
    emitted_TSN = emitted.reshape(steps, *states_SN.shape).astype(np.float64)
    emitted_TSN *= np.arange(len(states_SN))[:, None] <= 2 * lengths  # batch mates change nothing

    # Two rows of nothing come before the first state: what moves on to a state are three views.
    padded_SN, other_SN = np.zeros((2, len(states_SN) + 2, batch))
    now, then = ((one[2:], one[1:-1], one[:-2]) for one in (padded_SN, other_SN))
    skipped_SN = np.empty_like(may_skip_SN)
    padded_SN[2:4] = emitted_TSN[0, :2]
    powers_of_2 = np.zeros(batch)
    for step, emitted_SN in enumerate(emitted_TSN[1:], start=1):
        (stays, follows, skips), (after_SN, *_) = now, then
        np.add(stays, follows, after_SN)
        np.multiply(skips, may_skip_SN, skipped_SN)
        np.add(after_SN, skipped_SN, after_SN)
        np.multiply(after_SN, emitted_SN, after_SN)
        if step % _RESCALE_STEPS == 0:
            _, exponent = np.frexp(after_SN.max(axis=0))
            np.ldexp(after_SN, -exponent, out=after_SN)
            powers_of_2 += exponent
        now, then = then, now
    in_last_blank, before_it, _ = now
    ends = in_last_blank[2 * lengths, samples] + before_it[2 * lengths, samples]
    found: NDArray[np.float64] = np.log(ends) + powers_of_2 * math.log(2)
    return found


def _losses(log_probs_TNC: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
    return F.ctc_loss(
        log_probs_TNC,
        targets,
        torch.full_like(target_lengths, log_probs_TNC.shape[0]),
        target_lengths,
        blank=BLANK_ID,
        reduction="none",
        zero_infinity=False,
    )
