"""The file for ``serve deploy``: the same service on a cluster, to be kept and edited.

Its ``args`` are settings of replicas: changing one of them replaces the replicas one by one. Its
``user_config`` names the bundle: changing that rolls the new one in where the replicas are.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from jobs import cli
from jobs.serving import edge
from jobs.serving.deployment import DEPLOYMENT
from jobs.serving.settings import BACKSTOP_S, Here, ServeSettings
from jobs.serving.shipped import chosen

_HEAD = f"""\
# Made by jobs/serve.py --write-config. On the cluster:
#
#     serve deploy {{path}}
#
# To roll another bundle in, change user_config and deploy again: no replica restarts, and where the
# bundle is refused (another digest, a damaged file) the one in use stays: see GET /v1/model.
#
# The project must be on every node and on PYTHONPATH, or in the application's runtime_env. A token
# goes into the environment of the replicas (CRNN_SERVE_TOKEN) or a file there, never in here.
#
# The HTTP front end takes its settings from the environment in which 'ray start' ran on each node:
#
#     {edge.CALLBACK_VARIABLE}={edge.CALLBACK}
#     {edge.BODY_VARIABLE}={{body_mb}}
#     RAY_SERVE_ENABLE_HA_PROXY=1 RAY_SERVE_THROUGHPUT_OPTIMIZED=1
#
# The first two limit bodies as they arrive, and give Serve's own refusals their form. The last puts
# HAProxy in front: many times the requests, at the cost of ports 9101 and 8404 (its
# metrics and its statistics) on every interface, and of replicas that listen at ports of their own.
"""


def write(here: Here, settings: ServeSettings) -> str:
    """Write it to ``here.write_config``, and return what to do with it.

    Raises:
        CrnnError: for a bundle that can't be served.
    """
    text = document(here, settings)
    path = Path(here.write_config)
    path.write_text(text, encoding="utf-8")
    return f"wrote {path}; on the cluster: serve deploy {path}"


def document(here: Here, settings: ServeSettings) -> str:
    """The whole file."""
    bundle = chosen(settings).settings
    config = {
        "proxy_location": "EveryNode",
        "http_options": {
            "host": here.host,
            "port": here.port,
            "request_timeout_s": settings.longest_request_s + BACKSTOP_S,
        },
        "applications": [
            {
                "name": here.name,
                "route_prefix": "/",
                "import_path": "jobs.serve:app",
                "args": _arguments(replace(settings, then=bundle.then)),
                "deployments": [
                    {
                        "name": DEPLOYMENT,
                        "user_config": {"bundle": bundle.bundle, "digest": bundle.digest},
                    }
                ],
            }
        ],
    }
    head = _HEAD.format(path=here.write_config, body_mb=settings.limits.body_mb)
    return head + yaml.safe_dump(config, sort_keys=False)


def _arguments(settings: ServeSettings) -> dict[str, Any]:
    """The settings that aren't the defaults, less the bundle."""
    given, usual = cli.as_mapping(settings), cli.as_mapping(ServeSettings())
    return _different(
        {name: value for name, value in given.items() if name not in ("bundle", "digest")}, usual
    )


def _different(given: dict[str, Any], usual: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for name, value in given.items():
        if isinstance(value, dict):
            value = _different(value, usual[name])
            if value:
                found[name] = value
        elif value != usual[name]:
            found[name] = value
    return found
