from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crnn.bundle.transfer import HEAD, load_matching
from crnn.model.network import CRNN, ModelConfig
from crnn.text.charset import BLANK_ID, CHARSETS, Charset

SMALL = ModelConfig(backbone="mobile", rnn_hidden=8)
CHARACTERS = st.text(st.sampled_from(CHARSETS["ascii"]), min_size=1, max_size=40)
CHARSET = CHARACTERS.map(lambda text: Charset("".join(dict.fromkeys(text))))


def model_for(charset: Charset, config: ModelConfig = SMALL, *, channels: int = 1) -> CRNN:
    return CRNN(config, num_classes=charset.num_classes, in_channels=channels, height=32)


def copied(model: CRNN) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@settings(max_examples=20, deadline=None)
@given(charset=CHARSET, source_charset=CHARSET)
def test_each_character_takes_its_own_row_along(charset: Charset, source_charset: Charset) -> None:
    model, source = model_for(charset), model_for(source_charset)
    torch.nn.init.normal_(source.head.bias)
    before = copied(model)
    report = load_matching(model, charset, source, source_charset)
    for name in HEAD:
        own, theirs = model.state_dict()[name], source.state_dict()[name]
        assert torch.equal(own[BLANK_ID], theirs[BLANK_ID])
        for character in charset.characters:
            row = charset.encode(character)[0]
            if character in source_charset.characters:
                assert torch.equal(own[row], theirs[source_charset.encode(character)[0]])
            else:
                assert torch.equal(own[row], before[name][row])
    assert set(report.shared_characters) == {*charset.characters} & {*source_charset.characters}
    assert set(report.new_characters) == {*charset.characters} - {*source_charset.characters}
    assert set(report.lost_characters) == {*source_charset.characters} - {*charset.characters}


@settings(max_examples=10, deadline=None)
@given(charset=CHARSET, source_charset=CHARSET)
def test_every_tensor_is_reported_once(charset: Charset, source_charset: Charset) -> None:
    model, source = model_for(charset), model_for(source_charset)
    report = load_matching(model, charset, source, source_charset)
    assert sorted(report.kept + report.resized + report.dropped) == sorted(source.state_dict())
    assert report.widened == report.dropped == report.fresh == []
    assert report.resized == ([] if charset == source_charset else list(HEAD))


def test_the_same_model_is_kept_whole() -> None:
    charset = Charset("abc")
    model, source = model_for(charset), model_for(charset)
    report = load_matching(model, charset, source, charset)
    assert report.kept == list(source.state_dict())
    assert all(torch.equal(t, source.state_dict()[n]) for n, t in model.state_dict().items())


def test_characters_in_another_order_still_find_their_rows() -> None:
    there, here = Charset("ab"), Charset("ba")
    source, model = model_for(there), model_for(here)
    report = load_matching(model, here, source, there)
    assert report.resized == list(HEAD)
    assert torch.equal(model.head.weight, source.head.weight[[0, 2, 1]])


def test_another_architecture_keeps_what_fits_and_says_the_rest() -> None:
    charset = Charset("abc")
    source = model_for(charset, ModelConfig(backbone="mobile", rnn_hidden=8, rnn_layers=2))
    model = model_for(charset, ModelConfig(backbone="mobile", rnn_hidden=12))
    before = copied(model)
    report = load_matching(model, charset, source, charset)
    state = source.state_dict()
    assert report.kept == [n for n in state if n.startswith("backbone.")] + ["head.bias"]
    assert report.resized == []
    assert {"head.weight", "rnn.layers.0.weight_ih_l0", "rnn.layers.1.weight_ih_l0"} <= set(
        report.dropped
    )
    assert set(report.fresh) == {n for n in before if n not in report.kept}
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, state[name] if name in report.kept else before[name]), name


def test_grey_weights_do_not_fit_colour_in_the_first_layer_only() -> None:
    charset = Charset("abc")
    model = model_for(charset, channels=3)
    report = load_matching(model, charset, model_for(charset), charset)
    assert report.dropped == report.fresh == ["backbone.layers.0.0.weight"]


def test_a_mark_that_joins_a_letter_in_texts_keeps_its_own_row() -> None:
    there, here = Charset("oz\u0301"), Charset("z\u0301x")
    model, source = model_for(here), model_for(there)
    report = load_matching(model, here, source, there)
    assert (report.shared_characters, report.new_characters) == ("z\u0301", "x")
    own, theirs = model.state_dict()["head.weight"], source.state_dict()["head.weight"]
    assert torch.equal(own[[1, 2]], theirs[[2, 3]])


def test_the_report_prints_what_was_kept_resized_and_dropped() -> None:
    there, here = Charset("abc"), Charset("cdx")
    source = model_for(there, ModelConfig(backbone="mobile", rnn="gru", rnn_hidden=8))
    text = str(load_matching(model_for(here), here, source, there))
    assert "resized head.weight: (4, 16) → (4, 16)" in text
    assert "dropped rnn.layers.0.weight_ih_l0: (24, 192) → (32, 192)" in text
    assert "carried over: 'c'" in text and "new: 'dx'" in text
    assert "given up: 2 that the source could read, 'ab'" in text
    assert text.startswith("kept ")


def test_a_charset_of_another_model_is_refused() -> None:
    charset = Charset("abc")
    source = model_for(charset)
    with pytest.raises(ValueError, match=r"head\.weight of the source has 4 rows.* 3 classes"):
        load_matching(model_for(charset), charset, source, Charset("ab"))
    with pytest.raises(ValueError, match=r"head\.weight of the model has 4 rows.* 3 classes"):
        load_matching(model_for(charset), Charset("ab"), source, charset)


@pytest.mark.parametrize("backbone", ["mobile", "resnet", "vgg"])
@pytest.mark.parametrize(("rnn", "layers"), [("lstm", 1), ("lstm", 2), ("gru", 2)])
def test_a_wider_network_reads_at_first_as_the_narrow_one(
    backbone: str, rnn: Literal["lstm", "gru"], layers: int
) -> None:
    torch.manual_seed(4)
    charset = Charset("abcdef")
    shape = ModelConfig(
        backbone=backbone, width_multiplier=0.25, rnn=rnn, rnn_hidden=8, rnn_layers=layers
    )
    source = model_for(charset, shape)
    images_NCHW = torch.randn(4, 1, 32, 64)
    source.train()(images_NCHW)  # running statistics of its own
    model = model_for(charset, replace(shape, width_multiplier=0.4, rnn_hidden=12))
    report = load_matching(model, charset, source, charset)
    assert report.dropped == report.fresh == report.resized == []
    assert {"head.weight", "rnn.layers.0.weight_ih_l0"} <= set(report.widened)
    assert "widened" in str(report)
    with torch.no_grad():
        expected_TNC, found_TNC = (m.eval()(images_NCHW) for m in (source, model))
    torch.testing.assert_close(found_TNC, expected_TNC, rtol=1e-4, atol=1e-5)


def test_all_of_a_widened_network_learns() -> None:
    torch.manual_seed(4)
    charset = Charset("abc")
    model = model_for(charset, replace(SMALL, width_multiplier=1.25, rnn_hidden=12))
    load_matching(model, charset, model_for(charset), charset)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    for _ in range(2):  # what is behind new units moves first, then what is before them
        optimizer.zero_grad()
        model(torch.randn(2, 1, 32, 64)).pow(2).sum().backward()
        optimizer.step()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
    assert model.head.weight.grad is not None
    assert (model.head.weight.grad.abs().sum(0) > 0).all(), "every unit, old or new, is heard"


def test_a_wider_network_of_another_charset_keeps_the_shared_characters() -> None:
    torch.manual_seed(4)
    there, here = Charset("abc"), Charset("cxa")
    source = model_for(there)
    model = model_for(here, replace(SMALL, rnn_hidden=12))
    images_NCHW = torch.randn(2, 1, 32, 64)
    report = load_matching(model, here, source, there)
    assert report.resized == list(HEAD) and report.dropped == report.fresh == []
    with torch.no_grad():
        expected_TNC, found_TNC = (m.eval()(images_NCHW) for m in (source, model))
    for character in "ac":
        own, theirs = here.encode(character)[0], there.encode(character)[0]
        torch.testing.assert_close(found_TNC[..., own], expected_TNC[..., theirs])


def test_a_narrower_network_takes_only_what_fits() -> None:
    charset = Charset("abc")
    report = load_matching(
        model_for(charset), charset, model_for(charset, replace(SMALL, rnn_hidden=12)), charset
    )
    assert report.widened == []
    assert "head.weight" in report.dropped


def test_rows_of_right_to_left_letters_go_by_character_in_any_order() -> None:
    there, here = Charset("אבגa1"), Charset("1גab ב")
    source, model = model_for(there), model_for(here)
    report = load_matching(model, here, source, there)
    rows = source.state_dict()["head.weight"], model.state_dict()["head.weight"]
    for character in "אבגa1":
        if character in here.characters:
            ours, theirs = here.ids_of(character)[0], there.ids_of(character)[0]
            assert torch.equal(rows[1][ours], rows[0][theirs])
    assert report.new_characters == "b "
