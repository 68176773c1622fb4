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

from crnn.errors import PictureError
from crnn.result import Result
from jobs.serving.answers import chars_of, verdict
from jobs.serving.asked import (
    Options,
    check_count,
    decoded_base64,
    most_values,
    parsed_json,
    words_in,
)
from jobs.serving.bodies import digits
from jobs.serving.limits import Limits
from jobs.serving.problems import ProblemError

LENGTH_HEADER = b"inference-header-content-length"
INPUT = "image"
OUTPUTS = {
    "text": "BYTES",
    "confidence": "FP32",
    "error": "BYTES",
    "chars": "BYTES",
    "model": "BYTES",
}
"""Datatypes by name. ``chars`` and ``model``, the digest of the bundle that read the picture (of a
cascade either), are given only where they are asked for by name."""
_UNASKED = ("text", "confidence", "error")
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, kw_only=True)
class AskedTensors:
    """What an inference request asks for."""

    id: str | None
    shape: list[int]
    """Shape of the input, and so of every output."""
    pictures: list[bytes | PictureError]
    options: Options
    outputs: list[tuple[str, bool]]
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
    document = parsed_json(view[:length], most)
    inputs = _objects(document, "inputs")
    if len(inputs) != 1 or inputs[0].get("name") != INPUT:
        raise ProblemError("invalid", f"expected one input, {INPUT!r}, of datatype BYTES")
    shape, pictures = _pictures(inputs[0], view[length:], limits)
    parameters = _parameters(document)
    wanted = _objects(document, "outputs") if "outputs" in document else []
    outputs = _outputs(wanted, parameters.get("binary_data_output") is True)
    given = document.get("id")
    if "id" in document and not isinstance(given, str):
        raise ProblemError("invalid", "id isn't a text")
    return AskedTensors(
        id=given,
        shape=shape,
        pictures=pictures,
        options=_options(parameters, limits, chars=any(name == "chars" for name, _ in outputs)),
        outputs=outputs,
    )


def response(
    asked: AskedTensors, results: Sequence[Result], *, name: str, version: str
) -> tuple[bytes, int | None]:
    """The answer's body; and the length of its JSON where there is something behind it."""
    tensors, behind = [], []
    for output, is_binary in asked.outputs:
        values = [_VALUES[output](result, asked.options) for result in results]
        tensor: dict[str, Any] = {
            "name": output,
            "datatype": OUTPUTS[output],
            "shape": asked.shape,
        }
        if is_binary:
            raw = _raw(OUTPUTS[output], values)
            tensor["parameters"] = {"binary_data_size": len(raw)}
            behind.append(raw)
        else:
            tensor["data"] = values
        tensors.append(tensor)
    document: dict[str, Any] = {"model_name": name, "model_version": version, "outputs": tensors}
    if asked.id is not None:
        document["id"] = asked.id
    text = orjson.dumps(document)
    if not any(is_binary for _, is_binary in asked.outputs):
        return text, None
    return b"".join([text, *behind]), len(text)


def _error(result: Result, options: Options) -> str:
    wrong = verdict(result, options.min_confidence)
    return "" if wrong is None else wrong[0]


_VALUES: dict[str, Callable[[Result, Options], Any]] = {
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
    tensor: dict[str, Any], behind: memoryview, limits: Limits
) -> tuple[list[int], list[bytes | PictureError]]:
    size = _parameters(tensor).get("binary_data_size")
    if tensor.get("datatype") != "BYTES":
        raise ProblemError("invalid", f"{INPUT} has another datatype; expected BYTES")
    shape = _shape(tensor)
    check_count(prod(shape), limits)
    pictures: list[bytes | PictureError]
    if size is not None:
        if type(size) is not int or size != len(behind):
            raise ProblemError(
                "malformed", f"binary_data_size is {size}, {len(behind)} bytes are behind the JSON"
            )
        pictures = list(_elements(behind, prod(shape)))
    else:
        data = tensor.get("data")
        if not isinstance(data, list) or not all(isinstance(entry, str) for entry in data):
            raise ProblemError("invalid", f"the data of {INPUT} isn't a list of texts in base64")
        if len(data) != prod(shape):
            raise _other_count(shape, str(len(data)))
        pictures = [decoded_base64(entry) for entry in data]
    return shape, pictures


def _shape(tensor: dict[str, Any]) -> list[int]:
    """Shape with one or two dimensions, as batches of the protocol have."""
    shape = tensor.get("shape")
    if (
        not isinstance(shape, list)
        or len(shape) not in (1, 2)
        or not all(type(n) is int and 0 <= n < 1 << 31 for n in shape)
    ):
        raise ProblemError(
            "invalid", f"the shape of {INPUT} isn't a list of one or two numbers; expected [N]"
        )
    return shape


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


def _outputs(wanted: Sequence[dict[str, Any]], all_binary: bool) -> list[tuple[str, bool]]:
    if not wanted:
        return [(name, all_binary) for name in _UNASKED]
    outputs: list[tuple[str, bool]] = []
    for tensor in wanted:
        name, binary = tensor.get("name"), _parameters(tensor).get("binary_data", all_binary)
        if not isinstance(name, str) or name not in OUTPUTS or name in dict(outputs):
            raise ProblemError("invalid", f"expected distinct outputs of {', '.join(OUTPUTS)}")
        outputs.append((name, binary is True))
    return outputs


def _options(parameters: dict[str, Any], limits: Limits, *, chars: bool) -> Options:
    for name in ("decoder", "lexicon"):
        if not isinstance(parameters.get(name, ""), str):
            raise ProblemError("invalid", f"the parameter {name} isn't a text")
    decoder, words = parameters.get("decoder"), parameters.get("lexicon")
    least = parameters.get("min_confidence", 0.0)
    if isinstance(least, bool) or not isinstance(least, (int, float)):
        raise ProblemError("invalid", "the parameter min_confidence isn't a number")
    lexicon = None if words is None else tuple(words_in(words, limits.lexicon_words))
    return Options(chars=chars, decoder=decoder, lexicon=lexicon, min_confidence=float(least))


def _objects(document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = document.get(name)
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise ProblemError("invalid", f"{name} isn't a list of objects")
    return found


def _parameters(document: dict[str, Any]) -> dict[str, Any]:
    found = document.get("parameters", {})
    if not isinstance(found, dict):
        raise ProblemError("invalid", "parameters isn't an object")
    return found
