"""A cluster of one machine: reachable only from there, and only with its token.

Anyone who reaches the ports of a Ray cluster can run code on it, and Ray opens them on every
interface of a machine. One that is started for a job has its address on the loopback interface, so
that everything of Ray's listens there; and a token that only its own processes know, against others
on the same machine. ``docs/security.md``.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys

import ray

from jobs.ray_internals import asks_for_token, read_environment_again

ADDRESS = "127.0.0.1"
"""Address of the node; Ray binds all its servers to it."""
_MODE, _TOKEN, _TOKEN_FILE = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"


def close_it() -> None:
    """Set, before it starts, what this process and those of the cluster read of the environment.

    An operator's own choice of RAY_AUTH_MODE stands, and is said.
    """
    mode = os.environ.setdefault(_MODE, "token").lower()
    if mode == "token" and not any(os.environ.get(name) for name in (_TOKEN, _TOKEN_FILE)):
        os.environ[_TOKEN] = secrets.token_hex(32)
    elif mode == "disabled":
        say(
            f"{_MODE} is disabled: anyone with an account on this machine can run "
            "code on the Ray cluster that starts here; unset it to give the cluster its own token"
        )
    for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):  # what ranks listen on
        os.environ.setdefault(name, _loopback_interface())
    # Ray's own agent, which starts submitted jobs, and their drivers take the loopback address of
    # the cluster for that of the machine otherwise, where nothing listens.
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    read_environment_again()


def is_private() -> bool:
    """Whether the cluster that this process belongs to is one of this machine alone."""
    return str(ray.util.get_node_ip_address()) == ADDRESS


def say_if_open(address: str) -> None:
    """Warns if the joined cluster accepted this process without a token."""
    if not asks_for_token():
        say(
            f"the Ray cluster at {address} asks for no token: anyone who reaches it can run code "
            f"on it and read what this job reads; start it with {_MODE}=token"
        )


def _loopback_interface() -> str:
    names = [name for _, name in socket.if_nameindex()]
    return next((name for name in ("lo", "lo0") if name in names), "lo")


def say(text: str) -> None:
    """A note on stderr, now."""
    print(f"note: {text}", file=sys.stderr, flush=True)
