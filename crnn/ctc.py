"""The CTC loss (Graves et al. 2006, "Connectionist temporal classification"), per sample.

Nothing is hidden here: a target that doesn't fit into its time steps has an infinite loss, and
whoever trains decides what to do about it. Dividing by target lengths and averaging over a
global batch are the caller's.

Shape suffixes: T time steps, N batch, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from crnn.charset import BLANK_ID


def min_time_steps(target_ids: Sequence[int]) -> int:
    """The fewest time steps that can hold a target: its length and a blank between equals."""
    return len(target_ids) + sum(left == right for left, right in pairwise(target_ids))


def ctc_losses(logits_TNC: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
    """−ln p(target) of each sample in nats, shape ``N``, float32; not divided by anything.

    Args:
        logits_TNC: Unnormalised scores of any float type; normalised here in float32. Every
            sample uses all T time steps.
        targets: Class ids without blanks, int64, all samples' one after another.
        target_lengths: How many of them belong to each sample, int64, shape ``N``; 0 is the
            empty text, whose alignment is all blanks.

    A target with ``min_time_steps`` above T gives ``inf``, and a NaN gradient if summed.
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
