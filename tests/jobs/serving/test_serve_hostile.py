"""Hostile input over HTTP: the poison corpus, and what schemathesis makes of the OpenAPI."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.crnn.poison import corpus, memory_hog, time_hog
from tests.jobs.processes import descendants
from tests.jobs.runs import PROJECT, environment
from tests.jobs.serving.services import SHIPPED, Service, files, ready, word_pictures

pytestmark = pytest.mark.slow
CONFIG = """
[checks]
positive_data_acceptance.expected-statuses = ["2xx", 404, 422]
negative_data_rejection.expected-statuses = [400, 401, 404, 405, 413, 415, 422]

[[operations]]
include-path = "/v1/recognize"
checks.negative_data_rejection.enabled = false
"""
"""422: what makes no sense together is more than a schema says. And whatever stands in a form as
a file is a picture, if only one that can't be read."""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The defaults, but for the bound of a picture, which the corpus presupposes."""
    folder = tmp_path_factory.mktemp("hostile")
    with ready(folder, "--bundle", str(SHIPPED), "--online.max-pixels", "64000000") as running:
        yield running


def test_every_poison_is_its_own_error_and_its_neighbour_is_read(hostile: Service) -> None:
    [good] = word_pictures(1)
    with hostile.client() as client:
        plain = client.post("/v1/recognize", files=files([good])).json()["results"][0]["text"]
        for name, poison in corpus().items():
            answer = client.post("/v1/recognize", files=files([good, poison.data, good]))
            assert answer.status_code == 200, (name, answer.text)
            first, middle, last = answer.json()["results"]
            assert first["text"] == last["text"] == plain, name
            assert poison.allows(middle.get("error", {}).get("code")), (name, middle)


def test_poison_from_many_callers_ends_no_replica_and_leaves_no_process(hostile: Service) -> None:
    started = {process.pid for process in replicas(hostile)}
    hogs = [memory_hog(), time_hog()]
    mixed = [poison.data for poison in corpus().values()] + hogs
    with hostile.client() as client:
        answer = client.post("/v1/recognize", files=files(mixed))
        assert answer.status_code in (200, 504), answer.text
        assert client.post("/v1/recognize", files=files(word_pictures(3))).status_code == 200
    assert {process.pid for process in replicas(hostile)} == started
    decoders = [p for p in descendants(hostile.job.pid) if p.name.startswith("crnn")]
    assert len(decoders) <= 2


def replicas(service: Service) -> list[object]:
    return [p for p in descendants(service.job.pid) if p.name.startswith("ray::ServeRepli")]


def test_schemathesis_finds_nothing(hostile: Service, tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("schemathesis")
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    done = subprocess.run(
        [str(program), "run", f"{hostile.url}/openapi.json", "--max-examples", "100",
         "--request-timeout", "60", "--exclude-path-regex", "/v1/jobs.*",
         "--generation-database", "none"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert httpx.get(f"{hostile.url}/readyz").status_code == 200


def test_a_soak_leaves_its_curve_and_memory_as_it_was(tmp_path: Path) -> None:
    """A minute and a half of what bench/soak.py does for an hour."""
    done = subprocess.run(
        [sys.executable, str(PROJECT / "bench/soak.py"), "--minutes", "1.5", "--out", "soak"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = (tmp_path / "soak/memory.csv").read_text().splitlines()
    assert rows[0].startswith("seconds,replicas MiB")
    assert len(rows) >= 4
    assert (tmp_path / "soak/memory.png").read_bytes().startswith(b"\x89PNG")
    for group in ("replicas", "ingress", "all"):
        [line] = [line for line in done.stdout.splitlines() if line.startswith(f"{group} ")]
        assert float(line.split()[-2]) < 1.15, done.stdout
