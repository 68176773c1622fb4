"""Prefix beam search and the character n-gram against everything written out."""

from __future__ import annotations

import json
import math
import pickle
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crnn.decode import (
    BeamConfig,
    CharNgram,
    beam,
    build_decoder,
    greedy,
)
from crnn.decode.beam import frames, search
from crnn.decode.ngram import END, UNKNOWN
from crnn.errors import DataError
from crnn.text.charset import Charset
from tests.crnn.readings import (
    AB,
    LOWER,
    SEEDS,
    labellings,
    noisy,
    sharp,
)

FULL = BeamConfig(beam_width=10_000, classes_per_step=100, min_probability=0.0)


@settings(deadline=None, max_examples=40)
@given(seed=SEEDS, time_steps=st.integers(1, 6), scale=st.floats(0.2, 3))
def test_full_beam_finds_the_most_probable_labelling(
    seed: int, time_steps: int, scale: float
) -> None:
    log_probs_TNC = noisy(seed, time_steps, 1, AB, scale)
    truth = labellings(log_probs_TNC[:, 0], AB)
    (decoded,) = beam(log_probs_TNC, AB, config=FULL)
    assert decoded.log_probability == pytest.approx(max(truth.values()), abs=1e-4)
    assert truth[decoded.text] == pytest.approx(max(truth.values()), abs=1e-4)


@settings(deadline=None, max_examples=20)
@given(seed=SEEDS, time_steps=st.integers(1, 6))
def test_full_search_gathers_every_alignment_of_every_text(seed: int, time_steps: int) -> None:
    log_probs_TC = noisy(seed, time_steps, 1, AB)[:, 0]
    found = search(frames(log_probs_TC, FULL), FULL.beam_width, lambda prefix: 0.0)
    truth = labellings(log_probs_TC, AB)
    assert {AB.text(prefix): mass for prefix, mass in found.items()} == pytest.approx(truth)
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_beam_sums_alignments_where_greedy_takes_one_path() -> None:
    probs_TC = torch.tensor([[0.6, 0.4], [0.6, 0.4]])  # blanks 0.36; "a" in three ways 0.64
    charset = Charset("a")
    log_probs_TNC = probs_TC.log()[:, None]
    assert greedy(log_probs_TNC, charset)[0].text == ""
    (decoded,) = beam(log_probs_TNC, charset)
    assert decoded.text == "a"
    assert decoded.log_probability == pytest.approx(math.log(0.64))


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS, width=st.sampled_from([1, 3, 10]), scale=st.floats(0.2, 4))
def test_beam_is_never_worse_than_greedy(seed: int, width: int, scale: float) -> None:
    charset = Charset("abcdefgh")
    log_probs_TNC = noisy(seed, 12, 2, charset, scale)
    found = beam(log_probs_TNC, charset, config=BeamConfig(beam_width=width))
    for ours, theirs in zip(found, greedy(log_probs_TNC, charset), strict=True):
        assert ours.log_probability >= theirs.log_probability - 1e-5


@settings(deadline=None, max_examples=20)
@given(seed=SEEDS, alpha=st.floats(0, 2), beta=st.floats(-1, 1))
def test_full_beam_with_ngram_maximises_the_whole_score(
    seed: int, alpha: float, beta: float
) -> None:
    ngram = CharNgram.train(["ab", "abab", "ba"], order=3)
    log_probs_TNC = noisy(seed, 5, 1, AB)
    config = BeamConfig(
        beam_width=10_000, classes_per_step=9, min_probability=0.0, alpha=alpha, beta=beta
    )
    worth = {
        text: ctc + alpha * ngram.text_log_probability(text) + beta * len(text)
        for text, ctc in labellings(log_probs_TNC[:, 0], AB).items()
    }
    (decoded,) = beam(log_probs_TNC, AB, config=config, ngram=ngram)
    assert worth[decoded.text] == pytest.approx(max(worth.values()), abs=1e-4)


def test_ngram_turns_a_close_decision_its_way() -> None:
    log_probs_TNC = sharp([3, 0, 1, 0, 20], LOWER)  # cat
    log_probs_TNC[4, 0, 18] = log_probs_TNC[4, 0, 20] - 0.05  # car, nearly as likely
    assert beam(log_probs_TNC, LOWER)[0].text == "cat"
    cars = CharNgram.train(["car"] * 20 + ["cat"])
    cats = CharNgram.train(["cat"] * 20 + ["car"])
    assert build_decoder("beam", ngram=cars)(log_probs_TNC, LOWER)[0].text == "car"
    assert build_decoder("beam", ngram=cats)(log_probs_TNC, LOWER)[0].text == "cat"
    indifferent = BeamConfig(alpha=0.0)
    assert beam(log_probs_TNC, LOWER, config=indifferent, ngram=cars)[0].text == "cat"


def test_length_bonus_lengthens() -> None:
    log_probs_TNC = noisy(0, 10, 8, LOWER, scale=0.5)
    lengths = [
        sum(len(d.text) for d in beam(log_probs_TNC, LOWER, config=BeamConfig(beta=beta)))
        for beta in (-2.0, 0.0, 2.0)
    ]
    assert lengths[0] < lengths[1] < lengths[2]


@settings(deadline=None)
@given(
    texts=st.lists(st.text("abé ", max_size=6), min_size=1, max_size=8),
    order=st.integers(1, 5),
    history=st.text("abxé", max_size=6),
)
def test_ngram_probabilities_sum_to_one(texts: list[str], order: int, history: str) -> None:
    ngram = CharNgram.train(texts, order=order, characters="z")
    classes = [*ngram.vocabulary, END, UNKNOWN]
    shares = [ngram.probability(c, history) for c in classes]
    assert sum(shares) == pytest.approx(1)
    assert min(shares) > 0


def test_ngram_gives_the_witten_bell_values() -> None:
    ngram = CharNgram.train(["ab", "aa"], order=2)
    # 4 classes: a, b, END, UNKNOWN. Alone: a 3, b 1, END 2 of 6, three kinds.
    alone = {c: (n + 3 / 4) / (6 + 3) for c, n in {"a": 3, "b": 1, END: 2, UNKNOWN: 0}.items()}
    # After a: b 1, a 1, END 1; three kinds of three. At the start: a 2, one kind of two.
    assert ngram.probability("b", "a") == pytest.approx((1 + 3 * alone["b"]) / 6)
    assert ngram.probability("a", "") == pytest.approx((2 + alone["a"]) / 3)
    assert ngram.probability("x", "zzz") == pytest.approx(alone[UNKNOWN])
    expected = math.log(ngram.probability("a", "") * ngram.probability(END, "a"))
    assert ngram.text_log_probability("a") == pytest.approx(expected)


def test_ngram_prefers_what_it_was_trained_on() -> None:
    ngram = CharNgram.train(["table", "cable", "able"], order=4)
    assert ngram.text_log_probability("able") > ngram.text_log_probability("elba")
    assert ngram.text_log_probability("") < ngram.text_log_probability("table")


def test_ngram_survives_saving_and_pickling(tmp_path: Path) -> None:
    ngram = CharNgram.train(["naïve", "café", "", 'quote"'], order=3)
    file = str(tmp_path / "ngram.json")
    ngram.save(file)
    for copy in (CharNgram.load(file), pickle.loads(pickle.dumps(ngram))):
        for text in ("café", "naïf", ""):
            assert copy.text_log_probability(text) == ngram.text_log_probability(text)


@pytest.mark.parametrize(
    "content",
    [
        "not json",
        "[]",
        json.dumps({"format_version": 99}),
        json.dumps({"format_version": 1, "order": 2, "vocabulary": "a"}),
        json.dumps({"format_version": 1, "order": 2, "vocabulary": "a", "counts": {"": {"q": 1}}}),
        json.dumps({"format_version": 1, "order": 2, "vocabulary": "a", "counts": {"a": {}}}),
        json.dumps({"format_version": 1, "order": 2, "vocabulary": "a", "counts": {"": {"a": -1}}}),
    ],
)
def test_a_file_that_is_no_ngram_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "ngram.json"
    file.write_text(content)
    with pytest.raises(DataError, match=r"ngram\.json is not a usable n-gram"):
        CharNgram.load(str(file))


def test_bytes_that_are_no_text_are_not_printed_whole(tmp_path: Path) -> None:
    (tmp_path / "ngram.json").write_bytes(b"\xff" * 5000)
    with pytest.raises(DataError, match=r"is not a usable n-gram .*characters more") as told:
        CharNgram.load(str(tmp_path / "ngram.json"))
    assert len(str(told.value)) < 600


def test_ngram_refuses_what_it_cannot_learn_from() -> None:
    with pytest.raises(ValueError, match="no texts"):
        CharNgram.train([])
    with pytest.raises(ValueError, match="order is 0"):
        CharNgram.train(["a"], order=0)
