"""A service from its start to its end, in the program that a person started.

Ray takes its settings from the environment when it is imported: nothing here imports it before
``ingress`` has set them.
"""

from __future__ import annotations

import http.client
import logging
import os
import shlex
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from crnn.errors import CrnnError
from jobs.serving import ingress
from jobs.serving.access import read_token
from jobs.serving.settings import BACKSTOP_S, Here, ServeSettings

if TYPE_CHECKING:
    from jobs.serving.shipped import Chosen

_POLL_S = 0.1
_READY_S = 120.0
_PROXIES_S = 300.0
_EXAMPLE = "picture.png"
_MISSING = (
    "\nThe cluster has this project, but not its dependencies: install them on every node, in "
    "the environment in which 'ray start' runs"
)


def run(here: Here, settings: ServeSettings) -> None:
    """Serve until SIGINT or SIGTERM; then answer what has come, and end.

    Raises:
        ValueError: for arguments that can't work here.
        CrnnError: for a bundle that can't be served.
    """
    signals = Signals()
    has_token = bool(read_token(settings.token_file))
    joins = _joins(here)
    settings = settings.placed(0 if joins else len(os.sched_getaffinity(0)))
    with tempfile.TemporaryDirectory(prefix="crnn-serve-") as folder:
        if not joins:
            _prepare(here, settings, Path(folder))
        from jobs.serving.shipped import chosen

        bundle = chosen(settings)
        print(f"bundle: {bundle.settings.bundle} ({bundle.why})", flush=True)
        with _cluster(here, settings), _deployed(here, bundle):
            _wait_until_ready(here)
            print(how_to_ask(here, bundle, has_token=has_token))
            print("ready; Ctrl-C ends it", flush=True)
            while signals.wait() == signal.SIGHUP:
                bundle = _rolled(here, settings, bundle)
            print("stopping: answering the requests that have arrived", flush=True)
    print("ended", flush=True)


def _joins(here: Here) -> bool:
    """Whether the service goes to a cluster that runs already."""
    return bool(here.address or os.environ.get("RAY_ADDRESS"))


def _prepare(here: Here, settings: ServeSettings, folder: Path) -> None:
    """Everything that a cluster started here is to find."""
    ingress.check_free(here.host, here.port)
    kind = ingress.choose(here)
    ingress.apply(ingress.environment(kind, settings, folder))
    print(f"ingress: {kind}", flush=True)


class Signals:
    """SIGINT and SIGTERM interrupt until ``wait`` is called, and are what it returns then."""

    def __init__(self) -> None:
        self._came: list[int] = []
        self._event = threading.Event()
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def wait(self) -> int:
        """The number of the next signal; SIGHUP is one too."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note)
        while not self._came:
            self._event.wait(1.0)
        self._event.clear()
        return self._came.pop(0)

    def _note(self, number: int, frame: object) -> None:
        self._came.append(number)
        self._event.set()


def how_to_ask(here: Here, bundle: Chosen, *, has_token: bool) -> str:
    """The address, and a command line that asks."""
    address = url(here)
    command = ["curl", "-F", f"files=@{_EXAMPLE}", f"{address}/v1/recognize"]
    token = ' -H "Authorization: Bearer $(cat TOKEN_FILE)"' if has_token else ""
    return (
        f"model: {bundle.name}, {bundle.settings.digest[:12]}\n"
        f"address: {address} (a page to try it), {address}/docs\n"
        f"example: {shlex.join(command)}{token}"
    )


def url(here: Here) -> str:
    """Where the service can be reached."""
    host = socket.gethostname() if here.host in ("0.0.0.0", "::") else here.host
    return f"http://[{host}]:{here.port}" if ":" in host else f"http://{host}:{here.port}"


@contextmanager
def _cluster(here: Here, settings: ServeSettings) -> Iterator[None]:
    import ray

    from jobs.cluster import connect
    from jobs.serving.agreement import differences

    with _said_plainly():
        connect(
            here.address or None,
            local_cpus=settings.max_replicas * settings.cpus_per_replica,
            takes_jobs=settings.bulk.enabled,
            brings_project=True,
        )
    if _joins(here):  # else this process has set what the front end finds
        for difference in differences(settings.limits):
            print(f"note: {difference}", flush=True)
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _deployed(here: Here, bundle: Chosen) -> Iterator[None]:
    """The application, running; at the end its replicas answer what they have.

    What listens goes with a cluster that was started here; another one's stays.
    """
    from ray import serve  # reads the environment when it is imported

    from jobs.serving.deployment import application

    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    http_options = {
        "host": here.host,
        "port": here.port,
        "request_timeout_s": bundle.settings.longest_request_s + BACKSTOP_S,
    }
    # A cluster that runs already has no environment of ours; its controller can be given one.
    controller = {"runtime_env": {"env_vars": ingress.PATIENCE}} if _joins(here) else None
    try:
        with _said_plainly():
            _patiently(
                lambda: serve.start(http_options=http_options, controller_options=controller)
            )
            _patiently(
                lambda: serve.run(application(bundle.settings), name=here.name, route_prefix="/")
            )
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        serve.delete(here.name)


def _patiently(step: Callable[[], object]) -> None:
    """``step``; again, for minutes, where Serve's proxy starts later than Serve waits for it.

    Both steps may be repeated: Serve joins what the first try began.
    """
    from ray.exceptions import RayActorError

    deadline, said = time.monotonic() + _PROXIES_S, False
    while True:
        try:
            step()
            return
        except (TimeoutError, RayActorError):
            if time.monotonic() > deadline:
                raise
        if not said:
            print("note: waiting for Serve's proxy: this machine is busy", flush=True)
        said = True
        time.sleep(1.0)


@contextmanager
def _said_plainly() -> Iterator[None]:
    """What Ray raises where a service can't start, as an error of ours."""
    from ray.exceptions import RayError

    from jobs.failures import text_of

    try:
        yield
    except (ConnectionError, TimeoutError, RuntimeError, RayError) as error:
        text = text_of(error)
        remedy = _MISSING if "No module named" in text else ""
        raise CrnnError(f"the service didn't start: {text}{remedy}") from error


def _rolled(here: Here, settings: ServeSettings, bundle: Chosen) -> Chosen:
    """The bundle that lies at the address now, once all replicas use it; or the old one."""
    from ray import serve

    from jobs.serving.deployment import application
    from jobs.serving.shipped import chosen

    try:
        new = chosen(settings)
        if new.settings == bundle.settings:
            print(f"bundle: {new.settings.bundle} has not changed", flush=True)
            return bundle
        serve.run(application(new.settings), name=here.name, route_prefix="/")
    except (CrnnError, ValueError, OSError, RuntimeError) as error:
        print(f"bundle refused, the old one stays in use: {error}", flush=True)
        return bundle
    print(f"bundle: {new.settings.bundle} is in use, {new.settings.digest[:12]}", flush=True)
    return new


def _wait_until_ready(here: Here) -> None:
    """Return when the service answers so through its ingress."""
    host = "127.0.0.1" if here.host in ("0.0.0.0", "::") else here.host
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection(host, here.port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(_POLL_S)
    raise CrnnError(
        f"the replicas run, but nothing answers at {host}:{here.port} within {_READY_S:.0f} s; "
        "a cluster that runs already may listen elsewhere: see 'serve config'"
    )
