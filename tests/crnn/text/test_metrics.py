"""Metrics: known answers, and sums that merge to the metrics of the whole."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn.text.metrics import Sums, alnum_form, score, wilson_interval

PAIRS = st.lists(st.tuples(st.text("abA-é ", max_size=6), st.text("abA-é ", max_size=6)))


def total(pairs: list[tuple[str, str]]) -> Sums:
    return sum((score(*pair) for pair in pairs), Sums())


def edit_distance(left: str, right: str) -> int:
    """Levenshtein's table, written out (the texts are NFC already)."""
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, start=1):
        above, row = row, [i]
        for j, b in enumerate(right, start=1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (a != b)))
    return row[-1]


@given(PAIRS, PAIRS)
def test_merged_sums_are_the_sums_of_the_whole(
    left: list[tuple[str, str]], right: list[tuple[str, str]]
) -> None:
    merged, whole = total(left) + total(right), total(left + right)
    assert merged.similarity == pytest.approx(whole.similarity)
    assert {**merged.to_dict(), "similarity": 0} == {**whole.to_dict(), "similarity": 0}


@given(PAIRS.filter(bool))
def test_ratios_equal_their_definitions(pairs: list[tuple[str, str]]) -> None:
    sums = total(pairs)
    distances = [edit_distance(p, label) for p, label in pairs]
    longest = [max(len(p), len(label)) for p, label in pairs]
    similarities = [1 - d / n if n else 1 for d, n in zip(distances, longest, strict=True)]
    assert sums.exact_accuracy == pytest.approx(sum(p == t for p, t in pairs) / len(pairs))
    assert sums.normalised_edit_similarity == pytest.approx(sum(similarities) / len(pairs))
    characters = sum(len(label) for _, label in pairs)
    if characters:
        assert sums.character_error_rate == pytest.approx(sum(distances) / characters)


def test_known_readings() -> None:
    sums = score("kitten", "sitting") + score("flaw", "flaw")
    assert (sums.count, sums.exact, sums.edits, sums.characters) == (2, 1, 3, 11)
    assert sums.character_error_rate == pytest.approx(3 / 11)
    assert sums.normalised_edit_similarity == pytest.approx((1 - 3 / 7 + 1) / 2)


@pytest.mark.parametrize(
    ("prediction", "label", "right"),
    [
        ("coca-cola", "Coca Cola!", 1),
        ("CAFE", "cafe", 1),
        ("café", "cafe", 0),  # a letter outside a-z is dropped, not folded
        ("caf", "café", 1),
        ("0", "o", 0),
        ("", "?!", 0),  # nothing to compare: it doesn't count
        ("мир", "привет", 0),
    ],
)
def test_alnum_match_is_that_of_the_benchmarks(prediction: str, label: str, right: int) -> None:
    assert score(prediction, label).alnum_exact == right


@pytest.mark.parametrize("label", ["привет", "?!", "", "٣", "日本"])
def test_labels_without_0_9_a_z_do_not_count_as_alnum(label: str) -> None:
    sums = score("x", label) + score(label, label)
    assert (sums.alnum_count, sums.alnum_exact) == (0, 0)
    assert math.isnan(sums.alnum_accuracy)
    assert math.isnan(Sums().letters_accuracy)


@pytest.mark.parametrize(
    ("prediction", "label", "right"),
    [
        ("ПРИВЕТ", "привет!", 1),
        ("мир", "привет", 0),
        ("STRASSE 5", "Straße 5", 1),
        ("cafe", "café", 0),
        ("CAFE\u0301", "café", 1),
        ("कि", "की", 0),  # the vowel signs alone differ
        ("٣", "٣.", 1),
        ("日 本", "日本", 1),
        ("a-b", "A b", 1),
        ("?", "?!", None),
        ("x", "\u0301", None),
    ],
)
def test_letters_of_any_script_are_compared_in_any_case(
    prediction: str, label: str, right: int | None
) -> None:
    sums = score(prediction, label)
    assert sums.letters_count == (right is not None)
    assert sums.letters_exact == (right or 0)


def test_alnum_form_keeps_only_lower_case_letters_and_digits() -> None:
    assert alnum_form("It's №5, ÄB-c_9") == "its5bc9"


def test_composed_and_decomposed_forms_are_the_same_text() -> None:
    assert score("e\u0301", "é") == score("é", "é")


def test_empty_label_and_empty_reading() -> None:
    assert score("", "") == Sums(count=1, exact=1, similarity=1.0)
    assert score("ab", "") == Sums(count=1, edits=2)
    unread = Sums(count=1, alnum_count=1, letters_count=1, edits=2, characters=2)
    assert score("", "ab") == unread


def test_ratios_of_nothing_are_nan() -> None:
    assert math.isnan(Sums().exact_accuracy)
    assert math.isnan(Sums().alnum_accuracy)
    assert math.isnan(Sums().character_error_rate)
    assert math.isnan(Sums().normalised_edit_similarity)


def test_sums_travel_as_json() -> None:
    sums = score("kitten", "sitting")
    assert Sums.from_dict(json.loads(json.dumps(sums.to_dict()))) == sums


def test_sums_of_before_the_counts_count_all_labels() -> None:
    old = {"count": 3, "exact": 1, "alnum_exact": 2, "edits": 1, "characters": 9, "similarity": 2.5}
    sums = Sums.from_dict(old)
    assert (sums.alnum_accuracy, sums.letters_count) == (pytest.approx(2 / 3), 0)


def test_sums_from_other_keys_name_them() -> None:
    with pytest.raises(ValueError, match=r"lack \['edits'\] and have unknown \['edit'\]"):
        Sums.from_dict({**{k: v for k, v in Sums().to_dict().items() if k != "edits"}, "edit": 1})


@pytest.mark.parametrize(
    ("successes", "count", "low", "high"),
    [
        (8, 10, 0.4902, 0.9433),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (81, 263, 0.2553, 0.3662),  # Newcombe (1998), table I: 81/263 and 15/148
        (15, 148, 0.0624, 0.1605),
        (0, 0, 0.0, 1.0),
    ],
)
def test_wilson_interval_gives_the_published_values(
    successes: int, count: int, low: float, high: float
) -> None:
    assert wilson_interval(successes, count) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(0, 500), st.integers(0, 500))
def test_wilson_interval_holds_the_share(successes: int, failures: int) -> None:
    low, high = wilson_interval(successes, successes + failures)
    share = successes / (successes + failures) if successes + failures else 0.5
    assert 0 <= low <= share <= high <= 1


@pytest.mark.parametrize(("successes", "count"), [(3, 2), (-1, 2)])
def test_impossible_counts_are_refused(successes: int, count: int) -> None:
    with pytest.raises(ValueError, match=f"{successes} successes of {count}"):
        wilson_interval(successes, count)
