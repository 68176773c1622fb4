"""Hosts themselves, before anything of ours or Ray's runs on them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.machines import NETWORKS, Host, Network, part, wait_for

pytestmark = [pytest.mark.hosts, pytest.mark.slow]
ENV = {"PATH": os.environ["PATH"]}
PORT = 8000


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    """With three hosts, each of which listens."""
    network = next(free for number in NETWORKS if (free := Network(number)).make())
    try:
        yield network
    finally:
        network.remove()


@pytest.fixture(scope="module")
def hosts(network: Network, tmp_path_factory: pytest.TempPathFactory) -> list[Host]:
    found = [Host(network, f"m{i}", 10 + i) for i in range(3)]
    lines = tmp_path_factory.mktemp("hosts") / "hosts"
    lines.write_text("".join(f"{host.address} {host.name}\n" for host in found))
    for host in found:
        host.plug_in()
        host.boot(disk_mib=16, hosts_file=lines)
        host.start(sys.executable, "-m", "http.server", str(PORT), env=ENV, log="/tmp/log")
    for host in found:
        wait_for("a listener", lambda host=host: reaches(host, host))  # type: ignore[misc]
    return found


def reaches(one: Host, other: Host) -> bool:
    connect = f"timeout 2 bash -c '</dev/tcp/{other.name}/{PORT}'"
    return one.run("bash", "-c", connect, env=ENV, check=False).returncode == 0


def test_a_host_has_its_own_processes_name_disk_and_shared_memory(hosts: list[Host]) -> None:
    shown = hosts[0].run("bash", "-c", "hostname; echo /proc/[0-9]*; ls /dev/shm", env=ENV).stdout
    name, processes, *shared = shown.splitlines()
    assert name == "m0"
    assert "/proc/1" in processes.split()
    assert len(processes.split()) < 10
    assert shared == []
    Path("/tmp").joinpath("crnn-hosts-probe").touch()
    try:
        assert not hosts[0].path("/tmp/crnn-hosts-probe").exists()
    finally:
        Path("/tmp/crnn-hosts-probe").unlink()
    hosts[0].path("/tmp/mine").touch()
    assert not hosts[1].path("/tmp/mine").exists()


def test_nothing_outside_its_disk_can_be_written(hosts: list[Host]) -> None:
    for place in (Path(__file__).parent, Path("/etc"), Path.home()):
        done = hosts[0].run("touch", str(place / "crnn-hosts-probe"), env=ENV, check=False)
        assert "Read-only file system" in done.stderr
    full = hosts[0].run("dd", "if=/dev/zero", "of=/tmp/big", "bs=1M", env=ENV, check=False)
    assert "No space left" in full.stderr
    hosts[0].path("/tmp/big").unlink()


def test_hosts_parted_reach_everyone_else(hosts: list[Host]) -> None:
    assert reaches(hosts[0], hosts[1])
    part(hosts[0], hosts[1])
    assert not reaches(hosts[0], hosts[1])
    assert not reaches(hosts[1], hosts[0])
    assert reaches(hosts[0], hosts[2])
    assert reaches(hosts[2], hosts[1])
    for host in hosts[:2]:
        host.plug()
    assert reaches(hosts[0], hosts[1])


def test_a_host_unplugged_reaches_nobody(hosts: list[Host]) -> None:
    hosts[2].unplug()
    assert not reaches(hosts[2], hosts[0])
    assert not reaches(hosts[0], hosts[2])
    hosts[2].plug()
    wait_for("the cable", lambda: reaches(hosts[2], hosts[0]))


def test_a_killed_host_is_off_and_boots_again_empty(hosts: list[Host], tmp_path: Path) -> None:
    hosts[1].path("/tmp/mine").touch()
    hosts[1].kill()
    assert hosts[1].pids() == []
    assert hosts[1].first() is None
    assert not reaches(hosts[0], hosts[1])
    (tmp_path / "hosts").write_text("")
    hosts[1].boot(disk_mib=16, hosts_file=tmp_path / "hosts")
    assert not hosts[1].path("/tmp/mine").exists()


def test_nothing_is_left_of_a_network(tmp_path: Path) -> None:
    network = next(free for number in NETWORKS if (free := Network(number)).make())
    host = Host(network, "m0", 10)
    (tmp_path / "hosts").write_text("")
    host.plug_in()
    host.boot(disk_mib=16, hosts_file=tmp_path / "hosts")
    pids = host.pids()
    network.remove()
    assert not network.exists()
    assert network.host_names() == []
    assert not Path("/sys/class/net", host.port).exists()
    assert not [pid for pid in pids if Path(f"/proc/{pid}/status").exists() and alive(pid)]
    network.remove()  # again


def alive(pid: int) -> bool:
    return "zombie" not in Path(f"/proc/{pid}/status").read_text()
