"""What Serve runs: a replica with its application, and how the bundle in it is changed."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from typing import Any, cast

from ray import serve
from ray.serve.config import AutoscalingConfig, BackpressureConfig
from ray.serve.schema import LoggingConfig
from starlette.types import ASGIApp

from crnn.errors import BundleError, CrnnError
from crnn.heap import search_after
from jobs import cli
from jobs.ray_internals import versioned
from jobs.serving import ingress
from jobs.serving.accepted import Accepted
from jobs.serving.agreement import disagreement
from jobs.serving.assembly import assembled
from jobs.serving.metrics import MetricTally, Publisher
from jobs.serving.service import Service
from jobs.serving.settings import ServeSettings, from_arguments

log = logging.getLogger("ray.serve")
DEPLOYMENT = "recognizer"
_ONGOING_REQUESTS = 1024
_QUEUED_REQUESTS = 1024
_HEALTH_PERIOD_S = 2.0
_HEALTH_TIMEOUT_S = 20.0
_SEARCHED_AFTER_OBJECTS = 10_000
"""Some requests' worth: results are made of thousands of tuples, none in a cycle. Not more, as a
cycle could hold a large body. What is alive at the start Serve leaves out of searches by itself."""


class Recognition:
    """One replica. Its constructor is quick: ``reconfigure``, which Serve calls before it sends
    requests, loads the bundle and warms it up."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        """``arguments`` of ``ServeSettings``, plain."""
        logging.getLogger("jobs.serving").setLevel(logging.INFO)
        ingress.confine_replica()
        search_after(_SEARCHED_AFTER_OBJECTS)
        self._settings = from_arguments(arguments)
        if differs := disagreement(os.environ, self._settings.limits):
            log.warning(differs)
        self._tally = MetricTally()
        self._service = Service(self._settings, self._tally)
        self._publisher = Publisher(self._tally, self._service.gauges)
        self._accepted = Accepted(serve.get_replica_context().app_name)
        self._config: dict[str, Any] | None = None

    def __serve_build_asgi_app__(self) -> ASGIApp:
        return assembled(self._service)

    async def reconfigure(self, config: dict[str, Any]) -> None:
        """Take the bundle of ``user_config`` into use: ``bundle``, and ``digest`` to insist on.

        Where it is refused, the one in use stays, and a new replica takes the last one that was
        accepted; without any, BundleError.
        """
        if config == self._config:  # Serve calls for other reasons too
            return
        try:
            await self._service.install(*_wanted(config))
        except (CrnnError, ValueError, OSError) as error:
            if not self._service.is_ready and not await self._install_accepted(config):
                raise
            log.error("user_config %s is refused: %s", config, error)
        else:
            self._accepted.keep(*self._service.in_use)
        self._config = config

    async def check_health(self) -> None:
        """Raises when the engine or the decoders failed for good: Serve replaces the replica."""
        self._service.check_health()

    async def __del__(self) -> None:
        """Called by Serve when all requests were answered."""
        await self._service.aclose()
        self._publisher.close()

    async def _install_accepted(self, refused: dict[str, Any]) -> bool:
        """Whether there is one that was accepted before, and it could be taken."""
        accepted = self._accepted.get()
        if accepted is None or accepted == _wanted(refused):
            return False
        refusal = self._service.last_roll
        try:
            await self._service.install(*accepted)
        except (CrnnError, ValueError, OSError) as error:
            log.error("the bundle that was in use before can't be loaded either: %s", error)
            return False
        self._service.last_roll = refusal
        return True


def application(settings: ServeSettings) -> serve.Application:
    """The Serve application of these settings; ``settings.bundle`` is an absolute address."""
    settings = settings.placed()
    scaling: dict[str, Any] = {"num_replicas": settings.min_replicas}
    if settings.max_replicas > settings.min_replicas:
        scaling = {"autoscaling_config": _autoscaling(settings)}
    arguments = cli.as_mapping(settings)
    config = {"bundle": arguments.pop("bundle"), "digest": arguments.pop("digest")}
    plain = cast(serve.Deployment, serve.deployment(serve.ingress()(Recognition)))
    deployment = versioned(
        plain,
        _version(arguments),
        name=DEPLOYMENT,
        user_config=config,
        max_ongoing_requests=_ONGOING_REQUESTS,
        max_queued_requests=_QUEUED_REQUESTS,
        backpressure_config=BackpressureConfig(status_code=429, retry_after_s=1),
        graceful_shutdown_timeout_s=settings.drains_s,
        graceful_shutdown_wait_loop_s=0.2,
        health_check_period_s=_HEALTH_PERIOD_S,
        health_check_timeout_s=_HEALTH_TIMEOUT_S,
        ray_actor_options={
            "num_cpus": settings.cpus_per_replica,
            "num_gpus": settings.gpus_per_replica,
        },
        logging_config=LoggingConfig(enable_access_log=settings.access_log),
        **scaling,
    )
    return deployment.bind(arguments)


def _wanted(config: dict[str, Any]) -> tuple[str, str]:
    """Bundle and digest, which may be empty."""
    bundle, digest = config.get("bundle"), config.get("digest", "")
    if not isinstance(bundle, str) or not bundle or not isinstance(digest, str):
        raise BundleError(
            f"user_config is {config}; expected bundle: an address, and perhaps digest: the "
            "SHA-256 of its weights"
        )
    return bundle, digest


def _autoscaling(settings: ServeSettings) -> AutoscalingConfig:
    return AutoscalingConfig(
        min_replicas=settings.min_replicas,
        max_replicas=settings.max_replicas,
        initial_replicas=settings.min_replicas,
        target_ongoing_requests=settings.target_ongoing_requests,
        upscale_delay_s=settings.upscale_delay_s,
        downscale_delay_s=settings.downscale_delay_s,
        metrics_interval_s=1.0,
        look_back_period_s=3.0,
    )


def _version(arguments: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(arguments, sort_keys=True).encode()).hexdigest()[:16]
