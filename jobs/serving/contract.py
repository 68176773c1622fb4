"""The types of ``crnn.wire`` at work: they check what comes, and are the schemas of OpenAPI."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema
from typing_extensions import is_typeddict

from crnn import wire
from jobs.serving import protocol
from jobs.serving.problems import ProblemError

Shape = TypeVar("Shape")
Schema = dict[str, Any]
REFERENCE = "#/components/schemas/{model}"
_EXPECTED = {
    "dict": "an object",
    "list": "a list",
    "string": "a text",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
}
_SAID = 5
"""Errors of one request that are told."""
_SHOWN = 40
"""Characters of a wrong value that are told."""


class _Untitled(GenerateJsonSchema):
    """Members have a name already."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


class Checked(Generic[Shape]):
    """One type, and what is of it; anything else is a problem, ``invalid``."""

    def __init__(self, shape: type[Shape], root: str = "the body", *, remedy: str = "") -> None:
        """``root``: what the whole is called in messages."""
        self._adapter, self._root, self._remedy = TypeAdapter(shape), root, remedy

    def value(self, given: object, *, strict: bool = True) -> Shape:
        """What came, as JSON (``strict``: a number is no text) or as fields of texts."""
        try:
            return self._adapter.validate_python(given, strict=strict)
        except ValidationError as error:
            raise self._refusal(error) from None

    def json(self, body: bytes) -> Shape:
        """What the JSON says."""
        try:
            return self._adapter.validate_json(body, strict=True)
        except ValidationError as error:
            raise self._refusal(error) from None

    def _refusal(self, error: ValidationError) -> ProblemError:
        found = explained(error.errors(include_url=False), self._root, self._schema)
        return ProblemError("invalid", "; ".join(filter(None, [found, self._remedy])))

    @cached_property
    def _schema(self) -> Schema:
        return self._adapter.json_schema()


def explained(errors: Sequence[Mapping[str, Any]], root: str, schema: Schema | None = None) -> str:
    """Errors of pydantic in a line: what was found where, and what was expected.

    ``schema`` tells which members and bounds there are.
    """
    return "; ".join(_line(entry, root, schema or {}) for entry in errors[:_SAID])


def _line(entry: Mapping[str, Any], root: str, schema: Schema) -> str:
    *above, last = place = entry["loc"] or ("",)
    kind = entry["type"]
    if kind in ("missing", "extra_forbidden") and isinstance(last, str):
        names = ", ".join(_at(above, schema).get("properties", {}))
        verb = "has no" if kind == "missing" else "has"
        expected = f"; expected {names}" if names else ""
        return f"{_path(above, root)} {verb} {str(last)[:_SHOWN]!r}{expected}"
    where = _path(place, root)
    if kind == "missing":
        return f"{where} is missing"
    if kind == "json_invalid":
        return f"{where} is not JSON: {entry['ctx']['error']}"
    return f"{where} is {quoted(entry['input'])}; expected {_expected(entry, _at(place, schema))}"


def _expected(entry: Mapping[str, Any], schema: Schema) -> str:
    first, _, rest = entry["type"].partition("_")
    if first in _EXPECTED and rest in ("type", "parsing"):
        return _EXPECTED[first]
    if {"minimum", "maximum"} <= schema.keys():
        return f"{schema['minimum']:g} to {schema['maximum']:g}"
    return re.sub(r"^\w+ should (be|have) |( after validation)?, not .*", "", entry["msg"])


def _path(place: Sequence[str | int], root: str) -> str:
    """``images[0].id``; names of a union's branches are left out."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    plain = (step for step in steps if re.fullmatch(r"\[\d+\]|\.(?!str$)\w+", step))
    return "".join(plain).removeprefix(".") or root


def _at(place: Sequence[str | int], schema: Schema) -> Schema:
    """What the schema says of this place; empty where it says nothing plain."""
    found = schema
    for step in (*place, None):
        if "$ref" in found:
            found = schema["$defs"][found["$ref"].rpartition("/")[2]]
        if step is not None:
            inner = found.get("items") if isinstance(step, int) else found.get("properties")
            found = (inner if isinstance(step, int) else (inner or {}).get(step)) or {}
    return found


def quoted(value: object) -> str:
    """A value of JSON as messages quote it."""
    if isinstance(value, (list, tuple, dict)):
        return "an object" if isinstance(value, dict) else "a list"
    if isinstance(value, (bool, type(None))):
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, int) and value.bit_length() > 64:  # Python writes out no very long ones
        return "a very large number"
    return repr(value[:_SHOWN]) if isinstance(value, str) else str(value)[:_SHOWN]


def schemas() -> Schema:
    """All types by name, as the components of an OpenAPI document."""
    named = vars(wire) | vars(protocol)
    shapes = [one for one in named.values() if is_typeddict(one) and one.__annotations__]
    _, found = TypeAdapter.json_schemas(
        [(shape.__name__, "validation", TypeAdapter(shape)) for shape in shapes],
        ref_template=REFERENCE,
        schema_generator=_Untitled,
    )
    return dict(found["$defs"])


def reference(shape: type) -> Schema:
    """The schema of a type, by its name."""
    return {"$ref": REFERENCE.format(model=shape.__name__)}
