"""The paths under ``/v1/jobs``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, FastAPI, Header, Query, Response

from crnn.errors import CrnnError
from jobs.serving.bulk.documents import JobAnswer, JobList, JobRequest, answer
from jobs.serving.problems import RETRY_AFTER_S, ProblemError

if TYPE_CHECKING:
    from jobs.serving.bulk.work import BulkJobs

PATH = "/v1/jobs"
MOST_LISTED = 100
_OFF = (
    "bulk jobs over HTTP are off in this service; start it with --bulk.prefixes and the folders "
    "that they may use, such as --bulk.prefixes s3://bucket/crops s3://bucket/results"
)
_log = logging.getLogger(__name__)


def router(jobs: BulkJobs | None, *, taking_up: bool = True) -> APIRouter:
    """The paths under ``/v1/jobs``; without ``jobs`` each of them tells how to turn them on.

    Jobs that were lost with their cluster are taken up again when the application starts.
    """
    routes = APIRouter(
        prefix=PATH,
        tags=["bulk jobs"],
        lifespan=_taking_up(jobs) if jobs and taking_up else None,
    )

    @routes.post("", status_code=201)
    def start(
        request: JobRequest,
        response: Response,
        idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
    ) -> JobAnswer:
        """Read every picture of a bucket with the bundle in use, on the cluster.

        With an Idempotency-Key, the same request sent again gives the job that it started.
        """
        options = request.options.model_dump(exclude_none=True)
        with _there(jobs) as found:
            look, is_new = found.start(request.input, request.output, options, idempotency_key)
        response.status_code = 201 if is_new else 200
        response.headers["Location"] = f"{PATH}/{look.record.id}"
        return answer(look)

    @routes.get("")
    def listed(
        limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 50,
        before: Annotated[str | None, Query(max_length=64)] = None,
    ) -> JobList:
        """Bulk jobs, newest first."""
        with _there(jobs) as found:
            looks, more = found.page(limit, before)
        answers = [answer(look).model_copy(update={"report": None}) for look in looks]
        return JobList(jobs=answers, before=more)

    @routes.get("/{job_id}")
    def one(job_id: str) -> JobAnswer:
        """How far a bulk job is."""
        with _there(jobs) as found:
            return answer(found.look(job_id))

    @routes.delete("/{job_id}")
    def cancel(job_id: str, response: Response) -> JobAnswer:
        """Stop a bulk job; what it has read stays, and the same request goes on there later."""
        with _there(jobs) as found:
            look = found.cancel(job_id)
        response.status_code = 202 if look.state == "cancelling" else 200
        return answer(look)

    return routes


@contextmanager
def _there(jobs: BulkJobs | None) -> Iterator[BulkJobs]:
    """The jobs where there are any; errors of the store that has their records are problems."""
    if jobs is None:
        raise ProblemError("not_found", _OFF)
    try:
        yield jobs
    except CrnnError as error:
        raise ProblemError("unavailable", str(error), retry_after_s=RETRY_AFTER_S) from error


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
        _log.error("bulk jobs that were lost were not taken up again: %s", error)
