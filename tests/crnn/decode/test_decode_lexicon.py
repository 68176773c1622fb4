"""The lexicon decoder against the most probable word found by brute force."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crnn.decode import (
    LexiconDecoder,
)
from crnn.errors import CharsetError
from crnn.model.ctc import log_probabilities
from crnn.text.charset import BLANK_ID, Charset
from tests.crnn.readings import (
    LOWER,
    SEEDS,
    WORDS,
    noisy,
    sharp,
)


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
    decode = LexiconDecoder(["cat!", "c-a-t", "dog"])
    assert decode(log_probs_TNC, LOWER)[0].text == "dog"
    assert "2 of 3 words are never read" in caplog.text and "'cat!', 'c-a-t'" in caplog.text


@pytest.mark.parametrize("exhaustive_words", [0, 300])
def test_a_word_in_a_case_that_the_charset_lacks_is_read_and_comes_back_as_given(
    exhaustive_words: int, caplog: pytest.LogCaptureFixture
) -> None:
    log_probs_TNC = sharp([19, 3, 0, 15, 20], LOWER)
    decode = LexiconDecoder(["co", "SCOT", "Scott"], exhaustive_words=exhaustive_words)
    (decoded,) = decode(log_probs_TNC, LOWER)
    assert decoded.text == "SCOT" and decoded.char_steps == ((0, 1), (1, 2), (3, 4), (4, 5))
    assert not caplog.text


def test_of_words_that_differ_in_case_alone_the_one_in_the_charset_s_own_case_is_read() -> None:
    (decoded,) = LexiconDecoder(["CAT", "cat", "Cat"])(sharp([3, 1, 20], LOWER), LOWER)
    assert decoded.text == "cat"


def test_a_lexicon_the_charset_cannot_write_is_refused() -> None:
    with pytest.raises(CharsetError, match=r"none of the lexicon's 2 words .* lacks \['1', '!'\]"):
        LexiconDecoder(["1", "a!"])(sharp([1], LOWER), LOWER)


def test_what_the_first_call_does_can_be_done_before() -> None:
    decoder = LexiconDecoder(["cat", "dog"])
    decoder.ready_for(LOWER)
    (ready,) = decoder._known
    (found,) = decoder(sharp([4, 15, 7], LOWER), LOWER)
    assert found.text == "dog"
    assert decoder._known == [ready]
    assert decoder._known[0] is ready
    with pytest.raises(CharsetError, match="none of the lexicon's 2 words"):
        decoder.ready_for(Charset("xyz"))


def test_one_lexicon_serves_several_charsets() -> None:
    decode = LexiconDecoder(["cat", "CAT"])
    upper = Charset("ABCT")
    assert decode(sharp([3, 0, 1, 0, 20], LOWER), LOWER)[0].text == "cat"
    assert decode(sharp([3, 0, 1, 0, 4], upper), upper)[0].text == "CAT"
