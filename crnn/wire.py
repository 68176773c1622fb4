"""What goes over HTTP: options, requests, results and problems, each shape written once.

The service checks what comes with these types and documents itself with them
(``jobs.serving.contract``); what it answers are plain dictionaries, which mypy checks against them,
as it checks what the client reads. Nothing but the service imports this when it runs: the client
needs no pydantic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, NotRequired, TypeVar

from pydantic import BeforeValidator, FailFast, Field, with_config
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from crnn.result import Turned
from crnn.shared_settings import DecoderName

ProblemCode = Literal[
    "conflict", "internal", "invalid", "malformed", "method_not_allowed", "misdirected",
    "not_found", "not_installed", "overloaded", "slow_request", "timed_out", "too_large",
    "too_many_pages", "too_many_pictures", "unauthorized", "unavailable", "unsupported_media_type",
]  # fmt: skip
"""``jobs.serving.problems`` has the status and the meaning of each."""


def _no_truth(value: object) -> object:
    if isinstance(value, bool):
        raise PydanticCustomError("int_type", "Input should be a whole number")
    return value


WHOLE = BeforeValidator(_no_truth)
"""Of a Literal with 0, which false would be."""
PageTurned = Literal[0, 90, 180, 270]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[Finite, Field(ge=0, le=1)]
Number = Annotated[int, Field(ge=1)]
Side = Annotated[int, Field(ge=1, le=1 << 31)]
Corner = tuple[Finite, Finite]
Word = Annotated[str, Field(min_length=1, max_length=256)]
Base64 = Annotated[str, Field(json_schema_extra={"format": "byte"})]
ReadBy = Annotated[str, Field(description="of a cascade: digest of the bundle that read it")]
JOB_WORDS = 100_000
"""Most words that come with a bulk job."""
Shape = TypeVar("Shape", bound=type)
Item = TypeVar("Item")
Several = Annotated[list[Item], FailFast()]
"""A list that may be long: one thing that is wrong in it is enough to know."""


def shaped(
    *, only_these: bool = False, **groups: Sequence[Sequence[str]]
) -> Callable[[Shape], Shape]:
    """With descriptions from docstrings; ``only_these``: other members are refused.

    ``anyOf`` and ``oneOf``: groups of members that are there together.
    """
    extra: dict[str, Any] = {
        how: [{"required": list(names)} for names in several] for how, several in groups.items()
    }
    forbids: Literal["forbid", "ignore"] = "forbid" if only_these else "ignore"
    return with_config(use_attribute_docstrings=True, extra=forbids, json_schema_extra=extra)


@shaped()
class Open(TypedDict):
    """Other members mean nothing, so that there may be more one day."""


@shaped(only_these=True)
class ReadingOptions(TypedDict, total=False):
    """How pictures are to be read."""

    chars: bool
    """give each character's probability and position (px of the picture)"""
    decoder: DecoderName
    """default: lexicon where there is one, else the bundle's"""
    lexicon: Several[str]
    """the words allowed, for the decoder lexicon"""
    min_confidence: Share
    """readings with a lower confidence have the error low_confidence too"""


@shaped(only_these=True)
class PageOptions(ReadingOptions, total=False):
    """How whole pages are to be read."""

    dpi: int
    """dots per inch at which a PDF is drawn"""
    detect_px: int
    """longest side, px, to which a page is shrunk to find its text"""


@shaped(only_these=True, oneOf=[["data"], ["url"]])
class Image(TypedDict, total=False):
    """A picture's data, or its URL if the operator allowed that; not both."""

    id: str
    data: Base64
    url: str


@shaped(only_these=True)
class RecognizeRequest(TypedDict):
    """Pictures to be read."""

    images: Several[Image]
    options: NotRequired[ReadingOptions]


@shaped(only_these=True)
class PagesRequest(TypedDict):
    """Files with whole pages to be read."""

    pages: Several[Image]
    options: NotRequired[PageOptions]


class Problem(Open):
    """What went wrong with a whole request (RFC 9457)."""

    type: str
    title: str
    status: int
    code: ProblemCode
    detail: str


class Error(Open):
    """What is wrong with one picture or page."""

    code: str
    message: str


class Char(Open):
    """A character; columns are px of the picture."""

    char: str
    probability: Share
    x0: Finite
    x1: Finite


class Bundle(Open):
    """What read."""

    name: str
    digest: str


@shaped(anyOf=[["text", "confidence", "squeezed", "turned"], ["error"]])
class Result(TypedDict):
    """What was read in a picture, or why nothing was; both where it is less sure than wanted."""

    id: str
    text: NotRequired[str]
    confidence: NotRequired[Share]
    squeezed: NotRequired[bool]
    turned: NotRequired[Annotated[Turned, WHOLE]]
    model: NotRequired[ReadBy]
    chars: NotRequired[Several[Char]]
    error: NotRequired[Error]


class Results(Open):
    """The results of pictures, in the order of the request."""

    model: Bundle
    results: list[Result]


class Line(Open):
    """A line of a page."""

    line: Number
    text: str
    confidence: Share
    region: tuple[Corner, Corner, Corner, Corner]
    """corners x, y, px of the upright page, clockwise from where the text begins"""
    model: NotRequired[ReadBy]
    chars: NotRequired[Several[Char]]
    """columns are those of the region cut out"""
    turned: NotRequired[Annotated[Turned, WHOLE]]
    """degrees clockwise by which a tall region was turned to be read; left out where it wasn't"""
    error: NotRequired[Error]


@shaped(anyOf=[["width", "height", "turned", "lines"], ["error"]])
class Page(TypedDict):
    """A page that was read, or why it wasn't."""

    page: Number
    width: NotRequired[Side]
    """px of the upright page"""
    height: NotRequired[Side]
    turned: NotRequired[Annotated[PageTurned, WHOLE]]
    """degrees clockwise by which the text lies turned on the page"""
    lines: NotRequired[Several[Line]]
    """in reading order"""
    error: NotRequired[Error]


@shaped(anyOf=[["pages"], ["error"]])
class PagesOfFile(TypedDict):
    """The pages of a file, or why it can't be opened."""

    id: str
    pages: NotRequired[Several[Page]]
    error: NotRequired[Error]


class Pages(Open):
    """The pages of files, in the order of the request."""

    model: Bundle
    results: list[PagesOfFile]


class Given(Open):
    """What POST /v1/pages answered for one file."""

    results: Annotated[list[PagesOfFile], Field(min_length=1, max_length=1)]


class State(Open):
    """Whether the service lives or is ready."""

    status: str


class Model(Open):
    """What the service reads with, and its bounds."""

    name: str
    digest: str
    cascade: dict[str, Any] | None
    engine: str
    device: str
    charset: str
    decoder: str
    picture: dict[str, Any]
    data_digest: str
    metrics: dict[str, Any]
    limits: dict[str, Any]
    pages: dict[str, Any]
    pictures_waiting: int
    last_roll: dict[str, Any] | None


@shaped(only_these=True)
class JobOptions(TypedDict, total=False):
    """How the pictures of a bulk job are read; the same as the flags of jobs/recognize.py."""

    decoder: DecoderName | None
    """default: lexicon where there is one, else the bundle's"""
    lexicon: Annotated[list[Word], Field(min_length=1, max_length=JOB_WORDS)] | str | None
    """the words allowed, or the address of a file with one a line"""
    chars: bool | None
    """give each character's probability and position"""
    min_confidence: Share | None
    """readings with a lower confidence become errors, low_confidence"""
    all_files: bool | None
    """also read files whose names don't end like those of pictures"""
    retry_failed: bool | None
    """read again the inputs whose row is an error"""


@shaped(only_these=True)
class JobRequest(TypedDict):
    """A bulk job to be started."""

    input: str
    """a folder or prefix, a pattern, one picture, a prepared set, or a .csv or .parquet list with a
    column uri (and perhaps etag, x0 y0 x1 y1, box or polygon). What a list names outside the
    allowed folders is not read: its row has the error not_allowed"""
    output: str
    """folder of the results"""
    options: NotRequired[JobOptions]


class JobAnswer(Open):
    """A bulk job as it is now."""

    id: str
    state: Literal["queued", "listing", "reading", "cancelling", "finished", "failed", "cancelled"]
    done: int
    """pictures read, those with an error included"""
    failed: int
    """pictures that can't be read"""
    total: int
    """pictures found so far; all of them once listed"""
    listed: bool
    rate: float | None
    """pictures a second lately"""
    seconds_left: float | None
    error: str | None
    """why the job failed"""
    created: str
    """ISO 8601, UTC"""
    input: str
    output: str
    options: dict[str, Any]
    model: dict[str, str]
    """digest and address of the bundle"""
    report: dict[str, Any] | None
    """counts of the output's rows, when the job is finished; not in lists"""
    report_page: str | None
    """address of the page that shows it"""


class JobList(Open):
    """Bulk jobs, newest first."""

    jobs: list[JobAnswer]
    before: str | None
    """to be given to list older jobs; null at the end"""
