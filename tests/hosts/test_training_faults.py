"""Training while nodes, links and the store fail: it goes on, and no sample of an epoch is lost."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from crnn.files import storage
from tests.hosts.cluster import Cluster
from tests.hosts.jobs import Job, audit_of, audited, put_set, submitted
from tests.hosts.machines import Host, part
from tests.jobs.audits import Audit
from tests.jobs.runs import TINY
from tests.pipelines.stream.sets import good

pytestmark = [pytest.mark.slow, pytest.mark.hosts, pytest.mark.fault]

SAMPLES, EPOCHS, BATCH, CHECKPOINT_EVERY = 320, 3, 4, 80
EACH_ONCE = Counter(f"good-{i}" for i in range(SAMPLES))
OUTAGE_S = 30


@pytest.fixture(scope="module")
def home(new_bucket: Callable[[], str]) -> str:
    """A bucket with sets."""
    bucket = new_bucket()
    put_set(f"{bucket}/set", good(SAMPLES))
    put_set(f"{bucket}/val", good(10))
    return bucket


def command(home: str, name: str) -> tuple[str, ...]:
    return (
        *("jobs/train.py", "--num-workers", "2", "--name", name, "--audit", *TINY),
        *("--data", f"{home}/set", "--val", f"{home}/val", "--storage-path", f"{home}/runs"),
        *("--epochs", str(EPOCHS), "--batch-pixels", str(BATCH * 32 * 64)),
        *("--checkpoint-every", str(CHECKPOINT_EVERY)),
    )


@contextmanager
def training(cluster: Cluster, home: str, name: str, folder: Path) -> Iterator[Job]:
    """The job, in the middle of its second epoch."""
    with submitted(cluster, folder, *command(home, name)) as job:
        lines = SAMPLES // BATCH * 3 // 2
        job.until(lambda: len(audited(f"{home}/runs/{name}")) > lines)
        yield job


def trainers(cluster: Cluster) -> list[Host]:
    """Hosts on which a rank runs."""
    return [h for h in cluster.workers if any("RayTrain" in name for name in h.process_names())]


def accounted(run_uri: str, *, starts: int | None = None) -> Audit:
    """Nothing is lost of any epoch, and repeated only what came after the last checkpoint."""
    audit = audit_of(run_uri)
    for epoch in range(EPOCHS):
        assert audit.surviving(epoch) == EACH_ONCE
        assert audit.trained(epoch) == EACH_ONCE + audit.lost(epoch)
    assert starts is None or len(audit.working) == starts
    assert storage.exists(f"{run_uri}/done.json")
    return audit


def test_a_killed_node(cluster: Cluster, home: str, tmp_path: Path) -> None:
    with training(cluster, home, "killed", tmp_path) as job:
        trainers(cluster)[0].kill()
        text = job.succeeds()
    assert "resumed at epoch " in text
    audit = accounted(f"{home}/runs/killed", starts=2)
    assert [start.ranks for start in audit.working] == [2, 2]


@pytest.mark.nightly
def test_a_node_cut_off_from_the_head_for_good(cluster: Cluster, home: str, tmp_path: Path) -> None:
    """It still reaches the store and the other ranks."""
    with training(cluster, home, "parted", tmp_path) as job:
        part(cluster.head, trainers(cluster)[0])
        text = job.succeeds()
    assert "resumed at epoch " in text
    accounted(f"{home}/runs/parted")


@pytest.mark.nightly
def test_a_node_cut_off_from_the_head_for_seconds(
    cluster: Cluster, home: str, tmp_path: Path
) -> None:
    with training(cluster, home, "healed", tmp_path) as job:
        host = trainers(cluster)[0]
        part(cluster.head, host)
        time.sleep(8)
        host.plug()
        cluster.head.plug()
        job.succeeds()
    accounted(f"{home}/runs/healed")
    assert cluster.is_whole()


@pytest.mark.nightly
def test_the_store_is_gone_for_half_a_minute(cluster: Cluster, home: str, tmp_path: Path) -> None:
    with training(cluster, home, "no-store", tmp_path) as job:
        cluster.store.unplug()
        time.sleep(OUTAGE_S)
        cluster.store.plug()
        job.succeeds()
    accounted(f"{home}/runs/no-store")


@pytest.mark.nightly
def test_the_head_is_lost_and_started_again(cluster: Cluster, home: str, tmp_path: Path) -> None:
    """The job is lost with it; the same command goes on from the last checkpoint."""
    with training(cluster, home, "no-head", tmp_path) as job:
        cluster.head.kill()
        job.fails()
    cluster.up()
    with submitted(cluster, tmp_path, *command(home, "no-head")) as job:
        assert "resumed at epoch " in job.succeeds()
    accounted(f"{home}/runs/no-head", starts=2)
