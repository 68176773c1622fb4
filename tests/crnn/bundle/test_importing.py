"""Recognizers of others: looked at, their classes understood, rewritten, proven, refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from crnn import Charset
from crnn.bundle.importing.classes import blank_of, by_class, choose, from_metadata, listed
from crnn.bundle.importing.graph import Graph, look_at
from crnn.bundle.importing.proof import original
from crnn.bundle.importing.rewrite import Normalisation, rewrite
from crnn.engines import RUNTIMES
from crnn.engines.graph import OUTPUT_NAME
from crnn.errors import DataError
from tests.crnn.graphs import USUAL, Form, graph, scores
from tests.crnn.networks import noise

USUALLY = Normalisation()


def pixels(count: int = 5, width: int = 64, height: int = 32, channels: int = 3) -> np.ndarray:
    rng = np.random.default_rng(7)
    shape = count, height // 8, width // 8, channels
    blocks = rng.integers(0, 256, shape, dtype=np.uint8)
    return blocks.repeat(8, axis=1).repeat(8, axis=2)


def every_class(form: Form, found: Graph, wanted: str | None = None) -> Any:
    return choose(by_class(form.characters, found.num_classes, form.blank), form.blank, wanted)


@pytest.mark.parametrize(
    ("form", "axes", "scale"),
    [
        (USUAL, "NTC", "probabilities"),
        (replace(USUAL, axes="TNC", ends_in=""), "TNC", "logits"),
        (replace(USUAL, axes="NCT", ends_in="LogSoftmax"), "NCT", "log-probabilities"),
        (replace(USUAL, channels_last=True, channels=1), "NTC", "probabilities"),
        (replace(USUAL, head="Einsum", opset=17), "NTC", "probabilities"),
    ],
)
def test_what_a_graph_takes_and_gives_is_found_out(form: Form, axes: str, scale: str) -> None:
    found = look_at(graph(form))
    assert (found.axes, found.scale, found.num_classes) == (axes, scale, 9)
    assert (found.channels, found.height, found.width) == (form.channels, 32, None)
    assert found.channels_last == form.channels_last
    assert [found.time_steps(width) for width in (64, 200)] == [8, 25]


def test_a_graph_of_one_width_has_its_classes_told_from_time_steps_by_the_characters() -> None:
    form = replace(USUAL, width=160, axes="NCT")
    found = look_at(graph(form), sizes={9})
    assert (found.width, found.axes, found.num_classes) == (160, "NCT", 9)


@pytest.mark.parametrize("blank_first", [True, False])
def test_the_blank_is_what_empty_pictures_are_read_as(blank_first: bool) -> None:
    form = replace(USUAL, blank_first=blank_first)
    found = look_at(graph(form))
    nothing = np.zeros((1, 3, 32, 128), dtype=np.float32)
    assert blank_of(found, [nothing]) == form.blank


def test_a_blank_in_the_middle_has_to_be_named() -> None:
    found = look_at(graph())
    model = found.model
    bias = next(t for t in model.graph.initializer if t.name == "bias")
    values = np.zeros(9, dtype=np.float32)
    values[4] = 9
    bias.CopyFrom(onnx.numpy_helper.from_array(values, "bias"))
    changed = look_at(model.SerializeToString())
    with pytest.raises(DataError, match="give it with --blank: first, last or a number"):
        blank_of(changed, [np.zeros((1, 3, 32, 128), dtype=np.float32)])


FORMS = [
    USUAL,
    replace(USUAL, blank_first=False),
    replace(USUAL, axes="TNC", ends_in=""),
    replace(USUAL, axes="NCT", ends_in="LogSoftmax", blank_first=False),
    replace(USUAL, head="Einsum", opset=17, blank_first=False),
    replace(USUAL, channels_last=True, opset=17),
    replace(USUAL, channels=1, height=48, blank_first=False, opset=11),
    replace(USUAL, width=64),
]


@pytest.mark.parametrize("form", FORMS, ids=range(len(FORMS)))
@pytest.mark.parametrize("wanted", [None, "hbd"])
@pytest.mark.parametrize("runtime", sorted(RUNTIMES))
def test_the_rewritten_graph_computes_what_the_original_does(
    form: Form, wanted: str | None, runtime: str
) -> None:
    """The expected values are numpy's, of the scores that the original gives."""
    normalisation = Normalisation(order="bgr", mean=(0.4,), std=(0.3,))
    found = look_at(graph(form))
    classes = every_class(form, found, wanted)
    assert classes.charset.characters == (form.characters if wanted is None else "bdh")
    pixels_NHWC = pixels(height=form.height, channels=form.channels)
    normal = (pixels_NHWC[..., ::-1] / 255 - 0.4) / 0.3
    nchw = normal if form.channels_last else normal.transpose(0, 3, 1, 2)
    raw = scores(graph(form), nchw.astype(np.float32))
    ntc = raw.transpose([form.axes.index(axis) for axis in "NTC"]).astype(np.float64)
    probabilities = np.exp(ntc) if form.ends_in != "Softmax" else ntc
    ids = [
        form.blank,
        *(form.characters.index(c) + form.blank_first for c in classes.charset.characters),
    ]
    kept = probabilities[..., ids]
    expected_TNC = np.log(kept / kept.sum(axis=-1, keepdims=True)).transpose(1, 0, 2)
    log_probs_TNC = RUNTIMES[runtime](rewrite(found, classes, normalisation), 1)(pixels_NHWC)
    assert np.allclose(log_probs_TNC.numpy(), expected_TNC, atol=2e-3)
    reference_TNC = original(found, classes, normalisation)(pixels_NHWC)
    assert np.allclose(reference_TNC.numpy(), expected_TNC, atol=1e-4)


@pytest.mark.parametrize("head", ["MatMul", "Einsum"])
def test_classes_that_are_cut_cost_nothing_where_a_matrix_gives_them(head: str) -> None:
    form = Form(characters="".join(map(chr, range(0x4E00, 0x4E00 + 2000))), head=head, opset=17)
    found = look_at(graph(form))
    model = onnx.load_model_from_string(
        rewrite(found, every_class(form, found, form.characters[:5]), USUALLY)
    )
    sizes = [int(np.prod(tensor.dims)) for tensor in model.graph.initializer]
    assert (max(sizes) < 12 * 2000) == (head == "MatMul")
    names = {tensor.name for tensor in model.graph.initializer}
    used = {name for node in model.graph.node for name in node.input}
    assert names <= used and [value.name for value in model.graph.output] == [OUTPUT_NAME]


def test_two_classes_of_one_character_become_one() -> None:
    """As of the compatibility ideograph U+F92C, which is U+90CE in NFC."""
    form = replace(USUAL, characters="\uf92ca\u90cebc", opset=11)
    found = look_at(graph(form))
    classes = every_class(form, found)
    assert (classes.charset.characters, classes.merged) == ("abc\u90ce", 1)
    pixels_NHWC = pixels()
    raw = scores(graph(form), USUALLY.apply(pixels_NHWC))
    expected_NTC = np.log(np.stack([
        raw[..., 0], raw[..., 2], raw[..., 4], raw[..., 5], raw[..., 1] + raw[..., 3]
    ], axis=-1))  # fmt: skip
    for build in RUNTIMES.values():
        found_TNC = build(rewrite(found, classes, USUALLY), 1)(pixels_NHWC)
        assert np.allclose(found_TNC.numpy(), expected_NTC.transpose(1, 0, 2), atol=2e-3)


def test_a_batch_reads_what_each_of_its_pictures_does_alone() -> None:
    found = look_at(graph())
    run = RUNTIMES["onnx"](rewrite(found, every_class(USUAL, found), USUALLY), 1)
    pixels_NHWC = pixels(count=7)
    alone_TNC = torch.cat([run(one[None]) for one in pixels_NHWC], dim=1)
    assert torch.allclose(run(pixels_NHWC), alone_TNC, atol=1e-5)
    assert len({tuple(ids) for ids in alone_TNC.argmax(dim=-1).T.tolist()}) == 7


@pytest.mark.parametrize(
    ("entries", "blank", "expected"),
    [
        ("abc", 0, {1: "a", 2: "b", 3: "c"}),
        ("abc", 3, {0: "a", 1: "b", 2: "c"}),
        ("ab", 0, {1: "a", 2: "b", 3: " "}),
        ("abc_", 3, {0: "a", 1: "b", 2: "c"}),
        (["<blank>", "a", "b", "c"], 0, {1: "a", 2: "b", 3: "c"}),
    ],
)
def test_lists_of_characters_are_fitted_to_four_classes(
    entries: Any, blank: int, expected: dict[int, str]
) -> None:
    assert by_class(entries, 4, blank) == expected


@pytest.mark.parametrize("entries", ["a", "ab ", "abcde"])
def test_a_list_of_another_length_is_refused_with_both_numbers(entries: str) -> None:
    count = 5 if entries == "ab " else 4
    message = f"{count} classes, but the list {len(entries)} characters; expected {count - 1}"
    with pytest.raises(DataError, match=message):
        by_class(entries, count, 0)


def test_characters_are_listed_in_several_ways() -> None:
    assert listed('["a", " ", "中"]') == ["a", " ", "中"]
    assert listed("a\r\n \r\n中\r\n") == ["a", " ", "中"]
    assert listed("[\n]\n\u2028\n") == ["[", "]", "\u2028"]
    assert listed("abc") == ["a", "b", "c"]
    assert from_metadata({"author": "x", "character": "a\nb"}) == ["a", "b"]
    assert from_metadata({"author": "x"}) is None


def test_what_is_no_single_character_is_left_out_and_told() -> None:
    classes = choose({1: "a", 2: "ffi", 3: "b", 4: "a", 5: "a", 6: ""}, 0)
    assert classes.charset == Charset("ba") and classes.order == (0, 3, 1, 4)
    assert classes.left_out == ("ffi", "a", "")
    cut = choose({1: "a", 2: "b", 3: "c"}, 0, "cb")
    assert (cut.charset.characters, cut.num_cut) == ("bc", 1)
    with pytest.raises(DataError, match="can't write 'é' of --charset"):
        choose({1: "a"}, 0, "aé")


def with_head(*nodes: onnx.NodeProto, shape: list[int | str]) -> bytes:
    """The usual graph, with other nodes behind its scores."""
    model = onnx.load_model_from_string(graph(replace(USUAL, opset=13)))
    model.graph.node.extend(nodes)
    name = nodes[-1].output[0]
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    return bytes(model.SerializeToString())


def fixed_steps() -> bytes:
    """An attention decoder's kind of output: as many steps whatever the width."""
    first = helper.make_node("Constant", [], ["first"], value_ints=list(range(5)))
    return with_head(first, helper.make_node("Gather", ["scores", "first"], ["five"], axis=1),
                     shape=["N", 5, 9])  # fmt: skip


def classifier() -> bytes:
    return with_head(helper.make_node("ReduceMax", ["scores"], ["one"], axes=[1], keepdims=0),
                     shape=["N", 9])  # fmt: skip


def external() -> bytes:
    model = onnx.load_model_from_string(graph())
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    return bytes(model.SerializeToString())


def with_lengths() -> bytes:
    model = onnx.load_model_from_string(graph())
    model.graph.input.append(helper.make_tensor_value_info("lengths", TensorProto.INT64, ["N"]))
    return bytes(model.SerializeToString())


def two_outputs() -> bytes:
    model = onnx.load_model_from_string(graph())
    model.graph.output.append(
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", "T", 9])
    )
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"GIF89a no graph", "not an ONNX file"),
        (b"", "not an ONNX file"),
        (fixed_steps(), "not a CTC recognizer.*twice as wide"),
        (classifier(), "expected one output of floats with 3 axes"),
        (external(), r"1 weights in other files \(weights.bin\)"),
        (with_lengths(), "'lengths': 1.*expected one input of 4 axes"),
        (two_outputs(), "name it with --output-name"),
        (graph(replace(USUAL, batch=1)), r"exactly 1 picture\(s\) at a time.*dynamic batch"),
    ],
)
def test_what_is_no_ctc_recognizer_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(DataError, match=words):
        look_at(data)


def test_one_of_several_outputs_can_be_named() -> None:
    found = look_at(two_outputs(), output="logits")
    assert (found.output_name, found.scale) == ("logits", "logits")
    with pytest.raises(DataError, match=r"no output 'x'; it has \['logits', 'scores'\]"):
        look_at(two_outputs(), output="x")


def test_a_height_that_isnt_the_graphs_is_refused() -> None:
    with pytest.raises(DataError, match="--height is 48, but input 'x' takes 32 px"):
        look_at(graph(), height=48)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"order": "gbr"}, "--channel-order is 'gbr'"),
        ({"mean": (0.1, 0.2)}, "one value, or one for each of three"),
        ({"std": (0.0,)}, "expected values above 0"),
    ],
)
def test_normalisations_that_make_no_sense_are_refused(changes: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Normalisation(**changes)


def test_noise_is_not_read_alike() -> None:
    """The graphs of these tests tell pictures apart, or the rest would prove nothing."""
    found = look_at(graph(replace(USUAL, channels=1)))
    run = original(found, every_class(USUAL, found), USUALLY)
    read = run(np.stack([noise(seed, 96)[..., None] for seed in range(6)])).argmax(dim=-1)
    assert len({tuple(ids) for ids in read.T.tolist()}) == 6


def test_what_is_left_of_a_cut_picture_is_compared_even_where_it_was_next_to_impossible() -> None:
    """A softmax rounds the classes that are kept to nothing beside one that is cut."""
    form = replace(USUAL, opset=13)
    model = onnx.load_model_from_string(graph(form))
    bias = next(t for t in model.graph.initializer if t.name == "bias")
    values = onnx.numpy_helper.to_array(bias).copy()
    values[8] = 400.0
    bias.CopyFrom(onnx.numpy_helper.from_array(values, "bias"))
    found = look_at(model.SerializeToString())
    classes = every_class(form, found, "abc")
    pixels_NHWC = pixels()
    log_probs_TNC = RUNTIMES["onnx"](rewrite(found, classes, USUALLY), 1)(pixels_NHWC)
    expected_TNC = original(found, classes, USUALLY)(pixels_NHWC)
    assert torch.allclose(log_probs_TNC, expected_TNC, atol=1e-3)
    assert len(set(expected_TNC.argmax(dim=-1).flatten().tolist())) > 1
