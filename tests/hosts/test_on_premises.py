"""``cluster-onprem.yaml`` carried out: ``ray up`` over ssh, a job, ``ray down``."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
import yaml

from crnn.bundle.bundle import load_bundle
from crnn.files import storage
from tests.hosts.cluster import BIN, Cluster, own_cluster
from tests.hosts.jobs import put_set
from tests.hosts.machines import HOME, Host, wait_for
from tests.jobs.runs import PROJECT, TINY
from tests.pipelines.stream.sets import good

pytestmark = [
    pytest.mark.slow,
    pytest.mark.hosts,
    pytest.mark.skipif(
        not all(map(shutil.which, ("sshd", "ssh", "ssh-keygen", "rsync"))),
        reason="sshd, ssh, ssh-keygen or rsync not found; install openssh-server and rsync",
    ),
]
_SSHD = """\
HostKey {home}/.ssh/host_key
AuthorizedKeysFile {home}/.ssh/authorized_keys
PidFile none
UsePAM no
StrictModes no
"""


@pytest.fixture(scope="module")
def hosts() -> Iterator[Cluster]:
    """Hosts without Ray; the object store is that of the environment."""
    with own_cluster(Cluster.up_without_ray, workers=1) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def file(hosts: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped file with the addresses and the user of these hosts."""
    folder = tmp_path_factory.mktemp("onprem")
    subprocess.run(["ssh-keygen", "-qt", "ed25519", "-N", "", "-f", folder / "key"], check=True)
    shutil.copy(hosts.folder / "token", folder / "token")
    variables = {**hosts.store_access, "PYTHONDONTWRITEBYTECODE": "1"}
    lines = [f"export {name}={value}\n" for name, value in variables.items()]
    (folder / "env").write_text("".join(lines))
    for host in (hosts.head, *hosts.workers):
        install(host, folder / "key.pub")
    config = yaml.safe_load((PROJECT / "cluster-onprem.yaml").read_text())
    config["cluster_name"] = f"crnn-hosts-{hosts.network.number}"
    config["provider"]["head_ip"] = hosts.head.address
    config["provider"]["worker_ips"] = [host.address for host in hosts.workers]
    config["min_workers"] = config["max_workers"] = len(hosts.workers)
    config["auth"] = {"ssh_user": "root", "ssh_private_key": str(folder / "key")}
    config["file_mounts"]["~/.ray/auth_token"] = str(folder / "token")
    config["file_mounts"]["~/.crnn-on-ray.env"] = str(folder / "env")
    (folder / "cluster.yaml").write_text(yaml.safe_dump(config))
    return folder / "cluster.yaml"


def install(host: Host, public_key: Path) -> None:
    """What the file expects of a host: an ssh server that takes the key, and Python.

    There is no network to fetch packages from: they are in its virtual environment already.
    """
    home = host.path(HOME)
    (home / ".ssh").mkdir(mode=0o700)
    shutil.copy(public_key, home / ".ssh" / "authorized_keys")
    (home / ".ssh" / "sshd_config").write_text(_SSHD.format(home=HOME))
    (home / ".bashrc").touch()
    (home / ".ray" / "auth_token").unlink()
    env = {"PATH": os.environ["PATH"]}
    host.run("ssh-keygen", "-qt", "ed25519", "-N", "", "-f", f"{HOME}/.ssh/host_key", env=env)
    host.run(sys.executable, "-m", "venv", "--without-pip", f"{HOME}/venv", env=env)
    library = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    (home / "venv" / library / "packages.pth").write_text(f"{BIN.parent}/{library}\n")
    for name in ("ray", "pip"):
        script = home / "venv" / "bin" / name
        text = (BIN / name).read_text().partition("\n")[2]
        script.write_text(f"#!{HOME}/venv/bin/python\n{text}")
        script.chmod(0o755)
    (home / ".config" / "pip").mkdir(parents=True)
    (home / ".config" / "pip" / "pip.conf").write_text(
        "[install]\nno-index = true\nno-build-isolation = false\n"
    )
    host.start(shutil.which("sshd") or "", "-D", "-e", "-f", f"{HOME}/.ssh/sshd_config", env=env,
               log="/tmp/sshd.log")  # fmt: skip


def launcher(*arguments: str | Path) -> str:
    """``ray ARGUMENTS`` in the project's folder; what it said, once it has ended well."""
    home = Path(arguments[-1]).parent if arguments[0] != "exec" else Path(arguments[1]).parent
    done = subprocess.run(
        [str(BIN / "ray"), *map(str, arguments)],
        cwd=PROJECT,
        env={"PATH": os.pathsep.join([str(BIN), os.environ["PATH"]]), "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]
    return done.stdout


def nodes(file: Path) -> set[str]:
    """Addresses of the nodes that Ray on the head takes for alive."""
    said = launcher("exec", file, "ray list nodes --format json --filter state=ALIVE")
    return set(re.findall(r'"node_ip": "([0-9.]+)"', said))


def test_up_job_down(hosts: Cluster, file: Path, pytestconfig: pytest.Config) -> None:
    boto3.client("s3", endpoint_url=hosts.store_access["AWS_ENDPOINT_URL"]).create_bucket(
        Bucket="onprem"
    )
    put_set("s3://onprem/set", good(64))
    launcher("up", "--yes", "--no-config-cache", file)
    try:
        everyone = {host.address for host in (hosts.head, *hosts.workers)}
        wait_for("all nodes in Ray's list", lambda: nodes(file) == everyone, most_s=400, every_s=2)
        train = "python jobs/train.py --num-workers 2 --name a --epochs 1 --data s3://onprem/set"
        said = launcher(
            "exec",
            file,
            f"ray job submit -- {train} --storage-path s3://onprem/runs {' '.join(TINY)}",
        )
        assert "s3://onprem/runs/a/bundle" in said
        assert load_bundle("s3://onprem/runs/a/bundle").name == "a"
        assert storage.exists("s3://onprem/runs/a/done.json")
    finally:
        launcher("down", "--yes", file)
    # Workers end once they have missed the head for a minute: waited for at night.
    waited_for = hosts.workers if pytestconfig.getoption("--nightly") else ()
    for host in (hosts.head, *waited_for):
        wait_for(f"end of Ray on {host.name}", lambda h=host: not ray_processes(h), most_s=180)


def ray_processes(host: Host) -> list[str]:
    return [name for name in host.process_names() if "ray" in name.lower()]
