"""Pages and bulk jobs of the service in a process of their own, without Ray Serve around them.

    python -m tests.jobs.serving.small_service PORT BUNDLE JOBS_URI PREFIX…

Joins the cluster of $RAY_ADDRESS, as a replica belongs to one.
"""

from __future__ import annotations

import sys

import ray
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError

from crnn.bundle.bundle import load_bundle
from jobs.serving.bulk.router import router
from jobs.serving.bulk.settings import BulkSettings
from jobs.serving.bulk.work import BulkJobs, Deployed
from jobs.serving.problems import Problem, ProblemError


def application(jobs: BulkJobs | None, *, taking_up: bool = True) -> FastAPI:
    """An application with the routes under test alone, which answers problems as problems."""
    app = FastAPI()
    app.include_router(router(jobs, taking_up=taking_up))

    @app.exception_handler(ProblemError)
    def problem(request: Request, error: ProblemError) -> Response:
        return error.problem.response()

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        return Problem(code="invalid", detail=str(error.errors())).response()

    return app


def main(port: str, bundle: str, uri: str, *prefixes: str) -> None:
    ray.init(log_to_driver=False)
    deployed = Deployed(uri=bundle, digest=load_bundle(bundle).digest)
    settings = BulkSettings(prefixes=prefixes, uri=uri)
    app = application(BulkJobs(settings, lambda: deployed))
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning")


if __name__ == "__main__":
    main(*sys.argv[1:])
