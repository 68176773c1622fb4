"""Whether the HTTP front end of the cluster bounds bodies as the service does.

What listens takes its bound from the environment in which 'ray start' ran on each node, which a
service that joins the cluster can't change (``jobs.serving.edge``).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from jobs.serving import edge
from jobs.serving.limits import Limits

_ANSWER_S = 20.0
"""Nodes that take longer to start a process are not asked: the service needn't wait for them."""


def disagreement(environment: Mapping[str, str], limits: Limits) -> str:
    """What differs between a node's front end and the service, and the remedy; empty: nothing."""
    if environment.get(edge.CALLBACK_VARIABLE) != edge.CALLBACK:
        return (
            f"{edge.CALLBACK_VARIABLE} isn't {edge.CALLBACK} where 'ray start' ran: request bodies "
            "of any size are read into memory before the service can refuse them; set it, and "
            f"{edge.BODY_VARIABLE}={limits.body_mb}, and start Ray again"
        )
    front_mb = edge.body_mb(environment)
    if front_mb == limits.body_mb:
        return ""
    effect = (
        f"bodies over {front_mb} MiB are refused before the service sees them"
        if front_mb < limits.body_mb
        else f"bodies up to {front_mb} MiB are read into memory before the service refuses them"
    )
    return (
        f"{edge.BODY_VARIABLE} is {front_mb} where 'ray start' ran, and limits.body_mb of the "
        f"service is {limits.body_mb}: {effect}; make them the same: set "
        f"{edge.BODY_VARIABLE}={limits.body_mb} there and start Ray again, or give "
        f"--limits.body-mb {front_mb}"
    )


def differences(limits: Limits) -> Iterator[str]:
    """``disagreement`` of each node of the cluster that was joined, once for all that agree."""
    addresses: dict[str, list[str]] = {}
    for address, environment in _environments():
        if said := disagreement(environment, limits):
            addresses.setdefault(said, []).append(address)
    for said, nodes in addresses.items():
        yield f"node {', '.join(nodes)}: {said}"


def front_end_environment() -> dict[str, str]:
    """The variables of this process that what listens on this node has too."""
    names = (edge.CALLBACK_VARIABLE, edge.BODY_VARIABLE)
    return {name: os.environ[name] for name in names if name in os.environ}


def _environments() -> Iterator[tuple[str, dict[str, str]]]:
    """Address and front end's environment of each node that answers."""
    import ray
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ask = ray.remote(num_cpus=0, max_retries=0)(front_end_environment)
    asked = {}
    for node in ray.nodes():
        if node["Alive"]:
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            asked[ask.options(scheduling_strategy=there).remote()] = node["NodeManagerAddress"]
    answered, _ = ray.wait(list(asked), num_returns=len(asked), timeout=_ANSWER_S)
    for reference in answered:
        try:
            yield asked[reference], ray.get(reference)
        except RayError:  # the node has gone, or can't run the project: its replicas will tell
            continue
