"""A ``multipart/form-data`` body (RFC 7578) → its parts."""

from __future__ import annotations

from typing import NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from jobs.serving.problems import ProblemError


class Part(NamedTuple):
    """One part; ``file_name`` is empty where it has none."""

    name: str
    file_name: str
    data: bytes


def parts_of(body: bytes, content_type: bytes, most: int) -> list[Part]:
    """The parts in their order.

    Raises:
        ProblemError: ``malformed`` where they can't be told apart or one has no name;
            ``too_many_pictures`` for over ``most`` of them.
    """
    boundary = parse_options_header(content_type.decode("latin-1"))[1].get(b"boundary")
    if not boundary:
        raise ProblemError("malformed", "the Content-Type multipart/form-data has no boundary")
    collected = _Collected(most)
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": collected.begin,
                "on_part_data": collected.data,
                "on_part_end": collected.end,
                "on_header_field": collected.header_name,
                "on_header_value": collected.header_value,
                "on_header_end": collected.header_end,
            },
        )
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise ProblemError("malformed", f"the body is not multipart/form-data: {error}") from None
    if not collected.is_complete:
        raise ProblemError("malformed", "the multipart body has no closing boundary; it was cut")
    return collected.parts


class _Collected:
    """What a parser finds, part by part."""

    def __init__(self, most: int) -> None:
        self.parts: list[Part] = []
        self.is_complete = True
        self._most = most
        self._data: list[bytes] = []
        self._name, self._value = b"", b""
        self._disposition = b""

    def begin(self) -> None:
        if len(self.parts) == self._most:
            raise ProblemError(
                "too_many_pictures",
                f"the form has over {self._most} parts, more than is taken at once; send several "
                "requests",
            )
        self._data, self._disposition, self.is_complete = [], b"", False

    def header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value
        self._name, self._value = b"", b""

    def data(self, data: bytes, start: int, end: int) -> None:
        self._data.append(data[start:end])

    def end(self) -> None:
        kind, options = parse_options_header(self._disposition.decode("latin-1"))
        name = options.get(b"name")
        if kind != b"form-data" or name is None:
            raise ProblemError("malformed", f"part {len(self.parts)} of the form has no name")
        self.parts.append(
            Part(_text(name), _text(options.get(b"filename", b"")), b"".join(self._data))
        )
        self.is_complete = True


def _text(value: bytes) -> str:
    return value.decode("utf-8", errors="replace")
