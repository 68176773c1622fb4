"""Shapes of the Open Inference Protocol (KServe v2), as ``crnn.wire`` has those of our own API."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from crnn.shared_settings import DecoderName
from crnn.wire import Base64, Open, Several, Share, shaped

OutputName = Literal["text", "confidence", "error", "chars", "model"]
Size = Annotated[int, Field(ge=0, lt=1 << 31)]


class V2Error(Open):
    """What went wrong."""

    error: str


class ServerMetadata(Open):
    """The server."""

    name: str
    version: str
    extensions: list[str]


class Live(Open):
    """Whether the process lives."""

    live: bool


class Ready(Open):
    """Whether it takes requests."""

    ready: bool


class TensorMetadata(Open):
    """A tensor without its elements."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(Open):
    """The model."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


@shaped()
class Parameters(TypedDict, total=False):
    """Of a request: how to read. Of a tensor: where its elements are, or are to be."""

    decoder: DecoderName
    lexicon: str
    """a word a line"""
    min_confidence: Share
    binary_data_output: bool
    """of a request: all outputs behind the JSON"""
    binary_data_size: int
    """of the input: bytes of its elements behind the JSON"""
    binary_data: bool
    """of an output: behind the JSON"""


class InputTensor(Open):
    """The pictures."""

    name: Literal["image"]
    datatype: Literal["BYTES"]
    shape: Annotated[list[Size], Field(min_length=1, max_length=2)]
    data: NotRequired[Several[Base64]]
    parameters: NotRequired[Parameters]


class WantedOutput(Open):
    """An output that is asked for by name."""

    name: OutputName
    parameters: NotRequired[Parameters]


class InferRequest(Open):
    """Pictures to be read."""

    inputs: Annotated[list[InputTensor], Field(min_length=1, max_length=1)]
    outputs: NotRequired[Several[WantedOutput]]
    parameters: NotRequired[Parameters]
    id: NotRequired[str]


class Tensor(TensorMetadata):
    """An output."""

    parameters: NotRequired[dict[str, Any]]
    data: NotRequired[list[Any]]


class InferResponse(Open):
    """The outputs."""

    model_name: str
    model_version: str
    outputs: list[Tensor]
    id: NotRequired[str]
