"""What the service says of itself: the model, whether it lives and is ready, its counts."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from jobs.serving.problems import not_ready
from jobs.serving.scrape import CONTENT_TYPE, Scraper
from jobs.serving.service import Service


def router(service: Service, scraper: Scraper) -> APIRouter:
    """``/v1/model``, ``/healthz``, ``/readyz`` and ``/metrics``."""
    routes = APIRouter()

    @routes.get("/v1/model", include_in_schema=False)
    async def model() -> Response:
        return JSONResponse(service.describe())

    @routes.get("/healthz", include_in_schema=False)
    async def live() -> Response:
        service.check_health()
        return JSONResponse({"status": "live"})

    @routes.get("/readyz", include_in_schema=False)
    async def ready() -> Response:
        if not service.is_ready:
            raise not_ready()
        return JSONResponse({"status": "ready"})

    @routes.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(await scraper.text(), media_type=CONTENT_TYPE)

    return routes
