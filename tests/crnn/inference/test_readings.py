"""Results as columns: put in order, and cut into single ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from crnn.bundle.reading_policy import kept
from crnn.decode.decoded import code_points
from crnn.errors import PictureError
from crnn.inference.readings import Readings, in_order
from crnn.result import CharResult, Result

WORDS = st.lists(st.text(max_size=5), max_size=4)


def readings(texts: list[str]) -> Readings:
    """Of pictures that read so; the numbers follow from the texts."""
    lengths = [len(text) for text in texts]
    place = np.concatenate([np.arange(n, dtype=float) for n in [0, *lengths]])
    return Readings(
        texts=texts,
        confidences=np.array([1 / (1 + n) for n in lengths]),
        log_probabilities=-np.array(lengths, dtype=float),
        squeezed=np.array([n > 2 for n in lengths], dtype=np.bool_),
        turned=np.array([90 * (n > 3) for n in lengths], dtype=np.int16),
        code_points=code_points("".join(texts)),
        probabilities=1 / (1 + place),
        x0=place,
        x1=place + 1,
        bounds=np.cumsum([0, *lengths]),
        models=["m"] * len(texts),
    )


def result(text: str) -> Result:
    chars = tuple(CharResult(char, 1 / (1 + n), float(n), n + 1.0) for n, char in enumerate(text))
    return Result(text, 1 / (1 + len(text)), chars, "m", len(text) > 2, turned=90 * (len(text) > 3))


@settings(deadline=None)
@given(batches=st.lists(WORDS, max_size=4), failed=st.integers(0, 3), data=st.data())
def test_batches_come_back_in_the_order_of_their_pictures(
    batches: list[list[str]], failed: int, data: st.DataObject
) -> None:
    errors = [PictureError("undecodable", f"picture {n}") for n in range(failed)]
    parts = [*map(readings, batches), Readings.failed(errors, "m")]
    texts = [text for batch in batches for text in batch]
    order = data.draw(st.permutations(range(len(texts) + failed)))
    numbers = iter(order)
    placed = [([next(numbers) for _ in range(len(part))], part) for part in parts]

    whole = in_order(placed).results()

    expected = [result(text) for text in texts]
    expected += [Result("", 0.0, (), "m", False, "undecodable", str(error)) for error in errors]
    assert whole == [expected[order.index(n)] for n in range(len(order))]


def test_no_batches_are_no_pictures() -> None:
    assert len(in_order([])) == 0 and in_order([]).results() == []


@given(probable=st.lists(st.sampled_from([-np.inf, np.nan, -2.0, -1.0, 0.0]), min_size=1))
def test_of_several_readings_the_most_probable_counts_and_the_first_of_equals(
    probable: list[float],
) -> None:
    one = readings([f"{n:04}" for n in range(len(probable))])
    again = replace(one, log_probabilities=np.array(probable))
    parts = [([1, *[0] * (len(probable) - 1)], again), ([0], readings(["y"]))]
    zero = [*probable[1:], -1.0]
    ranks = [-np.inf if np.isnan(value) else value for value in zero]
    best = ranks.index(max(ranks))
    texts = [*[f"{n:04}" for n in range(1, len(probable))], "y"]
    assert in_order(parts).texts == [texts[best], "0000"]
    assert kept(zero) == best
