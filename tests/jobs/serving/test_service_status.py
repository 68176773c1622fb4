"""What the service says of itself: model, health, metrics, documentation, and who may listen."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from crnn.bundle.bundle import load_bundle
from jobs.serving.schema import EXAMPLE_TEXT
from jobs.serving.settings import ServeSettings
from tests.jobs.listening import listening
from tests.jobs.processes import descendants
from tests.jobs.serving.services import SHIPPED, Service, files, samples, word_pictures


@pytest.fixture
def client(service: Service) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


def test_the_model_says_what_it_is(client: httpx.Client) -> None:
    model = client.get("/v1/model").json()
    bundle = load_bundle(SHIPPED)
    assert (model["name"], model["digest"]) == (bundle.name, bundle.digest)
    assert model["charset"] == bundle.charset.characters
    assert model["picture"]["widths"] == list(bundle.picture.widths)
    assert model["picture"]["stretch"] == 1
    assert model["last_roll"]["state"] == "in_use"
    assert client.get("/healthz").json() == {"status": "live"}
    assert client.get("/readyz").json() == {"status": "ready"}


@pytest.mark.slow
def test_metrics_count_requests_pictures_and_batches(client: httpx.Client) -> None:
    before = settled(client)
    for _ in range(3):
        client.post("/v1/recognize", files=files([*word_pictures(4), b"no picture"]))
    client.post("/v1/recognize", content=b"")

    def grown(series: str) -> float:
        return after.get(series, 0.0) - before.get(series, 0.0)

    refused = 'crnn_requests_total{path="/v1/recognize",status="415"}'
    after = settled(client)
    assert grown(refused) == 1
    assert grown('crnn_requests_total{path="/v1/recognize",status="200"}') == 3
    assert grown('crnn_pictures_total{outcome="read"}') == 12
    assert grown('crnn_pictures_total{outcome="undecodable"}') == 3
    assert grown("crnn_confidence_count") == 12
    assert grown("crnn_batch_pictures_sum") == 12
    for name in ("batch_pictures", "decode_seconds", "queue_seconds", "engine_seconds"):
        assert 3 <= grown(f"crnn_{name}_count") <= 12
        assert after[f'crnn_{name}_bucket{{le="+Inf"}}'] == after[f"crnn_{name}_count"]
    assert grown('crnn_request_seconds_count{path="/v1/recognize"}') == 4
    assert after["crnn_pictures_waiting"] == 0
    replicas = ServeSettings().placed(len(os.sched_getaffinity(0))).min_replicas
    assert [after[s] for s in after if s.startswith("crnn_model{")] == [replicas]


def settled(client: httpx.Client) -> dict[str, float]:
    """The counts once they change no more: they come by way of Ray's agent."""
    last: dict[str, float] = {}
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        now = samples(client.get("/metrics").text)
        now = {name: value for name, value in now.items() if 'path="/metrics"' not in name}
        if now == last and "crnn_body_bytes" in now:
            return now
        last = now
        time.sleep(2.5)  # over the second between two reports of a replica, and Ray's half
    raise AssertionError("the counts don't settle")


@pytest.mark.slow
def test_buckets_of_a_histogram_hold_those_below_them(client: httpx.Client) -> None:
    client.post("/v1/recognize", files=files(word_pictures(2)))
    settled(client)
    text = client.get("/metrics").text
    assert re.search(r"^# TYPE crnn_request_seconds histogram$", text, re.M)
    series = re.findall(r'^crnn_request_seconds_bucket\{(.*),le="[^"]*"\} (\S+)$', text, re.M)
    by_labels: dict[str, list[float]] = {}
    for labels, value in series:
        by_labels.setdefault(labels, []).append(float(value))
    assert by_labels
    assert all(values == sorted(values) for values in by_labels.values())


def test_the_documentation_describes_every_path_and_loads_nothing_from_elsewhere(
    client: httpx.Client,
) -> None:
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    for path in ("/v1/recognize", "/v1/pages", "/v1/model", "/healthz", "/readyz", "/metrics",
                 "/v1/jobs", "/v2/models/{name}/infer"):  # fmt: skip
        assert path in document["paths"]
    example = document["paths"]["/v1/recognize"]["post"]["requestBody"]["content"][
        "application/json"
    ]["example"]
    [read] = client.post("/v1/recognize", json=example).json()["results"]
    assert read["text"] == EXAMPLE_TEXT
    page = client.get("/docs").text
    assert "/v1/recognize" in page
    assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", page)
    for code in ("too_large", "overloaded"):
        assert f'id="{code}"' in page


def test_nothing_listens_beyond_this_machine(service: Service) -> None:
    """Neither the service nor anything of the cluster that it started."""
    started = {process.pid: process.name for process in descendants(service.job.pid)}
    found = listening([service.job.pid, *started])
    assert not {started.get(pid): beyond for pid, (_, beyond) in found.items() if beyond}
    here = {started.get(pid, "").rstrip("0123456789"): ports for pid, (ports, _) in found.items()}
    assert {"haproxy", "gcs_server", "raylet"} <= set(here)
    assert service.port in here["haproxy"]


def test_a_port_that_is_taken_is_not_served_at(service: Service) -> None:
    with pytest.raises(OSError), socket.socket() as probe:
        probe.bind(("127.0.0.1", service.port))
