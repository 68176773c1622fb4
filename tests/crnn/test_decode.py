"""Decoders against known answers and against everything written out."""

from __future__ import annotations

import itertools
import json
import math
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from crnn.charset import BLANK_ID, Charset
from crnn.ctc import log_probabilities
from crnn.decode import (
    DECODERS,
    BeamConfig,
    CharNgram,
    Decoded,
    Decoder,
    LexiconDecoder,
    beam,
    build_decoder,
    greedy,
)
from crnn.decode.alignment import best_alignments
from crnn.decode.beam import frames, search
from crnn.decode.ngram import END, UNKNOWN
from crnn.errors import CharsetError, DataError

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


def all_decoders() -> dict[str, Decoder]:
    return {
        name: build_decoder(name, lexicon=WORDS if name == "lexicon" else None) for name in DECODERS
    }


def assert_well_formed(decoded: Decoded, log_probs_TC: Tensor, charset: Charset) -> None:
    """What holds of every reading by any decoder, if the text fits the time steps."""
    target = charset.encode(decoded.text)
    exact = log_probabilities(log_probs_TC[:, None], [target]).item()
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


# every decoder


@pytest.mark.parametrize(
    ("path", "text"),
    [([2, 2, 0, 0, 0, 15, 15, 0, 15, 11], "book"), ([0, 0, 2, 15, 15, 15, 15, 0, 0, 11], "bok")],
)
@pytest.mark.parametrize("name", ["greedy", "beam", "lexicon"])
def test_known_answers(name: str, path: list[int], text: str) -> None:
    words = ["bok", "book", "cat"] if name == "lexicon" else None
    (decoded,) = build_decoder(name, lexicon=words)(sharp(path, LOWER), LOWER)
    assert decoded.text == text


@pytest.mark.parametrize("name", DECODERS)
def test_characters_stand_where_the_path_puts_them(name: str) -> None:
    path = [2, 2, 0, 0, 0, 15, 15, 0, 15, 11]
    words = ["book"] if name == "lexicon" else None
    (decoded,) = build_decoder(name, lexicon=words)(sharp(path, LOWER), LOWER)
    assert decoded.char_steps == ((0, 2), (5, 7), (8, 9), (9, 10))
    assert decoded.char_probabilities == pytest.approx((0.9,) * 4)


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS, time_steps=st.integers(3, 12), batch=st.integers(1, 4))
def test_readings_are_well_formed_and_alone_as_in_a_batch(
    seed: int, time_steps: int, batch: int
) -> None:
    charset = Charset("abcdefgh")
    log_probs_TNC = noisy(seed, time_steps, batch, charset)
    for decode in all_decoders().values():
        together = decode(log_probs_TNC, charset)
        for n in range(batch):
            assert_well_formed(together[n], log_probs_TNC[:, n], charset)
            assert decode(log_probs_TNC[:, n : n + 1], charset) == [together[n]]


@pytest.mark.parametrize("name", DECODERS)
def test_the_empty_text_is_all_blanks(name: str) -> None:
    log_probs_TNC = sharp([BLANK_ID] * 5, LOWER)
    words = ["", "cat"] if name == "lexicon" else None
    (decoded,) = build_decoder(name, lexicon=words)(log_probs_TNC, LOWER)
    assert decoded.text == "" and decoded.char_probabilities == decoded.char_steps == ()
    assert decoded.log_probability == pytest.approx(5 * math.log(0.9), abs=1e-5)


@pytest.mark.parametrize("name", DECODERS)
def test_no_samples_have_no_readings(name: str) -> None:
    assert all_decoders()[name](torch.zeros(5, 0, LOWER.num_classes), LOWER) == []


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize(
    "log_probs",
    [
        torch.zeros(5, 1, 3),
        torch.zeros(5, 27),
        torch.zeros(0, 1, 27),
        torch.zeros(5, 1, 27, dtype=torch.float64),
    ],
)
def test_other_tensors_are_refused(name: str, log_probs: Tensor) -> None:
    with pytest.raises(ValueError, match="log-probabilities"):
        all_decoders()[name](log_probs, LOWER)


@pytest.mark.parametrize("name", DECODERS)
def test_classes_of_probability_zero_do_no_harm(name: str) -> None:
    log_probs_TNC = sharp([2, 0, 15, 0, 11], LOWER, probability=1.0)
    words = ["bok", "cat"] if name == "lexicon" else None
    (decoded,) = build_decoder(name, lexicon=words)(log_probs_TNC, LOWER)
    assert decoded == Decoded("bok", 0.0, (1.0,) * 3, ((0, 1), (2, 3), (4, 5)))


@settings(deadline=None, max_examples=50)
@given(text=st.text("ab", max_size=4), slack=st.integers(0, 2), seed=SEEDS)
def test_alignment_is_the_best_of_all_paths(text: str, slack: int, seed: int) -> None:
    target = AB.encode(text)
    time_steps = max(
        1, min(len(text) + sum(a == b for a, b in itertools.pairwise(text)) + slack, 7)
    )
    log_probs_TNC = noisy(seed, time_steps, 1, AB)
    (path,) = best_alignments(log_probs_TNC.numpy(), [target]).tolist()
    scores = {p: s for p, s in paths(log_probs_TNC[:, 0]) if AB.collapse(p) == text}
    assert scores[tuple(path)] == pytest.approx(max(scores.values()))


# greedy


@settings(deadline=None)
@given(text=st.text("-ab 0é", max_size=8), hold=st.integers(1, 3))
def test_greedy_reads_back_any_text(text: str, hold: int) -> None:
    charset = Charset("-ab 0é")
    path = [BLANK_ID, *(s for i in charset.encode(text) for s in (*[i] * hold, BLANK_ID))]
    assert greedy(sharp(path, charset), charset)[0].text == text


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS)
def test_greedy_collapses_the_likeliest_path(seed: int) -> None:
    log_probs_TNC = noisy(seed, 6, 1, AB)
    best, _ = max(paths(log_probs_TNC[:, 0]), key=lambda pair: pair[1])
    assert greedy(log_probs_TNC, AB)[0].text == AB.collapse(best)


# beam

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


# n-gram


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


def test_ngram_refuses_what_it_cannot_learn_from() -> None:
    with pytest.raises(ValueError, match="no texts"):
        CharNgram.train([])
    with pytest.raises(ValueError, match="order is 0"):
        CharNgram.train(["a"], order=0)


# lexicon


@settings(deadline=None, max_examples=30)
@given(
    seed=SEEDS,
    words=st.lists(st.text("abcdefgh", max_size=5), min_size=1, max_size=20),
    scale=st.floats(0.2, 4),
)
def test_short_lexicon_is_the_brute_force_argmax(seed: int, words: list[str], scale: float) -> None:
    charset = Charset("abcdefgh")
    log_probs_TNC = noisy(seed, 9, 2, charset, scale)
    for n, decoded in enumerate(LexiconDecoder(words)(log_probs_TNC, charset)):
        truth = {
            word: log_probabilities(log_probs_TNC[:, n : n + 1], [charset.encode(word)]).item()
            for word in words
        }
        assert decoded.text in words
        assert decoded.log_probability == pytest.approx(max(truth.values()), abs=1e-4)


@settings(deadline=None, max_examples=20)
@given(word=st.sampled_from(WORDS), seed=SEEDS)
def test_long_lexicon_via_neighbours_is_the_brute_force_argmax(word: str, seed: int) -> None:
    charset = Charset("abcdefgh")
    path = [BLANK_ID, *(s for i in charset.encode(word) for s in (i, BLANK_ID))]
    logits_TNC = sharp(path, charset, 0.7) + noisy(seed, len(path), 1, charset, 0.7)
    log_probs_TNC = logits_TNC.log_softmax(-1)
    (near,) = LexiconDecoder(WORDS, exhaustive_words=100)(log_probs_TNC, charset)
    (best,) = LexiconDecoder(WORDS, exhaustive_words=10_000)(log_probs_TNC, charset)
    assert near == best


def test_neighbours_are_scored_by_ctc_and_not_by_distance_alone() -> None:
    log_probs_TNC = sharp([3, 0, 1, 0, 20], LOWER)  # cat; the last step could be r as well
    log_probs_TNC[4, 0, 18] = math.log(0.08)
    words = ["cab", "car", *("x" * n for n in range(4, 20))]
    decode = LexiconDecoder(words, exhaustive_words=5, max_distance=1)
    assert decode(log_probs_TNC, LOWER)[0].text == "car"


def test_far_from_every_word_the_nearest_is_chosen() -> None:
    log_probs_TNC = sharp([i for c in LOWER.encode("zzzzzzzcat") for i in (c, 0)], LOWER)
    words = ["cat", "dog", "house", "q"]
    decode = LexiconDecoder(words, exhaustive_words=1, max_distance=1)
    assert decode(log_probs_TNC, LOWER)[0].text == "cat"


def test_a_word_too_long_for_the_time_steps_loses_to_any_other() -> None:
    log_probs_TNC = sharp([1, 1, 1], LOWER)
    (decoded,) = LexiconDecoder(["aaaa", "zz"])(log_probs_TNC, LOWER)
    assert decoded.text == "zz"
    (alone,) = LexiconDecoder(["aaaa"])(log_probs_TNC, LOWER)
    assert alone.log_probability == -math.inf
    assert alone.char_probabilities == (0.0,) * 4
    assert alone.char_steps == ((0, 0.75), (0.75, 1.5), (1.5, 2.25), (2.25, 3.0))


def test_words_the_charset_cannot_write_are_skipped(caplog: pytest.LogCaptureFixture) -> None:
    log_probs_TNC = sharp([3, 0, 1, 0, 20], LOWER)
    decode = LexiconDecoder(["cat!", "CAT", "dog"])
    assert decode(log_probs_TNC, LOWER)[0].text == "dog"
    assert "2 of 3 words skipped" in caplog.text


def test_a_lexicon_the_charset_cannot_write_is_refused() -> None:
    with pytest.raises(CharsetError, match=r"none of the lexicon's 2 words .* lacks \['1', '!'\]"):
        LexiconDecoder(["1", "a!"])(sharp([1], LOWER), LOWER)


def test_one_lexicon_serves_several_charsets() -> None:
    decode = LexiconDecoder(["cat", "CAT"])
    upper = Charset("ABCT")
    assert decode(sharp([3, 0, 1, 0, 20], LOWER), LOWER)[0].text == "cat"
    assert decode(sharp([3, 0, 1, 0, 4], upper), upper)[0].text == "CAT"


# registry


def test_unknown_names_list_the_known() -> None:
    with pytest.raises(
        ValueError, match=r"'beams'; expected one of \['beam', 'greedy', 'lexicon'\]"
    ):
        build_decoder("beams")


def test_options_that_would_be_ignored_are_refused() -> None:
    ngram = CharNgram.train(["a"])
    with pytest.raises(ValueError, match="'greedy' takes no lexicon; use decoder 'lexicon'"):
        build_decoder("greedy", lexicon=["a"])
    with pytest.raises(ValueError, match="'beam' takes no lexicon"):
        build_decoder("beam", lexicon=["a"])
    with pytest.raises(ValueError, match="'lexicon' takes no ngram; use decoder 'beam'"):
        build_decoder("lexicon", lexicon=["a"], ngram=ngram)
    with pytest.raises(ValueError, match="needs a lexicon"):
        build_decoder("lexicon")
    with pytest.raises(ValueError, match="at least one word"):
        build_decoder("lexicon", lexicon=[])
    with pytest.raises(ValueError, match="beam_width is 0"):
        build_decoder("beam", beam_width=0)
