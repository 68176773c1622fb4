"""What each sample shows by itself: every trouble is planted once, and found once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crnn.model.network import ModelConfig
from crnn.text.charset import Charset
from pipelines.inspection.outliers import outliers
from pipelines.inspection.tally import FEATURES, LABELLED, READABLE
from tests.pipelines.evaluation_cases import rendered
from tests.pipelines.inspection.planted import PLAIN, clean, flat, noise, png, row, total_of


def test_clean_data_has_no_trouble(tmp_path: Path) -> None:
    total = total_of(tmp_path, clean(60, seed=1))
    assert total.counts == [{}]
    assert total.samples == 60


@pytest.mark.parametrize(
    ("code", "text", "picture"),
    [
        ("undecodable", "abc", b"no picture"),
        ("undecodable", "abc", b""),
        ("constant_picture", "abc", flat(40, 24)),
        ("tiny_picture", "abc", noise(20, 7)),
        ("tiny_picture", "a", noise(3, 20)),
        ("low_contrast", "abc", None),
        ("vertical_picture", "abc", noise(20, 30)),
        ("squeezed_picture", "word " * 48 + "end", None),
        ("too_long_for_width", "abcdefghijklmnopq", noise(40, 24)),
        ("too_long_for_width", "aaaaaaaaa", noise(40, 24)),
        ("empty_label", "", noise(40, 24)),
        ("whitespace_label", " \u200b", noise(40, 24)),
        ("edge_space", "abc ", noise(40, 24)),
        ("look_alike", "P\u0430ris", noise(40, 24)),
        ("not_nfc", "cafe\u0301", noise(40, 24)),
    ],
)
def test_each_trouble_is_found_in_the_sample_that_has_it(
    tmp_path: Path, code: str, text: str, picture: bytes | None
) -> None:
    if code == "low_contrast":
        pixels = np.full((24, 40), 200, np.uint8)
        pixels[8:12, 5:30] = 180
        picture = png(Image.fromarray(pixels))
    rows = clean(60, seed=1)
    rows[37] = row("planted", text, picture)
    total = total_of(tmp_path, rows)
    assert total.counts == [{code: 1}]
    (example,) = total.examples(code)
    assert [tuple(ref) for ref in example.refs] == [(0, 37)]
    assert example.message


def test_labels_that_just_fit_their_time_steps_are_fine(tmp_path: Path) -> None:
    rows = [row("a", "abcdefghijklmnop", noise(40, 24)), row("b", "aaaaaaaab", noise(40, 24, 1))]
    assert total_of(tmp_path, rows).counts == [{}]
    rows += [row("c", "abcdefghijklmnopq", noise(40, 24, 2)), row("d", "a" * 9, noise(40, 24, 3))]
    assert total_of(tmp_path / "more", rows).counts == [{"too_long_for_width": 2}]
    vgg = replace(PLAIN, model=ModelConfig(backbone="vgg"))  # has one time step more
    assert total_of(tmp_path / "vgg", rows, vgg).counts == [{}]


def test_characters_that_the_chosen_charset_lacks(tmp_path: Path) -> None:
    rows = [row("a", "12"), row("b", "1x2"), row("c", "xy"), row("d", "34")]
    total = total_of(tmp_path, rows, replace(PLAIN, charset="digits"))
    assert total.counts == [{"unknown_character": 2}]
    assert total.unknown == {"x": 2, "y": 1}
    assert [e.refs[0].row for e in total.examples("unknown_character")] == [1, 2]
    assert Charset.named("digits").unknown("1x2") == ["x"]


def test_lines_that_look_the_same_as_another_text_are_told(tmp_path: Path) -> None:
    texts = ["אב 12 ab", "אב ab 12", "אב 12", "سلام 12-05", "ab cd 12"]
    rows = [row(str(i), text, noise(80, 24, i)) for i, text in enumerate(texts)]
    total = total_of(tmp_path, rows)
    assert total.counts == [{"ambiguous_order": 1}]
    (example,) = total.examples("ambiguous_order")
    assert example.refs[0].row == 0 and "'אב ab 12'" in str(example)


def test_features_of_a_sample(tmp_path: Path) -> None:
    rows = [row("a", "aab"), row("b", "x", b"junk"), row("c", "", rendered("c"))]
    (features,) = total_of(tmp_path, rows).features
    assert FEATURES.itemsize == 39
    assert features["length"].tolist() == [3, 1, 0]
    assert features["steps"].tolist() == [4, 1, 0]
    assert (features["flags"] & READABLE > 0).tolist() == [True, False, True]
    assert (features["flags"] & LABELLED > 0).tolist() == [True, True, False]
    assert features["width"][1] == 0
    assert features["width"][0] > 0


def test_examples_are_the_first_whatever_comes_first(tmp_path: Path) -> None:
    rows = clean(80, seed=2)
    for place in range(10, 80, 7):
        rows[place] = row(f"bad{place}", " x", noise(30, 24, place))
    total = total_of(tmp_path, rows)
    assert [e.refs[0].row for e in total.examples("edge_space")] == [10, 17, 24, 31]
    assert total.counts == [{"edge_space": 10}]


def test_labels_long_or_short_for_their_pictures() -> None:
    rng = np.random.default_rng(0)
    features = np.zeros(400, FEATURES)
    features["flags"] = READABLE | LABELLED
    features["length"] = rng.integers(1, 20, 400)
    features["length"][[7, 30, 31]] = 6
    features["width"] = features["length"] * rng.normal(15, 2, 400).clip(9, 21)
    features["width"][7] = features["length"][7] * 3
    features["width"][[30, 31]] = features["length"][[30, 31]] * [60, 90]
    found = outliers([features[:200], features[200:]], most_examples=5)
    assert found["label_too_long"].counts == [1, 0]
    assert found["label_too_short"].counts == [2, 0]
    assert [e.refs[0].row for e in found["label_too_short"].examples] == [31, 30]
    features["flags"][[7, 30]] = READABLE  # without a label nothing is long or short
    found = outliers([features[:200], features[200:]], most_examples=5)
    assert (found["label_too_long"].counts, found["label_too_short"].counts) == ([0, 0], [1, 0])


def test_too_few_labels_tell_nothing_of_what_is_usual() -> None:
    features = np.zeros(20, FEATURES)
    features["flags"], features["length"], features["width"] = READABLE | LABELLED, 4, 60
    features["width"][3] = 2000
    assert outliers([features], 5)["label_too_short"].counts == [0]
