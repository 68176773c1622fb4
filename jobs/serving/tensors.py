"""Tensors of the Open Inference Protocol: a request's bytes → pictures, results → an answer's.

A request is JSON, with raw tensors behind it where ``Inference-Header-Content-Length`` says how
long the JSON is. A BYTES tensor's elements then have their length before them, 4 bytes, little
endian; in JSON they are texts, a picture in base64.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import orjson

from crnn import wire
from crnn.errors import PictureError
from crnn.result import Result
from jobs.serving import protocol
from jobs.serving.answers import chars_of, wrong
from jobs.serving.asked import (
    DEFAULTS,
    check_count,
    decoded_base64,
    most_values,
    parsed_json,
    words_in,
)
from jobs.serving.bodies import digits
from jobs.serving.contract import Checked
from jobs.serving.limits import Limits
from jobs.serving.problems import ProblemError

LENGTH_HEADER = b"inference-header-content-length"
INPUT = "image"
OUTPUTS: dict[protocol.OutputName, str] = {
    "text": "BYTES",
    "confidence": "FP32",
    "error": "BYTES",
    "chars": "BYTES",
    "model": "BYTES",
}
"""Datatypes by name. ``chars`` and ``model``, the digest of the bundle that read the picture (of a
cascade either), are given only where they are asked for by name."""
_UNASKED: tuple[protocol.OutputName, ...] = ("text", "confidence", "error")
_LENGTH = struct.Struct("<I")
_REQUEST = Checked(protocol.InferRequest)


@dataclass(frozen=True, kw_only=True)
class AskedTensors:
    """What an inference request asks for."""

    id: str | None
    shape: list[int]
    """Shape of the input, and so of every output."""
    pictures: list[bytes | PictureError]
    options: wire.ReadingOptions
    outputs: list[tuple[protocol.OutputName, bool]]
    """Their names, and whether each goes behind the JSON."""


def asked_tensors(body: bytes, json_length: bytes | None, limits: Limits) -> AskedTensors:
    """What the request asks for; nothing is made of more pictures or words than are taken.

    Raises:
        ProblemError: ``malformed``, ``too_many_pictures`` or ``invalid``.
    """
    view = memoryview(body)
    length = len(body)
    if json_length is not None:
        stated = digits(json_length)
        if stated is None or stated > len(body):
            raise ProblemError(
                "malformed",
                f"Inference-Header-Content-Length is {json_length[:40].decode('latin-1')!r} in a "
                f"body of {len(body)} bytes",
            )
        length = stated
    most = most_values(pictures=limits.pictures, words=limits.lexicon_words)
    request = _REQUEST.value(parsed_json(view[:length], most))
    shape, pictures = _pictures(request["inputs"][0], view[length:], limits)
    outputs = _outputs(request)
    return AskedTensors(
        id=request.get("id"),
        shape=shape,
        pictures=pictures,
        options=_options(request, limits, chars=any(name == "chars" for name, _ in outputs)),
        outputs=outputs,
    )


def response(
    asked: AskedTensors, results: Sequence[Result], *, name: str, version: str
) -> tuple[bytes, int | None]:
    """The answer's body; and the length of its JSON where there is something behind it."""
    tensors, behind = [], []
    for output, is_binary in asked.outputs:
        values = [_VALUES[output](result, asked.options) for result in results]
        kind = OUTPUTS[output]
        tensor: protocol.Tensor = {"name": output, "datatype": kind, "shape": asked.shape}
        if is_binary:
            raw = _raw(kind, values)
            tensor["parameters"] = {"binary_data_size": len(raw)}
            behind.append(raw)
        else:
            tensor["data"] = values
        tensors.append(tensor)
    document: protocol.InferResponse = {
        "model_name": name,
        "model_version": version,
        "outputs": tensors,
    }
    if asked.id is not None:
        document["id"] = asked.id
    text = orjson.dumps(document)
    if not any(is_binary for _, is_binary in asked.outputs):
        return text, None
    return b"".join([text, *behind]), len(text)


def _error(result: Result, options: wire.ReadingOptions) -> str:
    error = wrong(result, options)
    return error["code"] if error else ""


_VALUES: dict[protocol.OutputName, Callable[[Result, wire.ReadingOptions], Any]] = {
    "text": lambda result, options: result.text,
    "confidence": lambda result, options: result.confidence,
    "error": _error,
    "chars": lambda result, options: orjson.dumps(chars_of(result.chars)).decode(),
    "model": lambda result, options: result.model,
}


def _raw(datatype: str, values: Sequence[Any]) -> bytes:
    if datatype == "FP32":
        return np.asarray(values, dtype="<f4").tobytes()
    texts = [value.encode("utf-8") for value in values]
    return b"".join(part for text in texts for part in (_LENGTH.pack(len(text)), text))


def _pictures(
    tensor: protocol.InputTensor, behind: memoryview, limits: Limits
) -> tuple[list[int], list[bytes | PictureError]]:
    shape, size = tensor["shape"], tensor.get("parameters", {}).get("binary_data_size")
    check_count(prod(shape), limits)
    if size is None:
        data = tensor.get("data", [])
        if len(data) != prod(shape):
            raise _other_count(shape, str(len(data)))
        return shape, [decoded_base64(entry) for entry in data]
    if size != len(behind):
        raise ProblemError(
            "malformed", f"binary_data_size is {size}, {len(behind)} bytes are behind the JSON"
        )
    return shape, list(_elements(behind, prod(shape)))


def _other_count(shape: list[int], count: str) -> ProblemError:
    return ProblemError("invalid", f"the shape of {INPUT} is {shape}, but it has {count} elements")


def _elements(raw: memoryview, count: int) -> Iterator[bytes]:
    """Raises ProblemError unless there are as many as ``count``."""
    place = found = 0
    while place + _LENGTH.size <= len(raw):
        if found == count:
            raise _other_count([count], "more")
        (length,) = _LENGTH.unpack_from(raw, place)
        place += _LENGTH.size
        yield bytes(raw[place : place + length])
        place += length
        found += 1
    if place != len(raw):
        raise ProblemError("malformed", "the elements' lengths don't add up to the tensor's bytes")
    if found != count:
        raise _other_count([count], str(found))


def _outputs(request: protocol.InferRequest) -> list[tuple[protocol.OutputName, bool]]:
    all_binary = request.get("parameters", {}).get("binary_data_output", False)
    outputs = {
        wanted["name"]: wanted.get("parameters", {}).get("binary_data", all_binary)
        for wanted in request.get("outputs", [])
    }
    if len(outputs) < len(request.get("outputs", [])):
        raise ProblemError("invalid", f"expected distinct outputs of {', '.join(OUTPUTS)}")
    return list(outputs.items()) or [(name, all_binary) for name in _UNASKED]


def _options(request: protocol.InferRequest, limits: Limits, *, chars: bool) -> wire.ReadingOptions:
    given = request.get("parameters", {})
    options: wire.ReadingOptions = {
        "chars": chars,
        "min_confidence": given.get("min_confidence", DEFAULTS["min_confidence"]),
    }
    if "decoder" in given:
        options["decoder"] = given["decoder"]
    if "lexicon" in given:
        options["lexicon"] = words_in(given["lexicon"], limits.lexicon_words)
    return options
