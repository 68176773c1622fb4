"""Joining a cluster: that of this process, and one that has no node left."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest
import ray
from ray._private import node

from crnn.errors import PlacementError
from jobs import cluster
from jobs.cluster import connect


def test_a_job_takes_the_ray_that_is_up(local_ray: None, monkeypatch: pytest.MonkeyPatch) -> None:
    joined = ray.get_runtime_context().gcs_address
    for address in (None, "", "auto", joined):
        connect(address)
        assert ray.get_runtime_context().gcs_address == joined
    monkeypatch.setenv("RAY_ADDRESS", joined)
    connect(None)
    with pytest.raises(ValueError, match=r"is on the Ray cluster .*--address is 127\.0\.0\.1:1;"):
        connect("127.0.0.1:1")


def test_a_cluster_without_a_node_is_waited_for_aloud_and_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As when its raylet has died: the head still listens."""

    def nothing_there(**_: Any) -> None:
        time.sleep(0.2)
        raise ConnectionError("Failed to connect to Ray cluster")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", nothing_there)
    monkeypatch.setattr(cluster, "_SILENT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as head:
        address = f"127.0.0.1:{head.getsockname()[1]}"
        with pytest.raises(PlacementError, match=rf"no node of the Ray cluster at {address} can"):
            connect(address)
    assert f"waiting for a node of the Ray cluster at {address}" in capsys.readouterr().err


def test_a_busy_machine_is_given_more_than_one_try(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever each try had started is ended before the next."""
    ended, tries = [], iter([False, False, True])

    class Unfinished:
        def kill_all_processes(self, check_alive: bool, allow_graceful: bool) -> None:
            ended.append(self)

    def init(**_: object) -> None:
        node.Node()
        if not next(tries):
            raise Exception("The current node timed out during startup. This could …")

    monkeypatch.setattr(node, "Node", Unfinished)
    monkeypatch.setattr(ray, "init", init)
    cluster._start(2, takes_jobs=False)
    assert len(ended) == 2
    assert capsys.readouterr().out.count("trying again") == 2
    tries = iter([False] * 9)
    with pytest.raises(PlacementError, match="within its own time limit, 5 times"):
        cluster._start(2, takes_jobs=False)
    assert len(ended) == 2 + 5
