"""Services that share a machine, and one on a cluster that has never heard of the project."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path

import pytest

from crnn import Recognizer
from crnn.client import Client
from tests.jobs.nodes import head_node
from tests.jobs.runs import refused, run
from tests.jobs.serving.services import SERVE, SHIPPED, free_port, ready, word_pictures
from tests.jobs.test_recognize_job import uris

PICTURES = word_pictures(4)


def crops(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for index, data in enumerate(PICTURES):
        (folder / f"{index}.png").write_bytes(data)
    return folder


def check(url: str, folder: Path) -> None:
    """It reads, and so do the bulk jobs that it starts."""
    texts = [result.text for result in Recognizer.load(SHIPPED, threads=1).read(PICTURES)]
    pictures = crops(folder / "crops")
    with Client(url, timeout_s=120) as client:
        assert [result.text for result in client.read(PICTURES)] == texts
        job = client.start_job(str(pictures), str(folder / "out"))
        job = client.wait(job.id, timeout_s=300)
        assert (job.state, job.done, job.failed) == ("finished", 4, 0), job
    assert uris(folder / "out") == {str(path): 1 for path in pictures.iterdir()}


@pytest.mark.slow
def test_a_service_brings_the_project_to_a_cluster_without_it(tmp_path: Path) -> None:
    bulk = ("--bundle", str(SHIPPED), "--bulk.prefixes", str(tmp_path))
    with (
        head_node(tmp_path, cpus=3, cwd=tmp_path) as head,
        ready(
            tmp_path, "--address", head.address, *bulk, extra={"RAY_AUTH_MODE": "disabled"}
        ) as running,
    ):
        assert re.search(r"note: node \S+: RAY_SERVE_HTTP_PROXY_CALLBACK\S+ isn't", running.log)
        check(running.url, tmp_path / "data")


@pytest.mark.nightly
def test_two_services_with_bulk_jobs_run_side_by_side(tmp_path: Path) -> None:
    with ExitStack() as stack:
        urls = {}
        for name in ("one", "two"):
            folder = tmp_path / name
            folder.mkdir()
            bulk = ("--bundle", str(SHIPPED), "--bulk.prefixes", str(folder))
            urls[folder] = stack.enter_context(ready(folder, *bulk)).url
        for folder, url in urls.items():
            check(url, folder / "data")


def test_a_cluster_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    done = run("--bundle", str(SHIPPED), "--address", address, cwd=tmp_path, job=SERVE)
    refused(done, 2, f"there is no Ray cluster at --address {address}", "expected HOST:PORT")
