"""Settings of every test: one thread a process, slow tests only when asked for, a local S3."""

from __future__ import annotations

import itertools
import logging
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import HealthCheck, settings

from tests.by_cluster import CLUSTERS, ByCluster, group_of, longest_first

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext
    from xdist.remote import Producer

PROJECT_ROOT = Path(__file__).resolve().parent.parent
# A machine that is busy is slow, which is no fault of what is tested.
_PATIENT = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("project", max_examples=50, **_PATIENT)
settings.register_profile("nightly", max_examples=500, **_PATIENT)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run tests marked slow")
    parser.addoption("--nightly", action="store_true", help="run those marked slow or nightly too")


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("nightly" if config.getoption("--nightly") else "project")
    torch.set_num_threads(1)
    # Ray's workers have a low priority by default: the tests beside them would take the cores.
    os.environ.update({"RAY_worker_niceness": "0"})
    # Tests in the background of a shell ignore Ctrl-C, and so would the jobs that they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByCluster:
    return ByCluster(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    from tests.browser import MAY_STALL

    for item in items:
        if "context" in getattr(item, "fixturenames", ()):
            item.add_marker(MAY_STALL)
        if "nightly" in item.keywords and not config.getoption("--nightly"):
            item.add_marker(pytest.mark.skip(reason="nightly; give --nightly"))
        elif "slow" in item.keywords and not (
            config.getoption("--slow") or config.getoption("--nightly")
        ):
            item.add_marker(pytest.mark.skip(reason="slow; give --slow"))
    items[:] = longest_first(items)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Ends the clusters that a group shared with its last test, long before the session does.

    Each of them holds gigabytes, and with several of them Ray begins to kill for want of memory.
    """
    yield
    if nextitem is None or group_of(nextitem.nodeid) == group_of(item.nodeid):
        return
    for name in CLUSTERS:
        for fixture in item.session._fixturemanager.getfixturedefs(name, item) or ():
            fixture.finish(item._request)  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """A real S3 endpoint on a free loopback port, and the environment that points to it."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": f"{host},localhost",
    }
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    yield settings["AWS_ENDPOINT_URL"]
    for name, value in before.items():
        if value is None:
            os.environ.pop(name)
        else:
            os.environ[name] = value
    server.stop()


@pytest.fixture(scope="session")
def local_ray(s3_endpoint: str) -> Iterator[None]:
    """A Ray cluster as jobs start it, for jobs and pipelines that tests call in their process.

    Its workers find the project and the S3 endpoint, and stay from one test to the next.
    """
    import ray.data

    from jobs.cluster import connect

    before = dict(os.environ)
    os.environ.update({"RAY_idle_worker_killing_time_threshold_ms": "600000"})
    connect(None, local_cpus=2)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(scope="session")
def new_bucket(s3_endpoint: str) -> Callable[[], str]:
    """Creates an empty bucket at each call; its address."""
    import boto3

    client = boto3.client("s3", endpoint_url=s3_endpoint)
    numbers = itertools.count()

    def create() -> str:
        name = f"bucket-{next(numbers)}"
        client.create_bucket(Bucket=name)
        return f"s3://{name}"

    return create


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless browser; for a module, as its event loop shuts out others while it runs."""
    from tests.browser import launched

    with launched() as browser:
        yield browser


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """That browser as if it had never been used."""
    from tests.browser import unused

    with unused(browser) as context:
        yield context
