"""A request's body, taken in within the bounds: no more bytes and no longer than they allow.

Three bounds, as each sees what the others don't. ``jobs.serving.edge`` counts a body before Ray
Serve has all of it in memory. ``Body`` counts it again where it is read: a cluster that ran before
may have no edge in front (``jobs.serving.agreement``). ``Held`` counts all bodies of a replica
together, until they are answered. What ``crnn.online`` bounds is not bodies but the pictures in its
queue, which may have come as base64 or by their URL.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from jobs.serving.limits import MIB, Limits
from jobs.serving.problems import RETRY_AFTER_S, ProblemError

JSON_TYPE = b"application/json"
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Headers = Mapping[bytes, bytes]


class ClientGoneError(Exception):
    """The client no longer waits for the answer."""


class Held:
    """Counts the bytes of all bodies that are being received, and refuses too many."""

    def __init__(self, limit: int) -> None:
        self._limit, self.bytes = limit, 0

    def take(self, count: int) -> None:
        """Raises ProblemError, and takes nothing, when there is no room."""
        if self.bytes + count > self._limit:
            raise ProblemError(
                "overloaded",
                f"the bodies of requests under way would be over {self._limit >> 20} MiB; try "
                "again when some are done",
                retry_after_s=RETRY_AFTER_S,
            )
        self.bytes += count

    def give_back(self, count: int) -> None:
        """This many are gone."""
        self.bytes -= count


class Body:
    """A request's body while it is needed: ``async with Body(…) as data``.

    Raises ProblemError ``too_large``, ``overloaded``, ``slow_request``, ``malformed`` or
    ``unsupported_media_type``, and ClientGoneError where the connection ended first.
    """

    def __init__(
        self, receive: Receive, headers: Headers, limits: Limits, held: Held, deadline_s: float
    ) -> None:
        """``held`` counts its bytes from the first to the end of the block."""
        self._receive, self._headers, self._deadline_s = receive, headers, deadline_s
        self._limits, self._held, self._taken = limits, held, 0

    async def __aenter__(self) -> bytes:
        coding = self._headers.get(b"content-encoding", b"identity")
        if coding.strip().lower() != b"identity":
            raise ProblemError(
                "unsupported_media_type",
                f"the body has the Content-Encoding {shown(coding)}; send it without one",
            )
        limit, chunks = self._limits.body_mb * MIB, []
        try:
            async with asyncio.timeout_at(self._deadline_s):
                while True:
                    message = await self._receive()
                    if message["type"] == "http.disconnect":
                        raise ClientGoneError
                    chunk = message.get("body", b"")
                    self._held.take(len(chunk))
                    self._taken += len(chunk)
                    if self._taken > limit:
                        raise too_large(limit)
                    chunks.append(chunk)
                    if not message.get("more_body", False):
                        return chunks[0] if len(chunks) == 1 else b"".join(chunks)
        except BaseException as error:
            self._held.give_back(self._taken)
            if isinstance(error, TimeoutError):
                raise ProblemError(
                    "slow_request",
                    f"{self._taken} bytes of the body came within {self._limits.request_s:g} s; "
                    "expected all of it",
                    retry_after_s=RETRY_AFTER_S,
                ) from None
            raise

    async def __aexit__(self, *error: object) -> None:
        self._held.give_back(self._taken)


def kind_of(headers: Headers) -> bytes:
    """The media type of the body, without parameters."""
    return headers.get(b"content-type", b"").partition(b";")[0].strip().lower()


def check_json(headers: Headers) -> None:
    """Raise ProblemError ``unsupported_media_type`` unless the body says that it is JSON."""
    if kind_of(headers) != JSON_TYPE:
        raise ProblemError(
            "unsupported_media_type",
            f"the Content-Type is {shown(headers.get(b'content-type', b''))}; expected "
            "application/json",
        )


def check_size(headers: Headers, limit: int) -> None:
    """Raise ProblemError where the stated length is too much already, or no length."""
    stated = headers.get(b"content-length")
    if stated is None:
        return
    number = digits(stated)
    if number is None:
        raise ProblemError("malformed", f"Content-Length is {shown(stated)}; expected a number")
    if number > limit:
        raise too_large(limit)


def digits(value: bytes) -> int | None:
    """The number that a header's value is, however long; at most 10¹⁸. None for anything else."""
    if not value.isdigit():
        return None
    significant = value.lstrip(b"0")
    return int(significant or b"0") if len(significant) <= 18 else 10**18


def too_large(limit: int) -> ProblemError:
    """The refusal of a body that is over ``limit`` bytes."""
    return ProblemError(
        "too_large", f"the body is over {limit} bytes, the most allowed; send less at a time"
    )


def shown(value: bytes) -> str:
    """A header's value as messages quote it."""
    return repr(value[:80].decode("latin-1"))
