"""Faults under load: a replica that is killed, a load that comes and goes."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from crnn import Recognizer
from crnn.bundle.bundle import load_bundle
from tests.jobs.processes import Process, descendants
from tests.jobs.runs import tiny_bundle
from tests.jobs.serving.loads import Load, load, until
from tests.jobs.serving.services import SHIPPED, Service, ready, word_pictures

pytestmark = [pytest.mark.slow, pytest.mark.fault]
PICTURES = word_pictures(20)
PATIENT = 12
"""Tries of a client that outlives the start of a replica."""


def right_texts() -> list[frozenset[str]]:
    results = Recognizer.load(SHIPPED, threads=1).read(PICTURES)
    return [frozenset([result.text]) for result in results]


def replicas(service: Service) -> list[Process]:
    return [p for p in descendants(service.job.pid) if p.name.startswith("ray::ServeRepli")]


def goes_on(running: Load, count: int = 100) -> None:
    """Until so many more were read."""
    before = running.read
    until(lambda: running.read >= before + count)


@pytest.mark.parametrize(
    ("ingress", "number"),
    [
        ("haproxy", 1),
        pytest.param("proxy", 2, marks=pytest.mark.nightly),
        pytest.param("haproxy", 2, marks=pytest.mark.nightly),
        pytest.param("proxy", 1, marks=pytest.mark.nightly),
    ],
)
def test_a_killed_replica_costs_no_wrong_answer_and_comes_back(
    tmp_path: Path, ingress: str, number: int
) -> None:
    flags = ("--ingress", ingress, "--min-replicas", str(number), "--max-replicas", str(number))
    with ready(tmp_path, "--bundle", str(SHIPPED), *flags) as service:
        before = replicas(service)
        assert len(before) == number
        with load(service.url, PICTURES, right_texts(), retries=PATIENT) as running:
            goes_on(running)
            os.kill(before[0].pid, signal.SIGKILL)
            until(lambda: len(set(replicas(service)) - {before[0]}) == number)
            goes_on(running)
            until(lambda: new_replica_answers(service, before))
        assert running.wrong == []
        assert running.errors == []


def new_replica_answers(service: Service, before: list[Process]) -> bool:
    """Whether as many replicas as before count what they read."""
    with service.client() as client:
        text = client.get("/metrics").text
    lines = [line for line in text.splitlines() if line.startswith("crnn_model{")]
    return len(lines) >= len(before) and all(p.runs() for p in replicas(service))


@pytest.mark.nightly  # test_serve_deploy rolls one in under load for every change
@pytest.mark.parametrize("ingress", ["haproxy", "proxy"])
def test_a_bundle_is_rolled_in_under_load_without_a_failed_request(
    tmp_path: Path, ingress: str
) -> None:
    """By SIGHUP, and without any retry."""
    bundle = tmp_path / "bundle"
    shutil.copytree(SHIPPED, bundle)
    tiny_bundle(tmp_path / "new")
    digest = load_bundle(tmp_path / "new").digest
    new = Recognizer.load(tmp_path / "new", threads=1).read(PICTURES)
    either = [old | {result.text} for old, result in zip(right_texts(), new, strict=True)]
    with ready(tmp_path, "--bundle", str(bundle), "--ingress", ingress) as service:
        with load(service.url, PICTURES, either, callers=16) as running:
            goes_on(running)
            bundle.rename(tmp_path / "old")
            (tmp_path / "new").rename(bundle)
            service.job.send_signal(signal.SIGHUP)
            until(lambda: running.models[digest] > 200)
        assert running.errors == []
        assert running.wrong == []
        assert len(running.models) == 2
        with service.client() as client:
            assert client.get("/v1/model").json()["digest"] == digest


@pytest.mark.nightly
def test_replicas_follow_the_load_between_their_bounds(tmp_path: Path) -> None:
    flags = ("--min-replicas", "1", "--max-replicas", "2", "--target-ongoing-requests", "4")
    quick = ("--upscale-delay-s", "1", "--downscale-delay-s", "3")
    with ready(tmp_path, "--bundle", str(SHIPPED), *flags, *quick) as service:
        assert len(replicas(service)) == 1
        with load(service.url, PICTURES, right_texts(), callers=32, retries=PATIENT) as running:
            until(lambda: len(replicas(service)) == 2)
            goes_on(running)
        assert running.wrong == []
        assert running.errors == []
        until(lambda: len(replicas(service)) == 1)
        with service.client() as client:
            assert client.get("/readyz").status_code == 200
