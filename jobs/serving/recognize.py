"""``POST /v1/recognize``: pictures in, texts out."""

from __future__ import annotations

from jobs.serving.answers import recognized
from jobs.serving.asked import asked_in
from jobs.serving.exchange import Answer, Request, WhileWanted
from jobs.serving.fetch import Fetcher
from jobs.serving.service import Service


class Recognize:
    """Reads what a request brings, or names."""

    def __init__(self, service: Service, fetcher: Fetcher) -> None:
        self._service, self._fetcher = service, fetcher

    async def __call__(self, request: Request) -> Answer:
        """Answer a request; raises ProblemError and ClientGoneError."""
        service = self._service
        async with request.body(service.limits, service.held) as body:
            asked = asked_in(body, request.headers, request.query, service.limits)
            with WhileWanted(request.receive):
                pictures = await self._fetcher.fetched(asked.pictures, request.deadline_s)
                online, results = await service.read(pictures, asked.options, request.deadline_s)
        return Answer(
            recognized(
                online.name,
                online.digest,
                asked.ids,
                results,
                asked.options,
                with_models=online.then is not None,
            )
        )
