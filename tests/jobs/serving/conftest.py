"""Services that the tests of a session share, as each takes seconds to start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.jobs.serving.guarded import Pictures, guarded_service, offered
from tests.jobs.serving.services import SHIPPED, Service, ready

LIMITS = (
    *("--limits.body-mb", "4", "--limits.held-mb", "16", "--limits.pictures", "40"),
    *("--limits.lexicon-words", "1000", "--online.max-pixels", "1000000"),
    *("--pages.per-request", "4", "--pages.per-file", "3", "--pages.max-pixels", "2000000"),
)


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The shipped bundle as it is served by default, within tighter limits."""
    folder = tmp_path_factory.mktemp("service")
    often = {"RAY_metrics_report_interval_ms": "500"}
    with ready(folder, "--bundle", str(SHIPPED), *LIMITS, extra=often) as running:
        yield running


@pytest.fixture(scope="session")
def pictures() -> Iterator[Pictures]:
    with offered() as server:
        yield server


@pytest.fixture(scope="session")
def strict(tmp_path_factory: pytest.TempPathFactory, pictures: Pictures) -> Iterator[Service]:
    """A service with a token and tight bounds, behind HAProxy."""
    folder = tmp_path_factory.mktemp("strict")
    with guarded_service(folder, pictures, "--ingress", "haproxy") as running:
        yield running
