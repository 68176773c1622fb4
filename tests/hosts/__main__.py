"""A Ray cluster of real nodes on this machine, by hand; needs root.

    python -m tests.hosts up          starts it, or what of it is missing
    python -m tests.hosts status      which hosts are on, and which Ray counts on
    python -m tests.hosts run worker0 ray status
    python -m tests.hosts env         variables of a client: eval "$(python -m tests.hosts env)"
    python -m tests.hosts down        nothing of it is left

Object storage, ``ray job submit --address`` and Serve are at the addresses that ``up`` shows.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys

from tests.hosts.cluster import Cluster
from tests.hosts.machines import why_not


def main() -> int:
    """Does what the command line says; its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.hosts",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--number", type=int, default=0, help="of the network, 0 to 7; stands first"
    )
    parser.add_argument("what", choices=("up", "down", "status", "env", "run"))
    parser.add_argument("host", nargs="?", help="for run")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="for run")
    arguments = parser.parse_args()
    cluster = Cluster.on(arguments.number)
    reason = why_not()
    if reason:
        print(f"error: no hosts can be made on this machine: {reason}", file=sys.stderr)
        return 1
    if arguments.what == "up":
        cluster.up()
    elif arguments.what == "down":
        cluster.down()
    elif arguments.what == "run":
        return run(cluster, arguments.host, arguments.command)
    elif arguments.what == "env":
        print(variables(cluster))
        return 0
    print(status(cluster))
    return 0


def run(cluster: Cluster, name: str | None, command: list[str]) -> int:
    hosts = {host.name: host for host in cluster.hosts}
    if name not in hosts or not command:
        print(f"error: expected one of {', '.join(hosts)}, and a command", file=sys.stderr)
        return 2
    return subprocess.run(hosts[name].command(*command, env=cluster.inside)).returncode


def variables(cluster: Cluster) -> str:
    """Lines for a shell."""
    mine = {n: v for n, v in cluster.outside.items() if n.startswith(("AWS_", "RAY_", "NO_PROXY"))}
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in mine.items())


def status(cluster: Cluster) -> str:
    if not cluster.network.exists():
        return f"network {cluster.network.number} is down"
    counted_on = cluster.addresses_counted_on()
    lines = []
    for host in cluster.hosts:
        state = "off" if host.first() is None else "on"
        ray = (
            ""
            if host == cluster.store
            else f", Ray {'alive' if host.address in counted_on else 'not alive'}"
        )
        lines.append(f"{host.name:<8} {host.address:<12} {state}{ray}")
    return "\n".join(
        [
            *lines,
            f"jobs     {cluster.dashboard}",
            f"storage  {cluster.store_access['AWS_ENDPOINT_URL']}",
            f"serve    {cluster.service}",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
