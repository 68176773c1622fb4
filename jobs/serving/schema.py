"""What our OpenAPI is put together from: types, options, bodies, answers and problems."""

from __future__ import annotations

from typing import Any

from crnn.decode import DECODERS
from jobs.serving.asked import Takes
from jobs.serving.limits import Limits
from jobs.serving.problems import MEANINGS, PROBLEM_TYPE, STATUSES

Schema = dict[str, Any]
EXAMPLE_TEXT = "7K"
EXAMPLE_PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAACEAAAAWAQAAAABm4MjXAAAAW0lEQVR42mXNsQ3CMABFwfN3JGCbjJBRGCVskhXYIB"
    "Mgj0FJGRBgChokmlfeKx2ngN8O98OF7DZNPBCDRdz6JK7vWXgRbSNUYtnPQlbpU/lqR+VZm3OqcfT/+gDZEhS0H/Fh"
    "zQAAAABJRU5ErkJggg=="
)
"""A picture of the text in base64."""
BUSY_CODES = ("overloaded", "unavailable", "timed_out")
"""Problems of a service that has too much to do, or isn't ready."""
BODY_CODES = ("malformed", "slow_request", "too_large", "unsupported_media_type", "invalid")
"""Problems of what has a body."""


def object_of(required: tuple[str, ...], **properties: Schema) -> Schema:
    """An object with these members."""
    return {"type": "object", "required": list(required), "properties": properties}


def reference(name: str) -> Schema:
    """The schema that ``components`` has under ``name``."""
    return {"$ref": f"#/components/schemas/{name}"}


def list_of(schema: Schema, **more: Any) -> Schema:
    """An array; ``more``: its own keywords, such as ``minItems``."""
    return {"type": "array", "items": schema, **more}


STRING: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
READ_BY: Schema = STRING | {"description": "of a cascade: digest of the bundle that read it"}
_AS_TEXT: Schema = {"type": "string", "enum": ["true", "false", "1", "0"], "default": "true"}
_STRICT = {"additionalProperties": False}


def reading_options(limits: Limits) -> Schema:
    """The options of a request that reads pictures, by name."""
    return {
        "chars": {
            "type": "boolean",
            "default": True,
            "description": "give each character's probability and position (px of the picture)",
        },
        "decoder": {
            "type": "string",
            "enum": sorted(DECODERS),
            "description": "default: lexicon where there is one, else the bundle's",
        },
        "lexicon": list_of(
            STRING,
            minItems=1,
            maxItems=limits.lexicon_words,
            description="the words allowed, for the decoder lexicon",
        ),
        "min_confidence": {
            **SHARE,
            "default": 0,
            "description": "readings with a lower confidence have the error low_confidence too",
        },
    }


def parameters_and_body(
    takes: Takes, options: Schema, most: int, example_options: Schema
) -> Schema:
    """The parameters and the body of what takes pictures with options."""
    in_query = {"chars": _AS_TEXT, "lexicon": options["lexicon"] | {"maxItems": 50}}
    query = [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in (options | in_query).items()
    ]
    of_form = options | {
        "chars": _AS_TEXT,
        "lexicon": STRING | {"description": "one word a line, or several fields"},
    }
    binary = {"type": "string", "format": "binary"}
    form = object_of(("files",), files=list_of(binary, minItems=1, maxItems=most), **of_form)
    form["description"] = "files, and options: each as a field, or all as JSON in 'options'"
    image = object_of((), id=STRING, data={"type": "string", "format": "byte"}) | _STRICT
    image["required"] = ["data"]
    image["description"] = "data in base64, or a url that the operator allowed"
    body = object_of(
        (takes.member,),
        options=object_of((), **options) | _STRICT,
        **{takes.member: list_of(image, minItems=1, maxItems=most)},
    )
    example = {
        takes.member: [{"id": "first", "data": EXAMPLE_PNG}],
        "options": example_options,
    }
    return {
        "parameters": query,
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": body | _STRICT, "example": example},
                "multipart/form-data": {"schema": form},
            },
        },
    }


def json_answer(description: str, schema: Schema, example: Any = None) -> Schema:
    """A response whose body is JSON."""
    content: Schema = {"schema": schema}
    if example is not None:
        content["example"] = example
    return {"description": description, "content": {"application/json": content}}


def problems(*codes: str) -> Schema:
    """Responses by status, as OpenAPI has them; several codes may share one."""
    found: Schema = {}
    for code in codes:
        entry = found.setdefault(str(STATUSES[code]), {"description": ""})
        meaning = f"`{code}`: {MEANINGS[code]}"
        entry["description"] = " ".join(filter(None, [entry["description"], meaning]))
        entry["content"] = {PROBLEM_TYPE: {"schema": reference("Problem")}}
        if STATUSES[code] in (408, 429, 503, 504):
            entry["headers"] = {"Retry-After": {"schema": {"type": "string"}}}
    return found
