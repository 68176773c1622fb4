"""What the service says of itself: the model, whether it lives and is ready, its counts."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import PlainTextResponse, Response

from crnn import wire
from jobs.serving.problems import not_ready
from jobs.serving.schema import problems
from jobs.serving.scrape import CONTENT_TYPE, Scraper
from jobs.serving.service import Service


def router(service: Service, scraper: Scraper) -> APIRouter:
    """``/v1/model``, ``/healthz``, ``/readyz`` and ``/metrics``."""
    routes = APIRouter(tags=["service"])

    @routes.get("/v1/model", responses=problems("unavailable"))
    async def model() -> wire.Model:
        """The model in use."""
        return service.describe()

    @routes.get("/healthz", responses=problems("internal"))
    async def live() -> wire.State:
        """Whether the process is alive."""
        service.check_health()
        return {"status": "live"}

    @routes.get("/readyz", responses=problems("unavailable"))
    async def ready() -> wire.State:
        """Whether it is warmed up."""
        if not service.is_ready:
            raise not_ready()
        return {"status": "ready"}

    @routes.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Counts of all replicas, for Prometheus, in the text exposition format 0.0.4."""
        return Response(await scraper.text(), media_type=CONTENT_TYPE)

    return routes
