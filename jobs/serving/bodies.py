"""A request's body, taken in within the bounds: no more bytes and no longer than they allow."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from jobs.serving.limits import MIB, Limits
from jobs.serving.problems import RETRY_AFTER_S, ProblemError

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


async def read_body(
    receive: Receive, headers: Headers, limits: Limits, held: Held, deadline_s: float
) -> bytes:
    """The whole body, whose bytes ``held`` counts until the caller gives them back.

    Raises:
        ProblemError: ``too_large``, ``overloaded``, ``slow_request``, ``malformed``,
            ``unsupported_media_type``; nothing is held then.
        ClientGoneError: when the connection ended first.
    """
    check_size(headers, limits.body_mb * MIB)
    coding = headers.get(b"content-encoding", b"identity")
    if coding.strip().lower() != b"identity":
        raise ProblemError(
            "unsupported_media_type",
            f"the body has the Content-Encoding {shown(coding)}; send it without one",
        )
    taken = 0
    chunks: list[bytes] = []
    try:
        async with asyncio.timeout_at(deadline_s):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGoneError
                chunk = message.get("body", b"")
                held.take(len(chunk))
                taken += len(chunk)
                if taken > limits.body_mb * MIB:
                    raise too_large(limits.body_mb * MIB)
                chunks.append(chunk)
                if not message.get("more_body", False):
                    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
    except BaseException as error:
        held.give_back(taken)
        if isinstance(error, TimeoutError):
            raise ProblemError(
                "slow_request",
                f"{taken} bytes of the body came within {limits.request_s:g} s; expected all of it",
                retry_after_s=RETRY_AFTER_S,
            ) from None
        raise


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
