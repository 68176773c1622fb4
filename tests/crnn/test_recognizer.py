from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from crnn import Bundle, Calibration, Charset, PictureContract, Recognizer, Result
from crnn.bundle import save_bundle
from crnn.charset import BLANK_ID
from crnn.decode import build_decoder
from crnn.image import normalise
from crnn.model import CRNN, ModelConfig

CHARSET = Charset("abcdefgh")
PICTURE = PictureContract(widths=(32, 48, 64, 96))
CONFIG = ModelConfig(backbone="mobile", rnn_hidden=16)
Grey = NDArray[np.uint8]


def bundle_of(model: CRNN, **changes: Any) -> Bundle:
    given_: dict[str, Any] = {
        "model": model,
        "model_config": CONFIG,
        "charset": CHARSET,
        "picture": PICTURE,
        "decoder": "greedy",
        "calibration": Calibration(slope=0.1, bias=1.0),
        "name": "untrained",
        "data_digest": "",
        "metrics": {},
        "digest": "abc123",
    }
    return Bundle(**{**given_, **changes})


def noise(seed: int, width: int, height: int = 32) -> Grey:
    """A picture of coarse random blocks, which scaling doesn't turn into grey."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (4, -(-width // 8)), dtype=np.uint8)
    return np.kron(blocks, np.ones((-(-height // 4), 8), dtype=np.uint8))[:height, :width]


def png(pixels: Grey) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def untrained_model() -> CRNN:
    """Random weights, sharpened until different pictures give different texts."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = CRNN(CONFIG, num_classes=CHARSET.num_classes, in_channels=1, height=32)
    batch_NHWC = np.stack([noise(seed, 96)[:, :, None] for seed in range(16)])
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the statistics become those of the first batch
    with torch.no_grad():
        model.train()(normalise(torch.from_numpy(batch_NHWC)))
        for name, weight in model.rnn.named_parameters():
            weight.mul_(4 if "weight_ih" in name else 1)
        model.head.weight.mul_(12)
    return model.eval()


RECOGNIZER = Recognizer(bundle_of(untrained_model()), batch_pixels=4 * 32 * 64)
PICTURES = st.builds(
    noise, st.integers(0, 10_000), st.integers(1, 140), st.sampled_from([16, 32, 57])
)


def test_untrained_texts_differ_and_are_not_empty() -> None:
    texts = {RECOGNIZER.read(noise(seed, 64)).text for seed in range(10)}
    assert len(texts) > 5


@settings(max_examples=40, deadline=None)
@given(pictures=st.lists(PICTURES, min_size=1, max_size=12))
def test_a_picture_reads_the_same_alone_and_in_any_batch(pictures: list[Grey]) -> None:
    together = RECOGNIZER.read(pictures)
    for picture, in_batch in zip(pictures, together, strict=True):
        alone = RECOGNIZER.read(picture)
        assert in_batch.text == alone.text
        assert abs(in_batch.confidence - alone.confidence) < 1e-4
        assert in_batch.squeezed == alone.squeezed
        for ours, theirs in zip(in_batch.chars, alone.chars, strict=True):
            assert (ours.char, ours.x0, ours.x1) == (theirs.char, theirs.x0, theirs.x1)
            assert abs(ours.probability - theirs.probability) < 1e-4


@settings(max_examples=20, deadline=None)
@given(
    pictures=st.lists(PICTURES, min_size=1, max_size=6),
    where=st.integers(0, 6),
    bad=st.sampled_from([b"", b"no picture", np.zeros((2, 2), np.float32), "/no/such.png"]),
)
def test_a_bad_picture_leaves_its_neighbours_unharmed(
    pictures: list[Grey], where: int, bad: bytes | str | Grey
) -> None:
    where = min(where, len(pictures))
    clean = RECOGNIZER.read(pictures)
    mixed = RECOGNIZER.read([*pictures[:where], bad, *pictures[where:]])
    assert mixed[where].error_code is not None
    others = mixed[:where] + mixed[where + 1 :]
    assert [result.text for result in others] == [result.text for result in clean]
    assert all(result.error_code is None for result in others)


def test_a_picture_may_come_as_path_bytes_image_or_array(tmp_path: Path) -> None:
    pixels = noise(1, 60)
    path = tmp_path / "100%?.png"
    path.write_bytes(png(pixels))
    rgb = np.repeat(pixels[:, :, None], 3, axis=2)
    with Image.open(path) as lazy:
        forms = [path, str(path), png(pixels), bytearray(png(pixels)), lazy, pixels, rgb]
        results = RECOGNIZER.read(forms)
        assert RECOGNIZER.read(path) == RECOGNIZER.read(str(path)) == RECOGNIZER.read(pixels)
    assert len({result.text for result in results}) == 1
    assert results[0].text
    assert [r.text for r in RECOGNIZER.read(iter(forms[:2]))] == [results[0].text] * 2
    assert RECOGNIZER.read([]) == []


@pytest.mark.parametrize(
    ("picture", "code"),
    [
        ("missing.png", "not_found"),
        (Path("missing") / "picture.png", "not_found"),
        (Path("/"), "unreadable"),
        ("ftp://host/picture.png", "unreadable"),
        (b"", "empty_file"),
        (b"plain text", "undecodable"),
        (png(noise(0, 64))[:60], "undecodable"),
        (np.zeros((0, 5), np.uint8), "empty_picture"),
        (Image.new("L", (0, 5)), "empty_picture"),
        (np.zeros((4, 5), np.float32), "unsupported_array"),
        (np.zeros((1, 4, 5, 3), np.uint8), "unsupported_array"),
        (Image.fromarray(np.full((4, 5), np.nan, np.float32)), "non_finite_pixels"),
    ],
)
def test_what_cannot_be_read_gives_its_reason_alone_as_in_a_list(picture: Any, code: str) -> None:
    alone = RECOGNIZER.read(picture)
    assert isinstance(alone, Result)
    assert (alone.error_code, alone.text, alone.confidence, alone.chars) == (code, "", 0.0, ())
    assert alone.error_message and alone.model == "abc123"
    assert RECOGNIZER.read([picture]) == [alone]


@pytest.mark.parametrize("value", [3, None, {"image": b""}.values])
def test_what_is_no_picture_at_all_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError):
        RECOGNIZER.read([value])


class PositionModel(torch.nn.Module):
    """A stand-in of known answers: at each time step, 4 px wide, the class is brightness / 10."""

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        grey_NW = (images_NCHW[:, 0] * 127.5 + 127.5).mean(dim=1)
        steps_NT = grey_NW.unflatten(1, (-1, 4)).mean(dim=2)
        classes_NT = torch.where(steps_NT > 100, BLANK_ID, (steps_NT / 10).round().long())
        logits_NTC = 20.0 * torch.nn.functional.one_hot(classes_NT, CHARSET.num_classes)
        return logits_NTC.permute(1, 0, 2)


def bars(width: int, height: int, *spans: tuple[int, int, int]) -> Grey:
    """White, with ``(class id, first column, past-last column)`` painted in."""
    pixels = np.full((height, width), 255, np.uint8)
    for class_id, first, past_last in spans:
        pixels[:, first:past_last] = 10 * class_id
    return pixels


def known_recognizer(**changes: Any) -> Recognizer:
    model = PositionModel()
    return Recognizer(bundle_of(model, calibration=Calibration(), **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_characters_are_found_in_columns_of_the_source_picture(scale: int) -> None:
    spans = [(1, 0, 8), (2, 16, 24), (3, 36, 40)]
    pixels = bars(40 * scale, 32 * scale, *[(c, a * scale, b * scale) for c, a, b in spans])
    result = known_recognizer().read(pixels)
    assert result.text == "abc"
    places = [(char.char, char.x0, char.x1) for char in result.chars]
    assert places == [(CHARSET.text([c]), a * scale, b * scale) for c, a, b in spans]
    assert all(char.probability > 0.99 for char in result.chars)


def test_a_squeezed_picture_is_flagged_and_keeps_source_columns() -> None:
    result = known_recognizer().read(bars(384, 32, (1, 0, 32), (2, 352, 384)))  # 4 times too long
    assert result.squeezed
    assert [(char.x0, char.x1) for char in result.chars] == [(0, 32), (352, 384)]
    assert not known_recognizer().read(bars(96, 32)).squeezed


def test_places_never_leave_the_picture() -> None:
    # the last time step begins within the picture and ends past its edge
    result = known_recognizer().read(bars(33, 32, (5, 30, 33)))
    assert all(0 <= char.x0 <= char.x1 <= 33 for char in result.chars)


def test_characters_are_left_out_on_request() -> None:
    result = known_recognizer().read(bars(40, 32, (1, 0, 8)), chars=False)
    assert (result.text, result.chars) == ("a", ())


def test_confidence_is_the_calibrated_probability_of_the_text() -> None:
    calibration = Calibration(slope=0.3, bias=-2.0)
    recognizer = Recognizer(replace(RECOGNIZER.bundle, calibration=calibration))
    pixels = noise(5, 64)
    log_probs_TNC = recognizer.read_batch_pixels(pixels[None, :, :, None])
    assert log_probs_TNC.dtype == torch.float32
    torch.testing.assert_close(log_probs_TNC.exp().sum(-1), torch.ones(16, 1))
    ids = CHARSET.encode(result_text := recognizer.read(pixels).text)
    loss = torch.nn.functional.ctc_loss(
        log_probs_TNC[:, 0],
        torch.tensor(ids),
        torch.tensor(16),
        torch.tensor(len(ids)),
        blank=BLANK_ID,
        reduction="sum",
    )
    assert result_text
    expected = calibration.apply(-loss.item())
    assert recognizer.read(pixels).confidence == pytest.approx(expected, abs=1e-5)


def test_the_lexicon_and_the_beam_are_used_when_asked_for() -> None:
    recognizer = known_recognizer()
    picture = bars(40, 32, (1, 0, 8), (2, 16, 24))
    assert recognizer.read(picture, lexicon=["abba", "ac", "ab"]).text == "ab"
    assert recognizer.read(picture, lexicon=["ac", "ad"]).text in ("ac", "ad")
    assert recognizer.read(picture, decoder="beam").text == "ab"
    built = build_decoder("lexicon", lexicon=["ha", "ah"])
    assert recognizer.read(picture, decoder=built).text in ("ha", "ah")


def test_arguments_that_no_decoder_takes_are_refused() -> None:
    picture = noise(0, 32)
    with pytest.raises(ValueError, match="'magic'"):
        RECOGNIZER.read(picture, decoder="magic")
    with pytest.raises(ValueError, match="lexicon"):
        RECOGNIZER.read(picture, decoder="greedy", lexicon=["ab"])
    with pytest.raises(ValueError, match="already built"):
        RECOGNIZER.read(picture, decoder=build_decoder("greedy"), lexicon=["ab"])
    with pytest.raises(ValueError, match="batch_pixels is 0"):
        Recognizer(RECOGNIZER.bundle, batch_pixels=0)


def test_a_loaded_bundle_reads_as_the_model_in_memory(tmp_path: Path) -> None:
    model = untrained_model()
    digest = save_bundle(
        tmp_path,
        model=model,
        charset=CHARSET,
        picture=PICTURE,
        calibration=RECOGNIZER.bundle.calibration,
        name="untrained",
        data_digest="",
        metrics={},
    )
    pictures = [noise(seed, 20 + 9 * seed) for seed in range(8)]
    loaded = Recognizer.load(tmp_path, batch_pixels=RECOGNIZER.batch_pixels).read(pictures)
    assert loaded == [replace(result, model=digest) for result in RECOGNIZER.read(pictures)]


def test_importing_the_package_imports_no_torch() -> None:
    code = "import sys, crnn; assert 'torch' not in sys.modules; from crnn import Charset; Charset"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there() -> None:
    import crnn

    assert {name for name in dir(crnn) if getattr(crnn, name) is not None} == set(crnn.__all__)
    with pytest.raises(AttributeError, match="Recogniser"):
        crnn.Recogniser  # noqa: B018
