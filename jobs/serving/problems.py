"""What goes wrong with a whole request, as RFC 9457 problem details with the status it deserves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:  # a proxy needs no pydantic
    from crnn import wire
    from crnn.wire import ProblemCode

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
Headers = list[tuple[bytes, bytes]]


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

    def as_json(self) -> wire.Problem:
        """The members of RFC 9457, and ``code``, which programs may switch on."""
        return {
            "type": f"/docs#{self.code}",
            "title": _TITLES.get(self.status) or HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }

    def body(self) -> bytes:
        """The problem details document."""
        return orjson.dumps(self.as_json())

    def headers(self) -> Headers:
        """With the retry time, the challenge, or the end of the connection, where they belong."""
        found = [(b"content-type", PROBLEM_TYPE.encode())]
        if self.retry_after_s is not None:
            found.append((b"retry-after", str(max(1, math.ceil(self.retry_after_s))).encode()))
        if self.code == "unauthorized":
            found.append((b"www-authenticate", b'Bearer realm="crnn"'))
        if self.code == "unsupported_media_type":  # RFC 9110, 12.5.3
            found.append((b"accept-encoding", b"identity"))
        if self.allow:
            found.append((b"allow", self.allow.encode()))
        if self.code in ("too_large", "slow_request"):  # the rest of the body isn't read
            found.append((b"connection", b"close"))
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
