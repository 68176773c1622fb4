"""A ``multipart/form-data`` body (RFC 7578) → its parts."""

from __future__ import annotations

from typing import NamedTuple

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from jobs.serving.problems import ProblemError

_BYTES = "latin-1"
"""Reads any bytes as they are, so that an odd file name fails no request."""


class FormPart(NamedTuple):
    """One part; ``file_name`` is empty where it has none."""

    name: str
    file_name: str
    data: bytes


def parts_of(body: bytes, content_type: bytes, most: int) -> list[FormPart]:
    """The parts in their order.

    Raises:
        ProblemError: ``malformed`` where they can't be told apart or one has no name;
            ``too_many_pictures`` for over ``most`` of them.
    """
    boundary = parse_options_header(content_type.decode(_BYTES))[1].get("boundary")
    if not boundary:
        raise _malformed("the Content-Type multipart/form-data has no boundary")
    parts: list[FormPart] = []
    name = file_name = ""
    data: list[bytes] = []
    try:
        parser = PushMultipartParser(boundary.encode(_BYTES), header_charset=_BYTES, strict=True)
        for event in parser.parse(body):
            if event is None:
                parts.append(FormPart(name, file_name, b"".join(data)))
            elif isinstance(event, MultipartSegment):
                if len(parts) == most:
                    raise _too_many(most)
                name, file_name = _text(event.name), _text(event.filename or "")
                data = []
            else:
                data.append(event)
    except MultipartError as error:
        raise _malformed(f"part {len(parts)} of the multipart body: {error}") from None
    try:
        parser.close()
    except MultipartError:
        raise _malformed("the multipart body has no closing boundary; it was cut") from None
    return parts


def _malformed(detail: str) -> ProblemError:
    return ProblemError("malformed", detail)


def _too_many(most: int) -> ProblemError:
    return ProblemError(
        "too_many_pictures",
        f"the form has over {most} parts, the most allowed at once; send several requests",
    )


def _text(value: str) -> str:
    return value if value.isascii() else value.encode(_BYTES).decode("utf-8", errors="replace")
