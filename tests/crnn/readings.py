"""What the tests of the decoders share: log-probabilities to read, and brute force."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor

from crnn.decode import (
    DECODERS,
    Decoded,
    Decoder,
    Fusion,
    FusionConfig,
    LanguageModel,
    build_decoder,
)
from crnn.model.ctc import log_probabilities
from crnn.text.charset import Charset

LOWER = Charset.named("lower")
AB = Charset("ab")
WORDS = [
    "".join(letters) for n in range(1, 4) for letters in itertools.product("abcdefgh", repeat=n)
]
SEEDS = st.integers(0, 2**31)


def sharp(path: list[int], charset: Charset, probability: float = 0.9) -> Tensor:
    """``log_probs_T1C`` in which ``path`` is the likeliest and all else shares what is left."""
    rest = (1 - probability) / (charset.num_classes - 1)
    probs_TC = torch.full((len(path), charset.num_classes), rest)
    probs_TC[torch.arange(len(path)), torch.tensor(path)] = probability
    return probs_TC.log()[:, None]


def noisy(seed: int, time_steps: int, batch: int, charset: Charset, scale: float = 2) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    logits_TNC = torch.randn(time_steps, batch, charset.num_classes, generator=generator) * scale
    return logits_TNC.log_softmax(-1)


def paths(log_probs_TC: Tensor) -> list[tuple[tuple[int, ...], float]]:
    """Every path with its log-probability."""
    rows = log_probs_TC.double().tolist()
    return [
        (path, sum(rows[t][c] for t, c in enumerate(path)))
        for path in itertools.product(range(len(rows[0])), repeat=len(rows))
    ]


def labellings(log_probs_TC: Tensor, charset: Charset) -> dict[str, float]:
    """Every text that the time steps can write, with its log-probability."""
    totals: dict[str, float] = {}
    for path, log_probability in paths(log_probs_TC):
        text = charset.collapse(path)
        totals[text] = np.logaddexp(totals.get(text, -math.inf), log_probability)
    return totals


def built(name: str, words: list[str] | None = None) -> Decoder:
    """The decoder ``name``, with a language model of no weight where it takes one."""
    language = LanguageModel.fit(WORDS, characters=LOWER.characters, prune=0)
    fusion = Fusion(language, FusionConfig(weight=0.0, bonus=0.0))
    return build_decoder(name, lexicon=words, fusion=fusion)


def all_decoders() -> dict[str, Decoder]:
    return {name: built(name, WORDS if name == "lexicon" else None) for name in DECODERS}


def assert_well_formed(
    decoded: Decoded, log_probs_TC: Tensor, charset: Charset, *, pruned: bool = False
) -> None:
    """What holds of every reading by any decoder, if the text fits the time steps.

    ``pruned``: its probability lacks the alignments that a beam gave up.
    """
    target = charset.encode(decoded.text)
    exact = log_probabilities(log_probs_TC[:, None], [target]).item()
    if pruned:
        assert decoded.log_probability <= exact + 1e-4
    else:
        assert decoded.log_probability == pytest.approx(exact, abs=1e-4)
    assert len(decoded.char_probabilities) == len(decoded.char_steps) == len(decoded.text)
    reached = 0.0
    for class_id, probability, (first, end) in zip(
        target, decoded.char_probabilities, decoded.char_steps, strict=True
    ):
        assert reached <= first < end <= len(log_probs_TC)
        run_T = log_probs_TC[int(first) : int(end), class_id]
        assert probability == pytest.approx(run_T.max().exp().item(), rel=1e-5)
        reached = end
