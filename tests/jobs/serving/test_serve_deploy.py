"""On a cluster: ``serve deploy`` with a generated file, bundles rolled in by ``user_config``."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from crnn import Recognizer
from crnn.bundle.bundle import load_bundle
from jobs.serving import edge
from tests.jobs.nodes import RAY, Head, head_node
from tests.jobs.processes import Process, with_argument
from tests.jobs.runs import PROJECT, environment, run, tiny_bundle
from tests.jobs.serving.loads import load, until
from tests.jobs.serving.services import SERVE, SHIPPED, files, free_port, word_pictures

pytestmark = pytest.mark.slow
PICTURES = word_pictures(20)


class Deployed:
    """A configuration file, and the service that it makes of a cluster."""

    def __init__(self, head: Head, folder: Path, *flags: str) -> None:
        self.head, self.path = head, folder / "serve.yaml"
        self.url = f"http://127.0.0.1:{free_port()}"
        port = self.url.rpartition(":")[2]
        written = run("--write-config", str(self.path), "--port", port, *flags, cwd=folder,
                      job=SERVE)  # fmt: skip
        assert written.returncode == 0, written.stderr

    def deploy(self, **user_config: str) -> None:
        """``serve deploy``, after the file was changed so."""
        config: dict[str, Any] = yaml.safe_load(self.path.read_text())
        config["applications"][0]["deployments"][0]["user_config"].update(user_config)
        self.path.write_text(yaml.safe_dump(config))
        done = subprocess.run(
            [str(RAY.with_name("serve")), "deploy", str(self.path), "-a", self.head.dashboard],
            cwd=PROJECT,
            env=environment({"RAY_AUTH_MODE": "disabled"}),
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def model(self) -> dict[str, Any]:
        try:
            answer = httpx.get(f"{self.url}/v1/model", timeout=30)
        except httpx.TransportError:
            return {}
        return dict(answer.json()) if answer.status_code == 200 else {}

    def roll(self) -> dict[str, Any]:
        return dict(self.model().get("last_roll") or {})


def replicas(head: Head) -> list[Process]:
    port = head.address.rpartition(":")[2]
    nodes = with_argument(f"127.0.0.1:{port}") or with_argument(f":{port}")
    return [process for process in nodes if process.name.startswith("ray::ServeRepli")]


@pytest.mark.fault
def test_a_bundle_is_rolled_in_under_load_and_a_wrong_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(edge.CALLBACK_VARIABLE, edge.CALLBACK)
    monkeypatch.setenv("PYTHONPATH", "")
    shutil.copytree(SHIPPED, tmp_path / "old")
    old = load_bundle(tmp_path / "old").digest
    tiny_bundle(tmp_path / "new")
    new = load_bundle(tmp_path / "new").digest
    by_old = Recognizer.load(tmp_path / "old", threads=1).read(PICTURES)
    by_new = Recognizer.load(tmp_path / "new", threads=1).read(PICTURES)
    either = [frozenset([a.text, b.text]) for a, b in zip(by_old, by_new, strict=True)]
    with head_node(tmp_path, cpus=3) as head:
        service = Deployed(head, tmp_path, "--bundle", str(tmp_path / "old"))
        service.deploy()
        until(lambda: service.model().get("digest") == old)
        with load(service.url, PICTURES, either) as running:
            until(lambda: running.models[old] > 50)
            service.deploy(bundle=str(tmp_path / "new"), digest=new)
            until(lambda: running.models[new] > 50)
            service.deploy(bundle=str(tmp_path / "old"), digest="0" * 64)
            until(lambda: service.roll()["state"] == "refused")
            seen = running.models[new]
            until(lambda: running.models[new] > seen + 50)
        assert running.errors == []
        assert running.wrong == []
        assert set(running.models) == {old, new}
        assert "0" * 64 in service.roll()["detail"]
        check_that_a_new_replica_takes_the_accepted_one(head, service, new)


def check_that_a_new_replica_takes_the_accepted_one(
    head: Head, service: Deployed, digest: str
) -> None:
    """The configuration still wants the refused one, and the replica that had another is gone."""
    [replica] = replicas(head)
    os.kill(replica.pid, signal.SIGKILL)
    until(lambda: bool(set(replicas(head)) - {replica}) and service.model() != {})
    assert service.model()["digest"] == digest
    assert service.roll()["state"] == "refused"
    answer = httpx.post(f"{service.url}/v1/recognize", files=files(PICTURES), timeout=60)
    assert answer.status_code == 200


@pytest.mark.nightly  # one is submitted to real nodes for every change: tests/hosts
def test_a_submitted_service_ends_with_its_job(tmp_path: Path) -> None:
    """``ray job submit -- python jobs/serve.py``, and ``ray job stop``."""
    port = free_port()
    with head_node(tmp_path, cpus=2) as head:
        submitted = head.submit(
            *("--no-wait", "--submission-id", "serving", "--working-dir", "."),
            *("--", "python", "jobs/serve.py", "--port", str(port)),
        )
        assert submitted.returncode == 0, submitted.stdout + submitted.stderr
        url = f"http://127.0.0.1:{port}"
        until(lambda: answers(url))
        answer = httpx.post(f"{url}/v1/recognize", files=files(PICTURES), timeout=60)
        assert answer.status_code == 200
        until(lambda: "ready; Ctrl-C ends it" in logs(head))  # it answers before it says so
        stopped = subprocess.run(
            [str(RAY), "job", "stop", "--address", head.dashboard, "serving"],
            env=environment({"RAY_AUTH_MODE": "disabled"}),
            capture_output=True,
            check=False,
        )
        assert stopped.returncode == 0
        until(lambda: replicas(head) == [])


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=30).status_code == 200
    except httpx.TransportError:
        return False


def logs(head: Head) -> str:
    shown = subprocess.run(
        [str(RAY), "job", "logs", "--address", head.dashboard, "serving"],
        env=environment({"RAY_AUTH_MODE": "disabled"}),
        capture_output=True,
        text=True,
        check=False,
    )
    return shown.stdout
