"""A request's body and query → pictures and options, in any of the forms that are accepted.

``POST /v1/recognize`` takes multipart with ``files``, and JSON with ``images``; ``POST /v1/pages``
has ``pages`` in their place, and two options more.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl

import orjson

from crnn.decode import DECODERS, check_lexicon
from crnn.errors import PictureError
from jobs.serving.bodies import Headers, shown
from jobs.serving.limits import Limits
from jobs.serving.multipart import Part, parts_of
from jobs.serving.problems import ProblemError

JSON_TYPE, FORM_TYPE = b"application/json", b"multipart/form-data"
_PLURALS = {"images": "pictures", "pages": "pages"}
_WHOLE_NUMBERS = ("dpi", "detect_px")
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}
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


@dataclass(frozen=True, kw_only=True)
class Options:
    """How the pictures of a request are to be read."""

    chars: bool = True
    decoder: str | None = None
    """A key of ``DECODERS``; None for ``lexicon`` where there is one, else the bundle's."""
    lexicon: tuple[str, ...] | None = None
    min_confidence: float = 0.0
    """Readings with a lower confidence have an error too, ``low_confidence``."""
    dpi: int | None = None
    """For pages: dots per inch at which a PDF is drawn; None: the service's default."""
    detect_px: int | None = None
    """For pages: longest side, px, to which a page is shrunk to find its text; None: the service's
    default."""


@dataclass(frozen=True, kw_only=True)
class Takes:
    """What a path's requests may have."""

    member: str
    """Name of the list of pictures in JSON."""
    too_many: str
    """Code of the problem where there are more than allowed."""
    options: tuple[str, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields of a form beside its pictures."""
        return (*self.options, "options")


PICTURES = Takes(
    member="images",
    too_many="too_many_pictures",
    options=("chars", "decoder", "lexicon", "min_confidence"),
)
PAGES = Takes(
    member="pages", too_many="too_many_pages", options=(*PICTURES.options, "dpi", "detect_px")
)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a request asks for: pictures in its order, each with the name that it gave them."""

    ids: Sequence[str]
    pictures: Sequence[Source]
    options: Options


def asked_in(
    body: bytes, headers: Headers, query: bytes, limits: Limits, takes: Takes = PICTURES
) -> Asked:
    """What the body and the query ask for; of an option in both, the body's counts.

    Raises:
        ProblemError: ``malformed``, ``unsupported_media_type``, ``too_many_pictures``,
            ``invalid``.
    """
    options = Options()
    if query:
        options = _options(_query(query), options, "the query", limits, takes)
    check_options(options, limits)
    content_type = headers.get(b"content-type", b"")
    kind = content_type.partition(b";")[0].strip().lower()
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
        raise ProblemError("invalid", f"the body is {_kind(found)}; expected a JSON object")
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


def _of_form(parts: Sequence[Part], options: Options, limits: Limits, takes: Takes) -> Asked:
    ids: list[str] = []
    pictures: list[Source] = []
    fields: list[tuple[str, str]] = []
    for part in parts:
        if part.name == "files":
            ids.append(part.file_name or str(len(pictures)))
            pictures.append(part.data)
        else:
            fields.append((part.name, _text(part, takes)))
    _only(dict(fields), ("files", *takes.fields), "the form")
    options = _options(fields, options, "the form", limits, takes)
    check_count(len(pictures), limits, takes)
    return Asked(ids=ids, pictures=pictures, options=options)


def _of_json(document: dict[str, Any], options: Options, limits: Limits, takes: Takes) -> Asked:
    _only(document, (takes.member, "options"), "the body")
    images = document.get(takes.member)
    if not isinstance(images, list):
        raise ProblemError(
            "invalid", f"{takes.member} is {_kind(images)}; expected a list of objects"
        )
    check_count(len(images), limits, takes)
    ids, pictures = [], []
    for index, image in enumerate(images):
        name, source = _of_image(image, index, takes)
        ids.append(name)
        pictures.append(source)
    if "options" in document:
        options = _of_object(document["options"], options, takes)
    return Asked(ids=ids, pictures=pictures, options=options)


def _json(text: bytes, limits: Limits) -> dict[str, Any]:
    return parsed_json(text, most_values(pictures=limits.pictures, words=limits.lexicon_words))


def _of_image(image: object, index: int, takes: Takes) -> tuple[str, Source]:
    where = f"{takes.member}[{index}]"
    if not isinstance(image, dict):
        raise ProblemError("invalid", f"{where} is {_kind(image)}; expected an object with data")
    _only(image, ("id", "data", "url"), where)
    name, data, url = image.get("id", str(index)), image.get("data"), image.get("url")
    if not isinstance(name, str):
        raise ProblemError("invalid", f"{where}.id is {_kind(name)}; expected a text")
    if isinstance(data, str) and "url" not in image:
        return name, decoded_base64(data)
    if isinstance(url, str) and "data" not in image:
        return name, Link(url)
    raise ProblemError("invalid", f"{where} has neither data nor url as a text, or both of them")


def _of_object(given: object, options: Options, takes: Takes) -> Options:
    """Options of JSON, where each value has its own type."""
    if not isinstance(given, dict):
        raise ProblemError("invalid", f"options is {_kind(given)}; expected an object")
    _only(given, takes.options, "options")
    values = dict(given)
    if not isinstance(values.get("chars", True), bool):
        raise ProblemError("invalid", f"chars is {_kind(values['chars'])}; expected true or false")
    if not isinstance(values.get("decoder", ""), str):
        raise ProblemError("invalid", f"decoder is {_kind(values['decoder'])}; expected a text")
    least = values.get("min_confidence", 0)
    if isinstance(least, bool) or not isinstance(least, (int, float)):
        raise ProblemError("invalid", f"min_confidence is {_kind(least)}; expected a number")
    for name in _WHOLE_NUMBERS:
        number = values.get(name, 0)
        if isinstance(number, bool) or not isinstance(number, int):
            raise ProblemError("invalid", f"{name} is {_kind(number)}; expected a whole number")
    words = values.get("lexicon", [])
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ProblemError("invalid", "lexicon isn't a list of texts; expected words")
    if "lexicon" in values:
        values["lexicon"] = tuple(words)
    return replace(options, **values)


def _options(
    given: Sequence[tuple[str, str]], options: Options, where: str, limits: Limits, takes: Takes
) -> Options:
    """Options of a form or a query: texts; several of ``lexicon``, or one with a word a line."""
    _only(dict(given), takes.fields, where)
    words: list[str] = []
    for name, value in given:
        if name == "options":
            options = _of_object(_json(value.encode(), limits), options, takes)
        elif name == "lexicon":
            words += words_in(value, limits.lexicon_words - len(words))
        elif name == "decoder":
            options = replace(options, decoder=value)
        elif name == "min_confidence":
            options = replace(options, min_confidence=_number(value))
        elif name == "dpi":
            options = replace(options, dpi=_whole_number(name, value))
        elif name == "detect_px":
            options = replace(options, detect_px=_whole_number(name, value))
        elif value.lower() in _TRUTHS:
            options = replace(options, chars=_TRUTHS[value.lower()])
        else:
            raise ProblemError("invalid", f"chars is {value[:40]!r}; expected true or false")
    return replace(options, lexicon=tuple(words)) if words else options


def check_options(options: Options, limits: Limits) -> None:
    """Raise ProblemError unless the options make sense together and are within the bounds."""
    decoder, words = options.decoder, options.lexicon
    if decoder is not None and decoder not in DECODERS:
        raise ProblemError(
            "invalid", f"decoder is {decoder[:40]!r}; expected one of {sorted(DECODERS)}"
        )
    try:
        check_lexicon(decoder, words)
    except ValueError as error:
        raise ProblemError("invalid", str(error)) from None
    if words is not None and not 1 <= len(words) <= limits.lexicon_words:
        count = len(words) if len(words) <= limits.lexicon_words else f"over {limits.lexicon_words}"
        raise ProblemError(
            "invalid",
            f"the lexicon has {count} words; expected 1 to {limits.lexicon_words}",
        )
    if not 0 <= options.min_confidence <= 1:
        raise ProblemError(
            "invalid", f"min_confidence is {options.min_confidence}; expected 0 to 1"
        )


def _query(query: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query.decode("ascii"), keep_blank_values=True, max_num_fields=20_000)
    except ValueError as error:
        raise ProblemError("malformed", f"the query can't be read: {error}") from None


def _text(part: Part, takes: Takes) -> str:
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


def _number(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise ProblemError(
            "invalid", f"min_confidence is {value[:40]!r}; expected a number"
        ) from None


def _whole_number(name: str, value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", value):
        raise ProblemError("invalid", f"{name} is {value[:40]!r}; expected a whole number")
    return int(value)


def _only(given: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for name in given:
        if name not in known:
            raise ProblemError("invalid", f"{where} has {name[:40]!r}; expected {', '.join(known)}")


def _kind(value: object) -> str:
    names = {bool: "a truth value", int: "a number", float: "a number", str: "a text",
             list: "a list", dict: "an object", type(None): "null or missing"}  # fmt: skip
    return names.get(type(value), type(value).__name__)
