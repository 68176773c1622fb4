"""The Open Inference Protocol (KServe v2) over the same reading: ``/v2``.

One input ``image`` (BYTES, a picture each) gives ``text`` (BYTES), ``confidence`` (FP32),
``error`` (BYTES, a code, empty where it was read) and, where it is asked for, ``chars`` (BYTES,
JSON). Tensors may lie in the JSON or behind it (the binary data extension, as Triton's clients
send them). The model is called ``crnn``, whichever bundle is in use, and also by its bundle's name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse, Response

from crnn.online import OnlineRecognizer
from jobs.serving.asked import check_options
from jobs.serving.bodies import ClientGoneError
from jobs.serving.exchange import Request, WhileWanted
from jobs.serving.problems import ProblemError, not_ready, problem_of
from jobs.serving.service import Service
from jobs.serving.tensors import INPUT, LENGTH_HEADER, OUTPUTS, asked_tensors, response

MODEL_NAME = "crnn"
PATH = "/v2"
_MODEL = PATH + "/models/{name}"
_VERSION = _MODEL + "/versions/{version}"
_DIGITS = 12
_CLIENT_GONE = 499


def router(service: Service) -> APIRouter:
    """The paths under ``/v2``; their errors are ``{"error": text}``, as the protocol has it."""
    routes = APIRouter(prefix="")

    async def server(request: StarletteRequest) -> Response:
        return JSONResponse(
            {"name": "crnn-on-ray", "version": "2", "extensions": ["binary_tensor_data"]}
        )

    async def live(request: StarletteRequest) -> Response:
        service.check_health()
        return JSONResponse({"live": True})

    async def ready(request: StarletteRequest) -> Response:
        return _readiness(service)

    async def metadata(request: StarletteRequest) -> Response:
        return JSONResponse(_metadata(_model(service, request), request.path_params["name"]))

    async def model_ready(request: StarletteRequest) -> Response:
        _model(service, request)
        return _readiness(service)

    async def infer(request: StarletteRequest) -> Response:
        return await _infer(service, request)

    for path, method, endpoint in (
        (PATH, "GET", server),
        (PATH + "/health/live", "GET", live),
        (PATH + "/health/ready", "GET", ready),
        (_MODEL, "GET", metadata),
        (_VERSION, "GET", metadata),
        (_MODEL + "/ready", "GET", model_ready),
        (_VERSION + "/ready", "GET", model_ready),
        (_MODEL + "/infer", "POST", infer),
        (_VERSION + "/infer", "POST", infer),
    ):
        routes.add_route(path, _with_errors(endpoint), methods=[method], include_in_schema=False)
    return routes


Endpoint = Callable[[StarletteRequest], Awaitable[Response]]


def _with_errors(endpoint: Endpoint) -> Endpoint:
    async def answered(request: StarletteRequest) -> Response:
        try:
            return await endpoint(request)
        except ClientGoneError:
            return Response(status_code=_CLIENT_GONE)
        except Exception as error:
            problem = problem_of(error, request.url.path)
            return problem.response({"error": problem.detail})

    return answered


async def _infer(service: Service, request: StarletteRequest) -> Response:
    _model(service, request)
    asked_of = Request.of(request.scope, request.receive, service.limits.request_s)
    async with asked_of.body(service.limits, service.held) as body:
        asked = asked_tensors(body, asked_of.headers.get(LENGTH_HEADER), service.limits)
        check_options(asked.options, service.limits)
        with WhileWanted(asked_of.receive):
            online, results = await service.read(asked.pictures, asked.options, asked_of.deadline_s)
    name, version = request.path_params["name"], _version(online)
    content, length = response(asked, results, name=name, version=version)
    headers = {"content-type": "application/json"}
    if length is not None:
        headers = {
            "content-type": "application/octet-stream",
            LENGTH_HEADER.decode(): str(length),
        }
    return Response(content, headers=headers)


def _model(service: Service, request: StarletteRequest) -> OnlineRecognizer:
    """What reads, if it is the one in the path; raises ProblemError otherwise."""
    online = service.online
    name, version = request.path_params["name"], request.path_params.get("version")
    if name not in (MODEL_NAME, online.name) or version not in (None, _version(online)):
        wanted = name if version is None else f"{name}, version {version}"
        raise ProblemError(
            "not_found",
            f"there is no model {wanted[:100]}; it is {MODEL_NAME}, version {_version(online)}",
        )
    return online


def _version(online: OnlineRecognizer) -> str:
    return online.digest[:_DIGITS]


def _readiness(service: Service) -> Response:
    if not service.is_ready:
        raise not_ready()
    return JSONResponse({"ready": True})


def _metadata(online: OnlineRecognizer, name: str) -> dict[str, Any]:
    outputs = [{"name": n, "datatype": kind, "shape": [-1]} for n, kind in OUTPUTS.items()]
    return {
        "name": name,
        "versions": [_version(online)],
        "platform": "crnn",
        "inputs": [{"name": INPUT, "datatype": "BYTES", "shape": [-1]}],
        "outputs": outputs,
    }
