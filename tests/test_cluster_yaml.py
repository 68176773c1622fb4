"""The launcher's files against Ray's own launcher: schema, a rehearsal on a local EC2, commands."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from jsonschema.exceptions import ValidationError
from moto.server import ThreadedMotoServer
from ray import autoscaler
from ray.autoscaler._private.aws.config import bootstrap_aws
from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
from ray.autoscaler._private.command_runner import _with_interactive
from ray.autoscaler._private.util import prepare_config, validate_config, with_head_node_ip
from ray.scripts.scripts import start as ray_start

ROOT = Path(__file__).resolve().parent.parent
REMOTE_PROJECT = "~/crnn-on-ray"
TOKEN = "~/.ray/auth_token"
HEAD_IP, OWN_IP = "10.0.0.1", "10.0.0.7"
AWS, ON_PREMISES = "cluster.yaml", "cluster-onprem.yaml"
both_files = pytest.mark.parametrize("name", [AWS, ON_PREMISES])
both_kinds = pytest.mark.parametrize("kind", ["head", "worker"])


def prepared(name: str) -> dict[str, Any]:
    """A file as `ray up` sees it: merged with the provider's defaults."""
    return prepare_config(yaml.safe_load((ROOT / name).read_text()))


@pytest.fixture
def config() -> dict[str, Any]:
    """The one for AWS."""
    return prepared(AWS)


@pytest.fixture
def ec2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A local server that speaks EC2 and IAM, and a home folder for the key pair."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "HOME": str(tmp_path),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    yield
    server.stop()


@both_files
def test_rays_schema_accepts_the_file_and_our_keys_are_all_known(name: str) -> None:
    validate_config(prepared(name))
    written = set(yaml.safe_load((ROOT / name).read_text()))
    schema = json.loads((Path(autoscaler.__file__).parent / "ray-schema.json").read_text())
    assert written <= set(schema["properties"]) | {"min_workers"}  # on premises only


@both_files
@pytest.mark.parametrize("wrong", [{"setup_command": []}, {"provider": {"kind": "aws"}}])
def test_rays_schema_refuses_a_misspelled_file(name: str, wrong: dict[str, Any]) -> None:
    known = prepared(name)
    with pytest.raises(ValidationError):
        validate_config(known | wrong)


def test_node_types_are_a_head_and_workers_for_data_and_training(config: dict[str, Any]) -> None:
    assert config["head_node_type"] == "head"
    assert set(config["available_node_types"]) == {"head", "cpu_worker", "gpu_worker"}


def test_hosts_on_premises_all_stay_in_the_cluster() -> None:
    config = prepared(ON_PREMISES)
    (node_type,) = config["available_node_types"].values()
    workers = config["provider"]["worker_ips"]
    assert node_type["min_workers"] == node_type["max_workers"] == len(set(workers))
    assert config["provider"]["head_ip"] not in workers
    assert {"ssh_user", "ssh_private_key"} <= set(config["auth"])


def test_idle_workers_go_and_none_is_kept(config: dict[str, Any]) -> None:
    workers = {n: t for n, t in config["available_node_types"].items() if n != "head"}
    assert all(node["min_workers"] == 0 for node in workers.values())
    assert sum(node["max_workers"] for node in workers.values()) == config["max_workers"]
    assert 0 < config["idle_timeout_minutes"] <= 10
    assert config["provider"]["cache_stopped_nodes"] is False


def test_only_data_workers_run_on_spot(config: dict[str, Any]) -> None:
    spot = {
        name
        for name, node in config["available_node_types"].items()
        if node["node_config"].get("InstanceMarketOptions", {}).get("MarketType") == "spot"
    }
    assert spot == {"cpu_worker"}


@both_files
def test_no_key_is_in_the_file(name: str) -> None:
    text = (ROOT / name).read_text()
    assert not re.search(r"AKIA[0-9A-Z]{16}|SECRET_ACCESS_KEY|RAY_AUTH_TOKEN=", text)


def test_nodes_have_an_instance_profile_and_tell_its_keys_to_themselves_alone(
    config: dict[str, Any],
) -> None:
    for name, node in config["available_node_types"].items():
        assert node["node_config"]["IamInstanceProfile"]["Name"].startswith("crnn-ray-"), name
        metadata = node["node_config"]["MetadataOptions"]
        assert metadata == {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}, name


@pytest.mark.slow
def test_launcher_brings_up_every_node_type(config: dict[str, Any], ec2: None) -> None:
    iam = boto3.client("iam", "us-west-2")
    for name in ("crnn-ray-head", "crnn-ray-worker"):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")
        iam.create_instance_profile(InstanceProfileName=name)
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)

    ready = bootstrap_aws(AWSNodeProvider.fillout_available_node_types_resources(config))
    resources = {name: t["resources"] for name, t in ready["available_node_types"].items()}
    assert resources["head"] == {"CPU": 8}
    assert resources["cpu_worker"]["CPU"] == 16
    assert resources["gpu_worker"]["CPU"] == 8
    assert resources["gpu_worker"]["GPU"] == 1

    provider = AWSNodeProvider(ready["provider"], ready["cluster_name"])
    for name, node_type in ready["available_node_types"].items():
        provider.create_node(dict(node_type["node_config"]), {"ray-user-node-type": name}, 1)
    nodes = provider.non_terminated_nodes({})
    assert sorted(provider.node_tags(node)["ray-user-node-type"] for node in nodes) == [
        "cpu_worker",
        "gpu_worker",
        "head",
    ]

    groups = boto3.client("ec2", "us-west-2").describe_security_groups(
        GroupIds=ready["available_node_types"]["head"]["node_config"]["SecurityGroupIds"]
    )
    open_to_all = [
        rule["FromPort"]
        for rule in groups["SecurityGroups"][0]["IpPermissions"]
        if any(span["CidrIp"] == "0.0.0.0/0" for span in rule.get("IpRanges", []))
    ]
    assert open_to_all == [22]


@both_files
def test_project_folder_goes_to_every_node_without_what_git_ignores(name: str) -> None:
    config = prepared(name)
    assert config["file_mounts"][REMOTE_PROJECT] == "."
    assert config["rsync_filter"] == [".gitignore"]
    assert ".git/" in config["rsync_exclude"]


@both_files
@both_kinds
def test_setup_installs_the_project_at_its_locked_versions(name: str, kind: str) -> None:
    installs = [c for c in prepared(name)[f"{kind}_setup_commands"] if "pip install" in c]
    locked = f"-c {REMOTE_PROJECT}/requirements.lock"
    assert all(locked in command for command in installs)
    assert any(f"-e {REMOTE_PROJECT}'[train]'" in command for command in installs)
    assert (ROOT / "requirements.lock").is_file()


@both_files
@both_kinds
def test_every_node_has_the_token_and_is_told_to_ask_for_it(
    name: str, kind: str, tmp_path: Path
) -> None:
    """The setup, but for what installs packages, run as often as `ray up` may run it."""
    config = prepared(name)
    home = _home(tmp_path, config)
    settings = [
        command
        for command in config[f"{kind}_setup_commands"]
        if not re.search(r"apt-get|venv/bin/pip", command)
    ]
    for command in settings * 2:
        _bash(["bash", "-c", command], home)
    assert (home / ".bashrc").read_text().count("export") == 1
    assert (home / ".ray" / "auth_token").stat().st_mode & 0o077 == 0
    show = 'source ~/.bashrc; echo "$RAY_AUTH_MODE ${PATH%%:*}"'
    assert _bash(["bash", "-c", show], home) == f"token {home}/venv/bin"


def test_a_host_on_premises_has_an_environment_and_commands_of_its_own(tmp_path: Path) -> None:
    config = prepared(ON_PREMISES)
    home = _home(tmp_path, config)
    (home / ".crnn-on-ray.env").write_text("export AWS_ENDPOINT_URL=http://store.example:9000\n")
    own = home / "crnn-on-ray" / "deploy" / "hosts" / f"{os.uname().nodename}.sh"
    own.parent.mkdir(parents=True)
    own.write_text("touch ~/was-here\n")
    for command in config["setup_commands"]:
        if "venv/bin/pip" not in command:
            _bash(["bash", "-c", command], home)
    assert (home / "was-here").exists()
    show = 'source ~/.bashrc; echo "$AWS_ENDPOINT_URL"'
    assert _bash(["bash", "-c", show], home) == "http://store.example:9000"


@both_files
@both_kinds
def test_ray_starts_in_the_project_folder_with_its_own_thread_count(
    name: str, kind: str, tmp_path: Path
) -> None:
    """Run through the launcher's own shell line; `ray` is a program that says how it was called."""
    config = prepared(name)
    home = _home(tmp_path, config)
    program = home / "venv" / "bin" / "ray"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "$PWD|${OMP_NUM_THREADS-unset}|$*"\n')
    program.chmod(0o755)
    (home / ".bashrc").write_text('export PATH="$HOME/venv/bin:$PATH"\n')

    *_, command = with_head_node_ip(config[f"{kind}_start_ray_commands"], HEAD_IP)
    line = " ".join(_with_interactive(command))
    folder, threads, arguments = _bash(["bash", "-c", line], home).split("|")
    assert Path(folder) == home / "crnn-on-ray"
    assert threads == "unset"
    words = shlex.split(arguments)
    assert words[0] == "start"
    known = {option for parameter in ray_start.params for option in parameter.opts}
    assert {word.split("=")[0] for word in words[1:]} <= known
    if kind == "head":
        assert {"--head", "--dashboard-host=127.0.0.1"} <= set(words)
        assert "--autoscaling-config=~/ray_bootstrap_config.yaml" in words  # Ray expands the home
    else:
        assert f"--address={HEAD_IP}:6379" in words
    if name == ON_PREMISES:
        assert f"--node-ip-address={OWN_IP}" in words


def _home(folder: Path, config: dict[str, Any]) -> Path:
    """A node's home folder with everything mounted; files are empty."""
    for remote in config["file_mounts"]:
        path = folder / remote.removeprefix("~/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if remote == REMOTE_PROJECT else path.touch()
    (folder / ".bashrc").touch()
    assert TOKEN in config["file_mounts"]
    return folder


def _bash(command: list[str], home: Path) -> str:
    """What ``command`` prints, in its own session so that no shell takes the terminal."""
    done = subprocess.run(
        command,
        env={
            "HOME": str(home),
            "PATH": os.environ["PATH"],
            "TERM": "dumb",
            "SSH_CONNECTION": f"{HEAD_IP} 50000 {OWN_IP} 22",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        start_new_session=True,
    )
    return done.stdout.strip()
