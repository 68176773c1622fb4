"""All that is used of Ray though Ray calls it private; each is here for want of a public way.

Written for Ray 2.60. Where another Ray lacks one of them, ``RayChangedError`` says so. One more is
in ``pipelines.spread``: which try a task is.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pipelines.ray_part import changed, ray_part

if TYPE_CHECKING:
    from ray.serve import Deployment

PROGRESS_LOGGER = "ray.data._internal.progress"
"""Says in a line that progress bars are off; Ray Data's own logger doesn't pass its level on."""

_CALLBACK = "ray.train.v2._internal.execution.callback:ControllerCallback"


@contextmanager
def cluster_parameters(**ours: Any) -> Iterator[list[Any]]:
    """Within it, a cluster that ``ray.init`` starts has these fields of ``RayParams``; its nodes.

    ``ray.init`` has no arguments for them: the port of its agent, and what runs beside the raylet.
    The nodes come into the list before they start: what ``ray.init`` leaves behind when one is too
    slow can be ended through them.
    """
    usual = ray_part("ray._private.parameter:RayParams")
    usual_node = ray_part("ray._private.node:Node")
    _check_takes(usual, *ours)
    _check_takes(usual_node.kill_all_processes, "check_alive", "allow_graceful")
    parameter, node = ray_part("ray._private.parameter"), ray_part("ray._private.node")
    started: list[Any] = []

    def with_ours(**given: Any) -> Any:
        return usual(**(given | ours))

    class KnownNode(usual_node):  # type: ignore[misc, valid-type]
        def __init__(self, *arguments: Any, **more: Any) -> None:
            started.append(self)
            super().__init__(*arguments, **more)

    parameter.RayParams, node.Node = with_ours, KnownNode
    try:
        yield started
    finally:
        parameter.RayParams, node.Node = usual, usual_node


def read_environment_again() -> None:
    """Let Ray read its settings and its token again: it did so when it was imported."""
    ray_part("ray._raylet:Config.initialize")("")
    ray_part("ray._raylet:AuthenticationTokenLoader.reset_cache")(
        ray_part("ray._raylet:AuthenticationTokenLoader.instance")()
    )


def asks_for_token() -> bool:
    """Whether the cluster that was joined does; its answer is told nowhere else."""
    disabled = ray_part("ray._raylet:AuthenticationMode.DISABLED")
    return bool(ray_part("ray._raylet:get_authentication_mode")() != disabled)


def controller_callback() -> type[Any]:
    """Base class of what Ray Train's controller calls when its state changes.

    The public ``UserCallback`` isn't told of workers that could not start.
    """
    ray_part(f"{_CALLBACK}.after_controller_state_update")
    base: type[Any] = ray_part(_CALLBACK)
    return base


def keep(key: bytes, value: bytes, *, namespace: bytes) -> None:
    """Store bytes in Ray's GCS, for all processes of the cluster and for as long as it lives.

    The public way is an actor that is there for nothing else.
    """
    ray_part("ray.experimental.internal_kv:_internal_kv_put")(
        key, value, overwrite=True, namespace=namespace
    )


def kept(key: bytes, *, namespace: bytes) -> bytes | None:
    """What was stored under a key; None for nothing."""
    value: bytes | None = ray_part("ray.experimental.internal_kv:_internal_kv_get")(
        key, namespace=namespace
    )
    return value


def confine_replica_port(host: str) -> None:
    """In this process, from here on: the port for calls between deployments is on ``host`` alone.

    Serve opens it on every interface, and takes pickles there from anyone; it has no setting.
    """
    add_port = ray_part("ray.serve._private.replica:add_port_to_grpc_server")

    def add_local_port(server: Any, address: str) -> int:
        return int(add_port(server, address.replace("[::]", host)))

    import_module("ray.serve._private.replica").add_port_to_grpc_server = add_local_port  # type: ignore[attr-defined]


def versioned(deployment: Deployment, version: str, **options: Any) -> Deployment:
    """A deployment with these options, whose replicas restart only where ``version`` changes.

    Serve's own versions are others at each deployment, even if only the bundle changes.
    """
    _check_takes(deployment.options, "version", "_internal")
    return deployment.options(**options, version=version, _internal=True)


def _check_takes(function: Any, *names: str) -> None:
    lacking = [name for name in names if name not in inspect.signature(function).parameters]
    if lacking:
        raise changed(f"{function.__qualname__}({', '.join(lacking)})")
