"""OpenAPI of the paths that FastAPI doesn't describe by itself, written by hand, with examples."""

from __future__ import annotations

from crnn import wire
from jobs.serving import protocol
from jobs.serving.access import OPEN_PATHS
from jobs.serving.contract import Schema, reference
from jobs.serving.limits import Limits
from jobs.serving.pages import schema as whole_pages
from jobs.serving.pages.settings import PagesSettings
from jobs.serving.problems import STATUSES
from jobs.serving.schema import (
    BODY_CODES,
    BUSY_CODES,
    EXAMPLE_PNG,
    EXAMPLE_TEXT,
    json_answer,
    parameters_and_body,
    problems,
)
from jobs.serving.tensors import INPUT, LENGTH_HEADER, OUTPUTS


def paths(limits: Limits, pages: PagesSettings, schemas: Schema) -> Schema:
    """The ``paths`` of an OpenAPI document; ``schemas`` of its components."""
    found = {
        "/v1/recognize": {"post": _recognize(schemas)},
        "/v1/pages": {"post": whole_pages.read_operation(pages, schemas)},
        "/v1/pages/picture": {"post": whole_pages.picture_operation(pages)},
        "/v1/documents": {"post": whole_pages.document_operation()},
        "/v2": {"get": _v2_get("The server", protocol.ServerMetadata)},
        "/v2/health/live": {"get": _v2_get("Whether the process is alive", protocol.Live)},
        "/v2/health/ready": {"get": _v2_get("Whether it takes requests", protocol.Ready, 503)},
        "/v2/models/{name}": {"get": _v2_get("The model", protocol.ModelMetadata, 404, 503)},
        "/v2/models/{name}/ready": {
            "get": _v2_get("Whether it is ready", protocol.Ready, 404, 503)
        },
        "/v2/models/{name}/infer": {"post": _infer(limits)},
    }
    for path, operations in found.items():
        for operation in operations.values():
            if "{name}" in path:
                operation["parameters"] = [_MODEL_NAME]
    return found


def secured(paths: Schema) -> Schema:
    """The same paths, where those that want the token say so."""
    for path, operations in paths.items():
        for operation in operations.values():
            if path not in OPEN_PATHS:
                operation["security"] = [{"bearer": []}]
                operation["responses"]["401"] = problems("unauthorized")["401"]
    return paths


_MODEL_NAME: Schema = {
    "name": "name",
    "in": "path",
    "required": True,
    "description": "crnn, or the bundle's name",
    "schema": {"type": "string", "enum": ["crnn"]},
}


def _recognize(schemas: Schema) -> Schema:
    example = {"chars": True, "decoder": "greedy"}
    return {
        "summary": "Read pictures",
        "description": "Results come in the order of the pictures. A picture that can't be read "
        "has an error in its place, and its neighbours are read.",
        "tags": ["recognition"],
        **parameters_and_body(
            wire.RecognizeRequest, "images", wire.ReadingOptions, schemas, example
        ),
        "responses": {
            "200": json_answer("the results", wire.Results, _RESULTS_EXAMPLE),
            **problems(*BODY_CODES, "too_many_pictures", *BUSY_CODES, "internal"),
        },
    }


_RESULTS_EXAMPLE: Schema = {
    "model": {"name": "strings", "digest": "3694bec9…"},
    "results": [
        {
            "id": "first",
            "text": EXAMPLE_TEXT,
            "confidence": 0.9996,
            "squeezed": False,
            "turned": 0,
            "chars": [
                {"char": "7", "probability": 0.9987, "x0": 8.25, "x1": 11.0},
                {"char": "K", "probability": 0.9992, "x0": 19.25, "x1": 22.0},
            ],
        },
        {"id": "second", "error": {"code": "undecodable", "message": "not a readable picture"}},
    ],
}


def _infer(limits: Limits) -> Schema:
    example = {
        "inputs": [{"name": INPUT, "shape": [1], "datatype": "BYTES", "data": [EXAMPLE_PNG]}]
    }
    statuses = sorted({STATUSES[code] for code in (*BODY_CODES, *BUSY_CODES, "internal")} | {404})
    return {
        "summary": "Read pictures, by the Open Inference Protocol",
        "description": f"One input, {INPUT}, of as many pictures as its shape says (the schema "
        "shows one), in JSON as base64 or behind it (the binary data extension, with the header "
        f"{LENGTH_HEADER.decode()}). Outputs: {', '.join(OUTPUTS)}; parameters: decoder, lexicon "
        f"(a word a line), min_confidence. At most {limits.pictures} pictures.",
        "tags": ["Open Inference Protocol"],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": reference(protocol.InferRequest),
                    "example": example,
                }
            },
        },
        "responses": {
            "200": json_answer("the outputs", protocol.InferResponse),
            **_v2_errors(*statuses),
        },
    }


def _v2_get(summary: str, shape: type, *statuses: int) -> Schema:
    return {
        "summary": summary,
        "tags": ["Open Inference Protocol"],
        "responses": {"200": json_answer(summary, shape), **_v2_errors(*statuses)},
    }


def _v2_errors(*statuses: int) -> Schema:
    return {str(status): json_answer("an error", protocol.V2Error) for status in statuses}
