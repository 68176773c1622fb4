"""Bulk recognition while nodes, links, the store and disks fail: each input has one row."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from crnn.files import storage
from tests.hosts.cluster import Cluster
from tests.hosts.jobs import Job, parts, rows, submitted, uris
from tests.hosts.machines import Host, part, wait_for
from tests.pipelines.evaluation_cases import random_bundle, rendered

pytestmark = [pytest.mark.nightly, pytest.mark.hosts, pytest.mark.fault]

COUNT = 4096
OUTAGE_S = 30


@pytest.fixture(scope="module")
def home(new_bucket: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """A bucket with pictures and a bundle."""
    bucket = new_bucket()
    folder = tmp_path_factory.mktemp("bundle") / "bundle"
    random_bundle(folder)
    storage.upload_folder(folder, f"{bucket}/bundle")
    with ThreadPoolExecutor(8) as threads:
        put = lambda n: storage.write_bytes(f"{bucket}/crops/{n}.png", rendered(str(n)))  # noqa: E731
        list(threads.map(put, range(COUNT)))
    return bucket


def command(home: str, out: str) -> tuple[str, ...]:
    flags = ("--bundle", f"{home}/bundle", "--input", f"{home}/crops", "--output", out)
    return ("jobs/recognize.py", *flags)


@contextmanager
def reading(cluster: Cluster, home: str, out: str, folder: Path) -> Iterator[Job]:
    """The job, some of whose chunks are done."""
    with submitted(cluster, folder, *command(home, out)) as job:
        job.until(lambda: len(parts(out)) >= 2)
        yield job


def complete(home: str, out: str) -> None:
    """Every picture has one row, and was read."""
    assert uris(out) == {f"{home}/crops/{n}.png": 1 for n in range(COUNT)}
    assert rows(out)["error_code"].null_count == COUNT
    assert storage.exists(f"{out}/_report.json")


def busy_worker(cluster: Cluster) -> Host:
    """One that reads chunks at the moment."""
    found: list[Host] = []

    def look() -> bool:
        found.extend(h for h in cluster.workers if any("Map" in name for name in h.process_names()))
        return bool(found)

    wait_for("a worker that reads", look)
    return found[0]


def test_a_killed_node(cluster: Cluster, home: str, tmp_path: Path) -> None:
    out = f"{home}/killed-node"
    with reading(cluster, home, out, tmp_path) as job:
        busy_worker(cluster).kill()
        before = len(parts(out))
        job.succeeds()
    assert before < COUNT // 512, "killed too late"
    complete(home, out)


def test_a_node_cut_off_from_the_head_for_good(cluster: Cluster, home: str, tmp_path: Path) -> None:
    """It still reaches the store, where it may finish what others were given meanwhile."""
    out = f"{home}/parted"
    with reading(cluster, home, out, tmp_path) as job:
        host = busy_worker(cluster)
        part(cluster.head, host)
        job.succeeds()
    complete(home, out)


def test_a_node_cut_off_from_the_head_for_seconds(
    cluster: Cluster, home: str, tmp_path: Path
) -> None:
    out = f"{home}/healed"
    with reading(cluster, home, out, tmp_path) as job:
        host = busy_worker(cluster)
        part(cluster.head, host)
        time.sleep(8)
        host.plug()
        cluster.head.plug()
        job.succeeds()
    complete(home, out)
    assert cluster.is_whole()


def test_the_store_is_gone_for_half_a_minute(cluster: Cluster, home: str, tmp_path: Path) -> None:
    out = f"{home}/no-store"
    with reading(cluster, home, out, tmp_path) as job:
        cluster.store.unplug()
        time.sleep(OUTAGE_S)
        cluster.store.plug()
        job.succeeds()
    complete(home, out)


def test_the_disk_of_a_node_is_full(cluster: Cluster, home: str, tmp_path: Path) -> None:
    out = f"{home}/full"
    with reading(cluster, home, out, tmp_path) as job:
        host = busy_worker(cluster)
        fill_disk(host)
        try:
            job.succeeds()
        finally:
            host.kill()  # with its disk
    complete(home, out)


def fill_disk(host: Host) -> None:
    """Until nothing more can be written."""
    with host.path("/tmp/filler").open("wb") as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 20))
            file.flush()


def test_the_head_is_lost_and_started_again(cluster: Cluster, home: str, tmp_path: Path) -> None:
    """The job is lost with it, not what it did; the same command goes on from there."""
    out = f"{home}/no-head"
    with reading(cluster, home, out, tmp_path) as job:
        cluster.head.kill()
        job.fails()
    done = {part: modified(part) for part in parts(out)}
    cluster.up()
    with submitted(cluster, tmp_path, *command(home, out)) as job:
        job.succeeds()
    assert {part: modified(part) for part in done} == done, "none of it was read again"
    complete(home, out)


def modified(uri: str) -> float:
    (info,) = storage.list_files(uri.rpartition("/")[0], suffix=uri.rpartition("/")[2])
    return info.mtime
