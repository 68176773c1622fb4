"""A real HTTP server in a thread, and the service's application in it without Ray around it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from jobs.serving.app import App
from jobs.serving.assembly import assembled
from jobs.serving.metrics import MetricTally
from jobs.serving.service import Service
from jobs.serving.settings import ServeSettings


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """The application on a free port of this machine; its address."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server ended before it began"
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


class Replica:
    """What a replica of the service answers with, its bundle in use once the server has begun."""

    def __init__(self, **settings: Any) -> None:
        self._settings = ServeSettings(**settings)
        self._app: App | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        assert self._app is not None
        await self._app(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        service = Service(self._settings, MetricTally())
        await service.install(self._settings.bundle, "")
        self._app = assembled(service)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await service.aclose()
        await send({"type": "lifespan.shutdown.complete"})
