"""A cluster of real nodes for the tests of a session; where none can be made, they say why not."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest

from tests.hosts.cluster import Cluster, own_cluster
from tests.hosts.machines import why_not

HERE = Path(__file__).parent
_NUMBERS = itertools.count()
_SKIPPED = pytest.StashKey[str]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    ours = [item for item in items if HERE in item.path.parents]
    if not ours or not (reason := why_not()):
        return
    config.stash[_SKIPPED] = f"{len(ours)} tests of a cluster of real nodes were left out: {reason}"
    for item in ours:
        item.add_marker(pytest.mark.skip(reason=reason))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if said := terminalreporter.config.stash.get(_SKIPPED, ""):
        terminalreporter.write_line(said, yellow=True)


@pytest.fixture(scope="session")
def _cluster() -> Iterator[Cluster]:
    with own_cluster() as cluster:
        yield cluster


@pytest.fixture
def cluster(_cluster: Cluster) -> Cluster:
    """A head, three workers and an object store, whatever the test before did to them.

    The object store is that of the environment.
    """
    _cluster.up()
    return _cluster


@pytest.fixture(scope="session")
def new_bucket(_cluster: Cluster) -> Callable[[], str]:
    """Creates an empty bucket on the cluster's store at each call; its address."""

    def create() -> str:
        name = f"bucket-{next(_NUMBERS)}"
        endpoint = _cluster.store_access["AWS_ENDPOINT_URL"]
        boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket=name)
        return f"s3://{name}"

    return create
