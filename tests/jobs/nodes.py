"""Ray nodes of the tests' own on this machine, and their end; no other Ray is touched."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.jobs.processes import Process, look, with_argument
from tests.jobs.runs import PROJECT, environment, wait_until

RAY = Path(sys.executable).with_name("ray")


@dataclass(frozen=True)
class Head:
    """A head node started in the project's folder."""

    address: str
    """For $RAY_ADDRESS."""
    dashboard: str
    folder: Path
    """For data and results."""

    def submit(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """``ray job submit`` as a user types it, in the project's folder."""
        return ray("job", "submit", "--address", self.dashboard, *arguments)


@contextmanager
def head_node(
    folder: Path, *, cpus: int, installed: bool = False, cwd: Path = PROJECT
) -> Iterator[Head]:
    """A head node with everything that listens on ports of its own, killed at the end.

    ``installed``: whatever runs on it finds the project. What starts in ``cwd`` looks there too.
    """
    extra = {"PYTHONPATH": str(PROJECT)} if installed else {}
    with tempfile.TemporaryDirectory(prefix="r-", dir="/tmp", ignore_cleanup_errors=True) as own:
        port, dashboard = free_port(), free_port()
        try:
            begun = ray(
                *("start", "--head", "--port", port, "--dashboard-port", dashboard),
                *("--temp-dir", own, "--num-cpus", str(cpus)),
                *("--ray-client-server-port", free_port()),
                *("--dashboard-agent-listen-port", free_port(), "--disable-usage-stats"),
                extra=extra,
                cwd=cwd,
            )
            assert begun.returncode == 0, begun.stdout + begun.stderr
            yield Head(
                address=f"127.0.0.1:{port}",
                dashboard=f"http://127.0.0.1:{dashboard}",
                folder=folder,
            )
        finally:
            end(with_argument(own), log=folder)


def ray(
    *arguments: str, extra: Mapping[str, str] | None = None, cwd: Path = PROJECT
) -> subprocess.CompletedProcess[str]:
    """The ``ray`` command in the project's folder, with the virtual environment activated."""
    path = os.pathsep.join([str(RAY.parent), os.environ["PATH"]])
    return subprocess.run(
        [str(RAY), *arguments],
        cwd=cwd,
        env=environment({"RAY_AUTH_MODE": "disabled", "PATH": path, **(extra or {})}),
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def end(processes: list[Process], *, log: Path) -> None:
    """Kills these processes of a cluster."""
    for process in processes:
        if look(process.pid) == process:
            os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: not any(process.runs() for process in processes), log=log)
