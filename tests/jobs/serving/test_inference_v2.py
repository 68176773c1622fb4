"""The Open Inference Protocol, called by Triton's own client."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from tritonclient.http import (
    InferenceServerClient,
    InferenceServerException,
    InferInput,
    InferRequestedOutput,
)

from crnn import Recognizer
from tests.jobs.serving.services import SHIPPED, Service, word_pictures

NAMES = ("text", "confidence", "error", "chars", "model")


@pytest.fixture
def triton(service: Service) -> Iterator[InferenceServerClient]:
    client = InferenceServerClient(service.url.removeprefix("http://"), network_timeout=60)
    yield client
    client.close()


def tensor(pictures: list[bytes], shape: list[int], *, binary: bool = True) -> InferInput:
    given = pictures if binary else [base64.b64encode(data) for data in pictures]
    found = InferInput("image", shape, "BYTES")
    found.set_data_from_numpy(np.array(given, dtype=np.object_).reshape(shape), binary_data=binary)
    return found


def test_a_server_and_its_model_are_described(triton: InferenceServerClient) -> None:
    assert triton.is_server_live()
    assert triton.is_server_ready()
    assert triton.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    bundle = Recognizer.load(SHIPPED, threads=1).bundle
    for name in ("crnn", bundle.name):
        assert triton.is_model_ready(name)
        model = triton.get_model_metadata(name)
        assert model["name"] == name
        assert model["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1]}]
        assert [output["name"] for output in model["outputs"]] == list(NAMES)
    assert model["versions"] == [bundle.digest[:12]]
    assert triton.is_model_ready("crnn", model["versions"][0])
    assert not triton.is_model_ready("other")
    assert not triton.is_model_ready("crnn", "1")


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("wanted", [True, False, None])
@pytest.mark.parametrize("columns", [(), (1,)])
def test_pictures_are_read_as_in_a_program(
    triton: InferenceServerClient, binary: bool, wanted: bool | None, columns: tuple[int, ...]
) -> None:
    """Tensors in the JSON and behind it; outputs asked for both ways, or not by name."""
    pictures = [*word_pictures(5), b"no picture"]
    shape = [6, *columns]
    outputs = None
    if wanted is not None:
        outputs = [InferRequestedOutput(name, binary_data=wanted) for name in NAMES]
    answer = triton.infer(
        "crnn", [tensor(pictures, shape, binary=binary)], outputs=outputs, request_id="mine"
    )
    results = Recognizer.load(SHIPPED, threads=1).read(pictures)
    texts, errors = answer.as_numpy("text"), answer.as_numpy("error")
    assert list(texts.shape) == shape
    assert [t.decode() if isinstance(t, bytes) else t for t in texts.ravel()] == [
        result.text for result in results
    ]
    assert [e.decode() if isinstance(e, bytes) else e for e in errors.ravel()] == [
        *[""] * 5, "undecodable"
    ]  # fmt: skip
    confidence = answer.as_numpy("confidence").ravel()
    assert confidence.dtype == np.float32
    assert confidence == pytest.approx([result.confidence for result in results], abs=1e-4)
    assert answer.get_response()["id"] == "mine"
    if wanted is None:
        assert answer.as_numpy("chars") is None
        return
    chars = [json.loads(entry) for entry in answer.as_numpy("chars").ravel()]
    assert ["".join(c["char"] for c in entry) for entry in chars] == [r.text for r in results]


def test_options_are_parameters(triton: InferenceServerClient) -> None:
    pictures = word_pictures(4)
    words = ["7K-204", "INV:1013"]
    answer = triton.infer("crnn", [tensor(pictures, [4])], parameters={"lexicon": "\n".join(words)})
    wanted = Recognizer.load(SHIPPED, threads=1).read(pictures, lexicon=words)
    assert [t.decode() for t in answer.as_numpy("text")] == [result.text for result in wanted]
    sure = triton.infer("crnn", [tensor(pictures, [4])], parameters={"min_confidence": 1.0})
    assert {e.decode() for e in sure.as_numpy("error")} <= {"low_confidence", ""}


def test_errors_are_the_protocols_own(triton: InferenceServerClient, service: Service) -> None:
    picture = tensor(word_pictures(1), [1])
    with pytest.raises(InferenceServerException, match="there is no model other"):
        triton.infer("other", [picture])
    with pytest.raises(InferenceServerException, match="decoder is 'magic'; expected 'beam'"):
        triton.infer("crnn", [picture], parameters={"decoder": "magic"})
    with pytest.raises(InferenceServerException, match="name is 'nothing'; expected 'text'"):
        triton.infer("crnn", [picture], outputs=[InferRequestedOutput("nothing")])
    with pytest.raises(InferenceServerException, match="over 40 pictures"):
        triton.infer("crnn", [tensor(word_pictures(41), [41])])
    with pytest.raises(InferenceServerException, match="Content-Encoding"):
        triton.infer("crnn", [picture], request_compression_algorithm="gzip")
    url = f"{service.url}/v2/models/crnn/infer"
    for content, length, status in (
        (b"{", None, 400),
        (b"{}", None, 422),
        (b"{}", "9", 400),
        (b"{}", "a", 400),
        (request_with(shape=[2], data=["", ""], name="other"), None, 422),
        (request_with(shape=[2], data=[""]), None, 422),
        (request_with(shape=[-1], data=[""]), None, 422),
        (request_with(shape=[1], data=[1]), None, 422),
        (request_with(shape=[1], data=[""], datatype="UINT8"), None, 422),
        (request_with(shape=[0], data=[]), None, 422),
        (request_with(shape=[1], parameters={"binary_data_size": 5}), None, 400),
    ):
        headers = {} if length is None else {"Inference-Header-Content-Length": length}
        answer = httpx.post(url, content=content, headers=headers)
        assert answer.status_code == status, answer.text
        assert set(answer.json()) == {"error"}
    document = request_with(shape=[1], parameters={"binary_data_size": 6})
    headers = {"Inference-Header-Content-Length": str(len(document))}
    cut = httpx.post(url, content=document + b"\x09\0\0\0ab", headers=headers)
    assert cut.status_code == 400
    assert "add up" in cut.json()["error"]


def request_with(name: str = "image", datatype: str = "BYTES", **tensor: object) -> bytes:
    found = {"name": name, "datatype": datatype, **tensor}
    return json.dumps({"inputs": [found]}).encode()
