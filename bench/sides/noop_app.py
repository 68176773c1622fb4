"""What a request costs before anything is done: an application beside the service, same ingress.

    python bench/sides/noop_app.py

Joins the cluster of ``$RAY_ADDRESS`` and adds an application at /noop that takes in a request's
body and answers as many bytes as a picture's result has.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import ray
from ray import serve

ANSWER = b'{"results":[' + b" " * 700 + b"]}"


async def noop(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while (message := await receive()) and message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    while (await receive()).get("more_body"):
        pass
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(ANSWER)).encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": ANSWER})


@serve.deployment(max_ongoing_requests=1024, ray_actor_options={"num_cpus": 0})
@serve.ingress()
class Noop:
    """One replica."""

    def __serve_build_asgi_app__(self) -> Any:
        return noop


if __name__ == "__main__":
    root = str(Path(__file__).resolve().parents[2])
    ray.init(
        log_to_driver=False,
        logging_level=logging.WARNING,
        runtime_env={"env_vars": {"PYTHONPATH": root}},
    )
    quiet = Noop.options(logging_config={"enable_access_log": False})
    serve.run(quiet.bind(), name="noop", route_prefix="/noop")
    print("deployed", flush=True)
