"""When to ask again, and how long to wait before: with waits that grow, spread by chance."""

from __future__ import annotations

import random
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx

FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 30.0
PASSING = frozenset({408, 429, 502, 503, 504})
"""Answers that another attempt may improve: overload, a gateway without a replica, a deadline."""
DIED = 500
"""What the proxy answers when a replica dies under a request; asked again where that does no
harm."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, kw_only=True)
class Call:
    """One HTTP request."""

    method: str
    path: str
    files: list[tuple[str, tuple[str, bytes, str]]] | None = None
    form: dict[str, str] | None = None
    json: Any = None
    query: dict[str, str] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    repeatable: bool = True
    """Whether the request is idempotent, so that it may be retried after any failure."""


@dataclass(frozen=True, kw_only=True)
class Pause:
    """Waiting until the next try."""

    seconds: float


Outcome = httpx.Response | httpx.TransportError
Flow = Generator[Call | Pause, Outcome | None, Answer]
"""What is to be sent and waited for, one after another; a driver does it and hands back what came
of each call."""


def asked(call: Call, retries: int) -> Flow[Outcome]:
    """The answer to a call, or the failure of the last try."""
    for attempt in range(retries + 1):
        outcome = yield call
        assert outcome is not None, "a driver hands back what came of a call"
        wait = wait_s(outcome, attempt)
        if attempt == retries or wait is None or not _worth_it(outcome, call):
            return outcome
        yield Pause(seconds=wait)
    raise AssertionError("unreachable: the last try returns")


def wait_s(outcome: Outcome, attempt: int) -> float | None:
    """Seconds to wait after try ``attempt`` (from 0); None when the service wants longer than
    ``LONGEST_WAIT_S``.

    Full jitter: any time up to a bound that doubles, so that many clients don't come back together;
    on top of what ``Retry-After`` asks for.
    """
    least = retry_after_s(outcome) or 0.0
    if least > LONGEST_WAIT_S:
        return None
    return least + random.uniform(0, min(FIRST_WAIT_S * 2**attempt, LONGEST_WAIT_S))


def retry_after_s(outcome: Outcome) -> float | None:
    """What ``Retry-After`` says, in seconds from now; None where there is none (RFC 9110)."""
    text = outcome.headers.get("Retry-After") if isinstance(outcome, httpx.Response) else None
    if text is None:
        return None
    if text.strip().isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _worth_it(outcome: Outcome, call: Call) -> bool:
    if isinstance(outcome, httpx.TransportError):
        return call.repeatable or isinstance(outcome, httpx.ConnectError)
    again = PASSING | {DIED} if call.repeatable else PASSING - {408, 502, 504}
    return outcome.status_code in again
