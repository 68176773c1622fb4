"""What a value of JSON or of a table is as a text: one rule for every format.

Texts stay as they are and bytes are UTF-8. Whole numbers and decimals keep their written form,
class numbers of Hugging Face become their names. Everything else is no text and is refused by its
name: what a list or a float would look like is nobody's label.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

_HUGGING_FACE = b"huggingface"
_NAMES = {dict: "object", list: "list", bool: "true or false", type(None): "null", float: "float"}


class NotTextError(ValueError):
    """A value that is no text; the message says what it is."""


def text_of(value: Any) -> str:
    """The text that a value is.

    Raises:
        NotTextError: when it is none, saying what it is.
    """
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise NotTextError(f"not UTF-8: {error}") from None
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise NotTextError("not UTF-8") from None
        return value
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    kind = _NAMES.get(type(value), type(value).__name__)
    raise NotTextError(f"expected a text, found {kind}: {repr(value)[:80]}")


def group_of(value: Any) -> str:
    """What a value says that a sample belongs to; nothing for null.

    Raises:
        NotTextError: for a list or an object.
    """
    if isinstance(value, (list, dict)):
        raise NotTextError(f"expected what the sample belongs to, found {repr(value)[:80]}")
    if value is None:
        return ""
    return text_of(value if isinstance(value, (str, bytes)) else str(value))


def parse_json(text: str) -> Any:
    """The value of a JSON text; its numbers are texts, as they are written there.

    Raises:
        ValueError: when it is no JSON, or an object has a name twice.
    """
    return json.loads(
        text,
        parse_int=str,
        parse_float=str,
        parse_constant=_refuse_constant,
        object_pairs_hook=_distinct,
    )


def check_text_type(name: str, kind: pa.DataType) -> None:
    """Whether a column of this type can hold texts.

    Raises:
        NotTextError: naming the column, its type, and what to do.
    """
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not any(is_of(plain) for is_of in _TEXT_TYPES):
        remedy = (
            "store them as text, as a float loses the form in which it was written"
            if pa.types.is_floating(plain)
            else "store them as text"
        )
        raise NotTextError(f"the column {name!r} is {kind}, which isn't text; {remedy}")


def class_names(schema: pa.Schema, column: str) -> Sequence[str]:
    """Names of the classes that a column of Hugging Face numbers, or none."""
    try:
        known = json.loads((schema.metadata or {}).get(_HUGGING_FACE, b"{}"))
        feature = known["info"]["features"][column]
        names = feature["names"] if feature.get("_type") == "ClassLabel" else []
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
    return names if isinstance(names, list) else []


def texts_of(column: pa.ChunkedArray, names: Sequence[str] = ()) -> list[str | NotTextError | None]:
    """Texts of a column whose type was checked; of a null None, of what is no text the error."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
    if any(is_of(column.type) for is_of in _STRING_TYPES):
        column = column.cast(pa.large_binary())  # whether they are UTF-8 nobody has checked
    read = _class_reader(names) if names and pa.types.is_integer(kind) else text_of
    return [_read(value, read) for value in column.to_pylist()]


def _read(value: Any, read: Callable[[Any], str | None]) -> str | NotTextError | None:
    if value is None:
        return None
    try:
        return read(value)
    except NotTextError as error:
        return error


def _class_reader(names: Sequence[str]) -> Callable[[int], str | None]:
    def read(number: int) -> str | None:
        if number == -1:  # as Hugging Face writes that it isn't known
            return None
        if not 0 <= number < len(names):
            raise NotTextError(f"class {number} is none of the {len(names)} named ones")
        return text_of(names[number])

    return read


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _distinct(pairs: Sequence[tuple[str, Any]]) -> Mapping[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = sorted({name for name, _ in pairs if sum(n == name for n, _ in pairs) > 1})
        raise ValueError(f"an object has {', '.join(map(repr, twice))} twice")
    return found


_STRING_TYPES = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
_TEXT_TYPES = (
    *_STRING_TYPES,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_binary_view,
    pa.types.is_integer,
    pa.types.is_decimal,
    pa.types.is_null,
)
