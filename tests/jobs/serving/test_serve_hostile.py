"""Hostile input over HTTP: the poison corpus, and what schemathesis makes of the OpenAPI."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest

from crnn.client import Client
from tests.crnn.pages.drawn import two_columns
from tests.crnn.poison import corpus, encoded, memory_hog, time_hog
from tests.jobs.processes import Process, descendants, with_argument
from tests.jobs.runs import PROJECT, environment
from tests.jobs.serving.services import SHIPPED, Service, files, ready, word_pictures

pytestmark = pytest.mark.slow
CONFIG = """
[checks]
use_after_free.enabled = false
positive_data_acceptance.expected-statuses = ["2xx", 404, 409, 422, 429]
negative_data_rejection.expected-statuses = [400, 401, 404, 405, 413, 415, 422]

[[operations]]
include-path = "/v1/recognize"
checks.negative_data_rejection.enabled = false

[[operations]]
include-path = "/v1/pages"
checks.negative_data_rejection.enabled = false
"""
"""422: what makes no sense together is more than a schema says; 409 and 429: jobs that are there.
Whatever stands in a form as a file is a picture, if only one that can't be read. And a job that
was cancelled can still be looked at."""
OPEN_JOBS = 2


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The defaults, but for the bound of a picture, which the corpus presupposes."""
    folder = tmp_path_factory.mktemp("hostile")
    bounds = ("--online.max-pixels", "64000000", "--pages.max-pixels", "64000000")
    with ready(folder, "--bundle", str(SHIPPED), *bounds) as running:
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


def test_every_poison_among_pages_is_its_own_error(hostile: Service) -> None:
    good = encoded(two_columns())
    with hostile.client() as client:
        [plain] = client.post("/v1/pages", files=files([good])).json()["results"]
        lines = len(plain["pages"][0]["lines"])
        for name, poison in corpus().items():
            answer = client.post("/v1/pages", files=files([poison.data, good]), data={"dpi": "36"})
            assert answer.status_code == 200, (name, answer.text)
            first, last = answer.json()["results"]
            assert [len(page["lines"]) for page in last["pages"]] == [lines], name
            codes = {page.get("error", {}).get("code") for page in first.get("pages", [first])}
            counted = {"too_many_pages", "undecodable"} if poison.codes else set()
            assert all(code in counted or poison.allows(code) for code in codes), (name, codes)


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


def replicas(service: Service) -> list[Process]:
    return [p for p in descendants(service.job.pid) if p.name.startswith("ray::ServeRepli")]


def fuzz(service: Service, folder: Path, *options: str, extra: dict[str, str]) -> None:
    """What schemathesis makes of the service's OpenAPI breaks none of its checks."""
    program = Path(sys.executable).with_name("schemathesis")
    (folder / "schemathesis.toml").write_text(CONFIG)
    done = subprocess.run(
        [str(program), "run", f"{service.url}/openapi.json", "--request-timeout", "120",
         "--generation-database", "none", *options],
        cwd=folder,
        env=environment(extra),
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert httpx.get(f"{service.url}/readyz").status_code == 200


MANY = pytest.mark.nightly
"""More examples than are made for every change."""


@pytest.mark.parametrize("examples", [10, pytest.param(100, marks=MANY)])
def test_schemathesis_finds_nothing(hostile: Service, tmp_path: Path, examples: int) -> None:
    exclude = ("--exclude-path-regex", "/v1/jobs.*")
    fuzz(hostile, tmp_path, "--max-examples", str(examples), *exclude, extra={})


@pytest.mark.nightly
def test_schemathesis_finds_nothing_in_bulk_jobs_and_its_jobs_end(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "crops").mkdir(parents=True)
    for index, data in enumerate(word_pictures(3)):
        (folder / f"crops/{index}.png").write_bytes(data)
    (folder / "list.csv").write_text(f"uri\n{folder}/crops/0.png\n/etc/passwd\n")
    bulk = ("--bulk.prefixes", str(folder), "--bulk.open-jobs", str(OPEN_JOBS))
    patient = ("--bulk.workers", "1", "--limits.request-s", "100")
    with ready(tmp_path, "--bundle", str(SHIPPED), *bulk, *patient) as service:
        hooks = {
            "SCHEMATHESIS_HOOKS": "tests.jobs.serving.fuzz_hooks",
            "PYTHONPATH": str(PROJECT),
            "CRNN_FUZZ_FOLDER": str(folder),
        }
        only = ("--include-path-regex", "^/v1/jobs", "--max-examples", "40")
        fuzz(service, tmp_path, *only, extra=hooks)
        with Client(service.url, timeout_s=120) as client:
            jobs = client.jobs(limit=100)
            assert jobs, "it started some"
            assert sum(not job.ended for job in jobs) <= OPEN_JOBS
            for job in jobs:
                client.cancel_job(job.id)
            assert {client.wait(job.id, timeout_s=240).state for job in jobs} <= {
                "finished", "failed", "cancelled",
            }  # fmt: skip
        assert not with_argument(f"--output={folder}")
        parts = [pq.read_table(part) for part in folder.glob("out*/model=*/*.parquet")]
        for row in (row for part in parts for row in part.to_pylist()):
            outside = row["uri"] == "/etc/passwd"
            assert (row["error_code"] == "not_allowed") == outside, row


@pytest.mark.nightly
def test_a_soak_leaves_its_curve_and_memory_as_it_was(tmp_path: Path) -> None:
    """Ten minutes of what bench/soak.py does for an hour."""
    done = subprocess.run(
        [sys.executable, str(PROJECT / "bench/soak.py"), "--minutes", "10", "--out", "soak"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=1800,
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
