"""Each private part of Ray that is used is there; where it isn't, a sentence says what to do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib import import_module

import pytest
import ray
from ray import serve

from crnn.errors import RayChangedError
from jobs import ray_internals
from pipelines.ray_part import ray_part
from pipelines.spread import is_second_try
from tests.jobs.runs import PROJECT

CALLBACK = "ray.train.v2._internal.execution.callback"


def small_cluster() -> None:
    with ray_internals.cluster_parameters(no_monitor=True):
        assert import_module("ray._private.parameter").RayParams(num_cpus=1).no_monitor


def new_version() -> None:
    deployment = serve.deployment(type("Any", (), {}))
    assert ray_internals.versioned(deployment, "v1", name="one").version == "v1"


USES: dict[tuple[str, str], Callable[[], object]] = {
    ("ray._private.parameter", "RayParams"): small_cluster,
    ("ray._private.node", "Node"): small_cluster,
    ("ray._raylet", "Config"): ray_internals.read_environment_again,
    ("ray._raylet", "AuthenticationTokenLoader"): ray_internals.read_environment_again,
    ("ray._raylet", "AuthenticationMode"): ray_internals.asks_for_token,
    ("ray._raylet", "get_authentication_mode"): ray_internals.asks_for_token,
    (CALLBACK, "ControllerCallback"): ray_internals.controller_callback,
    ("ray.experimental.internal_kv", "_internal_kv_put"): lambda: ray_internals.keep(
        b"key", b"value", namespace=b"tests"
    ),
    ("ray.experimental.internal_kv", "_internal_kv_get"): lambda: ray_internals.kept(
        b"key", namespace=b"tests"
    ),
    ("ray.serve._private.replica", "add_port_to_grpc_server"): lambda: (
        ray_internals.confine_replica_port("127.0.0.1")
    ),
    ("ray._private.worker", "global_worker"): is_second_try,
}


@pytest.mark.parametrize("part", USES, ids=".".join)
def test_a_part_that_is_missing_is_named_with_the_remedy(
    part: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    module, name = part
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.delattr(import_module(module), name)
    with pytest.raises(RayChangedError) as told:
        USES[part]()
    assert str(told.value).startswith(f"Ray {ray.__version__} has no {module}.{name}")
    assert str(told.value).endswith("; use the Ray that requirements.lock names")


def test_arguments_that_are_gone_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    small_cluster()
    with (
        pytest.raises(RayChangedError, match=r"has no RayParams\(no_such_field\); use"),
        ray_internals.cluster_parameters(no_such_field=1),
    ):
        pass
    new_version()
    monkeypatch.setattr(serve.Deployment, "options", lambda self, name: self)
    with pytest.raises(RayChangedError, match=r"\(version, _internal\); use the Ray"):
        new_version()


def test_a_replica_s_port_is_opened_where_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    replica = import_module("ray.serve._private.replica")
    monkeypatch.setattr(replica, "add_port_to_grpc_server", lambda server, address: len(address))
    ray_internals.confine_replica_port("127.0.0.1")
    assert replica.add_port_to_grpc_server(None, "[::]:0") == len("127.0.0.1:0")


def test_what_was_kept_is_found(local_ray: None) -> None:
    assert ray_internals.kept(b"no such key", namespace=b"tests") is None
    for value in (b"first", b"second"):
        ray_internals.keep(b"key", value, namespace=b"tests")
        assert ray_internals.kept(b"key", namespace=b"tests") == value


def test_the_callback_and_the_logger_are_there() -> None:
    assert isinstance(ray_internals.controller_callback(), type)
    assert ray_part(ray_internals.PROGRESS_LOGGER).__name__ == ray_internals.PROGRESS_LOGGER


def test_ray_is_imported_when_it_is_asked_for() -> None:
    """It takes its settings from the environment then, which a service sets first."""
    code = "import sys, jobs.serving.run, jobs.ray_internals; sys.exit('ray' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True)
