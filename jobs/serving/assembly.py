"""All parts of a replica's application, put together."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from jobs.serving import documentation, inference_v2, page, status
from jobs.serving.access import Access, read_token
from jobs.serving.app import App, slow_app
from jobs.serving.bulk import router as bulk_router
from jobs.serving.bulk.work import BulkJobs, Deployed
from jobs.serving.documents import Documents
from jobs.serving.exchange import Hot
from jobs.serving.fetch import Fetcher
from jobs.serving.limits import MIB
from jobs.serving.pages.handler import Pages
from jobs.serving.pages.picture import PagePicture
from jobs.serving.recognize import Recognize
from jobs.serving.scrape import Scraper
from jobs.serving.service import Service


def assembled(service: Service) -> App:
    """The application that answers for ``service``.

    Raises:
        ValueError: for a token that can't be read.
    """
    settings = service.settings
    urls, most_bytes = settings.allowed_urls, settings.limits.body_mb * MIB
    recognize = Recognize(service, Fetcher(urls, most_bytes, service.held))
    pages = Pages(service, Fetcher(urls, most_bytes, service.pages.held))
    hot = {
        "/v1/recognize": Hot(recognize, settings.limits.request_s),
        "/v1/pages": Hot(pages, settings.pages.request_s),
        "/v1/pages/picture": Hot(PagePicture(service), settings.pages.request_s),
        "/v1/documents": Hot(Documents(service), settings.limits.request_s),
    }
    token = read_token(settings.token_file)
    slow = slow_app(
        status.router(service, Scraper()),
        inference_v2.router(service),
        bulk_router.router(_bulk_jobs(service), limits=settings.limits, held=service.held),
        page.router(),
        version=_version(),
    )
    documentation.add(slow, settings.limits, settings.pages, has_token=bool(token))
    return App(service, Access(token, settings.allowed_hosts), hot, slow)


def _bulk_jobs(service: Service) -> BulkJobs | None:
    if not service.settings.bulk.enabled:
        return None

    def deployed() -> Deployed:
        uri, digest = service.in_use
        return Deployed(
            uri=uri,
            digest=digest,
            then=service.settings.then,
            below=service.settings.below,
            surer=service.settings.surer,
        )

    return BulkJobs(service.settings.bulk, deployed)


def _version() -> str:
    try:
        return version("crnn-on-ray")
    except PackageNotFoundError:  # run from its folder
        return "0"
