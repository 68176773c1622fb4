"""What goes wrong with a whole request, as RFC 9457 problem details with the status it deserves.

The one place where a problem becomes an answer: for an application (``response``), and as bytes
for what answers before any application is asked (``raw``).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import orjson
from starlette.responses import Response

if TYPE_CHECKING:  # a proxy needs no pydantic
    from crnn import wire
    from crnn.wire import ProblemCode

log = logging.getLogger(__name__)
PROBLEM_TYPE = "application/problem+json"
STATUSES: dict[ProblemCode, int] = {
    "malformed": 400,
    "unauthorized": 401,
    "not_found": 404,
    "method_not_allowed": 405,
    "slow_request": 408,
    "conflict": 409,
    "too_large": 413,
    "too_many_pages": 413,
    "too_many_pictures": 413,
    "unsupported_media_type": 415,
    "misdirected": 421,
    "invalid": 422,
    "overloaded": 429,
    "internal": 500,
    "not_installed": 501,
    "unavailable": 503,
    "timed_out": 504,
}
"""Every code that a problem may have, and its status."""
MEANINGS: dict[ProblemCode, str] = {
    "malformed": "The request can't be parsed: bad JSON, bad multipart, a missing boundary.",
    "unauthorized": "The service wants 'Authorization: Bearer TOKEN', or another token.",
    "not_found": "There is nothing at this path.",
    "conflict": "Something conflicts with the request, such as a job with the same output.",
    "method_not_allowed": "This path takes other methods.",
    "slow_request": "The body didn't come within the request time.",
    "too_large": "The body is larger than the service takes.",
    "too_many_pictures": "The request has more pictures than the service takes at once.",
    "too_many_pages": "The request's files have more pages than the service takes at once.",
    "unsupported_media_type": "The body's type or coding is one that this path doesn't take.",
    "misdirected": "The Host is none of the service's configured names.",
    "invalid": "The request can be read and makes no sense: unknown options, other types.",
    "overloaded": "More requests are under way than the service holds; try again after "
    "Retry-After.",
    "internal": "The service failed; its log says why.",
    "not_installed": "The service lacks a package that this path needs; the detail says which.",
    "unavailable": "The service is starting or stopping, or has lost a process; try again after "
    "Retry-After.",
    "timed_out": "The body was there, and the answer wasn't ready within the request time.",
}
"""What each code means, for the documentation."""
_TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}
"""As RFC 9110 names them; older Pythons have other names."""
RETRY_AFTER_S = 1.0
"""Where nothing better is known."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """The status and the body of a refusal."""

    code: ProblemCode
    detail: str
    """What was found, what was expected, what to do."""
    retry_after_s: float | None = None
    """When it makes sense to try again; None: never with this request."""
    allow: str = ""
    """Methods that the path takes, where it was another one."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        return STATUSES[self.code]

    @property
    def title(self) -> str:
        """What the status is called."""
        return _TITLES.get(self.status) or HTTPStatus(self.status).phrase

    def response(self, document: Mapping[str, object] | None = None) -> Response:
        """The answer; with another ``document``, where a protocol has its own."""
        content: wire.Problem = {
            "type": f"/docs#{self.code}",
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }
        kind = PROBLEM_TYPE if document is None else "application/json"
        return Response(orjson.dumps(document or content), self.status, self._headers(), kind)

    def raw(self, *, briefly: bool = False) -> bytes:
        """The answer as it is sent, which ends the connection; ``briefly``: without a phrase."""
        found = self.response()
        phrase = "" if briefly else self.title
        headers = dict(found.raw_headers) | {b"connection": b"close"}
        head = [f"HTTP/1.1 {self.status} {phrase}".encode(), *map(b": ".join, headers.items())]
        return b"\r\n".join([*head, b"", bytes(found.body)])

    def _headers(self) -> dict[str, str]:
        """The retry time, the challenge, or the end of the connection, where they belong."""
        found = {}
        if self.retry_after_s is not None:
            found["retry-after"] = str(max(1, math.ceil(self.retry_after_s)))
        if self.code == "unauthorized":
            found["www-authenticate"] = 'Bearer realm="crnn"'
        if self.code == "unsupported_media_type":  # RFC 9110, 12.5.3
            found["accept-encoding"] = "identity"
        if self.allow:
            found["allow"] = self.allow
        if self.code in ("too_large", "slow_request"):  # the rest of the body isn't read
            found["connection"] = "close"
        return found


class ProblemError(Exception):
    """Ends a request with a problem."""

    def __init__(
        self, code: ProblemCode, detail: str, *, retry_after_s: float | None = None, allow: str = ""
    ) -> None:
        super().__init__(detail)
        self.problem = Problem(code=code, detail=detail, retry_after_s=retry_after_s, allow=allow)


def not_ready() -> ProblemError:
    """A replica that can't read yet, or won't much longer."""
    return ProblemError(
        "unavailable", "not warmed up, or about to stop", retry_after_s=RETRY_AFTER_S
    )


INTERNAL = Problem(
    code="internal",
    detail="the service failed on this request; its log says why",
    retry_after_s=RETRY_AFTER_S,
)
"""Whatever was raised that nothing else handles."""


def problem_of(error: Exception, path: str) -> Problem:
    """What a handler's error is to the caller; one that isn't meant for them is logged."""
    if isinstance(error, ProblemError):
        return error.problem
    log.error("a request to %r failed", path, exc_info=error)
    return INTERNAL
