"""A language model in the beam: only where the picture leaves a doubt, whatever the batch."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from crnn.bundle.bundle import BUNDLE_FILE, load_bundle
from crnn.bundle.changes import keep_language
from crnn.bundle.language_file import LANGUAGE_FILE
from crnn.decode import Fusion, FusionConfig, LanguageModel, beam, build_decoder, greedy
from crnn.decode.beam import BeamConfig
from crnn.decode.fusion import search
from crnn.errors import BundleError, DataError
from crnn.text.charset import Charset
from tests.crnn import tiny_bundle
from tests.crnn.readings import AB, LOWER, SEEDS, labellings, noisy

LANGUAGE = LanguageModel.fit(["cat"] * 50 + ["cart"] * 5, characters=LOWER.characters, prune=0)
ABBA = LanguageModel.fit(["abba", "ab", "b"], characters="ab", prune=0)
WIDE = FusionConfig(
    below=1.0, weight=0.0, bonus=0.0, beam_width=2000, classes_per_step=50, min_probability=1e-12
)


@given(seed=SEEDS, time_steps=st.integers(1, 6), scale=st.floats(0.2, 3))
def test_without_weight_it_finds_the_most_probable_labelling(
    seed: int, time_steps: int, scale: float
) -> None:
    log_probs_TNC = noisy(seed, time_steps, 3, AB, scale)
    targets, found = search(log_probs_TNC.numpy(), AB, ABBA, WIDE)
    for n in range(3):
        truth = labellings(log_probs_TNC[:, n], AB)
        assert truth[AB.text(targets[n])] == pytest.approx(max(truth.values()), abs=1e-4)
        assert found[n] == pytest.approx(max(truth.values()), abs=1e-4)


@given(seed=SEEDS, time_steps=st.integers(1, 6), weight=st.floats(0, 2), bonus=st.floats(-1, 2))
def test_it_finds_the_text_that_is_worth_most(
    seed: int, time_steps: int, weight: float, bonus: float
) -> None:
    log_probs_TNC = noisy(seed, time_steps, 2, AB)
    config = FusionConfig(
        below=1.0,
        weight=weight,
        bonus=bonus,
        beam_width=2000,
        classes_per_step=50,
        min_probability=1e-12,
    )
    targets, _ = search(log_probs_TNC.numpy(), AB, ABBA, config)
    for n in range(2):
        worth = {
            text: p + weight * ABBA.log_probability(text) + bonus * len(text)
            for text, p in labellings(log_probs_TNC[:, n], AB).items()
        }
        assert worth[AB.text(targets[n])] == pytest.approx(max(worth.values()), abs=1e-3)


@given(seed=SEEDS, time_steps=st.integers(1, 40), scale=st.floats(0.5, 6))
def test_a_sample_is_read_the_same_alone_and_among_others(
    seed: int, time_steps: int, scale: float
) -> None:
    log_probs_TNC = noisy(seed, time_steps, 5, LOWER, scale)
    decode = Fusion(LANGUAGE, FusionConfig(below=0.9))
    together = decode(log_probs_TNC, LOWER)
    for n in range(5):
        assert decode(log_probs_TNC[:, n : n + 1], LOWER)[0] == together[n]


def test_only_doubtful_texts_are_asked_about() -> None:
    log_probs_TNC = between("cat", "cbt", 0.45)
    sure = Fusion(LANGUAGE, FusionConfig(below=0.3))(log_probs_TNC, LOWER)
    asked = Fusion(LANGUAGE, FusionConfig(below=0.9))(log_probs_TNC, LOWER)
    assert sure.texts() == greedy(log_probs_TNC, LOWER).texts() == ["cbt"]
    assert asked.texts() == ["cat"]
    assert math.exp(asked[0].log_probability) > 0.9  # as one is a word, and the other isn't
    assert asked[0].char_steps == ((1.0, 2.0), (3.0, 4.0), (5.0, 6.0))


def test_what_the_picture_says_clearly_stays() -> None:
    decoded = Fusion(LANGUAGE)(between("cat", "cbt", 1e-6), LOWER)
    assert decoded.texts() == ["cbt"]


def test_mixed_batches_keep_their_order() -> None:
    both = torch.cat([between("cat", "cbt", 0.45), between("cat", "dog", 1e-6)], dim=1)
    decoded = Fusion(LANGUAGE)(torch.cat([both, both], dim=1), LOWER)
    assert decoded.texts() == ["cat", "dog", "cat", "dog"]
    assert [one.text for one in decoded] == decoded.texts()


def test_narrow_beams_agree_with_the_other_search() -> None:
    """Almost always: they prune by sums that differ in the last digits."""
    log_probs_TNC = torch.cat([noisy(seed, 12, 4, LOWER, 4) for seed in range(50)], dim=1)
    config = FusionConfig(below=1.0, weight=0, bonus=0, beam_width=64, classes_per_step=26)
    ours, _ = search(log_probs_TNC.numpy(), LOWER, LANGUAGE, config)
    theirs = beam(log_probs_TNC, LOWER, config=BeamConfig(beam_width=64, classes_per_step=26))
    alike = sum(LOWER.text(a) == b.text for a, b in zip(ours, theirs, strict=True))
    assert 194 <= alike <= 200, "of other seeds 99.2% were alike"


def between(text: str, other: str, share: float) -> torch.Tensor:
    """Characters at every second step; ``text`` has ``share`` where ``other`` differs."""
    probabilities = torch.full((2 * len(text) + 1, 1, LOWER.num_classes), 1e-9)
    for step in range(len(probabilities)):
        probabilities[step, 0, 0] = 1.0 if step % 2 == 0 else 1e-9
    for place, (a, b) in enumerate(zip(LOWER.encode(text), LOWER.encode(other), strict=True)):
        probabilities[2 * place + 1, 0, b] = 1 - share if a != b else 1.0
        if a != b:
            probabilities[2 * place + 1, 0, a] = share
    return (probabilities / probabilities.sum(-1, keepdim=True)).log()


def test_a_bundle_keeps_a_language_model_and_is_another_one_then(tmp_path: Path) -> None:
    before = load_bundle(saved(tmp_path))
    fusion = Fusion(LANGUAGE, FusionConfig(weight=0.3))
    digest = keep_language(tmp_path, before, fusion)
    after = load_bundle(tmp_path)
    assert after.fusion is not None and after.fusion.config == fusion.config
    assert after.fusion.language.to_bytes() == LANGUAGE.to_bytes()
    assert (after.decoder, after.digest) == ("fusion", digest) and digest != before.digest
    assert "weight 0.3" in (tmp_path / "MODEL_CARD.md").read_text()
    assert keep_language(tmp_path, after, None) == before.digest
    assert load_bundle(tmp_path).decoder == "greedy"
    assert not (tmp_path / LANGUAGE_FILE).exists()


def test_a_bundle_is_saved_with_its_language_model(tmp_path: Path) -> None:
    saved(tmp_path, decoder="fusion", fusion=Fusion(LANGUAGE))
    assert load_bundle(tmp_path).fusion is not None
    saved(tmp_path)
    assert load_bundle(tmp_path).fusion is None and not (tmp_path / LANGUAGE_FILE).exists()
    with pytest.raises(ValueError, match="no language model"):
        saved(tmp_path, decoder="fusion")


@pytest.mark.parametrize("had_one", [False, True])
def test_a_language_model_that_cannot_be_written_leaves_a_bundle(
    had_one: bool, tmp_path: Path
) -> None:
    before = load_bundle(saved(tmp_path))
    if had_one:
        keep_language(tmp_path, before, Fusion(ABBA))
        (tmp_path / LANGUAGE_FILE).unlink()
    (tmp_path / LANGUAGE_FILE).mkdir()
    (tmp_path / LANGUAGE_FILE / "in the way").touch()
    with pytest.raises(DataError):
        keep_language(tmp_path, before, Fusion(LANGUAGE))
    assert load_bundle(tmp_path).digest == before.digest


def test_another_file_than_the_bundle_states_is_refused(tmp_path: Path) -> None:
    keep_language(tmp_path, load_bundle(saved(tmp_path)), Fusion(LANGUAGE))
    (tmp_path / LANGUAGE_FILE).write_bytes(ABBA.to_bytes())
    with pytest.raises(BundleError, match=f"{LANGUAGE_FILE} has SHA-256 .*{BUNDLE_FILE} states"):
        load_bundle(tmp_path)
    (tmp_path / LANGUAGE_FILE).unlink()
    with pytest.raises(BundleError, match=f"has no {LANGUAGE_FILE}"):
        load_bundle(tmp_path)


def test_scripts_from_the_right_are_refused() -> None:
    with pytest.raises(ValueError, match="from the left only"):
        Fusion(LANGUAGE).check(Charset("אב"))


def test_a_bundle_without_one_says_how_to_add_it() -> None:
    with pytest.raises(ValueError, match="crnn language"):
        build_decoder("fusion")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"below": 1.1}, "below is 1.1"),
        ({"weight": -1.0}, "weight is -1.0"),
        ({"bonus": math.inf}, "bonus inf"),
        ({"beam_width": 0}, "beam_width is 0"),
        ({"min_probability": 0.0}, "min_probability is 0.0"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        FusionConfig(**changes)  # type: ignore[arg-type]


def saved(folder: Path, **changes: object) -> Path:
    given = {"charset": LOWER, "model": tiny_bundle.tiny_model(LOWER), "decoder": "greedy"}
    tiny_bundle.save(folder, **{**given, **changes})
    return folder
