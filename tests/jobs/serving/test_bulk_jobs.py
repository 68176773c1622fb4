"""Bulk jobs over HTTP on a real cluster: run to the end, cancelled, and outliving their service."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest

from crnn.bundle.bundle import load_bundle
from crnn.client import Client, Job
from crnn.errors import AccessDeniedError, RequestRefusedError, ServiceError
from jobs.serving.bulk.records import Record, Records, new_id
from jobs.serving.bulk.settings import BulkSettings
from jobs.serving.bulk.work import BulkJobs, Deployed
from tests.jobs.nodes import Head, free_port, head_node
from tests.jobs.processes import with_argument
from tests.jobs.runs import PROJECT, environment, wait_until
from tests.jobs.serving.local_server import serving
from tests.jobs.serving.services import ready
from tests.jobs.serving.small_service import application
from tests.jobs.test_recognize_job import crops, uris
from tests.pipelines.evaluation_cases import random_bundle, rendered

COUNT, MANY = 1300, 8_000
TOKEN = "a-token-of-the-tests"


@contextmanager
def service(head: Head, folder: Path) -> Iterator[Client]:
    """The bulk routes in a process of their own, which dies at once at the end."""
    port = free_port()
    variables = {"RAY_ADDRESS": head.address, "RAY_AUTH_MODE": "disabled"}
    command = [sys.executable, "-m", "tests.jobs.serving.small_service", port]
    command += [str(folder / "bundle"), str(folder / "jobs"), str(folder / "allowed")]
    with (
        (folder / "log").open("ab") as log,
        subprocess.Popen(
            command, cwd=PROJECT, env=environment(variables), stdout=log, stderr=log
        ) as process,
        Client(f"http://127.0.0.1:{port}", timeout_s=30) as client,
    ):
        try:
            wait_until(lambda: answers(client), job=process, log=folder / "log")
            yield client
        finally:
            process.send_signal(signal.SIGKILL)


def answers(client: Client) -> bool:
    try:
        client.jobs()
    except ServiceError:
        return False
    return True


def until(client: Client, job: Job, state: str) -> Job:
    """The job when it is in this state, having passed through others."""
    found = [job]

    def there() -> bool:
        found.append(client.job(job.id))
        assert found[-1].state == state or not found[-1].ended, found[-1]
        return found[-1].state == state

    wait_until(there, log=Path(os.devnull))
    return found[-1]


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    folder = tmp_path_factory.mktemp("cluster")
    random_bundle(folder / "bundle")
    (folder / "allowed").mkdir()
    with head_node(folder, cpus=2, installed=True) as head:
        yield head


@pytest.mark.nightly
def test_a_job_runs_to_its_end_while_its_service_is_replaced(head: Head) -> None:
    allowed = head.folder / "allowed"
    pictures = crops(allowed, COUNT)
    (pictures / "junk.png").write_bytes(b"junk")
    with service(head, head.folder) as client:
        began = client.start_job(
            str(pictures), str(allowed / "out"), chars=False, min_confidence=0.0
        )
        assert began.details["options"] == {"chars": False, "min_confidence": 0.0}
        with pytest.raises(RequestRefusedError, match=f"job {began.id} is .* and writes to"):
            client.start_job(str(pictures), str(allowed / "out"))
    with service(head, head.folder) as client:
        job = client.wait(began.id, timeout_s=240, poll_s=0.2)
        assert (job.state, job.done, job.failed, job.total) == (
            "finished", COUNT + 1, 1, COUNT + 1,
        ), job  # fmt: skip
        assert job.listed and job.error is None
        assert job.report is not None
        assert job.report["errors"] == {"undecodable": 1}
        assert job.report["model"]["digest"] == load_bundle(head.folder / "bundle").digest
        assert Path(job.details["report_page"]).exists()
        assert client.cancel_job(job.id) == job
        (listed,) = client.jobs()
        assert (listed.id, listed.state, listed.report) == (job.id, "finished", None)
        assert not client.jobs(before=job.id)
    assert uris(allowed / "out") == {str(path): 1 for path in pictures.iterdir()}


@pytest.mark.slow
def test_the_service_itself_starts_jobs_for_those_who_bring_the_token(head: Head) -> None:
    allowed, folder = head.folder / "through-serve", head.folder / "serve"
    allowed.mkdir()
    folder.mkdir()
    (folder / "token").write_text(TOKEN)
    pictures, out = copies(allowed / "many", COUNT), allowed / "out"
    lost = Record(
        id=new_id(None),
        created="2026-01-01T00:00:00+00:00",
        input=str(pictures),
        output=str(allowed / "lost"),
        bundle=str(head.folder / "bundle"),
        digest=load_bundle(head.folder / "bundle").digest,
    )
    Records(str(allowed / "_jobs")).write(lost)
    bundle = ("--bundle", str(head.folder / "bundle"), "--bulk.prefixes", str(allowed))
    access = ("--address", head.address, "--token-file", str(folder / "token"))
    variables = {"RAY_AUTH_MODE": "disabled"}
    with ready(folder, *bundle, *access, extra=variables) as running:
        with Client(running.url) as stranger, pytest.raises(AccessDeniedError):
            stranger.jobs()
        with Client(running.url, TOKEN) as client:
            began = client.start_job(str(pictures), str(out), lexicon=["11", "2"])
            assert client.read(rendered("11")).error_code is None
            job = client.wait(began.id, timeout_s=240)
            assert (job.state, job.done, job.failed) == ("finished", COUNT, 0)
            assert job.details["options"] == {"lexicon": "2 words"}
            assert job.details["model"]["digest"] == client.model().digest
            assert client.wait(lost.id, timeout_s=240).state == "finished"
    (part, *_) = out.rglob("part-*.parquet")
    assert set(pq.read_table(part)["text"].to_pylist()) <= {"11", "2", ""}
    assert uris(allowed / "lost") == uris(out)
    assert uris(out) == {str(path): 1 for path in pictures.iterdir()}


@pytest.mark.slow
def test_a_cancelled_job_stops_and_the_next_one_goes_on(head: Head) -> None:
    allowed = head.folder / "allowed"
    pictures = copies(allowed / "many", MANY)
    out = allowed / "many-out"
    with service(head, head.folder) as client:
        began = client.start_job(str(pictures), str(out))
        reading = until(client, began, "reading")
        assert 0 < reading.done < MANY
        assert client.cancel_job(began.id).state in ("cancelling", "cancelled")
        cancelled = client.wait(began.id, timeout_s=60, poll_s=0.2)
        assert cancelled.state == "cancelled"
        wait_until(lambda: not with_argument(str(out)), log=head.folder / "log")
        there = len(uris(out))
        assert 0 < there < MANY
        assert not (out / "_report.json").exists()
        job = client.wait(client.start_job(str(pictures), str(out)).id, timeout_s=240)
        assert (job.state, job.done) == ("finished", MANY - there)
        assert job.report is not None and job.report["rows"] == MANY
    assert uris(out) == {str(path): 1 for path in pictures.iterdir()}


@pytest.mark.nightly
@pytest.mark.fault
def test_a_job_outlives_its_cluster(tmp_path: Path) -> None:
    random_bundle(tmp_path / "bundle")
    pictures, out = copies(tmp_path / "allowed" / "many", MANY), tmp_path / "allowed" / "out"
    with head_node(tmp_path, cpus=2) as head, service(head, tmp_path) as client:
        began = until(client, client.start_job(str(pictures), str(out)), "reading")
    assert 0 < len(uris(out)) < MANY
    with head_node(tmp_path, cpus=2) as head, service(head, tmp_path) as client:
        job = client.wait(began.id, timeout_s=240)
        assert (job.state, job.done, job.total) == ("finished", MANY, MANY)
    assert uris(out) == {str(path): 1 for path in pictures.iterdir()}


def copies(folder: Path, count: int) -> Path:
    """A folder with so many names of one picture."""
    folder.mkdir(parents=True)
    first = folder / "00000.png"
    first.write_bytes(rendered("0123"))
    for number in range(1, count):
        (folder / f"{number:05d}.png").hardlink_to(first)
    return folder


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bulk routes that refuse before they ask the cluster, of which there is none."""
    settings = BulkSettings(prefixes=("s3://b/in", "/data/in"), uri="s3://b/in/jobs")
    jobs = BulkJobs(settings, lambda: Deployed(uri="/bundle", digest="d"))
    with serving(application(jobs, taking_up=False)) as address:
        yield address


@pytest.mark.parametrize(
    "request_",
    [
        {"input": "s3://b/in/crops", "output": "s3://b/other"},
        {"input": "s3://b/in-private/crops", "output": "s3://b/in/out"},
        {"input": "s3://b/in/../other", "output": "s3://b/in/out"},
        {"input": "s3://b/in/x?endpoint_override=evil:80", "output": "s3://b/in/out"},
        {"input": "s3://b/other/list.csv", "output": "s3://b/in/out"},
        {"input": "s3://b/in/crops", "output": "s3://b/in/jobs/x"},
        {"input": "s3://b/in/crops", "output": "s3://b/in"},
        {"input": "/etc", "output": "s3://b/in/out"},
        {"input": "file:///data/in", "output": "s3://b/in/out"},
        {"input": "s3://b/in/crops", "output": "s3://b/in/out", "options": {"lexicon": "/etc/x"}},
        {"input": "s3://b/in/crops", "output": "s3://b/in/out", "options": {"engine": "torch"}},
        {"input": "s3://b/in/crops", "output": "s3://b/in/out", "options": {"chars": "yes"}},
        {"input": "s3://b/in/crops", "output": "s3://b/in/out", "options": {"lexicon": []}},
        {"input": "s3://b/in/crops", "output": "s3://b/in/out", "bundle": "s3://evil/bundle"},
        {"input": "s3://b/in/crops"},
    ],
)
def test_what_a_request_may_not_ask_for(address: str, request_: dict[str, object]) -> None:
    answer = httpx.post(f"{address}/v1/jobs", json=request_)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_there_is_no_such_job(tmp_path: Path) -> None:
    settings = BulkSettings(prefixes=(str(tmp_path),))
    jobs = BulkJobs(settings, lambda: Deployed(uri="/bundle", digest="d"))
    damaged = tmp_path / "_jobs" / "20260101T000000-000000000001" / "job.json"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("{")
    with serving(application(jobs, taking_up=False)) as address:
        for name in ("x", "20260101T000000-000000000000", "..%2f..%2fetc"):
            assert httpx.get(f"{address}/v1/jobs/{name}").status_code == 404
        answer = httpx.get(f"{address}/v1/jobs/{damaged.parent.name}")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert str(damaged) in answer.json()["detail"]


def test_they_are_off_unless_they_are_turned_on() -> None:
    with serving(application(None)) as address:
        for method, path in (("GET", ""), ("POST", ""), ("GET", "/x"), ("DELETE", "/x")):
            body = {"input": "s3://b/in", "output": "s3://b/out"} if method == "POST" else None
            answer = httpx.request(method, f"{address}/v1/jobs{path}", json=body)
            assert answer.status_code == 404
            assert "--bulk.prefixes" in answer.json()["detail"]
