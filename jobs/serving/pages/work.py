"""What reads a replica's pages: the detector, where there is one, and the bounds."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from crnn import wire
from crnn.decode import Decoder
from crnn.errors import CrnnError, PictureError
from crnn.online import OnlineRecognizer
from crnn.online.pages import Document, OnlinePageRequest, OnlinePages
from crnn.pages import DbDetector, PageRequest, detector_graph
from jobs.serving.bodies import Held
from jobs.serving.limits import MIB
from jobs.serving.metrics import PAGE_LINES, PAGE_S, PAGES, MetricTally
from jobs.serving.pages.settings import PagesSettings
from jobs.serving.problems import ProblemError

log = logging.getLogger(__name__)


class PageWork:
    """Reads the pages of requests. Belongs to one event loop."""

    def __init__(self, detector: str, settings: PagesSettings, tally: MetricTally) -> None:
        """``detector`` as ``crnn.pages.detector_graph`` takes it; without it no page is read."""
        self.settings, self._tally = settings, tally
        self.held = Held(settings.held_mb * MIB)
        self._reader: OnlinePages | None = None
        self._missing = ""
        try:
            graph = detector_graph(detector)
        except (CrnnError, OSError) as error:
            self._missing = str(error)
            log.warning("whole pages can't be read: %s", error)
        else:
            found = DbDetector(graph=graph, longest_px=settings.detect_px)
            self._reader = OnlinePages(found, settings)

    @property
    def waiting(self) -> int:
        """Pages taken in and not yet answered."""
        return self._reader.pages if self._reader else 0

    def reader(self) -> OnlinePages:
        """What reads; raises ProblemError ``not_installed`` where nothing can."""
        if self._reader is None:
            raise ProblemError("not_installed", self._missing)
        return self._reader

    async def read(
        self,
        online: OnlineRecognizer,
        files: Sequence[bytes | PictureError],
        options: wire.PageOptions,
        decoder: Decoder | None,
        timeout_s: float,
    ) -> list[Document]:
        """The pages of these files; raises as ``OnlinePages.read``, and ProblemError."""
        settings = self.settings
        wanted = OnlinePageRequest(
            pages=PageRequest(dpi=options.get("dpi", settings.dpi), most_pages=settings.per_file),
            most_pages=settings.per_request,
            longest_px=options.get("detect_px", settings.detect_px),
            decoder=decoder,
            chars=options["chars"],
        )
        documents = await self.reader().read(online, files, wanted, timeout_s=timeout_s)
        self._count(documents)
        return documents

    def check(self, options: wire.PageOptions) -> None:
        """Raise ProblemError ``invalid`` unless options of pages are within the bounds."""
        bounds = self.settings.bounds()
        for name, value in (("dpi", options.get("dpi")), ("detect_px", options.get("detect_px"))):
            least, most = bounds[name]["min"], bounds[name]["max"]
            if value is not None and not least <= value <= most:
                raise ProblemError("invalid", f"{name} is {value}; expected {least} to {most}")

    def describe(self) -> dict[str, Any]:
        """The bounds, as ``GET /v1/model`` gives them."""
        settings = self.settings
        return {
            "available": self._reader is not None,
            "missing": self._missing,
            "per_request": settings.per_request,
            "per_file": settings.per_file,
            "pixels": settings.max_pixels,
            "queue": settings.queue,
            "request_s": settings.request_s,
            **settings.bounds(),
        }

    async def aclose(self) -> None:
        """End its process and threads."""
        if self._reader is not None:
            await self._reader.aclose()

    def _count(self, documents: Sequence[Document]) -> None:
        for document in documents:
            for page in [document] if isinstance(document, PictureError) else document:
                if isinstance(page, PictureError):
                    self._tally.add(PAGES, outcome=page.reason)
                    continue
                self._tally.add(PAGES, outcome="read")
                self._tally.add(PAGE_LINES, len(page.lines))
                self._tally.observe(PAGE_S, (page.seconds,))
