"""Best-path decoding (Graves et al. 2006): the likeliest class of each time step, collapsed."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from crnn.decode.decoded import DecodedColumns, Runs, check_log_probs, describe, find_runs
from crnn.model import ctc
from crnn.text.charset import Charset


def greedy(log_probs_TNC: Tensor, charset: Charset) -> DecodedColumns:
    """The text of the likeliest path of each sample; equal scores go to the lower class id.

    Args:
        log_probs_TNC: Normalised natural log-probabilities, float32 on the CPU.
        charset: Its ``num_classes`` is C.

    Raises:
        ValueError: for log-probabilities of another shape, type or device.
    """
    log_probs_TNC = check_log_probs(log_probs_TNC, charset)
    if log_probs_TNC.shape[1] == 0:
        return DecodedColumns.of([])
    runs = best_path_runs(log_probs_TNC)
    exact = ctc.best_path_log_probabilities(log_probs_TNC.numpy(), runs.ids, runs.bounds)
    return describe(runs, exact, charset)


def best_path_runs(log_probs_TNC: Tensor) -> Runs:
    """The runs of the likeliest path of each sample, N > 0."""
    log_probs = log_probs_TNC.numpy()
    ids_TN = log_probs.argmax(axis=-1)
    values = log_probs.reshape(ids_TN.size, -1)[np.arange(ids_TN.size), ids_TN.ravel()]
    values_TN = values.reshape(ids_TN.shape)
    return find_runs(np.ascontiguousarray(ids_TN.T), np.ascontiguousarray(values_TN.T))
