"""Settings of every test: one thread a process, slow tests only when asked for, a local S3."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
import torch

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run tests marked slow")


def pytest_configure() -> None:
    torch.set_num_threads(1)
    # Tests in the background of a shell ignore Ctrl-C, and so would the jobs that they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow"):
        return
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="slow; give --slow"))


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
