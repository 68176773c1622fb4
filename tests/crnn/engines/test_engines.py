"""Every engine computes what the model does, whatever the bucket and the size of the batch."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import openvino
import pytest
import torch
from torch._dynamo.utils import counters

from crnn import Bundle, PictureContract
from crnn.bundle.onnx_file import Proof, ProvenOnnx
from crnn.decode import greedy
from crnn.engines import REDUCED, RUNTIMES, build_engine, engine_for
from crnn.engines.export import export_onnx
from crnn.engines.graph import in_slices
from crnn.engines.loss import measure_loss
from crnn.engines.openvino_runtime import has_bf16
from crnn.engines.proof import TOLERANCE, prove
from crnn.engines.speed import as_lines, measure
from crnn.errors import EngineError
from crnn.images.contract import Pixels, normalise
from crnn.inference.recognizer import Recognizer
from crnn.model.network import CRNN, ModelConfig
from tests.crnn.networks import PICTURE, bundle_of, noise, noise_batch, sharp_model, sharp_onnx

RGB = PictureContract(height=48, channels=3, widths=(40, 64))
NETWORKS = {
    "mobile": (ModelConfig(rnn_hidden=16), PICTURE),
    "mobile, two GRUs, RGB": (ModelConfig(rnn="gru", rnn_hidden=16, rnn_layers=2), RGB),
    "vgg": (ModelConfig(backbone="vgg", rnn_hidden=16, rnn_layers=2), PICTURE),
    "vgg16_bn": (ModelConfig(backbone="vgg16_bn", rnn_hidden=16), PICTURE),
    "resnet": (ModelConfig(backbone="resnet", rnn="gru", rnn_hidden=16), PICTURE),
}
PROJECT = Path(__file__).resolve().parents[3]


def exported(name: str) -> Bundle:
    """The bundle of a network, its ONNX model taken as proven."""
    config, picture = NETWORKS[name]
    bundle = bundle_of(sharp_model(config, picture=picture), model_config=config, picture=picture)
    proof = Proof(
        pictures=1,
        widths=picture.widths,
        engines=dict.fromkeys(RUNTIMES, "1"),
        max_probability_difference=0.0,
        max_confidence_difference=0.0,
    )
    data = sharp_onnx() if name == "mobile" else export_onnx(bundle)
    return replace(bundle, onnx=ProvenOnnx(data=data, proof=proof))


OTHERS = NETWORKS.keys() - {"mobile"}
"""Whose exports take a minute."""


@pytest.fixture(
    scope="module",
    params=[pytest.param(n, marks=pytest.mark.slow) if n in OTHERS else n for n in NETWORKS],
)
def bundle(request: pytest.FixtureRequest) -> Bundle:
    return exported(request.param)


@pytest.fixture(scope="module")
def mobile() -> Bundle:
    return exported("mobile")


def computed(model: CRNN, pixels_NHWC: Pixels) -> torch.Tensor:
    with torch.inference_mode():
        return model(normalise(torch.from_numpy(pixels_NHWC))).log_softmax(-1)


def assert_computes_as_the_model(bundle: Bundle, name: str) -> None:
    engine = build_engine(name, bundle, threads=1)
    for count, width in [(1, 32), (3, 33), (2, 50), (7, 96), (1, 101), (5, 64), (33, 48)]:
        pixels_NHWC = noise_batch(count, width, bundle.picture)
        expected_TNC = computed(bundle.model, pixels_NHWC)
        found_TNC = engine(pixels_NHWC)
        assert (found_TNC.dtype, found_TNC.device.type) == (torch.float32, "cpu")
        torch.testing.assert_close(found_TNC.exp(), expected_TNC.exp(), rtol=0, atol=TOLERANCE)
        texts = [[d.text for d in greedy(t, bundle.charset)] for t in (found_TNC, expected_TNC)]
        assert texts[0] == texts[1]
        assert len(set(texts[0])) > count // 2, "the networks read every picture differently"


@pytest.mark.parametrize("name", ["torch", "onnx", "openvino"])
def test_any_width_and_any_number_of_pictures(bundle: Bundle, name: str) -> None:
    assert_computes_as_the_model(bundle, name)


def test_the_graph_keeps_its_rnns_whole_and_tells_nothing_of_this_machine(bundle: Bundle) -> None:
    assert bundle.onnx is not None
    model = onnx.load_from_string(bundle.onnx.data)
    onnx.checker.check_model(model, full_check=True)
    kinds = Counter(node.op_type for node in model.graph.node)
    assert kinds[bundle.model_config.rnn.upper()] == bundle.model_config.rnn_layers
    assert not {"Loop", "Scan"} & set(kinds)
    assert str(PROJECT).encode() not in bundle.onnx.data
    (taken,), (given,) = model.graph.input, model.graph.output
    assert (taken.name, given.name) == ("pixels_NHWC", "log_probs_TNC")
    assert taken.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    sizes = [d.dim_param or d.dim_value for d in taken.type.tensor_type.shape.dim]
    assert sizes == ["N", bundle.picture.height, "W", bundle.picture.channels]


@pytest.mark.slow
def test_exporting_again_gives_the_same_bytes_and_leaves_the_model_alone(mobile: Bundle) -> None:
    assert mobile.onnx is not None
    before = computed(mobile.model, noise_batch(2, 64))
    assert export_onnx(mobile) == mobile.onnx.data
    assert torch.equal(computed(mobile.model, noise_batch(2, 64)), before)


@pytest.mark.nightly
def test_the_compiled_engine_computes_the_same_and_compiles_no_bucket_apart(mobile: Bundle) -> None:
    torch.compiler.reset()
    counters.clear()
    assert_computes_as_the_model(mobile, "compiled")
    engine_counts = [2, 3, 1, 90]
    engine = build_engine("compiled", mobile)
    for width in mobile.picture.widths:
        for count in engine_counts:
            engine(noise_batch(count, width))
    assert counters["stats"]["unique_graphs"] <= 4


@pytest.mark.parametrize("name", ["torch", "onnx", "openvino"])
def test_an_engine_may_be_shared_by_threads(mobile: Bundle, name: str) -> None:
    engine = build_engine(name, mobile, threads=1)
    batches = [noise_batch(1 + i % 5, (32, 64, 96)[i % 3]) for i in range(60)]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(engine, batches))
    for found_TNC, pixels_NHWC in zip(together, batches, strict=True):
        expected_TNC = computed(mobile.model, pixels_NHWC)
        torch.testing.assert_close(found_TNC.exp(), expected_TNC.exp(), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(("count", "sizes"), [(1, [1]), (4, [4]), (5, [3, 2]), (13, [4, 3, 3, 3])])
def test_slices_are_even_and_keep_the_order(count: int, sizes: list[int]) -> None:
    seen: list[int] = []

    def first_column(pixels_NHWC: Pixels) -> torch.Tensor:
        seen.append(len(pixels_NHWC))
        return torch.from_numpy(pixels_NHWC[:, 0, :, 0].T.astype(np.float32))[:, :, None]

    pixels_NHWC = noise_batch(count, 64)
    found = in_slices(first_column, 4 * 32 * 64)(pixels_NHWC)
    assert seen == sizes
    assert np.array_equal(found[:, :, 0].numpy(), pixels_NHWC[:, 0, :, 0].T)


def test_what_was_read_stays_when_more_is_read(mobile: Bundle) -> None:
    for name in RUNTIMES:
        engine = build_engine(name, mobile, threads=1)
        first_TNC = engine(noise_batch(4, 64))
        kept_TNC = first_TNC.clone()
        engine(255 - noise_batch(4, 64))
        assert torch.equal(first_TNC, kept_TNC)


def proven_with(bundle: Bundle, *names: str) -> Bundle:
    assert bundle.onnx is not None
    proof = replace(bundle.onnx.proof, engines=dict.fromkeys(names, "1"))
    return replace(bundle, onnx=replace(bundle.onnx, proof=proof))


def test_auto_takes_the_fastest_engine_that_was_proven(mobile: Bundle) -> None:
    assert engine_for("auto", mobile) == "onnx"
    assert engine_for("auto", proven_with(mobile, "openvino")) == "openvino"
    assert engine_for("auto", proven_with(mobile)) == "torch"
    assert engine_for("auto", replace(mobile, onnx=None)) == "torch"
    assert engine_for("auto", mobile, "cuda") == "torch"
    assert engine_for("torch", mobile) == "torch"


def test_engines_that_cannot_be_had_are_refused_with_the_remedy(mobile: Bundle) -> None:
    known = "'auto', 'compiled', 'onnx', 'openvino', 'openvino-bf16', 'torch', 'torch-bf16'"
    with pytest.raises(ValueError, match=rf"'trt'.*{known}"):
        build_engine("trt", mobile)
    with pytest.raises(EngineError, match=r"no model.onnx.*jobs/export.py"):
        build_engine("onnx", replace(mobile, onnx=None))
    with pytest.raises(EngineError, match=r"proven with \['onnx'\] only.*openvino is installed"):
        build_engine("openvino", proven_with(mobile, "onnx"))
    with pytest.raises(ValueError, match="on the CPU, not on cuda"):
        build_engine("onnx", mobile, device="cuda")
    with pytest.raises(ValueError, match="threads is 0"):
        build_engine("torch", mobile, threads=0)


def test_missing_packages_are_named_and_auto_does_without() -> None:
    packages = {"onnx": "onnxruntime", "openvino": "openvino"}
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({[*packages.values()]}))\n"  # as if missing
        "from crnn.engines import RUNTIMES, is_installed\n"
        "from crnn.errors import EngineError\n"
        f"for name in {[*packages]}:\n"
        "    assert not is_installed(name)\n"
        "    try: RUNTIMES[name](b'', 1)\n"
        "    except EngineError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    for said, (name, package) in zip(done.stdout.splitlines(), packages.items(), strict=True):
        assert package in said
        assert f"pip install 'crnn-on-ray[{name}]'" in said


PICTURES = [noise(seed, 20 + seed % 90) for seed in range(120)]


def test_engines_in_bfloat16_run_where_it_is_known_what_they_lose(mobile: Bundle) -> None:
    texts = [result.text for result in Recognizer(mobile, engine="torch").read(PICTURES)]
    for name in REDUCED:
        with pytest.raises(EngineError, match=rf"{name}.*doesn't record.*--reduced {name}"):
            build_engine(name, mobile)
        if name == "openvino-bf16" and not has_bf16(openvino.Core()):
            with pytest.raises(EngineError, match="needs a CPU with instructions for bfloat16"):
                measure_loss(mobile, name, zip(PICTURES, texts, strict=True))
            continue
        loss = measure_loss(
            mobile, name, [(b"no picture", "a"), *zip(PICTURES, texts, strict=True)]
        )
        assert (loss.pictures, loss.right) == (len(PICTURES), len(PICTURES))
        assert loss.right_reduced == len(PICTURES) - loss.changed
        assert 0 < loss.max_confidence_difference < 0.2
        able = replace(mobile, reduced={name: loss})
        found = [result.text for result in Recognizer(able, engine=name).read(PICTURES)]
        agree = sum(one == other for one, other in zip(found, texts, strict=True))
        assert agree == loss.right_reduced
        log_probs_TNC = build_engine(name, able, threads=1)(noise_batch(3, 64))
        assert (log_probs_TNC.dtype, log_probs_TNC.device.type) == (torch.float32, "cpu")
        torch.testing.assert_close(log_probs_TNC.exp().sum(-1), torch.ones(log_probs_TNC.shape[:2]))


def test_texts_that_fewer_bits_change_are_counted(mobile: Bundle) -> None:
    between = sharp_model()
    with torch.no_grad():  # 'b' by less than bfloat16 tells apart
        between.head.weight.zero_()
        between.head.bias.zero_()
        between.head.bias[1], between.head.bias[2] = 1.0, 1.0 + 1e-3
    loss = measure_loss(
        replace(mobile, model=between), "torch-bf16", [(PICTURES[0], "a"), (PICTURES[1], "b")]
    )
    assert (loss.pictures, loss.changed, loss.right, loss.right_reduced) == (2, 2, 1, 1)
    assert str(loss).startswith("2 of 2 texts differ from float32's; 50.00% right")
    with pytest.raises(ValueError, match=r"'onnx'.*'openvino-bf16', 'torch-bf16'"):
        measure_loss(mobile, "onnx", [])
    with pytest.raises(ValueError, match="none of the pictures can be read"):
        measure_loss(mobile, "torch-bf16", [(b"junk", "a")])


def test_the_proof_tells_what_was_compared(mobile: Bundle) -> None:
    assert mobile.onnx is not None
    proof = prove(mobile, mobile.onnx.data, [b"no picture", *PICTURES])
    assert (proof.pictures, proof.widths) == (len(PICTURES), mobile.picture.widths)
    assert set(proof.engines) == {"onnx", "openvino"}
    assert 0 < proof.max_probability_difference < TOLERANCE
    assert proof.max_confidence_difference < TOLERANCE


@pytest.mark.parametrize("factor", [1.01, 3.0, float("nan")])
def test_a_model_that_computes_something_else_is_not_proven(mobile: Bundle, factor: float) -> None:
    assert mobile.onnx is not None
    other = sharp_model()
    with torch.no_grad():
        other.head.weight.mul_(factor)
    with pytest.raises(EngineError, match=r"'onnx' at width 32 px differs .* by (nan|\d)"):
        prove(replace(mobile, model=other), mobile.onnx.data, PICTURES, engines=["onnx"])


def test_another_text_is_told_even_where_probabilities_are_close(mobile: Bundle) -> None:
    assert mobile.onnx is not None
    near_tie = sharp_model()
    with torch.no_grad():
        near_tie.head.weight.zero_()
        near_tie.head.bias.zero_()
        near_tie.head.bias[1] = 1e-4
    other = onnx.load_from_string(mobile.onnx.data)
    *_, product = (node for node in other.graph.node if node.op_type == "MatMul")
    (added,) = (node for node in other.graph.node if product.output[0] in node.input)
    weights = {tensor.name: tensor for tensor in other.graph.initializer}
    for name, value in (
        (product.input[1], np.zeros_like(near_tie.head.weight.detach().numpy().T)),
        (added.input[1], np.array([0, 1e-4, 2e-4] + [0] * 6, dtype=np.float32)),
    ):
        assert list(weights[name].dims) == list(value.shape)
        weights[name].CopyFrom(onnx.numpy_helper.from_array(value, name))
    with pytest.raises(EngineError, match="reads 'b' where torch reads 'a'"):
        prove(
            replace(mobile, model=near_tie), other.SerializeToString(), PICTURES, engines=["onnx"]
        )


def test_proofs_of_nothing_are_refused(mobile: Bundle) -> None:
    with pytest.raises(ValueError, match="none of the pictures can be read"):
        prove(mobile, b"", [b"junk"])
    with pytest.raises(ValueError, match=r"\['torch'\] run no ONNX.*'onnx', 'openvino'"):
        prove(mobile, b"", PICTURES, engines=["torch"])


def test_engines_are_measured_in_turns_against_a_reference(mobile: Bundle) -> None:
    engine = build_engine("torch", mobile)
    turns: list[str] = []

    def counted(name: str, pixels_NHWC: Pixels) -> torch.Tensor:
        turns.append(name)
        return engine(np.repeat(pixels_NHWC, 40 if name == "slow" else 1, axis=0))

    engines = {
        "slow": lambda pixels: counted("slow", pixels),
        "torch": lambda pixels: counted("torch", pixels),
    }
    speeds = measure(engines, noise_batch(2, 64), reference="torch", rounds=4)
    assert turns[4:] == ["slow", "torch", "torch", "slow"] * 2
    assert speeds["torch"].ratio == 1.0 > speeds["slow"].ratio
    assert [line.split()[0] for line in as_lines(speeds, reference="torch")] == ["slow", "torch"]
