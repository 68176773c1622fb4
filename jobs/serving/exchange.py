"""One HTTP request and its answer, for the handlers that are worth more speed than FastAPI has."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType

from starlette.types import Receive, Scope, Send

from jobs.serving.bodies import Body, ClientGoneError, Held
from jobs.serving.limits import Limits

Headers = list[tuple[bytes, bytes]]
OK = 200
JSON_HEADERS: Headers = [(b"content-type", b"application/json")]
_WATCH_AFTER_S = 0.25


@dataclass(frozen=True)
class Request:
    """What has come of a request before its body."""

    path: str
    query: bytes
    headers: dict[bytes, bytes]
    receive: Receive
    deadline_s: float
    """Time by the event loop's clock."""

    @classmethod
    def of(cls, scope: Scope, receive: Receive, request_s: float) -> Request:
        """From what an ASGI server gives; the request has ``request_s`` from now on."""
        deadline_s = asyncio.get_running_loop().time() + request_s
        return cls(
            path_of(scope), scope["query_string"], dict(scope["headers"]), receive, deadline_s
        )

    def body(self, limits: Limits, held: Held) -> Body:
        """Its body, for ``async with``."""
        return Body(self.receive, self.headers, limits, held, self.deadline_s)


@dataclass(frozen=True)
class Answer:
    """What is sent back."""

    body: bytes
    headers: Headers = field(default_factory=lambda: JSON_HEADERS)

    async def send(self, send: Send) -> None:
        """Over ASGI."""
        length = (b"content-length", str(len(self.body)).encode())
        await send(
            {
                "type": "http.response.start",
                "status": OK,
                "headers": [*self.headers, length],
            }
        )
        await send({"type": "http.response.body", "body": self.body})


Handler = Callable[[Request], Awaitable[Answer]]


@dataclass(frozen=True)
class Hot:
    """What answers a path's requests."""

    handler: Handler
    request_s: float
    """Seconds that a request has."""


def path_of(scope: Scope) -> str:
    """The path below the prefix at which the application is mounted."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path.removeprefix(root) or "/"


class WhileWanted(AbstractContextManager[None]):
    """Ends what runs within it when the caller goes away; once the body has been received.

        with WhileWanted(receive):
            results = await …

    Quick work isn't worth a look, so the first comes after a moment. Raises ClientGoneError.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._watch: asyncio.Task[None] | None = None
        self._is_gone = False

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        self._timer = asyncio.get_running_loop().call_later(_WATCH_AFTER_S, self._start)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        if self._watch is not None:
            self._watch.cancel()
        if self._is_gone and kind is asyncio.CancelledError:
            assert self._task is not None
            self._task.uncancel()
            raise ClientGoneError

    def _start(self) -> None:
        self._watch = asyncio.ensure_future(self._look())

    async def _look(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._is_gone = True
        assert self._task is not None
        self._task.cancel()
