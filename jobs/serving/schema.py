"""OpenAPI of the paths that FastAPI doesn't describe by itself, written by hand, with examples."""

from __future__ import annotations

from typing import Any

from crnn.decode import DECODERS
from crnn.pages.page import LEAST_DPI, MOST_DPI
from jobs.serving.access import OPEN_PATHS
from jobs.serving.asked import PAGES, PICTURES, Takes
from jobs.serving.limits import Limits
from jobs.serving.pages.settings import LEAST_DETECT_PX, PagesSettings
from jobs.serving.problems import MEANINGS, PROBLEM_TYPE, STATUSES
from jobs.serving.tensors import INPUT, LENGTH_HEADER, OUTPUTS
from pipelines.documents.forms import FORMS, TEXTS

Schema = dict[str, Any]
EXAMPLE_TEXT = "7K"
EXAMPLE_PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAACEAAAAWAQAAAABm4MjXAAAAW0lEQVR42mXNsQ3CMABFwfN3JGCbjJBRGCVskhXYIB"
    "Mgj0FJGRBgChokmlfeKx2ngN8O98OF7DZNPBCDRdz6JK7vWXgRbSNUYtnPQlbpU/lqR+VZm3OqcfT/+gDZEhS0H/Fh"
    "zQAAAABJRU5ErkJggg=="
)
"""A picture of the text in base64."""
_BUSY = ("overloaded", "unavailable", "timed_out")
_BODY = ("malformed", "slow_request", "too_large", "unsupported_media_type", "invalid")


def paths(limits: Limits, pages: PagesSettings) -> Schema:
    """The ``paths`` of an OpenAPI document."""
    found = {
        "/v1/recognize": {"post": _recognize(limits)},
        "/v1/pages": {"post": _pages(limits, pages)},
        "/v1/pages/picture": {"post": _picture(pages)},
        "/v1/documents": {"post": _documents()},
        "/v1/model": {"get": _get("The model in use", "Model", "unavailable")},
        "/healthz": {"get": _get("Whether the process is alive", "State", "internal")},
        "/readyz": {"get": _get("Whether it is warmed up", "State", "unavailable")},
        "/metrics": {"get": _metrics()},
        "/v2": {"get": _v2_get("The server", "ServerMetadata")},
        "/v2/health/live": {"get": _v2_get("Whether the process is alive", "Live")},
        "/v2/health/ready": {"get": _v2_get("Whether it takes requests", "Ready", 503)},
        "/v2/models/{name}": {"get": _v2_get("The model", "ModelMetadata", 404, 503)},
        "/v2/models/{name}/ready": {"get": _v2_get("Whether it is ready", "Ready", 404, 503)},
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


def components(*, has_token: bool) -> Schema:
    """The ``components`` of an OpenAPI document."""
    found: Schema = {"schemas": SCHEMAS}
    if has_token:
        found["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    return found


def _object(required: tuple[str, ...], **properties: Schema) -> Schema:
    return {"type": "object", "required": list(required), "properties": properties}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _list_of(schema: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": schema, **more}


_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "number"}
_SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
_AS_TEXT: Schema = {"type": "string", "enum": ["true", "false", "1", "0"], "default": "true"}
_STRICT = {"additionalProperties": False}

SCHEMAS: Schema = {
    "Problem": _object(
        ("type", "title", "status", "code", "detail"),
        type=_TEXT,
        title=_TEXT,
        status={"type": "integer"},
        code={"type": "string", "enum": sorted(STATUSES)},
        detail=_TEXT,
    ),
    "Error": _object(("code", "message"), code=_TEXT, message=_TEXT),
    "Char": _object(
        ("char", "probability", "x0", "x1"), char=_TEXT, probability=_SHARE, x0=_NUMBER, x1=_NUMBER
    ),
    "Result": {
        **_object(
            ("id",),
            id=_TEXT,
            text=_TEXT,
            confidence=_SHARE,
            squeezed={"type": "boolean"},
            turned={"type": "integer", "enum": [0, 90, 270]},
            model=_TEXT | {"description": "of a cascade: digest of the bundle that read it"},
            chars=_list_of(_ref("Char")),
            error=_ref("Error"),
        ),
        "anyOf": [
            {"required": ["text", "confidence", "squeezed", "turned"]},
            {"required": ["error"]},
        ],
    },
    "Results": _object(
        ("model", "results"),
        model=_object(("name", "digest"), name=_TEXT, digest=_TEXT),
        results=_list_of(_ref("Result")),
    ),
    "Line": _object(
        ("line", "text", "confidence", "region"),
        line={"type": "integer", "minimum": 1},
        text=_TEXT,
        confidence=_SHARE,
        region=_list_of(
            _list_of(_NUMBER, minItems=2, maxItems=2),
            minItems=4,
            maxItems=4,
            description="corners x, y, px of the upright page, clockwise from where the text "
            "begins",
        ),
        model=_TEXT | {"description": "of a cascade: digest of the bundle that read it"},
        chars=_list_of(_ref("Char"), description="columns are those of the region cut out"),
        turned={
            "type": "integer",
            "enum": [90, 270],
            "description": "degrees clockwise by which a tall region was turned to be read; left "
            "out where it wasn't",
        },
        error=_ref("Error"),
    ),
    "Page": {
        **_object(
            ("page",),
            page={"type": "integer", "minimum": 1},
            width={"type": "integer", "description": "px of the upright page"},
            height={"type": "integer"},
            turned={
                "type": "integer",
                "enum": [0, 90, 180, 270],
                "description": "degrees clockwise by which the text lies turned on the page",
            },
            lines=_list_of(_ref("Line"), description="in reading order"),
            error=_ref("Error"),
        ),
        "anyOf": [
            {"required": ["width", "height", "turned", "lines"]},
            {"required": ["error"]},
        ],
    },
    "PagesOfFile": {
        **_object(("id",), id=_TEXT, pages=_list_of(_ref("Page")), error=_ref("Error")),
        "anyOf": [{"required": ["pages"]}, {"required": ["error"]}],
    },
    "Pages": _object(
        ("model", "results"),
        model=_object(("name", "digest"), name=_TEXT, digest=_TEXT),
        results=_list_of(_ref("PagesOfFile")),
    ),
    "State": _object(("status",), status=_TEXT),
    "Model": _object(
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
        name=_TEXT,
        digest=_TEXT,
        cascade={"type": ["object", "null"]},
        engine=_TEXT,
        device=_TEXT,
        charset=_TEXT,
        decoder=_TEXT,
        picture={"type": "object"},
        data_digest=_TEXT,
        metrics={"type": "object"},
        limits={"type": "object"},
        pages={"type": "object"},
        last_roll={"type": ["object", "null"]},
    ),
    "V2Error": _object(("error",), error=_TEXT),
    "ServerMetadata": _object(
        ("name", "version", "extensions"), name=_TEXT, version=_TEXT, extensions=_list_of(_TEXT)
    ),
    "Live": _object(("live",), live={"type": "boolean"}),
    "Ready": _object(("ready",), ready={"type": "boolean"}),
    "TensorMetadata": _object(
        ("name", "datatype", "shape"),
        name=_TEXT,
        datatype=_TEXT,
        shape=_list_of({"type": "integer"}),
    ),
    "ModelMetadata": _object(
        ("name", "versions", "platform", "inputs", "outputs"),
        name=_TEXT,
        versions=_list_of(_TEXT),
        platform=_TEXT,
        inputs=_list_of(_ref("TensorMetadata")),
        outputs=_list_of(_ref("TensorMetadata")),
    ),
    "Tensor": _object(
        ("name", "datatype", "shape"),
        name=_TEXT,
        datatype=_TEXT,
        shape=_list_of({"type": "integer"}),
        parameters={"type": "object"},
        data={"type": "array"},
    ),
    "InferResponse": _object(
        ("model_name", "model_version", "outputs"),
        model_name=_TEXT,
        model_version=_TEXT,
        id=_TEXT,
        outputs=_list_of(_ref("Tensor")),
    ),
}

_MODEL_NAME: Schema = {
    "name": "name",
    "in": "path",
    "required": True,
    "description": "crnn, or the bundle's name",
    "schema": {"type": "string", "enum": ["crnn"]},
}


def _options(limits: Limits) -> Schema:
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
        "lexicon": _list_of(
            _TEXT,
            minItems=1,
            maxItems=limits.lexicon_words,
            description="the words allowed, for the decoder lexicon",
        ),
        "min_confidence": {
            **_SHARE,
            "default": 0,
            "description": "readings with a lower confidence have the error low_confidence too",
        },
    }


def _asked(takes: Takes, options: Schema, most: int, example_options: Schema) -> Schema:
    """The parameters and the body of what takes pictures with options."""
    in_query = {"chars": _AS_TEXT, "lexicon": options["lexicon"] | {"maxItems": 50}}
    query = [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in (options | in_query).items()
    ]
    of_form = options | {
        "chars": _AS_TEXT,
        "lexicon": _TEXT | {"description": "one word a line, or several fields"},
    }
    binary = {"type": "string", "format": "binary"}
    form = _object(("files",), files=_list_of(binary, minItems=1, maxItems=most), **of_form)
    form["description"] = "files, and options: each as a field, or all as JSON in 'options'"
    image = _object((), id=_TEXT, data={"type": "string", "format": "byte"}) | _STRICT
    image["required"] = ["data"]
    image["description"] = "data in base64, or a url that the operator allowed"
    body = _object(
        (takes.member,),
        options=_object((), **options) | _STRICT,
        **{takes.member: _list_of(image, minItems=1, maxItems=most)},
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


def _pages(limits: Limits, pages: PagesSettings) -> Schema:
    options = _options(limits) | {
        "dpi": {
            "type": "integer",
            "minimum": LEAST_DPI,
            "maximum": MOST_DPI,
            "default": pages.dpi,
            "description": "dots per inch at which a PDF is drawn",
        },
        "detect_px": {
            "type": "integer",
            "minimum": LEAST_DETECT_PX,
            "maximum": pages.max_detect_px,
            "default": pages.detect_px,
            "description": "longest side, px, to which a page is shrunk to find its text",
        },
    }
    example = {"chars": False, "dpi": pages.dpi}
    return {
        "summary": "Read whole pages",
        "description": "Finds the text of pictures, TIFFs and PDFs and reads it line by line. A "
        f"file may have {pages.per_file} pages, a request {pages.per_request}. Files come in the "
        "order of the request, lines in reading order. A page or a file that can't be opened has "
        "an error in its place, and its neighbours are read.",
        "tags": ["recognition"],
        **_asked(PAGES, options, pages.per_request, example),
        "responses": {
            "200": _json("the pages", _ref("Pages"), _PAGES_EXAMPLE),
            **problems(
                *_BODY, "too_many_pages", "too_many_pictures", *_BUSY, "internal", "not_installed"
            ),
        },
    }


def _picture(pages: PagesSettings) -> Schema:
    return {
        "summary": "A page's picture",
        "description": "Draws a page of a file as it is read, upright as the file says, for "
        "programs that can't draw it themselves. The body is the file. A page that can't be opened "
        "is 422.",
        "tags": ["recognition"],
        "parameters": [
            {
                "name": "page",
                "in": "query",
                "description": "Which page, from 1 on",
                "schema": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": pages.per_file,
                    "default": 1,
                },
            }
        ],
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {}}},
        },
        "responses": {
            "200": {"description": "the page", "content": {"image/jpeg": {"schema": {}}}},
            **problems(*_BODY, *_BUSY, "internal", "not_installed"),
        },
    }


def _documents() -> Schema:
    kinds = sorted({FORMS[name].media_type.partition(";")[0] for name in TEXTS})
    return {
        "summary": "Write a document",
        "description": "Writes what POST /v1/pages answered for one file as plain text, JSON, hOCR "
        "or ALTO 4. Nothing is read again.",
        "tags": ["recognition"],
        "parameters": [
            {
                "name": "format",
                "in": "query",
                "description": "The form",
                "schema": {"type": "string", "enum": list(TEXTS), "default": "txt"},
            }
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _ref("Given"), "example": _GIVEN_EXAMPLE}},
        },
        "responses": {
            "200": {
                "description": "the document",
                "content": {kind: {"schema": {}} for kind in kinds},
            },
            **problems(*_BODY, *_BUSY, "internal"),
        },
    }


_PAGES_EXAMPLE: Schema = {
    "model": {"name": "mobile", "digest": "3694bec9…"},
    "results": [
        {
            "id": "book.pdf",
            "pages": [
                {
                    "page": 1,
                    "width": 1654,
                    "height": 2339,
                    "turned": 0,
                    "lines": [
                        {
                            "line": 1,
                            "text": "A short account",
                            "confidence": 0.97,
                            "region": [[120, 90], [640, 90], [640, 132], [120, 132]],
                        }
                    ],
                },
                {"page": 2, "error": {"code": "too_large", "message": "the page is 40000x40000"}},
            ],
        },
        {"id": "locked.pdf", "error": {"code": "encrypted", "message": "wants a password"}},
    ],
}


_GIVEN_EXAMPLE: Schema = {"results": _PAGES_EXAMPLE["results"][:1]}


def _recognize(limits: Limits) -> Schema:
    example = {"chars": True, "decoder": "greedy"}
    return {
        "summary": "Read pictures",
        "description": "Results come in the order of the pictures. A picture that can't be read "
        "has an error in its place, and its neighbours are read.",
        "tags": ["recognition"],
        **_asked(PICTURES, _options(limits), limits.pictures, example),
        "responses": {
            "200": _json("the results", _ref("Results"), _RESULTS_EXAMPLE),
            **problems(*_BODY, "too_many_pictures", *_BUSY, "internal"),
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
    options = _options(limits)
    tensor = _object(
        ("name", "datatype", "shape", "data"),
        name={"type": "string", "enum": [INPUT]},
        datatype={"type": "string", "enum": ["BYTES"]},
        shape=_list_of({"type": "integer", "enum": [1]}, minItems=1, maxItems=2),
        data=_list_of({"type": "string", "format": "byte"}, minItems=1, maxItems=1),
    )
    wanted = _object(("name",), name={"type": "string", "enum": list(OUTPUTS)})
    body = _object(
        ("inputs",),
        id=_TEXT,
        parameters=_object((), decoder=options["decoder"], lexicon=_TEXT, min_confidence=_SHARE),
        inputs=_list_of(tensor, minItems=1, maxItems=1),
        outputs=_list_of(wanted, maxItems=1),
    )
    example = {
        "inputs": [{"name": INPUT, "shape": [1], "datatype": "BYTES", "data": [EXAMPLE_PNG]}]
    }
    statuses = sorted({STATUSES[code] for code in (*_BODY, *_BUSY, "internal")} | {404})
    return {
        "summary": "Read pictures, by the Open Inference Protocol",
        "description": f"One input, {INPUT}, of as many pictures as its shape says (the schema "
        "shows one), in JSON as base64 or behind it (the binary data extension, with the header "
        f"{LENGTH_HEADER.decode()}). Outputs: {', '.join(OUTPUTS)}; parameters: decoder, lexicon "
        f"(a word a line), min_confidence. At most {limits.pictures} pictures.",
        "tags": ["Open Inference Protocol"],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": body, "example": example}},
        },
        "responses": {
            "200": _json("the outputs", _ref("InferResponse")),
            **{str(status): _json("an error", _ref("V2Error")) for status in statuses},
        },
    }


def _get(summary: str, schema: str, *codes: str) -> Schema:
    return {
        "summary": summary,
        "tags": ["service"],
        "responses": {"200": _json(summary, _ref(schema)), **problems(*codes)},
    }


def _v2_get(summary: str, schema: str, *statuses: int) -> Schema:
    return {
        "summary": summary,
        "tags": ["Open Inference Protocol"],
        "responses": {
            "200": _json(summary, _ref(schema)),
            **{str(status): _json("an error", _ref("V2Error")) for status in statuses},
        },
    }


def _metrics() -> Schema:
    return {
        "summary": "Counts of all replicas, for Prometheus",
        "tags": ["service"],
        "responses": {
            "200": {
                "description": "the text exposition format, 0.0.4",
                "content": {"text/plain": {"schema": _TEXT}},
            }
        },
    }


def _json(description: str, schema: Schema, example: Any = None) -> Schema:
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
        entry["content"] = {PROBLEM_TYPE: {"schema": _ref("Problem")}}
        if STATUSES[code] in (408, 429, 503, 504):
            entry["headers"] = {"Retry-After": {"schema": {"type": "string"}}}
    return found
