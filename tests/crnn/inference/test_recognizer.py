from __future__ import annotations

import io
import pickle
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

from crnn import Bundle, Calibration, Recognizer, Result
from crnn.bundle.bundle import save_bundle
from crnn.bundle.onnx_file import ProvenOnnx
from crnn.decode import build_decoder
from crnn.engines import build_engine
from crnn.engines.proof import prove
from crnn.text.charset import BLANK_ID
from tests.crnn.networks import (
    CHARSET,
    PICTURE,
    bundle_of,
    noise,
    noise_batch,
    sharp_model,
    sharp_onnx,
)

Grey = NDArray[np.uint8]


def png(pixels: Grey) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


RECOGNIZER = Recognizer(bundle_of(sharp_model()), batch_pixels=4 * 32 * 64)
PICTURES = st.builds(
    noise, st.integers(0, 10_000), st.integers(1, 140), st.sampled_from([16, 32, 57])
)


def test_a_folder_in_place_of_a_bundle_is_told() -> None:
    with pytest.raises(TypeError, match=r"'runs/a/bundle'; expected a Bundle: Recognizer\.load"):
        Recognizer("runs/a/bundle")  # type: ignore[arg-type]


def test_untrained_texts_differ_and_are_not_empty() -> None:
    texts = {RECOGNIZER.read(noise(seed, 64)).text for seed in range(10)}
    assert len(texts) > 5


@pytest.fixture(scope="module")
def exported() -> Bundle:
    """The bundle of ``RECOGNIZER`` with its model.onnx."""
    bundle = RECOGNIZER.bundle
    model = sharp_onnx()
    proof = prove(bundle, model, [noise(seed, 40 + seed) for seed in range(40)])
    return replace(bundle, onnx=ProvenOnnx(data=model, proof=proof))


@pytest.fixture(scope="module", params=["torch", "onnx", "openvino"])
def by_engine(request: pytest.FixtureRequest, exported: Bundle) -> Recognizer:
    return Recognizer(exported, batch_pixels=RECOGNIZER.batch_pixels, engine=request.param)


@settings(max_examples=20, deadline=None)
@given(pictures=st.lists(PICTURES, min_size=1, max_size=12))
def test_a_picture_reads_the_same_alone_and_in_any_batch(
    by_engine: Recognizer, pictures: list[Grey]
) -> None:
    together = by_engine.read(pictures)
    for picture, in_batch in zip(pictures, together, strict=True):
        alone, by_torch = by_engine.read(picture), RECOGNIZER.read(picture)
        assert alone.text == by_torch.text
        assert abs(alone.confidence - by_torch.confidence) < 1e-3
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
        ("data:image/png;base64," + "A" * 9000, "not_found"),
        ("/" + "a" * 9000, "not_found"),
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
    assert len(alone.error_message) < 500
    assert RECOGNIZER.read([picture]) == [alone]


def test_an_open_file_is_one_picture_alone_as_in_a_list(tmp_path: Path) -> None:
    data = png(noise(3, 64))
    path = tmp_path / "picture.png"
    path.write_bytes(data)
    expected = RECOGNIZER.read(data)
    with path.open("rb") as file:
        assert RECOGNIZER.read(file) == expected
    with path.open("rb") as file:
        several = RECOGNIZER.read([file, io.BytesIO(data), data])
    assert [result.text for result in several] == [expected.text] * 3


def test_a_file_that_gives_nothing_is_told(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(png(noise(3, 64)))
    with path.open("rb") as file:
        file.read()
        at_its_end = RECOGNIZER.read(file)
    assert at_its_end.error_code == "empty_file"
    assert "picture.png" in str(at_its_end.error_message)
    assert "seek(0)" in str(at_its_end.error_message)
    assert RECOGNIZER.read([file, noise(0, 64)])[0].error_code == "unreadable"  # closed by now
    assert RECOGNIZER.read(tmp_path.joinpath("w").open("wb")).error_code == "unreadable"
    with path.open() as text, pytest.raises(TypeError, match=r"picture.png.*mode 'rb'"):
        RECOGNIZER.read(text)


@pytest.mark.parametrize("value", [3, None, {"image": b""}.values, {"image": b""}])
def test_what_is_no_picture_at_all_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError):
        RECOGNIZER.read([value])
    with pytest.raises(TypeError, match="one or several of them, not"):
        RECOGNIZER.read(value)


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
    with pytest.raises(ValueError, match="built already"):
        RECOGNIZER.read(picture, decoder=build_decoder("greedy"), lexicon=["ab"])
    with pytest.raises(ValueError, match="batch_pixels is 0"):
        Recognizer(RECOGNIZER.bundle, batch_pixels=0)


def test_a_loaded_bundle_reads_as_the_model_in_memory(tmp_path: Path) -> None:
    model = sharp_model()
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


def test_the_engine_is_chosen_at_once_and_built_when_something_is_read(exported: Bundle) -> None:
    recognizer = Recognizer(exported, engine="onnx", threads=1)
    recognizer.decoder()
    assert "_run" not in vars(recognizer)
    assert (Recognizer(exported).engine, RECOGNIZER.engine) == ("onnx", "torch")
    pixels_NHWC = noise_batch(3, 64)
    log_probs_TNC = recognizer.read_batch_pixels(pixels_NHWC)
    assert (log_probs_TNC.dtype, log_probs_TNC.shape) == (torch.float32, (16, 3, 9))
    expected_TNC = build_engine("onnx", exported, threads=1)(pixels_NHWC)
    torch.testing.assert_close(log_probs_TNC, expected_TNC)


def test_an_unknown_engine_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'tensorrt'; expected one of \['auto', 'compiled'"):
        Recognizer(RECOGNIZER.bundle, engine="tensorrt")


def test_a_recognizer_in_use_travels_to_another_process(exported: Bundle) -> None:
    recognizer = Recognizer(exported)
    here = recognizer.read(noise(5, 64))
    there = pickle.loads(pickle.dumps(recognizer))
    assert there.read(noise(5, 64)) == here
