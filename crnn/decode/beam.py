"""Prefix beam search: the likeliest text, summed over alignments, with an optional n-gram.

Hannun, Maas, Jurafsky & Ng (2014), "First-pass large vocabulary continuous speech recognition
using bi-directional recurrent DNNs", in log space. Shape suffixes: T time steps, N batch,
C classes.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from crnn.decode.alignment import align
from crnn.decode.decoded import Decoded, check_log_probs
from crnn.decode.greedy import best_path_runs
from crnn.decode.ngram import CharNgram
from crnn.model import ctc
from crnn.text.charset import BLANK_ID, Charset

Prefix = tuple[int, ...]
Frame = tuple[list[float], list[int]]
"""One time step: log-probabilities of all classes, and the characters worth trying."""

_NEVER = -math.inf


@dataclass(frozen=True, kw_only=True)
class BeamConfig:
    """How wide to search, and what a text is worth beside its CTC probability."""

    beam_width: int = 10
    """Prefixes kept after each time step."""
    classes_per_step: int = 12
    """Characters tried at each time step, the likeliest first."""
    min_probability: float = 1e-3
    """Characters less probable than this are not tried at a time step."""
    alpha: float = 0.5
    """Weight of the n-gram's log-probability of the whole text; unused without an n-gram."""
    beta: float = 0.0
    """Added for each character, in nats; offsets an n-gram's liking for short texts."""

    def __post_init__(self) -> None:
        if self.beam_width < 1 or self.classes_per_step < 1:
            raise ValueError(
                f"beam_width is {self.beam_width} and classes_per_step {self.classes_per_step}; "
                "both are at least 1"
            )
        if not 0 <= self.min_probability < 1:
            raise ValueError(f"min_probability is {self.min_probability}; expected 0 to below 1")
        if not (0 <= self.alpha < math.inf and math.isfinite(self.beta)):
            raise ValueError(
                f"alpha is {self.alpha} and beta {self.beta}; "
                "expected finite numbers and alpha of at least 0"
            )


def beam(
    log_probs_TNC: Tensor,
    charset: Charset,
    *,
    config: BeamConfig = BeamConfig(),
    ngram: CharNgram | None = None,
) -> list[Decoded]:
    """The text with the greatest ``ln p_ctc + alpha · ln p_ngram + beta · length``.

    The prefixes that survive, and the greedy text with them, are scored exactly before one is
    chosen: the result never scores below the greedy text.

    Raises:
        ValueError: for log-probabilities of another shape, type or device than float32
            ``T,N,C`` on the CPU.
    """
    log_probs_TNC = check_log_probs(log_probs_TNC, charset)
    if log_probs_TNC.shape[1] == 0:
        return []
    targets, exact = [], []
    for n, greedy_target in enumerate(best_path_runs(log_probs_TNC).targets()):
        log_probs_T1C = log_probs_TNC[:, n : n + 1]
        language = _Language(charset, config, ngram)
        found = search(frames(log_probs_T1C[:, 0], config), config.beam_width, language.prefix)
        candidates = list(dict.fromkeys([tuple(greedy_target), *found]))
        acoustic = ctc.log_probabilities(log_probs_T1C, candidates).tolist()
        worth = [a + language.text(c) for a, c in zip(acoustic, candidates, strict=True)]
        best = max(range(len(candidates)), key=worth.__getitem__)
        targets.append(candidates[best])
        exact.append(acoustic[best])
    return align(log_probs_TNC, targets, exact, charset)


def search(
    steps: list[Frame], width: int, language: Callable[[Prefix], float]
) -> dict[Prefix, float]:
    """The ``width`` prefixes that stand best at the end, best first.

    Each with the log-probability of those of its alignments that survived the pruning.
    """
    beams: dict[Prefix, list[float]] = {(): [0.0, _NEVER]}
    for log_probs, tried in steps:
        grown: dict[Prefix, list[float]] = {}
        for prefix, ends in beams.items():
            _grow(grown, prefix, ends, log_probs, tried)
        worth = {p: _log_add(*ends) + language(p) for p, ends in grown.items()}
        ranked = heapq.nlargest(width, worth, key=worth.__getitem__)
        beams = {prefix: grown[prefix] for prefix in ranked}
    return {prefix: _log_add(*ends) for prefix, ends in beams.items()}


def _grow(
    grown: dict[Prefix, list[float]],
    prefix: Prefix,
    ends: list[float],
    log_probs: list[float],
    tried: list[int],
) -> None:
    """Add to ``grown`` all that one time step can make of ``prefix``.

    ``ends`` and the values of ``grown`` are two log-probabilities: of the alignments that end
    in a blank, and of those that end in the prefix's last character.
    """
    in_blank, in_char = ends
    either = _log_add(in_blank, in_char)
    last = prefix[-1] if prefix else BLANK_ID
    kept = grown.setdefault(prefix, [_NEVER, _NEVER])
    kept[0] = _log_add(kept[0], either + log_probs[BLANK_ID])
    if prefix:
        kept[1] = _log_add(kept[1], in_char + log_probs[last])
    for class_id in tried:
        gain = (in_blank if class_id == last else either) + log_probs[class_id]
        longer = (*prefix, class_id)
        if longer in grown:
            grown[longer][1] = _log_add(grown[longer][1], gain)
        elif gain > _NEVER:
            grown[longer] = [_NEVER, gain]


def frames(log_probs_TC: Tensor, config: BeamConfig) -> list[Frame]:
    """The time steps of one sample with the characters that ``config`` lets through."""
    chars_TC = np.delete(log_probs_TC.numpy(), BLANK_ID, axis=1)
    most = min(config.classes_per_step, chars_TC.shape[1])
    order_TC = np.argsort(-chars_TC, axis=1, kind="stable")[:, :most]
    least = math.log(config.min_probability) if config.min_probability else _NEVER
    enough_TC = np.take_along_axis(chars_TC, order_TC, axis=1) >= least
    ids_TC = order_TC + (order_TC >= BLANK_ID)  # back to class ids: the blank stood before them
    return [
        (log_probs, ids[enough].tolist())
        for log_probs, ids, enough in zip(log_probs_TC.tolist(), ids_TC, enough_TC, strict=True)
    ]


class _Language:
    """What prefixes and whole texts are worth beside their CTC probability; remembers prefixes."""

    def __init__(self, charset: Charset, config: BeamConfig, ngram: CharNgram | None) -> None:
        self._charset, self._config, self._ngram = charset, config, ngram
        self._known: dict[Prefix, tuple[float, str]] = {(): (0.0, "")}

    def prefix(self, prefix: Prefix) -> float:
        """Worth of a text that may go on."""
        if self._ngram is None:
            return self._config.beta * len(prefix)
        return self._read(prefix, self._ngram)[0]

    def _read(self, prefix: Prefix, ngram: CharNgram) -> tuple[float, str]:
        """Worth of a prefix, and its characters as they stand in the picture."""
        if prefix not in self._known:
            worth, history = self._read(prefix[:-1], ngram)
            last = self._charset.seen(prefix[-1:])
            seen = history + last
            if self._charset.is_level(seen):
                gain = ngram.log_probability(last, history)
                worth += self._config.alpha * gain + self._config.beta
            else:  # what comes further to the right stands before it in the text
                piece = ngram.piece_log_probability(self._charset.from_picture(seen).text)
                worth = self._config.alpha * piece + self._config.beta * len(prefix)
            self._known[prefix] = worth, seen
        return self._known[prefix]

    def text(self, target: Prefix) -> float:
        """Worth of a text that ends here."""
        if self._ngram is None:
            return self.prefix(target)
        worth, text = self._read(target, self._ngram)
        if not self._charset.is_level(text):
            whole = self._ngram.text_log_probability(self._charset.from_picture(text).text)
            return self._config.alpha * whole + self._config.beta * len(target)
        return worth + self._config.alpha * self._ngram.end_log_probability(text)


def _log_add(left: float, right: float) -> float:
    if left < right:
        left, right = right, left
    return left if right == _NEVER else left + math.log1p(math.exp(right - left))
