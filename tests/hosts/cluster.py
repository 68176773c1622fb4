"""Ray on hosts: a head, workers, an object store; and what a client outside needs to use them.

The head has the address .10 of its network, workers .11 and on, the store .20, and .1 is this
machine, the client. Nodes take no tasks on the head: its processes are those of the cluster and
the drivers of jobs.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import requests

from tests.hosts.machines import HOME, NETWORKS, Host, Network, wait_for
from tests.jobs.processes import Process, look
from tests.jobs.runs import PROJECT, environment

BIN = Path(sys.executable).parent
DASHBOARD_PORT, RAY_PORT, STORE_PORT, SERVE_PORT = 8265, 6379, 9000, 8000
WORKERS = 3
CPUS = 2
"""Of a worker, as Ray counts them."""
OBJECTS_MIB = 150
"""Ray's object store on a host."""
DISK_MIB = 2048
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
_HIDDEN = ("crnn", "pipelines", "jobs", "tests", "bundles")
"""Folders of the project: hosts have what a job brings along."""
_STATE = Path("/tmp/crnn-hosts")
_ENOUGH_S = 300.0


@dataclass(frozen=True)
class Cluster:
    """The hosts of one network, and what runs on them."""

    network: Network
    workers: tuple[Host, ...]

    @classmethod
    def on(cls, number: int, workers: int = WORKERS) -> Cluster:
        """That of the network of this number, which may be down."""
        network = Network(number)
        return cls(network, tuple(Host(network, f"worker{i}", 11 + i) for i in range(workers)))

    @property
    def head(self) -> Host:
        return Host(self.network, "head", 10)

    @property
    def store(self) -> Host:
        return Host(self.network, "store", 20)

    @property
    def hosts(self) -> tuple[Host, ...]:
        return (self.store, self.head, *self.workers)

    @property
    def folder(self) -> Path:
        """On this machine: the token, whose cluster it is, what hosts complained of."""
        return _STATE / str(self.network.number)

    @property
    def dashboard(self) -> str:
        return f"http://{self.head.address}:{DASHBOARD_PORT}"

    @property
    def service(self) -> str:
        """Where Serve listens."""
        return f"http://{self.head.address}:{SERVE_PORT}"

    @property
    def store_access(self) -> dict[str, str]:
        """Variables by which programs find the object store."""
        return {
            **KEYS,
            "AWS_ENDPOINT_URL": f"http://{self.store.address}:{STORE_PORT}",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": f"{self.store.address},{self.head.address},localhost",
        }

    @property
    def outside(self) -> dict[str, str]:
        """The environment of a client on this machine."""
        path = os.pathsep.join([str(BIN), os.environ["PATH"]])
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(self.folder / "token")}
        return environment({**self.store_access, **token, "PATH": path})

    @property
    def inside(self) -> dict[str, str]:
        """The environment of Ray on a host; its token is in its home."""
        return {
            **self.store_access,
            "PATH": os.pathsep.join([str(BIN), os.environ["PATH"]]),
            "RAY_AUTH_MODE": "token",
            "LANG": "C.UTF-8",
            "RAY_worker_niceness": "0",  # or whatever else runs on this machine starves the workers
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def up(self) -> None:
        """Starts and connects whatever of it isn't; returns when Ray counts on every node."""
        self.connect()
        self.start_store()
        self.start_head()
        for worker in self.workers:
            if worker.first() is not None and not self.counts_on(worker):
                worker.kill()  # Ray gave it up
            self.start_worker(worker)
        wait_for("all nodes in Ray's list", self.is_whole, most_s=_ENOUGH_S)

    def up_without_ray(self) -> None:
        """The store, and hosts on which nothing runs."""
        self.connect()
        self.start_store()
        for host in (self.head, *self.workers):
            self.boot(host)

    def connect(self) -> None:
        """All cables, and the files that hosts are given."""
        if self.network.make() or not (self.folder / "hosts").exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / "token").write_text(secrets.token_hex(32))
            lines = [f"{host.address} {host.name}" for host in self.hosts]
            (self.folder / "hosts").write_text("\n".join(["127.0.0.1 localhost", *lines, ""]))
        known = self.network.host_names()
        for host in self.hosts:
            if host.name not in known:
                host.plug_in()
            host.plug()

    def down(self) -> None:
        """Nothing of it is left."""
        self.network.remove()
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # others have theirs there
            _STATE.rmdir()

    def start_store(self) -> None:
        """The object store, which begins empty."""
        if not self.boot(self.store):
            return
        command = ("-m", "moto.server", "--host", self.store.address, "--port", str(STORE_PORT))
        env = {**self.inside, "PYTHONWARNINGS": "ignore"}
        self.store.start(sys.executable, *command, env=env, log="/tmp/log")
        wait_for("object store", lambda: _listens(self.store.address, STORE_PORT))

    def start_head(self) -> None:
        if self.boot(self.head):
            flags = ("--head", "--port", str(RAY_PORT), "--dashboard-host", "0.0.0.0")
            self._ray_start(self.head, *flags, "--num-cpus", "0")

    def start_worker(self, host: Host, *, disk_mib: int = DISK_MIB) -> None:
        if self.boot(host, disk_mib=disk_mib):
            address = f"{self.head.address}:{RAY_PORT}"
            self._ray_start(host, "--address", address, "--num-cpus", str(CPUS))

    def boot(self, host: Host, *, disk_mib: int = DISK_MIB) -> bool:
        """Switches it on, the token in its home; False when it was on."""
        if host.first() is not None:
            return False
        hidden = [PROJECT / name for name in _HIDDEN if (PROJECT / name).is_dir()]
        host.boot(disk_mib=disk_mib, hosts_file=self.folder / "hosts", hidden=hidden)
        token = host.path(f"{HOME}/.ray/auth_token")
        token.parent.mkdir(parents=True)
        shutil.copy(self.folder / "token", token)
        return True

    def _ray_start(self, host: Host, *flags: str) -> None:
        own = ("--node-ip-address", host.address, "--disable-usage-stats")
        memory = ("--object-store-memory", str(OBJECTS_MIB << 20))
        host.run("ray", "start", *flags, *own, *memory, env=self.inside)

    def ask(self, path: str) -> Any:
        """What the dashboard answers, as parsed JSON; None while it doesn't."""
        try:
            token = (self.folder / "token").read_text()
            headers = {"Authorization": f"Bearer {token}"}
            answer = requests.get(self.dashboard + path, headers=headers, timeout=10)
            answer.raise_for_status()
        except (requests.RequestException, FileNotFoundError):
            return None
        return answer.json()

    def addresses_counted_on(self) -> set[str]:
        """Of the nodes that Ray takes for alive; empty while the head doesn't answer."""
        answer = self.ask("/api/v0/nodes")
        nodes = answer["data"]["result"]["result"] if answer else []
        return {node["node_ip"] for node in nodes if node["state"] == "ALIVE"}

    def counts_on(self, host: Host) -> bool:
        return host.address in self.addresses_counted_on()

    def is_whole(self) -> bool:
        return self.addresses_counted_on() == {host.address for host in self.hosts[1:]}


@contextmanager
def own_cluster(
    start: Callable[[Cluster], None] = Cluster.up, workers: int = WORKERS
) -> Iterator[Cluster]:
    """The cluster of a free network, started; nothing of it is left at the end.

    Its object store is that of the environment meanwhile. Raises what ``_claimed`` does.
    """
    cluster = _claimed(start, workers)
    try:
        with mock.patch.dict(os.environ, cluster.store_access):
            yield cluster
    finally:
        cluster.down()


def _claimed(start: Callable[[Cluster], None], workers: int) -> Cluster:
    """The cluster of a free network, started. One of a process that was killed is taken down.

    Raises:
        OSError: when all networks are taken.
    """
    for number in NETWORKS:
        cluster = Cluster.on(number, workers)
        if cluster.network.exists() and _is_orphaned(cluster):
            cluster.down()
        if cluster.network.make():
            cluster.folder.mkdir(parents=True)
            own = look(os.getpid())
            assert own is not None
            (cluster.folder / "owner").write_text(f"{own.pid} {own.started}")
            try:
                start(cluster)
            except BaseException:
                cluster.down()
                raise
            return cluster
    raise OSError(
        f"all {len(NETWORKS)} networks are taken; end one with "
        "'python -m tests.hosts down --number N'"
    )


def _is_orphaned(cluster: Cluster) -> bool:
    """Whether it was of a process that has ended; one brought up by hand is nobody's orphan."""
    path = cluster.folder / "owner"
    if not path.exists():
        return False
    pid, started = map(int, path.read_text().split())
    process: Process | None = look(pid)
    return process is None or process.started != started


def _listens(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((address, port)) == 0
