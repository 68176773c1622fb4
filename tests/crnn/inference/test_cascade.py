"""What the first bundle doubts the second one reads; each picture for itself."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from crnn import Calibration, Cascade, Charset, PictureContract, Recognizer, Result
from crnn.bundle.bundle import Bundle
from crnn.bundle.reading_policy import READ_ONCE, ReadingPolicy
from crnn.engines.graph import Engine
from crnn.errors import BundleError
from crnn.images.contract import Pixels
from crnn.inference.cascade import SecondReading
from crnn.inference.doubt import Then
from tests.crnn.inference.test_reading_policy import same
from tests.crnn.inference.test_recognizer import bars, known_recognizer
from tests.crnn.networks import CONFIG, bundle_of, noise, sharp_model
from tests.crnn.poison import encoded
from tests.crnn.tiny_bundle import save

BELOW = 0.5
FIRST = bundle_of(sharp_model(), calibration=Calibration(bias=4.5))
OTHER_PICTURE = PictureContract(height=48, channels=3, widths=(48, 96, 160))
OTHER_CHARSET = Charset("uvwxyz")
SECOND = bundle_of(
    sharp_model(CONFIG, OTHER_CHARSET, OTHER_PICTURE),
    charset=OTHER_CHARSET,
    picture=OTHER_PICTURE,
    decoder="beam",
    reading=ReadingPolicy(stretches=(1.5,), below=0.6),
    digest="def456",
)
PICTURES = st.builds(
    noise, st.integers(0, 10_000), st.integers(2, 100), st.sampled_from([16, 32, 90])
)
Grey = NDArray[np.uint8]


def recognizer(bundle: Bundle, pictures: int = 4) -> Recognizer:
    pixels = pictures * bundle.picture.height * bundle.picture.widths[0]
    return Recognizer(bundle, batch_pixels=pixels, engine="torch")


ONE, OTHER = recognizer(FIRST), recognizer(SECOND)
CASCADE = Cascade(ONE, OTHER, below=BELOW)
SURER = Cascade(ONE, OTHER, below=1.0, surer=True)


def by_hand(picture: Grey) -> Result:
    """The two bundles asked one after the other."""
    first = ONE.read(picture)
    second = OTHER.read(picture) if first.confidence < BELOW else first
    return second if second.text else first


def surer_by_hand(picture: Grey) -> Result:
    """Of the two readings the more confident one."""
    first, second = ONE.read(picture), OTHER.read(picture)
    return second if second.text and second.confidence > first.confidence else first


@settings(max_examples=15, deadline=None)
@given(pictures=st.lists(PICTURES, min_size=1, max_size=12), data=st.data())
def test_what_a_picture_reads_is_its_own_in_any_company_and_order(
    pictures: list[Grey], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(pictures))))
    together = CASCADE.read([pictures[n] for n in order])
    surer = SURER.read([pictures[n] for n in order])
    for number, result, if_surer in zip(order, together, surer, strict=True):
        expected = by_hand(pictures[number])
        assert same(result, expected) and result.model == expected.model
        assert same(CASCADE.read(pictures[number]), expected)
        expected = surer_by_hand(pictures[number])
        assert same(if_surer, expected) and if_surer.model == expected.model


def test_the_second_counts_only_where_it_is_surer_if_asked_for() -> None:
    results = SURER.read([noise(seed, 40 + seed) for seed in range(40)])
    assert {result.model for result in results} == {FIRST.digest, SECOND.digest}
    assert all(same(one, surer_by_hand(noise(n, 40 + n))) for n, one in enumerate(results))


def test_both_bundles_read_and_the_bound_decides() -> None:
    pictures = [noise(seed, 40 + seed) for seed in range(40)]
    first, results = ONE.read(pictures), CASCADE.read(pictures)
    doubted = [result.confidence < BELOW for result in first]
    assert 5 < sum(doubted) < 35
    for doubtful, one, result in zip(doubted, first, results, strict=True):
        assert (result.model == SECOND.digest) == (doubtful and set(result.text) <= set("uvwxyz"))
        assert doubtful or same(result, one)
    assert sum(result.model == SECOND.digest for result in results) > 4
    all_again = Cascade(ONE, OTHER, below=1.0).read(pictures)
    assert {result.model for result in all_again} == {SECOND.digest}


def test_every_kind_of_picture_is_prepared_for_both(tmp_path: Path) -> None:
    seed = next(n for n in range(99) if by_hand(noise(n, 60)).model == SECOND.digest)
    picture = noise(seed, 60)
    data = encoded(Image.fromarray(picture))
    file = tmp_path / "picture.png"
    file.write_bytes(data)
    kinds = [picture, Image.fromarray(picture), data, file, str(file), io.BytesIO(data)]
    results = CASCADE.read(iter(kinds))
    assert all(same(result, by_hand(picture)) for result in results)
    assert {result.model for result in results} == {SECOND.digest}


def test_a_picture_that_cannot_be_read_is_an_error_and_not_read_again() -> None:
    missing, broken, empty, good = CASCADE.read(
        ["/nowhere.png", b"no picture", io.BytesIO(b""), noise(1, 40)]
    )
    assert [missing.error_code, broken.error_code, empty.error_code, good.error_code] == [
        "not_found", "undecodable", "empty_file", None,
    ]  # fmt: skip
    assert {missing.model, broken.model, empty.model} == {FIRST.digest}


def test_where_the_second_finds_nothing_the_first_reading_stays() -> None:
    known = known_recognizer().bundle
    blind = Recognizer(replace(known, calibration=Calibration(bias=-20.0)), engine="torch")
    second = replace(known, digest="second")
    pixels = bars(40, 32, (1, 0, 8), (2, 16, 24))
    nothing = bars(40, 32)
    cascade = Cascade(blind, Recognizer(second), below=0.9)
    assert cascade.read(pixels).model == "second" and cascade.read(pixels).text == "ab"
    result = cascade.read(nothing)
    assert (result.text, result.confidence, result.model) == ("", 0.0, blind.bundle.digest)


def test_batches_of_the_second_are_full_however_few_the_first_doubts_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    second = recognizer(replace(SECOND, reading=READ_ONCE), 8)
    seen: list[int] = []
    read: Engine = second.read_batch_pixels

    def counted(pixels_NHWC: Pixels) -> object:
        seen.append(len(pixels_NHWC))
        return read(pixels_NHWC)

    monkeypatch.setattr(second, "read_batch_pixels", counted)
    later = SecondReading(second, Then(bundle=replace(SECOND), below=1.0), second.decoder())
    pictures = [noise(seed, 24) for seed in range(32)]
    for start in range(0, 32, 2):
        some = pictures[start : start + 2]
        first = ONE.read_prepared([ONE.prepared(one) for one in some], ONE.decoder())
        places = later.doubtful(first)
        later.add(first, [(place, second.prepared(some[place])) for place in places])
    found = later.finish()
    assert [len(part) for part in found] == [2] * 16 and later.waiting == 32
    assert seen == [8] * 4
    assert {model for part in found for model in part.models} == {SECOND.digest}


def test_each_bundle_uses_its_own_decoder_or_both_the_one_that_is_given() -> None:
    picture = next(p for n in range(99) if by_hand(p := noise(n, 60)).model == SECOND.digest)
    both = Cascade(ONE, OTHER, below=BELOW)
    words = ["ab", "cab", "uv", "wyz"]
    assert both.read(picture, lexicon=words).text in words
    greedy = OTHER.read(picture, decoder="greedy")
    assert same(both.read(picture, decoder="greedy"), greedy) or not greedy.text


def test_the_identity_is_both_digests_and_the_bound() -> None:
    def digest(first: str = "a", then: str = "b", below: float = 0.9, surer: bool = False) -> str:
        rule = Then(bundle=replace(SECOND, digest=then), below=below, surer=surer)
        return rule.digest(replace(FIRST, digest=first))

    known = {digest(), digest(first="c"), digest(then="c"), digest(below=0.8), digest("b", "a")}
    assert len(known | {digest(surer=True)}) == 6 and digest() == digest() and len(digest()) == 64
    with pytest.raises(BundleError, match="both bundles of the cascade have the digest a"):
        digest(then="a")


@pytest.mark.parametrize("below", [0.0, -1.0, 1.01, float("nan")])
def test_a_bound_that_nothing_is_below_is_refused(below: float) -> None:
    with pytest.raises(ValueError, match="expected a confidence above 0, up to 1"):
        Cascade(ONE, OTHER, below=below)


def test_it_is_loaded_from_two_folders(tmp_path: Path) -> None:
    first = save(tmp_path / "first")
    second = save(tmp_path / "second", name="second", charset=Charset("abé-` |"))
    cascade = Cascade.load(tmp_path / "first", then=tmp_path / "second", below=1.0, engine="torch")
    results = cascade.read([noise(1, 40), noise(2, 80)])
    assert {result.model for result in results} <= {first, second}
    assert len(results) == 2
