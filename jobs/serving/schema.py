"""What our OpenAPI is put together from: types, options, bodies, answers and problems."""

from __future__ import annotations

from typing import Any

from crnn import wire
from jobs.serving.asked import DEFAULTS
from jobs.serving.contract import Schema, reference, schemas
from jobs.serving.limits import Limits
from jobs.serving.pages.settings import PagesSettings
from jobs.serving.problems import MEANINGS, PROBLEM_TYPE, STATUSES

EXAMPLE_TEXT = "7K"
EXAMPLE_PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAACEAAAAWAQAAAABm4MjXAAAAW0lEQVR42mXNsQ3CMABFwfN3JGCbjJBRGCVskhXYIB"
    "Mgj0FJGRBgChokmlfeKx2ngN8O98OF7DZNPBCDRdz6JK7vWXgRbSNUYtnPQlbpU/lqR+VZm3OqcfT/+gDZEhS0H/Fh"
    "zQAAAABJRU5ErkJggg=="
)
"""A picture of the text in base64."""
BUSY_CODES: tuple[wire.ProblemCode, ...] = ("overloaded", "unavailable", "timed_out")
"""Problems of a service that has too much to do, or isn't ready."""
BODY_CODES: tuple[wire.ProblemCode, ...] = (
    *("malformed", "slow_request", "too_large", "unsupported_media_type", "invalid"),
)
"""Problems of what has a body."""


def components(limits: Limits, pages: PagesSettings, *, has_token: bool) -> Schema:
    """The ``components`` of an OpenAPI document: all types, within the bounds of this service."""
    found = schemas()
    for request, member, most in (
        ("RecognizeRequest", "images", limits.pictures),
        ("PagesRequest", "pages", pages.per_request),
    ):
        found[request]["properties"][member] |= {"minItems": 1, "maxItems": most}
    options = found["ReadingOptions"]["properties"]
    options["lexicon"] |= {"minItems": 1, "maxItems": limits.lexicon_words}
    for name, value in DEFAULTS.items():
        options[name]["default"] = value
    of_pages = found["PageOptions"]["properties"]
    of_pages |= options
    for name, bounds in pages.bounds().items():
        of_pages[name] |= {"default": bounds["default"], "minimum": bounds["min"]}
        of_pages[name]["maximum"] = bounds["max"]
    _show_one_picture(found["InputTensor"], found["Parameters"]["properties"])
    parts: Schema = {"schemas": found}
    if has_token:
        parts["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    return parts


def _show_one_picture(tensor: Schema, parameters: Schema) -> None:
    """In the JSON: no schema says that a shape fits to what there is, or to what lies behind it."""
    tensor["required"].append("data")
    tensor["properties"]["data"] |= {"minItems": 1, "maxItems": 1}
    tensor["properties"]["shape"]["items"] = {"type": "integer", "enum": [1]}
    for name in ("binary_data_output", "binary_data_size", "binary_data"):
        del parameters[name]


def parameters_and_body(
    shape: type, member: str, options: type, schemas: Schema, example_options: Schema
) -> Schema:
    """The parameters and the body of what takes pictures with options.

    ``shape``: of the request in JSON, whose ``member`` has the pictures.
    """
    given = schemas[options.__name__]["properties"]
    most = schemas[shape.__name__]["properties"][member]["maxItems"]
    query = given | {"lexicon": given["lexicon"] | {"maxItems": 50}}
    files = {"type": "array", "items": {"type": "string", "format": "binary"}}
    form = {
        "type": "object",
        "description": "files, and options: each as a field, or all as JSON in 'options'",
        "required": ["files"],
        "properties": {
            "files": files | {"minItems": 1, "maxItems": most},
            **given,
            "lexicon": {"type": "string", "description": "one word a line, or several fields"},
        },
    }
    example = {member: [{"id": "first", "data": EXAMPLE_PNG}], "options": example_options}
    return {
        "parameters": [
            {"name": name, "in": "query", "required": False, "schema": schema}
            for name, schema in query.items()
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": reference(shape), "example": example},
                "multipart/form-data": {"schema": form},
            },
        },
    }


def json_answer(description: str, shape: type, example: Any = None) -> Schema:
    """A response whose body is JSON."""
    content: Schema = {"schema": reference(shape)}
    if example is not None:
        content["example"] = example
    return {"description": description, "content": {"application/json": content}}


def problems(*codes: wire.ProblemCode) -> dict[int | str, dict[str, Any]]:
    """Responses by status, as OpenAPI has them; several codes may share one."""
    found: dict[int | str, dict[str, Any]] = {}
    for code in codes:
        entry = found.setdefault(str(STATUSES[code]), {"description": ""})
        meaning = f"`{code}`: {MEANINGS[code]}"
        entry["description"] = " ".join(filter(None, [entry["description"], meaning]))
        entry["content"] = {PROBLEM_TYPE: {"schema": reference(wire.Problem)}}
        if STATUSES[code] in (408, 429, 503, 504):
            entry["headers"] = {"Retry-After": {"schema": {"type": "string"}}}
    return found
