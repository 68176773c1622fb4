"""The bulk job on clusters that were there before: submitted, and with a node that dies."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from ray._common.network_utils import node_ip_address_from_perspective
from ray.cluster_utils import Cluster

from tests.jobs.nodes import head_node
from tests.jobs.runs import PROJECT, environment
from tests.jobs.test_recognize_job import COUNT, JOB, crops, parts, uris
from tests.pipelines.evaluation_cases import random_bundle


@pytest.mark.nightly  # one is submitted to real nodes for every change: tests/hosts
def test_a_submitted_job_reads(tmp_path: Path) -> None:
    random_bundle(tmp_path / "bundle")
    pictures = crops(tmp_path, 60)
    with head_node(tmp_path, cpus=2) as head:
        flags = ("--bundle", f"{tmp_path}/bundle", "--input", str(pictures))
        done = head.submit(
            *("--working-dir", ".", "--", "python", "jobs/recognize.py", *flags),
            *("--output", f"{tmp_path}/out"),
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "60 rows, 60 read, errors: none" in done.stdout
    assert uris(tmp_path / "out") == {str(p): 1 for p in pictures.iterdir()}


@pytest.mark.nightly
@pytest.mark.fault
def test_a_node_dies_and_every_input_has_one_row(tmp_path: Path) -> None:
    random_bundle(tmp_path / "bundle")
    pictures = crops(tmp_path, COUNT)
    out = tmp_path / "out"
    path = {"PYTHONPATH": str(PROJECT), "RAY_AUTH_MODE": "disabled"}
    # The machine's own, also where this process has a cluster on the loopback address.
    node = {"env_vars": path, "node_ip_address": node_ip_address_from_perspective()}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **node})
    try:
        nodes = [cluster.add_node(num_cpus=1, **node) for _ in range(2)]
        command = [sys.executable, str(JOB), "--bundle", "bundle", "--input", "crops"]
        command += ["--output", "out", "--address", cluster.address]
        with subprocess.Popen(command, cwd=tmp_path, env=environment(path)) as job:
            while job.poll() is None and len(parts(out)) < 2:
                time.sleep(0.02)
            assert job.poll() is None
            cluster.remove_node(nodes[0], allow_graceful=False)
            before = len(parts(out))
            cluster.add_node(num_cpus=1, **node)
            status = job.wait(timeout=400)
    finally:
        cluster.shutdown()
    assert status == 0
    assert before < COUNT // 512
    assert uris(out) == {str(p): 1 for p in pictures.iterdir()}
