"""What the service's answers mean: results, a model, jobs, or an error of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, NoReturn

import httpx

from crnn.client.retry import DIED, PASSING, Outcome, retry_after_s
from crnn.errors import (
    AccessDeniedError,
    PictureError,
    RequestRefusedError,
    ServiceBusyError,
    ServiceError,
    ServiceUnreachableError,
)
from crnn.result import CharResult, Result

if TYPE_CHECKING:  # the types of the answers; pydantic, which they are checked with, stays there
    from crnn import wire

Corner = tuple[float, float]
ENDED = ("finished", "failed", "cancelled")
"""Final states of a job."""


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """The bundle that the service reads with."""

    name: str
    digest: str
    details: Mapping[str, Any] = field(default_factory=dict)
    """All that the service says of it."""


@dataclass(frozen=True, kw_only=True)
class PageLine:
    """A line of text on a page."""

    number: int
    """From 1 on, in reading order."""
    region: tuple[Corner, Corner, Corner, Corner]
    """Corners x, y, px of the upright page, clockwise from where the text begins."""
    result: Result
    """What it reads; columns of characters are those of the region cut out."""

    @property
    def text(self) -> str:
        """What it reads, empty where it can't be read."""
        return self.result.text


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page that was read, or why it can't be."""

    number: int
    """From 1 on, in its file."""
    width: int = 0
    """Px, of the upright page."""
    height: int = 0
    turned: int = 0
    """Degrees clockwise by which its text lies turned on it: 0, 90, 180 or 270."""
    lines: tuple[PageLine, ...] = ()
    """In reading order; none where there is no text."""
    error_code: str | None = None
    error_message: str | None = None

    @property
    def text(self) -> str:
        """Its lines, one below the other."""
        return "\n".join(line.text for line in self.lines)


@dataclass(frozen=True, kw_only=True)
class Job:
    """A bulk job of the service."""

    id: str
    state: str
    """``queued``, ``listing``, ``reading``; finally ``finished``, ``failed``, ``cancelled``."""
    done: int
    """Pictures read, those with an error included."""
    failed: int
    """Pictures that can't be read."""
    total: int
    """Pictures found so far; all of them once ``listed``."""
    listed: bool
    rate: float | None
    """Pictures per second; None while unknown."""
    seconds_left: float | None
    """Seconds until it is finished; None while unknown."""
    error: str | None
    """Why it failed."""
    report: Mapping[str, Any] | None
    """What lies in the results, once it is finished."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """All that the service says of it: input, output, options, times."""

    @property
    def ended(self) -> bool:
        """Whether it stays as it is."""
        return self.state in ENDED


def results_of(outcome: Outcome, count: int) -> list[Result]:
    """The results of a request with ``count`` pictures, in its order."""
    answer: wire.Results = document(outcome)
    try:
        digest, entries = answer["model"]["digest"], answer["results"]
        results = [_result(entry, digest) for entry in entries]
    except (KeyError, TypeError, ValueError) as error:
        raise _odd(outcome, f"it has no results ({error!r})") from error
    if len(results) != count:
        raise _odd(outcome, f"{len(results)} results for {count} pictures")
    return results


def pages_of(outcome: Outcome) -> list[Page]:
    """The pages of a request with one file; PictureError where it can't be opened."""
    answer: wire.Pages = document(outcome)
    try:
        digest, [entry] = answer["model"]["digest"], answer["results"]
        error = entry.get("error")
        pages = [] if error else [_page(page, digest) for page in entry["pages"]]
    except (AttributeError, KeyError, TypeError, ValueError) as wrong:
        raise _odd(outcome, f"it has no pages ({wrong!r})") from wrong
    if error:
        raise PictureError(error["code"], error["message"])
    return pages


def model_of(outcome: Outcome) -> ModelInfo:
    """The answer of ``GET /v1/model``."""
    answer: wire.Model = document(outcome)
    try:
        return ModelInfo(name=answer["name"], digest=answer["digest"], details=answer)
    except KeyError as error:
        raise _odd(outcome, f"no {error}") from error


def job_of(outcome: Outcome) -> Job:
    """The answer of ``/v1/jobs/{id}``."""
    return _job(document(outcome), outcome)


def jobs_of(outcome: Outcome) -> list[Job]:
    """The answer of ``GET /v1/jobs``."""
    answer: wire.JobList = document(outcome)
    return [_job(entry, outcome) for entry in answer.get("jobs", [])]


def document(outcome: Outcome) -> Any:
    """The JSON of an answer that went well.

    Raises:
        ServiceError: for any other.
    """
    if isinstance(outcome, httpx.TransportError):
        raise _unreachable(outcome) from outcome
    if not outcome.is_success:
        _refuse(outcome)
    try:
        return outcome.json()
    except ValueError as error:
        raise _odd(outcome, "it isn't JSON") from error


def problem_of(response: httpx.Response) -> dict[str, Any]:
    """The problem details of an answer; empty where it has none."""
    try:
        problem = response.json()
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _result(entry: wire.Result | wire.Line, digest: str) -> Result:
    digest = entry.get("model", digest)  # of a cascade, whichever bundle read it
    if error := entry.get("error"):
        return Result.failed(PictureError(error["code"], error["message"]), digest)
    chars = tuple(
        CharResult(c["char"], c["probability"], c["x0"], c["x1"]) for c in entry.get("chars") or ()
    )
    squeezed, turned = bool(entry.get("squeezed", False)), entry.get("turned", 0)
    return Result(entry["text"], entry["confidence"], chars, digest, squeezed, turned=turned)


def _page(entry: wire.Page, digest: str) -> Page:
    if error := entry.get("error"):
        return Page(number=entry["page"], error_code=error["code"], error_message=error["message"])
    return Page(
        number=entry["page"],
        width=entry["width"],
        height=entry["height"],
        turned=entry["turned"],
        lines=tuple(_line(line, digest) for line in entry["lines"]),
    )


def _line(entry: wire.Line, digest: str) -> PageLine:
    first, second, third, fourth = ((x, y) for x, y in entry["region"])
    return PageLine(
        number=entry["line"],
        region=(first, second, third, fourth),
        result=_result(entry, digest),
    )


def _job(entry: wire.JobAnswer, outcome: Outcome) -> Job:
    said: Mapping[str, Any] = entry
    names = [member.name for member in fields(Job) if member.name != "details"]
    try:
        return Job(**{name: said[name] for name in names}, details=said)
    except (KeyError, TypeError) as error:
        raise _odd(outcome, f"it has no {error} of a job") from error


def _refuse(response: httpx.Response) -> NoReturn:
    status, problem = response.status_code, problem_of(response)
    text = problem.get("detail") or problem.get("title") or response.text[:300].strip()
    message = f"{response.request.url} answered {status} {response.reason_phrase}: {text}"
    if status in (401, 403):
        advice = "; give the service's bearer token as token="
        raise AccessDeniedError(message + advice, status=status, problem=problem)
    if status in PASSING or status == DIED:
        busy = ServiceBusyError(message, status=status, problem=problem)
        busy.retry_after_s = retry_after_s(response)
        raise busy
    if 400 <= status < 500:
        raise RequestRefusedError(message, status=status, problem=problem)
    raise ServiceError(message, status=status, problem=problem)


def _unreachable(error: httpx.TransportError) -> ServiceUnreachableError:
    kind = (
        "didn't answer in time" if isinstance(error, httpx.TimeoutException) else "can't be asked"
    )
    return ServiceUnreachableError(
        f"{error.request.url} {kind}: {str(error) or type(error).__name__}; check the address, "
        "that the service runs, and timeout_s"
    )


def _odd(outcome: Outcome, what: str) -> ServiceError:
    assert isinstance(outcome, httpx.Response)
    return ServiceError(
        f"the answer of {outcome.request.url} is not one of a recognition service: {what}; check "
        "the address",
        status=outcome.status_code,
    )
