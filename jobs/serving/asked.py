"""A request's body and query → pictures and options, in any of the forms that are accepted.

``POST /v1/recognize`` takes multipart with ``files``, and JSON with ``images``; ``POST /v1/pages``
has ``pages`` in their place, and two options more.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl

import orjson

from crnn import wire
from crnn.decode import check_lexicon
from crnn.errors import PictureError
from jobs.serving.bodies import JSON_TYPE, Headers, kind_of, shown
from jobs.serving.contract import Checked, quoted
from jobs.serving.limits import Limits
from jobs.serving.multipart import FormPart, parts_of
from jobs.serving.problems import ProblemError

FORM_TYPE = b"multipart/form-data"
_PLURALS = {"images": "pictures", "pages": "pages"}
_FIELDS = 64
"""Fields of a form beside its pictures."""
_VALUES_A_PICTURE, _VALUES_A_WORD, _OTHER_VALUES = 16, 4, 4096
"""Commas and brackets of JSON that may come for each; more than any sensible request has."""
_LINE = re.compile(r"[^\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")
_DATA_URL = re.compile(r"data:[^,]{0,200};base64,", re.ASCII | re.IGNORECASE)
"""What browsers write before a picture (RFC 2397)."""


@dataclass(frozen=True)
class Link:
    """A picture that is to be fetched from elsewhere."""

    url: str


Source = bytes | Link | PictureError


DEFAULTS: wire.PageOptions = {"chars": True, "min_confidence": 0.0}
"""Of the options that are always there. Without ``decoder``, ``lexicon`` decodes where there is
one, else the bundle's default does; without ``dpi`` and ``detect_px``, the service's hold."""


@dataclass(frozen=True, kw_only=True)
class Takes:
    """What a path's requests may have."""

    member: str
    """Name of the list of pictures in JSON."""
    too_many: wire.ProblemCode
    """Code of the problem where there are more than allowed."""
    body: Checked[Any]
    """The request as JSON."""
    options: Checked[Any]
    fields: Sequence[str]
    """Fields of a form beside its pictures."""


PICTURES = Takes(
    member="images",
    too_many="too_many_pictures",
    body=Checked(wire.RecognizeRequest),
    options=Checked(wire.ReadingOptions, "options"),
    fields=(*wire.ReadingOptions.__annotations__, "options"),
)
PAGES = Takes(
    member="pages",
    too_many="too_many_pages",
    body=Checked(wire.PagesRequest),
    options=Checked(wire.PageOptions, "options"),
    fields=(*wire.PageOptions.__annotations__, "options"),
)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a request asks for: pictures in its order, each with the name that it gave them."""

    ids: Sequence[str]
    pictures: Sequence[Source]
    options: wire.PageOptions


def asked_in(
    body: bytes, headers: Headers, query: bytes, limits: Limits, takes: Takes = PICTURES
) -> Asked:
    """What the body and the query ask for; of an option in both, the body's counts.

    Raises:
        ProblemError: ``malformed``, ``unsupported_media_type``, ``too_many_pictures``,
            ``invalid``.
    """
    options = DEFAULTS
    if query:
        options = options | _options(_query(query), "the query", limits, takes)
    check_options(options, limits)
    content_type = headers.get(b"content-type", b"")
    kind = kind_of(headers)
    if kind == FORM_TYPE:
        parts = parts_of(body, content_type, limits.pictures + _FIELDS)
        asked = _of_form(parts, options, limits, takes)
    elif kind == JSON_TYPE:
        asked = _of_json(_json(body, limits), options, limits, takes)
    else:
        raise ProblemError(
            "unsupported_media_type",
            f"the Content-Type is {shown(content_type)}; expected multipart/form-data with "
            f"files, or application/json with {takes.member}",
        )
    check_options(asked.options, limits)
    return asked


def most_values(*, pictures: int, words: int) -> int:
    """More commas or brackets of JSON than any sensible request has."""
    return _VALUES_A_PICTURE * pictures + _VALUES_A_WORD * words + _OTHER_VALUES


def parsed_json(body: bytes | memoryview, most: int) -> dict[str, Any]:
    """A JSON object; raises ProblemError for anything else, and for over ``most`` values.

    They are counted before there are any: three bytes each become a hundred.
    """
    text = bytes(body)
    if text.count(b",") > most or text.count(b"[") + text.count(b"{") > most:
        raise ProblemError(
            "too_many_pictures",
            f"the JSON has over {most} commas or brackets, more than the most pictures and words "
            "allowed need; send several requests",
        )
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ProblemError("malformed", f"the body is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ProblemError("invalid", f"the body is {quoted(found)}; expected a JSON object")
    return found


def decoded_base64(data: str) -> bytes | PictureError:
    """The bytes, or the error of this one picture; line breaks are no error, nor is a data URL."""
    if data[:5].lower() == "data:":
        found = _DATA_URL.match(data)
        if found is None:
            return PictureError(
                "bad_base64",
                f"the picture's data begins with {data[:40]!r}; expected base64, or a URL such as "
                "data:image/png;base64,…",
            )
        data = data[found.end() :]
    try:
        return b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        pass
    try:
        return b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        return PictureError(
            "bad_base64",
            f"the picture's data is not base64: {error}; expected letters, digits, + and / (not "
            "- and _), filled up with = to a multiple of 4",
        )


def words_in(text: str, most: int) -> list[str]:
    """A word a line; one more than ``most`` where there are more."""
    words = filter(None, (line[0].strip() for line in _LINE.finditer(text)))
    return list(islice(words, most + 1))


def check_count(count: int, limits: Limits, takes: Takes = PICTURES) -> None:
    """Raise ProblemError if a request has too many pictures."""
    if not count:
        raise ProblemError("invalid", "the request has no picture; expected at least one")
    if count > limits.pictures:
        raise ProblemError(
            takes.too_many,
            f"the request has over {limits.pictures} {_PLURALS[takes.member]}, the most allowed at "
            "once; send several requests",
        )


def _of_form(
    parts: Sequence[FormPart], options: wire.PageOptions, limits: Limits, takes: Takes
) -> Asked:
    ids: list[str] = []
    pictures: list[Source] = []
    fields: list[tuple[str, str]] = []
    for part in parts:
        if part.name == "files":
            ids.append(part.file_name or str(len(pictures)))
            pictures.append(part.data)
        else:
            fields.append((part.name, _text(part, takes)))
    options = options | _options(fields, "the form", limits, takes)
    check_count(len(pictures), limits, takes)
    return Asked(ids=ids, pictures=pictures, options=options)


def _of_json(
    document: dict[str, Any], options: wire.PageOptions, limits: Limits, takes: Takes
) -> Asked:
    images = document.get(takes.member)
    if isinstance(images, list):  # counted before each is looked at
        check_count(len(images), limits, takes)
    request = takes.body.value(document)
    ids, pictures = [], []
    for index, image in enumerate(request[takes.member]):
        ids.append(image.get("id", str(index)))
        pictures.append(_source(image, f"{takes.member}[{index}]"))
    options = options | request.get("options", {})
    return Asked(ids=ids, pictures=pictures, options=options)


def _json(text: bytes, limits: Limits) -> dict[str, Any]:
    return parsed_json(text, most_values(pictures=limits.pictures, words=limits.lexicon_words))


def _source(image: wire.Image, where: str) -> Source:
    data, url = image.get("data"), image.get("url")
    if data is not None and url is None:
        return decoded_base64(data)
    if url is not None and data is None:
        return Link(url)
    raise ProblemError("invalid", f"{where} has neither data nor url, or both; expected one")


def _options(
    fields: Sequence[tuple[str, str]], where: str, limits: Limits, takes: Takes
) -> wire.PageOptions:
    """Options of a form or a query: texts; several of ``lexicon``, or one with a word a line."""
    given: dict[str, Any] = {}
    words: list[str] = []
    for name, value in fields:
        if name not in takes.fields:
            known = ", ".join(["files", *takes.fields] if where == "the form" else takes.fields)
            raise ProblemError("invalid", f"{where} has {name[:40]!r}; expected {known}")
        if name == "options":
            given |= takes.options.value(_json(value.encode(), limits))
        elif name == "lexicon":
            words += words_in(value, limits.lexicon_words - len(words))
        else:
            given[name] = value
    if words:
        given["lexicon"] = words
    found: wire.PageOptions = takes.options.value(given, strict=False) if given else {}
    return found


def check_options(options: wire.ReadingOptions, limits: Limits) -> None:
    """Raise ProblemError unless the options make sense together and are within the bounds."""
    words = options.get("lexicon")
    try:
        check_lexicon(options.get("decoder"), words)
    except ValueError as error:
        raise ProblemError("invalid", str(error)) from None
    if words is not None and not 1 <= len(words) <= limits.lexicon_words:
        count = len(words) if len(words) <= limits.lexicon_words else f"over {limits.lexicon_words}"
        raise ProblemError(
            "invalid",
            f"the lexicon has {count} words; expected 1 to {limits.lexicon_words}",
        )


def _query(query: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query.decode("ascii"), keep_blank_values=True, max_num_fields=20_000)
    except ValueError as error:
        raise ProblemError("malformed", f"the query can't be read: {error}") from None


def _text(part: FormPart, takes: Takes) -> str:
    if part.name not in takes.fields and (part.file_name or not part.data.isascii()):
        raise ProblemError(
            "invalid",
            f"the form has a file in the field {part.name[:40]!r}; expected pictures in 'files', "
            "as in curl -F files=@picture.png",
        )
    try:
        return part.data.decode("utf-8")
    except UnicodeDecodeError:
        raise ProblemError("malformed", f"the field {part.name[:40]!r} is not UTF-8") from None
