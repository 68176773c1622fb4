"""``POST /v1/pages``: pictures of pages, TIFFs and PDFs in, their lines out."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from jobs.serving.asked import PAGES, asked_in
from jobs.serving.exchange import Answer, Request, WhileWanted
from jobs.serving.fetch import Fetcher
from jobs.serving.pages.answers import read_pages
from jobs.serving.service import Service


class Pages:
    """Reads the pages of what a request brings, or names."""

    def __init__(self, service: Service, fetcher: Fetcher) -> None:
        self._service, self._fetcher = service, fetcher
        self._limits = replace(
            service.limits,
            pictures=service.pages.settings.per_request,
            request_s=service.pages.settings.request_s,
        )

    async def __call__(self, request: Request) -> Answer:
        """Answer a request; raises ProblemError and ClientGoneError."""
        work, held = self._service.pages, self._service.pages.held
        work.reader()
        async with request.body(self._limits, held) as body:
            with WhileWanted(request.receive):
                asked = await asyncio.to_thread(
                    asked_in, body, request.headers, request.query, self._limits, PAGES
                )
                work.check(asked.options)
                files = await self._fetcher.fetched(asked.pictures, request.deadline_s)
                online, documents = await self._service.read_pages(
                    files, asked.options, request.deadline_s
                )
        return Answer(
            read_pages(
                online.name,
                online.digest,
                asked.ids,
                documents,
                asked.options,
                with_models=online.then is not None,
            )
        )
