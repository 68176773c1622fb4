"""A language model: probabilities that sum to 1, in any case of letters, and a file of it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn.decode import LanguageModel
from crnn.errors import DataError
from crnn.text.charset import Charset

TEXTS = ("banana", "bandana", "ban", "Cabana", "42", "4.2 an")
CHARACTERS = "abcdnABCDN24. "


def fitted(order: int = 4, least: int = 1, prune: float = 0.0) -> LanguageModel:
    return LanguageModel.fit(
        TEXTS * 3, characters=CHARACTERS, order=order, least=least, prune=prune
    )


@pytest.mark.parametrize("order", [1, 2, 4, 7])
@pytest.mark.parametrize("prune", [0.0, 2.0, 1e9])
def test_what_may_follow_a_history_sums_to_one(order: int, prune: float) -> None:
    log_SV, next_SV = fitted(order, prune=prune).tables
    assert np.exp(log_SV.astype(np.float64)).sum(axis=1) == pytest.approx(1, abs=2e-3)
    assert next_SV.min() >= 0 and next_SV.max() < len(log_SV)


@given(text=st.text("abcdn24. ", max_size=8))
def test_a_whole_text_is_worth_what_the_counts_say(text: str) -> None:
    exact = sum(math.log(witten_bell(("^" + text)[: n + 1], c)) for n, c in enumerate(text + "$"))
    assert fitted().log_probability(text) == pytest.approx(exact, abs=0.02 * (len(text) + 1))


def witten_bell(before: str, c: str, length: int = 3) -> float:
    """Probability of ``c`` after the last ``length`` characters, counted in ``TEXTS`` by hand."""
    if length > len(before):
        return witten_bell(before, c, length - 1)
    shorter = witten_bell(before, c, length - 1) if length else 1 / 11
    history = before[len(before) - length :]
    seen = [
        whole[n]
        for whole in (f"^{one.lower()}$" for one in TEXTS * 3)
        for n in range(max(length, 1), len(whole))
        if whole[n - length : n] == history
    ]
    kinds = len(set(seen))
    return (seen.count(c) + kinds * shorter) / (len(seen) + kinds) if seen else shorter


def test_case_makes_no_difference_and_what_was_counted_is_likelier() -> None:
    language = fitted()
    assert language.log_probability("BANANA") == language.log_probability("banana")
    assert language.log_probability("banana") > language.log_probability("banaan") + 2
    assert language.log_probability("é") > -math.inf


def test_the_longest_history_with_counts_is_the_state() -> None:
    language = fitted(order=3)
    _, next_SV = language.tables
    classes = language.classes_of(Charset("abn4"))
    state = language.begin
    for c in (1, 3, 1):  # "ana", of which order 3 remembers "na"
        state = int(next_SV[state, classes[c]])
    assert language.lengths[state] == 2
    assert language.keys[state] == classes[3] * language.num_classes + classes[1]


def test_pruning_leaves_out_what_is_worth_least() -> None:
    sizes = [len(fitted(prune=prune).classes) for prune in (0.0, 1.0, 5.0, 1e9)]
    assert sizes == sorted(sizes, reverse=True) and len(set(sizes)) > 2
    assert len(fitted(least=10).classes) < len(fitted().classes)


def test_a_file_gives_the_same_model_to_the_byte() -> None:
    language = fitted()
    again = LanguageModel.from_bytes(language.to_bytes())
    assert again.to_bytes() == language.to_bytes()
    assert again.log_probability("banana 42") == language.log_probability("banana 42")
    assert (again.characters, again.order) == (language.characters, 4)


@pytest.mark.parametrize("data", [b"", b"{}", fitted().to_bytes()[:200]])
def test_what_is_no_such_file_is_refused(data: bytes) -> None:
    with pytest.raises(DataError, match="not a language model"):
        LanguageModel.from_bytes(data)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"starts": fitted().starts[::-1].copy()}, "out of order"),
        ({"lengths": fitted().lengths[::-1].copy()}, "out of order"),
        ({"classes": fitted().classes + 100}, "a class is 1"),
        ({"keys": fitted().keys[:-1]}, "don't go with"),
        ({"backoff": fitted().backoff * np.nan}, "no numbers"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(
    changes: dict[str, np.ndarray], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        LanguageModel.from_bytes(replace(fitted(), **changes).to_bytes())


@pytest.mark.parametrize(
    ("texts", "characters", "order", "words"),
    [
        ([], "ab", 3, "no texts"),
        (["a"], "ab", 0, "order is 0"),
        (["a"], "ab", 8, "order is 8"),
        (["a"], "".join(chr(0x4E00 + n) for n in range(300)), 3, "300 characters"),
    ],
)
def test_what_it_cannot_be_made_of_is_told(
    texts: list[str], characters: str, order: int, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        LanguageModel.fit(texts, characters=characters, order=order)
