"""The way onto a Ray cluster, and the question whether it can ever hold what a job wants."""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import ray
from ray.autoscaler.sdk import request_resources

from crnn.errors import PlacementError
from jobs import private_cluster
from jobs.ray_internals import PROGRESS_LOGGER, cluster_parameters

# A cluster of one job on one machine has no dashboard and no spot nodes, and its metrics are not
# read; collecting them takes CPU from the training.
_LOCAL_ENV = {
    "RAY_enable_metrics_collection": "0",
    "RAY_task_events_report_interval_ms": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
}
PROJECT_ROOT = Path(__file__).resolve().parent.parent
_PACKAGES = ("crnn", "pipelines", "jobs")
_JOB_CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Where a program that was submitted as a Ray job finds what came with it."""
_POLL_S = 1.0
_HOST_PORT = re.compile(r"([\w.-]+|\[[\w:.%]+\]):(\d+)")
_THERE_S = 30.0
_SILENT_S = 5.0
_TOO_SLOW = "timed out during startup"
"""What Ray says when its own processes haven't started within its 30 s."""
_STARTS = 5
"""Tries: what keeps the machine busy for that long often ends."""


def connect(
    address: str | None,
    *,
    local_cpus: float = 0,
    takes_jobs: bool = False,
    brings_project: bool = False,
) -> None:
    """Joins the cluster at ``address`` or ``$RAY_ADDRESS``; else starts one on this machine.

    A process that is connected already, as a notebook may be, stays on its cluster.

    ``local_cpus`` is the least number of logical CPUs that a cluster started here will have, and
    ``takes_jobs`` gives it the dashboard that Ray's jobs need; all of it listens on this machine's
    loopback address alone, and asks for a token. A cluster that asks for none is said so.
    ``brings_project`` sends these packages to a cluster that is joined, which needn't have them.

    Raises:
        ValueError: when nothing listens at ``address``, or this process is on another cluster.
        PlacementError: when no node of the cluster can be joined, or none starts here.
    """
    if ray.is_initialized():
        _check_same(address)
        return
    address = address or os.environ.get("RAY_ADDRESS")
    # Train workers keep the driver's working directory, so that relative paths mean the same.
    os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")
    os.environ.setdefault("RAY_TRAIN_ENABLE_STATE_TRACKING", "0")
    # A checkpoint counts, and a dead worker is noticed, when Ray Train next asks.
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.5")
    os.environ.setdefault("RAY_DATA_LOG_LEVEL", "WARNING")  # of a ray.data imported after this
    os.environ.setdefault("RAY_COLOR_PREFIX", "0")  # of the raylet's lines in our log
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if address:
        _check_there(address)
        with _joining(address):
            ray.init(
                address=address,
                runtime_env=_project() if brings_project else None,
                log_to_driver=False,
                logging_level=logging.WARNING,
            )
        private_cluster.say_if_open(address)
    else:
        _start(local_cpus, takes_jobs)
    for name in ("ray.data", "ray.train"):  # the jobs show their own progress
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger(PROGRESS_LOGGER).setLevel(logging.ERROR)


def _check_same(address: str | None) -> None:
    joined = ray.get_runtime_context().gcs_address
    if address not in (None, "", "auto", joined):
        raise ValueError(
            f"this process is on the Ray cluster {joined}, and --address is {address}; leave one "
            "cluster with ray.shutdown() before joining another"
        )


def _check_there(address: str) -> None:
    """Ray itself asks for minutes, and then says little."""
    found = _HOST_PORT.fullmatch(address)
    if not found:  # auto, or of a kind that Ray knows
        return
    try:
        socket.create_connection((found[1].strip("[]"), int(found[2])), timeout=_THERE_S).close()
    except (OSError, OverflowError) as error:
        raise ValueError(
            f"there is no Ray cluster at --address {address} ({error}); expected HOST:PORT as "
            "'ray start --head' printed it, or auto"
        ) from None


@contextmanager
def _joining(address: str) -> Iterator[None]:
    """Within it Ray may wait, for most of a minute, for a node to join: said after a moment."""
    waiting = f"waiting for a node of the Ray cluster at {address} to join"
    said = threading.Timer(_SILENT_S, private_cluster.say, [waiting])
    said.daemon = True
    said.start()
    try:
        yield
    except ConnectionError as error:
        raise PlacementError(
            f"no node of the Ray cluster at {address} can be joined from here: its head answers, "
            "and no raylet of it does; expected Ray to be up on this machine as a node of that "
            "cluster: start it there again (ray start), or send the job to it (ray job submit)"
        ) from error
    finally:
        said.cancel()


def _project() -> dict[str, Any] | None:
    """The runtime environment that has it; None where a submitted job brought its code itself."""
    brought = json.loads(os.environ.get(_JOB_CONFIG, "") or "{}").get("runtime_env") or {}
    if "working_dir" in brought or "py_modules" in brought:
        return None
    return {"py_modules": [str(PROJECT_ROOT / name) for name in _PACKAGES]}


def _start(local_cpus: float, takes_jobs: bool) -> None:
    """A cluster of this machine alone, for as long as this process lives.

    Raises:
        PlacementError: when the machine is too busy for Ray to start.
    """
    for name, value in _LOCAL_ENV.items():
        os.environ.setdefault(name, value)
    private_cluster.close_it()
    # Workers started from here find the project even where it is not installed.
    paths = [str(PROJECT_ROOT), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    for left in reversed(range(_STARTS)):
        with _small_node(takes_jobs) as nodes:
            try:
                ray.init(
                    address="local",
                    num_cpus=max(os.cpu_count() or 1, int(-(-local_cpus // 1))),
                    include_dashboard=takes_jobs,
                    log_to_driver=False,
                    logging_level=logging.WARNING,
                )
                return
            except Exception as error:  # Ray has no class for it
                for unfinished in nodes:
                    unfinished.kill_all_processes(check_alive=False, allow_graceful=False)
                if _TOO_SLOW not in str(error):
                    raise
                if not left:
                    raise PlacementError(
                        f"Ray did not start on this machine within its own time limit, {_STARTS} "
                        "times; it needs a free core for some seconds: try again when the machine "
                        "is less loaded, or name a running cluster with --address"
                    ) from error
        print(
            "note: Ray has not started in its time: the machine is busy; trying again", flush=True
        )


def _small_node(takes_jobs: bool) -> AbstractContextManager[list[Any]]:
    """Within it, a cluster that is started has what is needed of Ray's own processes; its nodes.

    Its agent listens at a port of its own: ``ray.init`` takes 52365, so that a second cluster of
    one machine took no jobs. Its address is the loopback one, which
    ``ray.init`` makes the machine's. For this process alone there is neither the autoscaler, as
    there are no nodes to add, nor what sends the workers' output to drivers, as this one doesn't
    ask for it: each is a process more that starts.
    """
    return cluster_parameters(
        node_ip_address=private_cluster.ADDRESS,
        dashboard_agent_listen_port=0,
        no_monitor=not takes_jobs,
        include_log_monitor=takes_jobs,
    )


def check_placement(
    *, workers: int, cpus_per_worker: float, gpus_per_worker: float, data_cpus: float, wait_s: float
) -> None:
    """Returns when the cluster's nodes could hold the workers and one data task.

    Where they can't yet, an autoscaler is asked for nodes, and given ``wait_s`` seconds.

    Raises:
        PlacementError: with what is asked for and what there is.
    """
    deadline = time.monotonic() + wait_s
    missing = _missing(workers, cpus_per_worker, gpus_per_worker, data_cpus)
    if missing and wait_s:
        print(f"waiting up to {wait_s:.0f} s for nodes: {missing}", flush=True)
        worker = {"CPU": cpus_per_worker} | ({"GPU": gpus_per_worker} if gpus_per_worker else {})
        request_resources(bundles=[*[worker] * workers, {"CPU": data_cpus}])
        while missing and time.monotonic() < deadline:
            time.sleep(_POLL_S)
            missing = _missing(workers, cpus_per_worker, gpus_per_worker, data_cpus)
        request_resources(bundles=[])  # from here on the workers themselves keep the nodes
    if missing:
        raise PlacementError(missing)


def _missing(workers: int, cpus: float, gpus: float, data_cpus: float) -> str:
    """Why the alive nodes can't hold the workers, or an empty string."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    places = sum(_places(node, cpus, gpus) for node in nodes)
    total_cpus = sum(node.get("CPU", 0.0) for node in nodes)
    total_gpus = sum(node.get("GPU", 0.0) for node in nodes)
    if places >= workers and total_cpus >= workers * cpus + data_cpus:
        return ""
    return (
        f"asked for {workers} worker(s) of {cpus:g} CPU and {gpus:g} GPU each, and {data_cpus:g} "
        f"CPU for data tasks; the cluster has {total_cpus:g} CPU and {total_gpus:g} GPU on "
        f"{len(nodes)} node(s), room for {places} such worker(s). Lower --num-workers or "
        "--cpus-per-worker, drop --use-gpu, or add nodes; give nodes that are still to start more "
        "time with --placement-wait-s"
    )


def _places(node: dict[str, float], cpus: float, gpus: float) -> int:
    by_cpu = node.get("CPU", 0.0) / cpus if cpus else float("inf")
    by_gpu = node.get("GPU", 0.0) / gpus if gpus else float("inf")
    return int(min(by_cpu, by_gpu, 1e6) + 1e-9)
