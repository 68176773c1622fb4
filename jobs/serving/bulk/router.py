"""The paths under ``/v1/jobs``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from fastapi import APIRouter, FastAPI, Header, Query, Response
from starlette.requests import Request as StarletteRequest

from crnn import wire
from crnn.errors import CrnnError
from jobs.serving.bodies import Held
from jobs.serving.bulk.documents import answer, example, job_in
from jobs.serving.contract import reference
from jobs.serving.exchange import Request
from jobs.serving.limits import MIB, Limits
from jobs.serving.problems import RETRY_AFTER_S, ProblemError
from jobs.serving.schema import problems

if TYPE_CHECKING:
    from jobs.serving.bulk.work import BulkJobs

PATH = "/v1/jobs"
MOST_LISTED = 100
_OFF = (
    "bulk jobs over HTTP are off in this service; start it with --bulk.prefixes and the folders "
    "that they may use, such as --bulk.prefixes s3://bucket/crops s3://bucket/results"
)
_AT_A_TIME = 8
"""Requests that wait for a store or for the cluster's jobs; more wait for these."""
_REFUSALS: tuple[wire.ProblemCode, ...] = (
    "not_found",
    "invalid",
    "unavailable",
    "timed_out",
    "internal",
)
_OF_A_START: tuple[wire.ProblemCode, ...] = (
    *("malformed", "slow_request", "too_large", "unsupported_media_type"),
    *("conflict", "overloaded"),
)
_log = logging.getLogger(__name__)
Found = TypeVar("Found")


def router(
    jobs: BulkJobs | None,
    *,
    limits: Limits | None = None,
    held: Held | None = None,
    taking_up: bool = True,
) -> APIRouter:
    """The paths under ``/v1/jobs``; without ``jobs`` each of them tells how to turn them on.

    ``held`` counts the bytes of bodies. Jobs that were lost with their cluster are taken up again
    when the application starts.
    """
    bounds = limits or Limits()
    counted = held or Held(bounds.held_mb * MIB)
    patience = Patience(bounds.request_s)
    routes = APIRouter(
        prefix=PATH,
        tags=["bulk jobs"],
        lifespan=_taking_up(jobs) if jobs and taking_up else None,
        responses=problems(*_REFUSALS),
    )
    _add_start(routes, jobs, bounds, counted, patience)

    @routes.get("")
    async def listed(
        limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 50,
        before: Annotated[str | None, Query(max_length=64)] = None,
    ) -> wire.JobList:
        """Bulk jobs, newest first."""
        there = _there(jobs)
        looks, more = await patience.result(lambda: there.page(limit, before))
        return {"jobs": [{**answer(look), "report": None} for look in looks], "before": more}

    @routes.get("/{job_id}")
    async def one(job_id: str) -> wire.JobAnswer:
        """How far a bulk job is."""
        there = _there(jobs)
        return answer(await patience.result(lambda: there.look(job_id)))

    @routes.delete(
        "/{job_id}",
        responses={202: {"model": wire.JobAnswer, "description": "it is stopping"}},
    )
    async def cancel(job_id: str, response: Response) -> wire.JobAnswer:
        """Stop a bulk job; what it has read stays, and the same request goes on there later."""
        there = _there(jobs)
        look = await patience.result(lambda: there.cancel(job_id))
        response.status_code = 202 if look.state == "cancelling" else 200
        return answer(look)

    return routes


def _add_start(
    routes: APIRouter, jobs: BulkJobs | None, bounds: Limits, held: Held, patience: Patience
) -> None:
    """The path that takes a body, within the bounds of the service."""

    @routes.post(
        "",
        status_code=201,
        responses={
            200: {"model": wire.JobAnswer, "description": "the job that this key started before"},
            **problems(*_OF_A_START, *_REFUSALS),
        },
        openapi_extra={"requestBody": _body(jobs)},
    )
    async def start(
        request: StarletteRequest,
        response: Response,
        idempotency_key: Annotated[
            str | None,
            Header(min_length=1, max_length=200, description="any text that no other job has"),
        ] = None,
    ) -> wire.JobAnswer:
        """Read every picture of a bucket with the bundle in use, on the cluster.

        With an Idempotency-Key, the same request sent again gives the job that it started.
        """
        there = _there(jobs)
        asked = Request.of(request.scope, request.receive, bounds.request_s)
        async with asked.body(bounds, held) as body:
            wanted = job_in(body, asked.headers)
        look, is_new = await patience.result(
            lambda: there.start(
                wanted["input"], wanted["output"], wanted.get("options", {}), idempotency_key
            ),
            asked.deadline_s,
        )
        response.status_code = 201 if is_new else 200
        response.headers["Location"] = f"{PATH}/{look.record.id}"
        return answer(look)


class Patience:
    """Runs what blocks in threads of its own, and waits no longer for it than a request may."""

    def __init__(self, request_s: float) -> None:
        self._request_s = request_s
        self._threads = ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="bulk")

    async def result(self, work: Callable[[], Found], deadline_s: float | None = None) -> Found:
        """The result of ``work``, which continues even if the caller stops waiting.

        ``deadline_s`` is of the loop's clock; by default the request's time begins now.

        Raises:
            ProblemError: ``timed_out``, and ``unavailable`` for an error of the store that has the
                records.
        """
        loop = asyncio.get_running_loop()
        if deadline_s is None:
            deadline_s = loop.time() + self._request_s
        running = loop.run_in_executor(self._threads, work)
        try:
            async with asyncio.timeout_at(deadline_s):
                return await asyncio.shield(running)
        except TimeoutError:
            running.add_done_callback(_forgotten)
            raise ProblemError(
                "timed_out",
                f"the cluster, or the store that has the records of the jobs, took over "
                f"{self._request_s:g} s; GET {PATH} tells whether the job was started",
                retry_after_s=RETRY_AFTER_S,
            ) from None
        except CrnnError as error:
            raise ProblemError("unavailable", str(error), retry_after_s=RETRY_AFTER_S) from error


def _forgotten(running: asyncio.Future[Any]) -> None:
    """No caller waits for it, so its error is logged."""
    if not running.cancelled() and (error := running.exception()) is not None:
        _log.error("a request for bulk jobs failed after its caller had stopped waiting: %s", error)


def _there(jobs: BulkJobs | None) -> BulkJobs:
    if jobs is None:
        raise ProblemError("not_found", _OFF)
    return jobs


def _body(jobs: BulkJobs | None) -> dict[str, Any]:
    """With an example that this service takes, where it takes any."""
    shown = jobs.example() if jobs else example("s3://bucket")
    content = {"schema": reference(wire.JobRequest), "example": shown}
    return {"required": True, "content": {"application/json": content}}


def _taking_up(jobs: BulkJobs) -> Any:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(asyncio.to_thread(_take_up, jobs))
        yield
        await asyncio.wait([task])

    return lifespan


def _take_up(jobs: BulkJobs) -> None:
    """A store or a dashboard that doesn't answer mustn't keep the service from starting."""
    try:
        jobs.take_up()
    except (CrnnError, ProblemError) as error:
        _log.error("lost bulk jobs could not be resumed: %s", error)
