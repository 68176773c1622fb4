"""Train, evaluate, read and serve on real nodes, from outside, with nothing shared but S3."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import torch

from crnn import Recognizer
from crnn.bundle.bundle import load_bundle
from crnn.files import storage
from crnn.training.batch import ReadyBatch
from crnn.training.trainer import Trainer
from jobs import cli
from jobs.training.network import first_network, starting_bundle
from jobs.training.settings import TrainSettings
from tests.crnn.training.pictures import CHARSET, PICTURE, batch_of, drawn
from tests.hosts.cluster import SERVE_PORT, Cluster
from tests.hosts.jobs import audit_of, put_set, rows, submitted, uris
from tests.jobs.runs import TINY
from tests.jobs.serving.services import files, word_pictures
from tests.pipelines.stream.sets import good

pytestmark = [pytest.mark.slow, pytest.mark.hosts]

SAMPLES, EPOCHS, BATCH = 320, 3, 8
EACH_ONCE = Counter(f"good-{i}" for i in range(SAMPLES))
PICTURES = 60


@pytest.fixture(scope="module")
def home(new_bucket: Callable[[], str]) -> str:
    """A bucket with sets, and pictures."""
    bucket = new_bucket()
    put_set(f"{bucket}/set", good(SAMPLES))
    put_set(f"{bucket}/val", good(20))
    for number, data in enumerate(word_pictures(PICTURES)):
        storage.write_bytes(f"{bucket}/crops/{number}.png", data)
    return bucket


@pytest.fixture(scope="module")
def run(_cluster: Cluster, home: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run on two workers; its address."""
    command = (
        *("jobs/train.py", "--num-workers", "2", "--name", "a", "--audit", *TINY),
        *("--data", f"{home}/set", "--val", f"{home}/val", "--storage-path", f"{home}/runs"),
        *("--epochs", str(EPOCHS), "--batch-pixels", str(BATCH * 32 * 64)),
    )
    with submitted(_cluster, tmp_path_factory.mktemp("train"), *command) as job:
        text = job.succeeds()
    assert f"{home}/runs/a/bundle" in text
    return f"{home}/runs/a"


def test_no_row_is_read_twice_by_two_ranks(run: str) -> None:
    (start,) = audit_of(run).starts
    assert start.ranks == 2
    for epoch in range(EPOCHS):
        assert start.ids(epoch) == EACH_ONCE
    assert all(start.samples_of(rank) > SAMPLES // 2 for rank in (0, 1)), "both had their share"


def test_the_losses_are_those_of_one_process_on_the_same_global_batches(run: str) -> None:
    """Replayed here from the same first weights: rank 0's batch and rank 1's, one after another."""
    settings = cli.parse(TrainSettings, TINY, description="")
    (start,) = audit_of(run).starts
    torch.set_num_threads(1)
    trainer = Trainer(
        first_network(settings, CHARSET, starting_bundle(settings)),
        CHARSET,
        settings.optim,
        total_samples=SAMPLES * EPOCHS,
        device=torch.device("cpu"),
    )
    theirs, ours = [], []
    for entries in zip(start.steps[0], start.steps[1], strict=True):
        assert entries[0]["loss"] == entries[1]["loss"]
        result = trainer.train([ready(entry["ids"]) for entry in entries if entry["ids"]])
        theirs.append(entries[0]["loss"])
        ours.append(result.loss_sum / result.samples)
    assert len(ours) >= EPOCHS * SAMPLES // (2 * BATCH)
    assert ours[-1] < ours[0] / 2, "it learns"
    assert theirs == pytest.approx(ours, rel=1e-4)


def ready(ids: list[str]) -> ReadyBatch:
    """These samples of the set as the stream delivers them."""
    texts = [sample_id.removeprefix("good-") for sample_id in ids]
    return batch_of(texts, width=PICTURE.bucket_width(*drawn(texts[0]).size))


def test_evaluation(cluster: Cluster, home: str, run: str, tmp_path: Path) -> None:
    command = ("--bundle", f"{run}/bundle", "--data", f"{home}/val", "--out", f"{home}/report")
    with submitted(cluster, tmp_path, "jobs/evaluate.py", *command) as job:
        assert f"report: {home}/report" in job.succeeds()
    total = json.loads(storage.read_bytes(f"{home}/report/report.json"))["total"]
    of_run = json.loads(storage.read_bytes(f"{run}/report.json"))["total"]
    assert total["count"] == 20
    assert total["exact"] == of_run["exact"]


def test_bulk_recognition(cluster: Cluster, home: str, run: str, tmp_path: Path) -> None:
    out = f"{home}/out"
    command = ("--bundle", f"{run}/bundle", "--input", f"{home}/crops", "--output", out)
    with submitted(cluster, tmp_path, "jobs/recognize.py", *command) as job:
        assert f"{PICTURES} rows, {PICTURES} read, errors: none" in job.succeeds()
    assert uris(out) == {f"{home}/crops/{number}.png": 1 for number in range(PICTURES)}
    table = rows(out)
    recognizer = Recognizer.load(f"{run}/bundle", threads=1)
    pictures = [storage.read_bytes(uri) for uri in table["uri"].to_pylist()]
    assert table["text"].to_pylist() == [r.text for r in recognizer.read(pictures)]


def test_serving(cluster: Cluster, run: str, tmp_path: Path) -> None:
    flags = ("--host", "0.0.0.0", "--port", str(SERVE_PORT), "--min-replicas", "2")
    pictures = word_pictures(20)
    command = ("--bundle", f"{run}/bundle", *flags, "--max-replicas", "2")
    with submitted(cluster, tmp_path, "jobs/serve.py", *command) as job:
        job.until(lambda: "ready; Ctrl-C ends it" in job.text)
        digest = load_bundle(f"{run}/bundle").digest
        with httpx.Client(base_url=cluster.service, timeout=60) as client:
            assert client.get("/v1/model").json()["digest"] == digest
            results = client.post("/v1/recognize", files=files(pictures)).json()["results"]
        expected = Recognizer.load(f"{run}/bundle", threads=1).read(pictures)
        assert [r["text"] for r in results] == [r.text for r in expected]
        job.stop(cluster)
