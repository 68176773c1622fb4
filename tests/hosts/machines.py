"""Hosts made of namespaces on this machine: own address, processes, ``/tmp`` and shared memory.

The kernel is the only record: a network is its bridge, a host its network namespace, and it runs
while that namespace has a first process. So whatever was left behind can be found and removed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.jobs.processes import look

_PREFIX = "crnn"
_SUBNET = "10.213"
_START = Path(__file__).with_name("host.sh")
NETWORKS = range(8)
HOME = "/tmp/home"
"""Of everything that runs on a host."""
_PROBE = "mount -t tmpfs tmpfs /tmp && ip link add name eth0 type veth peer name eth1"


def why_not() -> str:
    """What keeps this machine from making hosts; empty when nothing does."""
    if sys.platform != "linux":
        return "network namespaces are Linux's"
    missing = [tool for tool in ("ip", "bridge", "unshare", "nsenter") if not shutil.which(tool)]
    if missing:
        return f"{', '.join(missing)} not found; install iproute2 and util-linux"
    if os.geteuid():
        return f"user {os.geteuid()} may not make network namespaces; run as root"
    probe = ["unshare", "--net", "--pid", "--fork", "--mount", "--mount-proc", "--uts", "--ipc"]
    done = _run(*probe, "bash", "-c", _PROBE, check=False)
    return "" if done.returncode == 0 else f"namespaces can't be made here: {done.stderr.strip()}"


@dataclass(frozen=True)
class Network:
    """A bridge of this machine with hosts on it; ``number`` tells it from others of its kind."""

    number: int

    @property
    def bridge(self) -> str:
        return f"{_PREFIX}{self.number}"

    @property
    def outside(self) -> str:
        """The address of this machine itself on it."""
        return self.address(1)

    def address(self, last: int) -> str:
        return f"{_SUBNET}.{self.number}.{last}"

    def exists(self) -> bool:
        return Path("/sys/class/net", self.bridge).exists()

    def make(self) -> bool:
        """False when it is there already."""
        done = _run("ip", "link", "add", "name", self.bridge, "type", "bridge", check=False)
        if done.returncode and self.exists():
            return False
        if done.returncode:
            raise OSError(f"no bridge {self.bridge}: {done.stderr.strip()}")
        _run("ip", "address", "add", f"{self.outside}/24", "dev", self.bridge)
        _run("ip", "link", "set", self.bridge, "up")
        return True

    def host_names(self) -> list[str]:
        """Of all hosts that there are on it, running or not."""
        lines = _run("ip", "netns", "list").stdout.splitlines()
        begin = f"{self.bridge}-"
        return [line.split()[0].removeprefix(begin) for line in lines if line.startswith(begin)]

    def remove(self) -> None:
        """The bridge and every host on it; nothing happens where there is none."""
        for name in self.host_names():
            Host(self, name, 0).remove()
        if self.exists():
            _run("ip", "link", "delete", self.bridge)


@dataclass(frozen=True)
class Host:
    """One machine of a network. Its commands run as root, with a home folder on its own disk."""

    network: Network
    name: str
    last: int
    """Of its address."""

    @property
    def address(self) -> str:
        return self.network.address(self.last)

    @property
    def namespace(self) -> str:
        return f"{self.network.bridge}-{self.name}"

    @property
    def port(self) -> str:
        """Its end of the cable at the bridge."""
        return f"{self.network.bridge}{self.name}"

    def plug_in(self) -> None:
        """A network namespace with a cable to the bridge."""
        _run("ip", "netns", "add", self.namespace)
        cable = ("type", "veth", "peer", "name", "eth0", "netns", self.namespace)
        _run("ip", "link", "add", "name", self.port, *cable)
        _run("ip", "link", "set", self.port, "master", self.network.bridge, "up")
        for line in (
            f"address add {self.address}/24 dev eth0",
            "link set eth0 up",
            "link set lo up",
        ):
            _run("ip", "-n", self.namespace, *line.split())

    def boot(self, *, disk_mib: int, hosts_file: Path, hidden: Sequence[Path] = ()) -> None:
        """Starts its first process, with an empty disk."""
        spaces = ["unshare", "--pid", "--fork", "--mount", "--mount-proc", "--uts", "--ipc"]
        command = ["ip", "netns", "exec", self.namespace, *spaces, str(_START), self.name]
        subprocess.Popen(
            [*command, str(disk_mib), str(hosts_file), *_kept(), "--", *map(str, hidden)],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=hosts_file.with_name(f"{self.name}.log").open("ab"),
            start_new_session=True,
        )
        wait_for(f"start of {self.namespace}", self._is_ready)

    def _is_ready(self) -> bool:
        return self.first() is not None and self.path("/run/started").exists()

    def pids(self) -> list[int]:
        """All its processes, by their numbers on this machine."""
        done = _run("ip", "netns", "pids", self.namespace, check=False)
        return [int(pid) for pid in done.stdout.split()]

    def process_names(self) -> list[str]:
        """Of all its processes, cut after 15 characters."""
        found = (look(pid) for pid in self.pids())
        return [process.name for process in found if process]

    def first(self) -> int | None:
        """Its process 1; None when it is off."""
        for pid in self.pids():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                lines = Path(f"/proc/{pid}/status").read_text().splitlines()
                numbers = next(line for line in lines if line.startswith("NSpid:")).split()
                if len(numbers) > 2 and numbers[-1] == "1":
                    return pid
        return None

    def path(self, path: str) -> Path:
        """A file of this running host as seen from outside."""
        return Path(f"/proc/{self.first()}/root{path}")

    def command(self, *command: str, env: Mapping[str, str]) -> list[str]:
        """What runs ``command`` on it, with this environment and no other."""
        first = self.first()
        if first is None:
            raise OSError(f"host {self.namespace} is off; boot it first")
        spaces = ["nsenter", "--target", str(first), "--net", "--pid", "--mount", "--uts", "--ipc"]
        variables = [f"{name}={value}" for name, value in {"HOME": HOME, **env}.items()]
        return [*spaces, "env", "--ignore-environment", f"--chdir={HOME}", *variables, *command]

    def run(
        self, *command: str, env: Mapping[str, str], check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        return _run(*self.command(*command, env=env), check=check)

    def start(self, *command: str, env: Mapping[str, str], log: str) -> None:
        """``command`` in the background; its output goes to a file of the host."""
        line = f'exec "$@" > {log} 2>&1 < /dev/null'
        subprocess.Popen(
            self.command("bash", "-c", line, "-", *command, env=env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def kill(self) -> None:
        """SIGKILL to everything on it at once, as when the power goes; its disk is lost."""
        for pid in self.pids():  # the first one takes the others along; some may be on their way
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_for(f"end of {self.namespace}", lambda: not self.pids())

    def unplug(self) -> None:
        """Cuts it off from every other host."""
        _run("ip", "link", "set", self.port, "down")

    def plug(self) -> None:
        """The end of ``unplug`` and of ``apart``."""
        _run("ip", "link", "set", self.port, "up")
        _run("bridge", "link", "set", "dev", self.port, "isolated", "off")

    def remove(self) -> None:
        self.kill()
        _run("ip", "link", "delete", self.port, check=False)  # may be gone with its other end
        _run("ip", "netns", "delete", self.namespace)


def _kept() -> list[str]:
    """What hosts need of this machine's /tmp, which theirs hides: interpreter and project."""
    needed = {Path(sys.prefix), Path(sys.base_prefix), Path(__file__).resolve().parents[2]}
    inside = [folder for folder in needed if folder.is_relative_to("/tmp")]
    return sorted(str(f) for f in inside if not any(f.is_relative_to(o) for o in inside if o != f))


def part(one: Host, other: Host) -> None:
    """What one sends the other is lost, silently; both still reach everyone else."""
    for host in (one, other):
        _run("bridge", "link", "set", "dev", host.port, "isolated", "on")


def wait_for(
    what: str, happened: Callable[[], bool], *, most_s: float = 60.0, every_s: float = 0.05
) -> None:
    """Polls; TimeoutError when it hasn't happened by then."""
    deadline = time.monotonic() + most_s
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {most_s:.0f} s")
        time.sleep(every_s)


def _run(*command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if check and done.returncode:
        said = f"{done.stdout}{done.stderr}".strip()
        raise OSError(f"{' '.join(command)} ended with {done.returncode}: {said[-2000:]}")
    return done
