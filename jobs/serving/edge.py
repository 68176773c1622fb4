"""What stands before Serve: bounds the body while it comes, and words Serve's own refusals.

Ray Serve reads a request's whole body into memory, however large, before or while the replica
does; and it answers overload, timeouts and lost replicas as plain text. ``middlewares`` is the
place that Serve has for such a layer: name it in ``CALLBACK_VARIABLE`` of the processes that
listen. Those are the proxies, and behind HAProxy the replicas.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import Mapping

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jobs.serving.bodies import check_size, shown, too_large
from jobs.serving.limits import MIB, Limits
from jobs.serving.not_http import answer_with_problems
from jobs.serving.problems import RETRY_AFTER_S, Problem, ProblemError

CALLBACK_VARIABLE = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"
CALLBACK = "jobs.serving.edge:middlewares"
BODY_VARIABLE = "CRNN_SERVE_BODY_MB"
"""The bound here; the application's own is ``Limits.body_mb``: ``jobs.serving.agreement``."""
_LINGER_S = 2.0
_NOT_FROM_OUTSIDE = (
    *(b"x-request-timeout-seconds", b"x-request-disconnect-disabled"),
    *(b"serve-multiplexed-model-id", b"x-session-id"),
)
"""Headers with which a caller could lift Serve's bounds, or choose among replicas; - or _."""
_REQUEST_ID = b"x-request-id"
_PLAIN_ID = re.compile(rb"[\w.:@/+=-]{1,128}", re.ASCII)
"""Such ids are taken over into logs and answers; for others there is a new one."""
_WATCHED_BY_US = (b"x-request-disconnect-disabled", b"?1")


def middlewares() -> list[Middleware]:
    """What Serve puts around the server of this process."""
    answer_with_problems()
    return [Middleware(Edge, max_bytes=body_mb(os.environ) * MIB, is_replica=_is_replica())]


def body_mb(environment: Mapping[str, str]) -> int:
    """The bound of bodies, MiB, in a process with this environment."""
    return int(environment.get(BODY_VARIABLE, "") or Limits().body_mb)


class Edge:
    """An ASGI application around Serve's."""

    def __init__(self, app: ASGIApp, *, max_bytes: int, is_replica: bool) -> None:
        """``is_replica``: requests end up in this process, which sees itself whether the caller
        is still there; then Serve needn't read ahead to know."""
        self._app, self._max_bytes = app, max_bytes
        self._added = [_WATCHED_BY_US] if is_replica else []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = [pair for pair in scope["headers"] if _may_pass(*pair)]
        scope["headers"] = headers + self._added
        try:
            if not scope["path"].startswith("/"):  # Serve would find no application there
                raise ProblemError("malformed", f"no path: {scope['path']!r}, expected /…")
            _check_upgrade(dict(headers))
            check_size(dict(headers), self._max_bytes)
        except ProblemError as error:
            await _refuse(error.problem, receive, send)
            return
        exchange = _Exchange(receive, send, self._max_bytes)
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except asyncio.CancelledError:  # Serve's way out after a refusal
            if not exchange.is_over_limit:
                raise
        if exchange.is_over_limit and not exchange.has_started:
            await _refuse(too_large(self._max_bytes).problem, receive, send)


def _may_pass(name: bytes, value: bytes) -> bool:
    if name == _REQUEST_ID:
        return _PLAIN_ID.fullmatch(value) is not None
    return name.replace(b"_", b"-") not in _NOT_FROM_OUTSIDE


def _check_upgrade(headers: Mapping[bytes, bytes]) -> None:
    """uvicorn's parser reads no body behind a wish for another protocol."""
    wish = headers.get(b"upgrade")
    if wish is None or b"upgrade" not in headers.get(b"connection", b"").lower():
        return
    if b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0":
        raise ProblemError(
            "malformed",
            f"the request has a body and asks for the protocol {shown(wish)}; send it without "
            "the header Upgrade: this is HTTP/1.1",
        )


class _Exchange:
    """One request and its answer on their way through."""

    def __init__(self, receive: Receive, send: Send, max_bytes: int) -> None:
        self._receive, self._send, self._left = receive, send, max_bytes
        self.is_over_limit = self.has_started = self._is_replaced = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            self.is_over_limit = True
            return {"type": "http.disconnect"}
        return message

    async def send(self, message: Message) -> None:
        if self._is_replaced or (self.is_over_limit and not self.has_started):
            return
        if message["type"] == "http.response.start":
            problem = _of_serve(message)
            if problem is not None:
                self._is_replaced = self.has_started = True
                await _answer(problem, self._send)
                return
        self.has_started = True
        await self._send(message)


def _of_serve(message: Message) -> Problem | None:
    """What Serve's own refusal means; None for an answer of the application.

    Its 404 is that there is no application (any more): our own comes from the application.
    """
    status = message["status"]
    if status < 400:
        return None
    headers: dict[bytes, bytes] = {key.lower(): value for key, value in message["headers"]}
    if not headers.get(b"content-type", b"").startswith(b"text/plain"):
        return None
    retry_after_s = float(headers.get(b"retry-after", b"1"))
    if status == 408:
        return Problem(
            code="timed_out",
            detail="the request took longer than the service waits",
            retry_after_s=RETRY_AFTER_S,
        )
    if status == 429:
        return Problem(
            code="overloaded",
            detail="the service has as many requests as it can hold",
            retry_after_s=retry_after_s,
        )
    return Problem(
        code="unavailable",
        detail="no replica could answer: the service is starting or stopping, or has lost one; "
        "send it again",
        retry_after_s=retry_after_s,
    )


async def _refuse(problem: Problem, receive: Receive, send: Send) -> None:
    """Answer, and let the rest of the body pass for a moment, so that the answer is read."""
    await _answer(problem, send, is_last=False)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_S):
            while (await receive()).get("more_body", False):
                pass
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _answer(problem: Problem, send: Send, *, is_last: bool = True) -> None:
    found = problem.response()
    start = {"type": "http.response.start", "status": problem.status}
    await send({**start, "headers": found.raw_headers})
    await send({"type": "http.response.body", "body": found.body, "more_body": not is_last})


def _is_replica() -> bool:
    from ray import serve
    from ray.serve.exceptions import RayServeException

    try:
        serve.get_replica_context()
    except RayServeException:
        return False
    return True
