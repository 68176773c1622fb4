"""deploy/ against the fields of KubeRay and Kubernetes, Ray's own readers, and our own programs.

No cluster is started: what the operator and the API server would refuse is refused here.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.utils import parse_quantity
from ray.autoscaler._private.kuberay.autoscaling_config import (
    _derive_autoscaling_config_from_ray_cr,
)
from ray.scripts.scripts import start as ray_start
from ray.scripts.scripts import stop as ray_stop
from ray.serve.schema import ServeDeploySchema

from jobs import cli
from jobs.recognize import RecognizeSettings
from jobs.serving import edge
from jobs.serving.config_file import document
from jobs.serving.limits import MIB
from jobs.serving.settings import TOKEN_VARIABLE, Here, from_arguments
from jobs.training.settings import TrainSettings
from tests.kuberay import check

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
RAY_FILES = ("cluster.yaml", "train.yaml", "recognize.yaml", "serve.yaml")
SETTINGS = {"jobs/train.py": TrainSettings, "jobs/recognize.py": RecognizeSettings}
each_cluster = pytest.mark.parametrize("name", RAY_FILES)


def manifests(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


def cluster_of(manifest: dict[str, Any]) -> dict[str, Any]:
    """The RayClusterSpec in a manifest of KubeRay."""
    spec = manifest["spec"]
    return spec.get("rayClusterSpec") or spec.get("rayClusterConfig") or spec


def groups(cluster: dict[str, Any]) -> list[dict[str, Any]]:
    return [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]


def containers(cluster: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for group in groups(cluster):
        yield from group["template"]["spec"]["containers"]


@pytest.mark.parametrize("name", [*RAY_FILES, "access.yaml"])
def test_every_field_is_one_that_kuberay_and_kubernetes_document(name: str) -> None:
    for manifest in manifests(name):
        check(manifest)


@each_cluster
def test_rays_autoscaler_reads_its_groups(name: str) -> None:
    (manifest,) = manifests(name)
    cluster = cluster_of(manifest)
    assert cluster["enableInTreeAutoscaling"] is True
    config = _derive_autoscaling_config_from_ray_cr(
        {"metadata": {"name": "crnn", "namespace": "default"}, "spec": cluster}
    )
    types = config["available_node_types"]
    assert set(types) == {"headgroup", "cpu", "gpu"}
    assert types["headgroup"]["resources"]["CPU"] == 0  # no task beside the scheduler
    assert types["gpu"]["resources"]["GPU"] == 1
    assert "GPU" not in types["cpu"]["resources"]
    assert 0 < config["idle_timeout_minutes"] <= 10
    for group in cluster["workerGroupSpecs"]:
        assert 0 <= group["minReplicas"] <= group["maxReplicas"]


@each_cluster
def test_ray_starts_with_options_that_it_has(name: str) -> None:
    cluster = cluster_of(manifests(name)[0])
    known = {option for parameter in ray_start.params for option in parameter.opts}
    for group in groups(cluster):
        assert {f"--{option}" for option in group["rayStartParams"]} <= known
    stop_options = {option for parameter in ray_stop.params for option in parameter.opts}
    for container in containers(cluster):
        stop = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", [])
        words = [word for part in stop for word in shlex.split(part)]
        assert {word for word in words if word.startswith("--")} <= stop_options


@each_cluster
def test_versions_and_image_are_the_projects(name: str) -> None:
    cluster = cluster_of(manifests(name)[0])
    locked = re.search(r"^ray==(\S+)$", (ROOT / "requirements.lock").read_text(), re.M)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert locked is not None
    assert cluster["rayVersion"] == locked[1]
    images = {container["image"] for container in containers(cluster)}
    assert images == {f"{project['name']}:{project['version']}"}


@each_cluster
def test_pods_are_guarded_and_watched(name: str) -> None:
    cluster = cluster_of(manifests(name)[0])
    assert cluster["authOptions"]["mode"] == "token"
    accounts = {m["metadata"]["name"] for m in manifests("access.yaml")[:1]}
    for group in groups(cluster):
        template = group["template"]
        assert template["metadata"]["labels"]["app.kubernetes.io/part-of"] == "crnn"
        assert template["spec"]["serviceAccountName"] in accounts
        assert template["spec"]["securityContext"]["runAsNonRoot"] is True
    for container in containers(cluster):
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["livenessProbe"]["httpGet"]["path"] == "/api/local_raylet_healthz"
        assert "readinessProbe" in container
        limits, requests = (container["resources"][part] for part in ("limits", "requests"))
        assert set(limits) == set(requests) >= {"cpu", "memory", "ephemeral-storage"}
        for what, quantity in requests.items():
            assert 0 < parse_quantity(quantity) <= parse_quantity(limits[what])


@each_cluster
def test_a_pods_grace_outlasts_what_it_does_before_its_end(name: str) -> None:
    for group in cluster_of(manifests(name)[0])["workerGroupSpecs"]:
        spec = group["template"]["spec"]
        (container,) = spec["containers"]
        command = " ".join(container["lifecycle"]["preStop"]["exec"]["command"])
        seconds = sum(map(int, re.findall(r"(?:sleep|--grace-period) (\d+)", command)))
        assert 0 < seconds < spec["terminationGracePeriodSeconds"]


@pytest.mark.parametrize("name", ["train.yaml", "recognize.yaml"])
def test_jobs_are_ours_with_flags_that_they_have(name: str) -> None:
    (manifest,) = manifests(name)
    python, script, *flags = shlex.split(manifest["spec"]["entrypoint"])
    assert python == "python"
    assert (ROOT / script).is_file()
    cli.parse(SETTINGS[script], flags, description="")
    spec = manifest["spec"]
    assert spec["shutdownAfterJobFinishes"] is True
    assert spec["backoffLimit"] > 0


def test_training_asks_for_as_many_gpus_as_its_cluster_may_have() -> None:
    (manifest,) = manifests("train.yaml")
    _, _, *flags = shlex.split(manifest["spec"]["entrypoint"])
    settings = cli.parse(TrainSettings, flags, description="")
    (gpus,) = [g for g in cluster_of(manifest)["workerGroupSpecs"] if g["groupName"] == "gpu"]
    assert settings.use_gpu
    assert settings.worker_range()[1] == gpus["maxReplicas"]
    assert settings.placement_wait_s >= 600  # nodes start meanwhile
    assert settings.name, "without a name a retry would begin anew"


def serve_config() -> tuple[dict[str, Any], dict[str, Any]]:
    """The RayService's cluster, and its serve configuration."""
    (manifest,) = manifests("serve.yaml")
    return cluster_of(manifest), yaml.safe_load(manifest["spec"]["serveConfigV2"])


def test_serve_takes_the_service_as_our_own_program_writes_it() -> None:
    _, config = serve_config()
    ServeDeploySchema.model_validate(config)
    (application,) = config["applications"]
    settings = from_arguments(application["args"])
    here = Here(host="0.0.0.0", port=config["http_options"]["port"], name=application["name"])
    shipped = replace(settings, bundle=str(ROOT / "bundles" / "strings"))
    written = yaml.safe_load(document(here, shipped))
    (ours,) = application["deployments"]
    (theirs,) = written["applications"][0]["deployments"]
    assert set(ours["user_config"]) == set(theirs["user_config"])
    theirs["user_config"] = ours["user_config"]
    assert config == written


def test_a_misspelled_setting_of_the_service_is_refused() -> None:
    """Ray's schema skips keys that it doesn't know, so the test above compares whole files."""
    _, config = serve_config()
    with pytest.raises(ValueError, match="max_replica"):
        from_arguments({"max_replica": 3})
    config["applications"][0]["args"] = ["bundle"]
    with pytest.raises(ValueError, match="args"):
        ServeDeploySchema.model_validate(config)


def test_pods_that_serve_have_what_listens_set_up_alike() -> None:
    cluster, config = serve_config()
    settings = from_arguments(config["applications"][0]["args"])
    for container in containers(cluster):
        variables = {entry["name"]: entry.get("value") for entry in container["env"]}
        assert variables[edge.CALLBACK_VARIABLE] == edge.CALLBACK
        assert int(variables[edge.BODY_VARIABLE] or 0) == settings.limits.body_mb
        (token,) = [e for e in container["env"] if e["name"] == TOKEN_VARIABLE]
        assert set(token["valueFrom"]) == {"secretKeyRef"}
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert ports["serve"] == config["http_options"]["port"]


def test_pods_hold_the_replicas_and_outlive_their_requests() -> None:
    cluster, config = serve_config()
    (manifest,) = manifests("serve.yaml")
    settings = from_arguments(config["applications"][0]["args"])
    (pods,) = [g for g in cluster["workerGroupSpecs"] if g["groupName"] == "cpu"]
    (container,) = pods["template"]["spec"]["containers"]
    limits = container["resources"]["limits"]
    replicas = int(parse_quantity(limits["cpu"]) // int(settings.cpus_per_replica))
    assert pods["maxReplicas"] * replicas >= settings.max_replicas
    assert pods["minReplicas"] >= 2, "one pod may go, and the service stays"
    online = settings.online
    held_mib = (
        online.queue_mb
        + settings.limits.held_mb
        + online.decode_processes * online.decode_memory_mb
    )
    assert replicas * held_mib * MIB < parse_quantity(limits["memory"])
    assert container["readinessProbe"]["httpGet"]["port"] == config["http_options"]["port"]
    assert manifest["spec"]["upgradeStrategy"]["type"] == "NewCluster"
    assert manifest["spec"]["rayClusterDeletionDelaySeconds"] > settings.drains_s
    assert pods["template"]["spec"]["terminationGracePeriodSeconds"] > settings.drains_s


def test_no_secret_is_in_the_files() -> None:
    for path in DEPLOY.iterdir():
        if path.suffix == ".yaml":
            assert not re.search(r"AKIA[0-9A-Z]{16}|kind: Secret", path.read_text()), path


def test_policies_select_the_pods_there_are() -> None:
    _, policy, budget = manifests("access.yaml")
    labels = [
        group["template"]["metadata"]["labels"]
        for name in RAY_FILES
        for group in groups(cluster_of(manifests(name)[0]))
    ]
    assert all(
        policy["spec"]["podSelector"]["matchLabels"].items() <= pod.items() for pod in labels
    )
    chosen = budget["spec"]["selector"]["matchLabels"].items()
    assert 0 < sum(chosen <= pod.items() for pod in labels) < len(labels)
    assert isinstance(budget["spec"]["minAvailable"], int)


def instructions() -> list[list[str]]:
    """The Dockerfile's, each as words; continued lines together."""
    text = (DEPLOY / "Dockerfile").read_text()
    lines = re.sub(r"^#.*\n", "", text, flags=re.M).replace("\\\n", " ").splitlines()
    return [line.split(maxsplit=1) for line in lines if line.strip()]


def in_context(path: str) -> bool:
    """Whether .dockerignore lets this path through; its last line that fits decides."""
    taken = True
    parts = path.split("/")
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!").removeprefix("**/")
        heads = ["/".join(parts[: n + 1]) for n in range(len(parts))]
        tails = parts if "**/" in line else heads
        if pattern and not line.startswith("#") and any(fnmatch.fnmatch(h, pattern) for h in tails):
            taken = line.startswith("!")
    return taken


def test_image_runs_as_a_user_without_rights_from_the_folder_of_the_project() -> None:
    said = [(word, rest) for word, rest in instructions()]
    assert [rest for word, rest in said if word == "USER"] == ["1000:1000"]
    assert [word for word, _ in said][-1] == "CMD"
    installs = [rest for word, rest in said if word == "RUN" and "pip install" in rest]
    assert all("-c requirements.lock" in rest or "--no-deps" in rest for rest in installs)
    code = next(i for i, (word, rest) in enumerate(said) if word == "COPY" and "crnn" in rest)
    heavy = next(i for i, (_, rest) in enumerate(said) if "pip install" in rest and "torch" in rest)
    assert heavy < code, "a change of code must leave the layers of packages as they are"


@pytest.mark.slow
def test_image_has_every_file_that_the_programs_need(tmp_path: Path) -> None:
    """Its COPY lines carried out on what .dockerignore lets through; then the programs start."""
    for word, rest in instructions():
        if word != "COPY":
            continue
        *sources, target = rest.split()
        for source in sources:
            assert in_context(source), f".dockerignore leaves {source} out"
            _copy(ROOT / source, tmp_path / (target if len(sources) == 1 else target + source))
    assert not list(tmp_path.rglob("*.pyc"))
    programs = (
        "import jobs.train, jobs.recognize, jobs.serve, jobs.serving.deployment, "
        "jobs.training.run; from jobs.serving.shipped import chosen; "
        "from jobs.serving.settings import ServeSettings; from jobs.serving import page; "
        "print(page.__file__, chosen(ServeSettings()).settings.bundle)"
    )
    done = subprocess.run(
        [sys.executable, "-c", programs],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [
        str(tmp_path / "jobs/serving/page.py"),
        str(tmp_path / "bundles/mobile"),
    ]
    for name in ("page.html", "page.css", "page.js"):
        assert (tmp_path / "jobs/serving" / name).is_file()


def test_images_packages_are_those_of_the_project() -> None:
    """The Dockerfile's own line that lists them, run as it stands."""
    (line,) = [rest for _, rest in instructions() if "tomllib" in rest]
    command = line.split(" > ")[0]
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, check=True)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    training = project["optional-dependencies"]["train"]
    assert done.stdout.splitlines() == [*project["dependencies"], *training]


def _copy(source: Path, target: Path) -> None:
    """A file or a folder, without what .dockerignore leaves out."""
    files = [source] if source.is_file() else sorted(p for p in source.rglob("*") if p.is_file())
    for file in files:
        if in_context(file.relative_to(ROOT).as_posix()):
            to = target / file.relative_to(source) if source.is_dir() else target
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, to)
