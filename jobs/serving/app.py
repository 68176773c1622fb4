"""The ASGI application of a replica: which path does what, who may, and what is counted."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, MutableMapping
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from jobs.serving.access import Access
from jobs.serving.bodies import ClientGoneError
from jobs.serving.contract import explained
from jobs.serving.exchange import OK, Hot, Request, path_of
from jobs.serving.problems import INTERNAL, STATUSES, Problem, ProblemError, problem_of
from jobs.serving.service import Service

log = logging.getLogger(__name__)
UNKNOWN_PATH = "other"
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_CODES = {status: code for code, status in reversed(STATUSES.items())}


class App:
    """Hot paths by table, all others by FastAPI; problems, access and counts for both."""

    def __init__(
        self, service: Service, access: Access, hot: Mapping[str, Hot], slow: FastAPI
    ) -> None:
        """``hot``: what is posted to where; ``slow`` has everything else."""
        self._service, self._access = service, access
        self._hot, self._slow = dict(hot), slow

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] != "http":
            await self._slow(scope, receive, send)
            return
        began_s = time.perf_counter()
        path = path_of(scope)
        hot = self._hot.get(path)
        try:
            self._access.check(path, _header(scope, b"authorization"), _header(scope, b"host"))
            if hot is not None and scope["method"] != "POST":
                raise ProblemError("method_not_allowed", f"{path} takes POST", allow="POST")
        except ProblemError as error:
            await error.problem.response()(scope, receive, send)
            label, status = UNKNOWN_PATH, error.problem.status
        else:
            if hot is not None:
                label, status = path, await self._run(hot, scope, receive, send)
            else:
                label, status = await self._pass_on(scope, receive, send)
        if status:
            self._service.tally.request(label, status, time.perf_counter() - began_s)

    async def _run(self, hot: Hot, scope: Scope, receive: Receive, send: Send) -> int:
        """The status answered; 0 where the caller went away."""
        try:
            answer = await hot.handler(Request.of(scope, receive, hot.request_s))
        except ClientGoneError:
            return 0
        except Exception as error:
            problem = problem_of(error, path_of(scope))
        else:
            await answer.send(send)
            return OK
        await problem.response()(scope, receive, send)
        return problem.status

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> tuple[str, int]:
        """The path as it was declared, and the status answered.

        Every path that takes GET takes HEAD (RFC 9110, 9.3.2): the server leaves the body out.
        """
        status = 0
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}

        async def noting(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._slow(scope, receive, noting)
        except Exception as error:  # Starlette raises it again once it has answered
            problem = problem_of(error, path_of(scope))
            if not status:
                await problem.response()(scope, receive, noting)
        route = scope.get("route")
        return getattr(route, "path", UNKNOWN_PATH), status


def slow_app(*routers: APIRouter, version: str) -> FastAPI:
    """The routers in one application, whose errors are problems."""
    app = FastAPI(
        title="crnn",
        version=version,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,  # to a host that the caller chose
    )
    for router in routers:
        app.include_router(router)
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(Exception, _on_failure)
    return app


def _header(scope: Scope, wanted: bytes) -> bytes:
    for name, value in scope["headers"]:
        if name == wanted:
            return bytes(value)
    return b""


async def _on_problem(request: StarletteRequest, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return error.problem.response()


async def _on_http(request: StarletteRequest, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = _CODES.get(error.status_code, "internal")
    path = path_of(request.scope)
    allow = _methods(request) if code == "method_not_allowed" else ""
    detail = f"{request.method} {path}: {error.detail}"
    return Problem(code=code, detail=detail, allow=allow).response()


def _methods(request: StarletteRequest) -> str:
    """All methods that the path takes; Starlette's own answer has those of one route."""
    found = {
        method
        for method in _METHODS
        for route in request.app.routes
        if route.matches({**request.scope, "method": method})[0] is Match.FULL
    }
    return ", ".join(sorted(found | ({"HEAD"} if "GET" in found else set())))


async def _on_invalid(request: StarletteRequest, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return Problem(code="invalid", detail=explained(error.errors(), "the request")).response()


async def _on_failure(request: StarletteRequest, error: Exception) -> Response:
    return INTERNAL.response()
