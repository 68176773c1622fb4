"""OpenAPI of what is answered, written by hand: the schemas by name."""

from __future__ import annotations

from jobs.serving.pages import schema as whole_pages
from jobs.serving.problems import STATUSES
from jobs.serving.schema import (
    NUMBER,
    READ_BY,
    SHARE,
    STRING,
    Schema,
    list_of,
    object_of,
    reference,
)

SCHEMAS: Schema = {
    "Problem": object_of(
        ("type", "title", "status", "code", "detail"),
        type=STRING,
        title=STRING,
        status={"type": "integer"},
        code={"type": "string", "enum": sorted(STATUSES)},
        detail=STRING,
    ),
    "Error": object_of(("code", "message"), code=STRING, message=STRING),
    "Char": object_of(
        ("char", "probability", "x0", "x1"), char=STRING, probability=SHARE, x0=NUMBER, x1=NUMBER
    ),
    "Result": {
        **object_of(
            ("id",),
            id=STRING,
            text=STRING,
            confidence=SHARE,
            squeezed={"type": "boolean"},
            turned={"type": "integer", "enum": [0, 90, 270]},
            model=READ_BY,
            chars=list_of(reference("Char")),
            error=reference("Error"),
        ),
        "anyOf": [
            {"required": ["text", "confidence", "squeezed", "turned"]},
            {"required": ["error"]},
        ],
    },
    "Results": object_of(
        ("model", "results"),
        model=object_of(("name", "digest"), name=STRING, digest=STRING),
        results=list_of(reference("Result")),
    ),
    **whole_pages.SCHEMAS,
    "State": object_of(("status",), status=STRING),
    "Model": object_of(
        (
            "name",
            "digest",
            "engine",
            "charset",
            "decoder",
            "picture",
            "limits",
            "pages",
            "last_roll",
        ),
        name=STRING,
        digest=STRING,
        cascade={"type": ["object", "null"]},
        engine=STRING,
        device=STRING,
        charset=STRING,
        decoder=STRING,
        picture={"type": "object"},
        data_digest=STRING,
        metrics={"type": "object"},
        limits={"type": "object"},
        pages={"type": "object"},
        last_roll={"type": ["object", "null"]},
    ),
    "V2Error": object_of(("error",), error=STRING),
    "ServerMetadata": object_of(
        ("name", "version", "extensions"), name=STRING, version=STRING, extensions=list_of(STRING)
    ),
    "Live": object_of(("live",), live={"type": "boolean"}),
    "Ready": object_of(("ready",), ready={"type": "boolean"}),
    "TensorMetadata": object_of(
        ("name", "datatype", "shape"),
        name=STRING,
        datatype=STRING,
        shape=list_of({"type": "integer"}),
    ),
    "ModelMetadata": object_of(
        ("name", "versions", "platform", "inputs", "outputs"),
        name=STRING,
        versions=list_of(STRING),
        platform=STRING,
        inputs=list_of(reference("TensorMetadata")),
        outputs=list_of(reference("TensorMetadata")),
    ),
    "Tensor": object_of(
        ("name", "datatype", "shape"),
        name=STRING,
        datatype=STRING,
        shape=list_of({"type": "integer"}),
        parameters={"type": "object"},
        data={"type": "array"},
    ),
    "InferResponse": object_of(
        ("model_name", "model_version", "outputs"),
        model_name=STRING,
        model_version=STRING,
        id=STRING,
        outputs=list_of(reference("Tensor")),
    ),
}


def components(*, has_token: bool) -> Schema:
    """The ``components`` of an OpenAPI document."""
    found: Schema = {"schemas": SCHEMAS}
    if has_token:
        found["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    return found
