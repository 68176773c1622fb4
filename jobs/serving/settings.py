"""What a service is given: flags of ``jobs/serve.py``, arguments of ``jobs.serve:app``."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import tyro

from crnn.inference.doubt import BELOW, check_bound
from crnn.online import OnlineConfig
from crnn.pages.graph import PACKAGE
from crnn.shared_settings import Below, SecondBundle, Surer
from jobs.flags import BundleDigest, BundleOrIncluded, ClusterAddress
from jobs.renamed import current_flags
from jobs.serving.bulk.settings import BulkSettings
from jobs.serving.limits import Limits
from jobs.serving.pages.settings import PagesSettings

TOKEN_VARIABLE = "CRNN_SERVE_TOKEN"
BACKSTOP_S = 10.0
"""Serve ends a request this long after its time: our own answer, a better one, comes first."""


_OWN_REPLICAS = 4
"""More engines than that share replicas: the HTTP side of one keeps up with several engines on
batches, but one Python process at a time runs its bytecode on one core only."""


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """The bundle, where it is served, and with how much."""

    bundle: BundleOrIncluded = ""
    then: SecondBundle = ""
    below: Below = BELOW
    surer: Surer = False
    digest: BundleDigest = ""
    detector: str = PACKAGE
    """What finds the text of whole pages (POST /v1/pages): the installed package rapidocr, or an
    ONNX file of the DB family."""
    min_replicas: int = 0
    """Minimum number of replicas. 0: one; on a cluster started on this machine, one for each core,
    four at most. A replica takes half a GB of memory."""
    max_replicas: int = 0
    """Maximum number of replicas; above --min-replicas their number follows the load. 0: the same
    as --min-replicas."""
    target_ongoing_requests: float = 16.0
    """Autoscaling target: ongoing requests for each replica."""
    upscale_delay_s: float = 3.0
    """Seconds of higher load before replicas are added."""
    downscale_delay_s: float = 60.0
    """Seconds of lower load before replicas are removed."""
    cpus_per_replica: float = 0.0
    """CPUs that Ray reserves for a replica, for its engine threads and decoding processes. 0: one.
    On a cluster started on this machine, 0 reserves one CPU for all replicas together; their
    engines still use all cores."""
    gpus_per_replica: float = 0.0
    """GPUs that Ray reserves for a replica; use with --online.device cuda."""
    token_file: str = ""
    """File with the bearer token that requests must have; or set $CRNN_SERVE_TOKEN. Default: no
    token is required."""
    allowed_urls: tuple[str, ...] = ()
    """Prefixes, such as https://pictures.example/crops/, of URLs that a JSON request may give
    instead of a picture's data. Default: none."""
    allowed_hosts: tuple[str, ...] = ()
    """Names that requests may have as their Host, without a port (*.example.org: all names below
    that one); behind a proxy, the name that it passes on. Health checks are answered under any
    name. Default: any name."""
    drain_s: float = 0.0
    """Seconds that a stopping replica waits for its ongoing requests. 0: as long as the longest of
    --limits.request-s and --pages.request-s."""
    access_log: bool = False
    """Log every request."""
    limits: Limits = field(default_factory=Limits)
    online: OnlineConfig = field(default_factory=OnlineConfig)
    pages: PagesSettings = field(default_factory=PagesSettings)
    bulk: BulkSettings = field(default_factory=BulkSettings)

    @property
    def drains_s(self) -> float:
        """Seconds that a stopping replica waits for its ongoing requests."""
        return self.drain_s or self.longest_request_s

    @property
    def longest_request_s(self) -> float:
        """Seconds that any request may take."""
        return max(self.limits.request_s, self.pages.request_s)

    def placed(self, own_cpus: int = 0) -> ServeSettings:
        """With the replicas, and the CPUs and the engines of one, decided.

        ``own_cpus``: of a machine that has nothing else to do; 0 on a cluster of others.
        """
        usual = min(own_cpus, _OWN_REPLICAS) if self.online.device == "cpu" else 1
        least = self.min_replicas or (1 if self.max_replicas else max(1, usual))
        most = self.max_replicas or least
        share = int(self.cpus_per_replica) or own_cpus // most
        alone = int(self.cpus_per_replica) or min(own_cpus, 2 * own_cpus // most)
        engines, spare = self.online.engines(share), self.online.spare_engines
        if not self.online.engine_threads:  # where other replicas rest, more than its share
            spare = self.online.engines(alone) - engines
        return replace(
            self,
            min_replicas=least,
            max_replicas=most,
            cpus_per_replica=self.cpus_per_replica or (1.0 / most if own_cpus else 1.0),
            online=replace(self.online, engine_threads=engines, spare_engines=spare),
        )

    def __post_init__(self) -> None:
        check_bound(self.then, self.below, self.surer)
        if not 0 <= self.min_replicas <= (self.max_replicas or self.min_replicas):
            raise ValueError(
                f"--min-replicas is {self.min_replicas} and --max-replicas {self.max_replicas}; "
                "expected 0 ≤ min ≤ max, or max 0"
            )
        if not self.target_ongoing_requests > 0:
            raise ValueError(
                f"--target-ongoing-requests is {self.target_ongoing_requests}; expected above 0"
            )
        if self.cpus_per_replica < 0 or self.gpus_per_replica < 0 or self.drain_s < 0:
            raise ValueError("--cpus-per-replica, --gpus-per-replica and --drain-s can't be < 0")
        if self.limits.pictures > self.online.queue_pictures:
            raise ValueError(
                f"limits.pictures is {self.limits.pictures}, more than online.queue_pictures "
                f"{self.online.queue_pictures}; expected room for one request at least"
            )
        if self.limits.body_mb > self.online.queue_mb:
            raise ValueError(
                f"limits.body_mb is {self.limits.body_mb}, more than online.queue_mb "
                f"{self.online.queue_mb}; expected room for one request at least"
            )
        if self.limits.body_mb > self.pages.held_mb:
            raise ValueError(
                f"limits.body_mb is {self.limits.body_mb}, more than pages.held_mb "
                f"{self.pages.held_mb}; expected room for one request at least"
            )
        for host in self.allowed_hosts:
            check_host(host)
        for prefix in self.allowed_urls:
            check_prefix(prefix)


Ingress = Literal["auto", "haproxy", "proxy"]


@dataclass(frozen=True, kw_only=True)
class Here:
    """What only the program that starts a service needs to know."""

    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0: all addresses of this machine."""
    port: int = 8000
    """Port to listen on."""
    ingress: Ingress = "auto"
    """HTTP front end: haproxy (over ten times the request rate) or proxy (Serve's own); auto:
    haproxy if available. A running cluster keeps its own."""
    name: str = "crnn"
    """Name of the Serve application."""
    address: ClusterAddress = ""
    write_config: str = ""
    """File to write for 'serve deploy', instead of starting the service."""

    def __post_init__(self) -> None:
        if not 0 < self.port < 1 << 16:
            raise ValueError(f"--port is {self.port}; expected 1 to 65535")


def check_host(host: str) -> None:
    """Raise ValueError unless ``host`` is a name or an address without a scheme and a port."""
    if not re.fullmatch(r"(\*\.)?[\w-]+(\.[\w-]+)*|\[[0-9a-fA-F:.]+\]", host, re.ASCII):
        raise ValueError(
            f"--allowed-hosts has {host!r}; expected a name such as crnn.example.org or "
            "*.example.org, without a port"
        )


def check_prefix(prefix: str) -> None:
    """Raise ValueError unless a URL that starts with ``prefix`` can only be of its server."""
    scheme, _, rest = prefix.partition("://")
    host, slash, _ = rest.partition("/")
    if scheme not in ("http", "https") or not host or not slash or "@" in host:
        raise ValueError(
            f"--allowed-urls has {prefix!r}; expected http:// or https://, a host and a path that "
            "starts with /, such as https://pictures.example/crops/"
        )


def from_arguments(arguments: Mapping[str, Any]) -> ServeSettings:
    """Settings from flat or nested arguments of ``jobs.serve:app``.

    Raises:
        ValueError: for one that is unknown, or has another type or range.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(ServeSettings, args=[*current_flags(as_flags(arguments))])
    except SystemExit:
        why = " ".join(re.sub(r"[─│╭╮╰╯]+", " ", said.getvalue()).split())
        names = ", ".join(field.name for field in fields(ServeSettings))
        raise ValueError(
            f"the arguments {dict(arguments)} are wrong: {why.partition('For full helptext')[0]}; "
            f"expected some of {names}, as 'python jobs/serve.py --help' explains them"
        ) from None


def as_flags(arguments: Mapping[str, Any]) -> list[str]:
    """Arguments of ``jobs.serve:app``, flat or nested, as flags.

    ``serve run jobs.serve:app limits.pictures=16`` gives texts, a configuration file values.
    """
    flags: list[str] = []
    for key, value in arguments.items():
        name = str(key).replace("_", "-")
        if isinstance(value, Mapping):
            flags += as_flags({f"{key}.{inner}": entry for inner, entry in value.items()})
        elif value is True or value in ("true", "True"):
            flags.append(f"--{name}")
        elif value is False or value in ("false", "False"):
            *room, last = name.split(".")
            flags.append("--" + ".".join([*room, f"no-{last}"]))
        elif isinstance(value, (list, tuple)):
            flags += [f"--{name}", *map(str, value)] if value else []
        else:
            flags += [f"--{name}", str(value)]
    return flags
