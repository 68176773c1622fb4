"""What holds of every decoder, and of greedy."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from crnn.decode import (
    DECODERS,
    CharNgram,
    Decoded,
    DecodedColumns,
    build_decoder,
    greedy,
)
from crnn.decode.alignment import best_alignments
from crnn.text.charset import BLANK_ID, Charset
from tests.crnn.readings import (
    AB,
    LOWER,
    SEEDS,
    all_decoders,
    assert_well_formed,
    built,
    noisy,
    paths,
    sharp,
)


@pytest.mark.parametrize(
    ("path", "text"),
    [([2, 2, 0, 0, 0, 15, 15, 0, 15, 11], "book"), ([0, 0, 2, 15, 15, 15, 15, 0, 0, 11], "bok")],
)
@pytest.mark.parametrize("name", ["greedy", "beam", "lexicon"])
def test_known_answers(name: str, path: list[int], text: str) -> None:
    words = ["bok", "book", "cat"] if name == "lexicon" else None
    (decoded,) = built(name, words)(sharp(path, LOWER), LOWER)
    assert decoded.text == text


@pytest.mark.parametrize("name", DECODERS)
def test_characters_stand_where_the_path_puts_them(name: str) -> None:
    path = [2, 2, 0, 0, 0, 15, 15, 0, 15, 11]
    words = ["book"] if name == "lexicon" else None
    (decoded,) = built(name, words)(sharp(path, LOWER), LOWER)
    assert decoded.char_steps == ((0, 2), (5, 7), (8, 9), (9, 10))
    assert decoded.char_probabilities == pytest.approx((0.9,) * 4)


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS, time_steps=st.integers(3, 12), batch=st.integers(1, 4))
def test_readings_are_well_formed_and_alone_as_in_a_batch(
    seed: int, time_steps: int, batch: int
) -> None:
    charset = Charset("abcdefgh")
    log_probs_TNC = noisy(seed, time_steps, batch, charset)
    for name, decode in all_decoders().items():
        together = decode(log_probs_TNC, charset)
        for n in range(batch):
            pruned = name == "fusion"
            assert_well_formed(together[n], log_probs_TNC[:, n], charset, pruned=pruned)
            assert list(decode(log_probs_TNC[:, n : n + 1], charset)) == [together[n]]


@settings(deadline=None)
@given(
    texts=st.lists(st.text(max_size=6), max_size=5),
    numbers=st.lists(st.floats(-9, 0), min_size=31, max_size=31),
)
def test_columns_hold_what_single_readings_do(texts: list[str], numbers: list[float]) -> None:
    samples = [
        Decoded(
            text,
            numbers[place],
            tuple(numbers[: len(text)]),
            tuple((float(n), n + 0.5) for n in range(len(text))),
        )
        for place, text in enumerate(texts)
    ]
    columns = DecodedColumns.of(samples)
    assert list(columns) == samples and columns.texts() == texts
    assert columns[1:] == samples[1:] and columns[-1:] == samples[-1:]
    assert columns.without_characters().texts() == [""] * len(texts)


@pytest.mark.parametrize("name", DECODERS)
def test_the_empty_text_is_all_blanks(name: str) -> None:
    log_probs_TNC = sharp([BLANK_ID] * 5, LOWER)
    words = ["", "cat"] if name == "lexicon" else None
    (decoded,) = built(name, words)(log_probs_TNC, LOWER)
    assert decoded.text == "" and decoded.char_probabilities == decoded.char_steps == ()
    assert decoded.log_probability == pytest.approx(5 * math.log(0.9), abs=1e-5)


@pytest.mark.parametrize("name", DECODERS)
def test_no_samples_have_no_readings(name: str) -> None:
    assert list(all_decoders()[name](torch.zeros(5, 0, LOWER.num_classes), LOWER)) == []


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
    (decoded,) = built(name, words)(log_probs_TNC, LOWER)
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


def test_unknown_names_list_the_known() -> None:
    with pytest.raises(
        ValueError, match=r"'beams'; expected one of \['beam', 'fusion', 'greedy', 'lexicon'\]"
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
    with pytest.raises(
        ValueError, match=r"ngram is 'a.json'; expected a CharNgram, as CharNgram.l"
    ):
        build_decoder("beam", ngram="a.json")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="needs a lexicon"):
        build_decoder("lexicon")
    with pytest.raises(ValueError, match="at least one word"):
        build_decoder("lexicon", lexicon=[])
    with pytest.raises(ValueError, match="beam_width is 0"):
        build_decoder("beam", beam_width=0)
