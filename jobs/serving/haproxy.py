"""Runs HAProxy for Ray Serve with its side doors shut. Started as a program; imports nothing of us.

    python haproxy.py /path/of/haproxy -f CONFIG …

Serve lets HAProxy listen with its metrics and its statistics on every interface, at fixed ports,
and answer 500 when no replica can. Serve's only way in is the path of the binary: what is started
instead is this. It turns those two doors into sockets beside the configuration, gives problem
details as answers, and has HAProxy end with the process that started it.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import sys
from pathlib import Path

_SET_PARENT_DEATH_SIGNAL = 1
_HEAD_S = 30
"""For a request's line and headers; Serve sets no bound."""
_ANSWERS = {  # what isn't HTTP at all gets HAProxy 2.8's own text in HTML (its issue 3032)
    "400": (400, "Bad Request", "malformed", "this is no HTTP request, or its head is too large"),
    "408": (408, "Request Timeout", "slow_request", f"no whole head within {_HEAD_S} s"),
    "422": (422, "Unprocessable Content", "malformed", "the Transfer-Encoding isn't chunked alone"),
    "500": (500, "Internal Server Error", "internal", "the service failed on this request"),
    "502": (503, "Service Unavailable", "unavailable", "the replica was lost; send it again"),
    "503": (503, "Service Unavailable", "unavailable", "no replica is ready; try again later"),
    "504": (504, "Gateway Timeout", "timed_out", "no answer in time; send it again"),
}


def confined(config: str, folder: Path) -> str:
    """Serve's configuration with its side doors as sockets in ``folder``, and our answers.

    Raises:
        ValueError: where a door isn't there to be shut, or another one is open: this Ray writes
            another configuration than the one that was known.
    """
    bind, socket = r"\n\s*bind )\S+", rf"\g<1>unix@{folder}"
    config = _replaced(rf"(\nfrontend prometheus{bind}", rf"{socket}/prometheus.sock", config)
    config = _replaced(rf"(\nlisten stats{bind}", rf"{socket}/stats.sock", config)
    config = _replaced(r"(\n\s*stats socket \S+ mode )666", r"\g<1>600", config)
    config = _replaced(
        r"(\nbackend default_backend\n\s*http-request return )[^\n]*",
        r"\g<1>status 503 default-errorfiles",
        config,
    )
    config = re.sub(r"\n *errorfile [^\n]*", "", config)
    ours = [f"errorfile {code} {folder}/{code}.http" for code in _ANSWERS]
    ours.append(f"timeout http-request {_HEAD_S}s")
    config = _replaced(r"\ndefaults\n", "\n    ".join(["\ndefaults", *ours]) + "\n", config)
    _check_doors(config)
    return config


def _replaced(pattern: str, by: str, config: str) -> str:
    found, count = re.subn(pattern, by, config)
    if count != 1:
        raise ValueError(
            f"Ray Serve's configuration of HAProxy has {pattern!r} {count} times, expected once; "
            "use the Ray that requirements.lock names, or give --ingress proxy"
        )
    return found


def _check_doors(config: str) -> None:
    """That what listens is the frontend that was asked for, and sockets in our folder."""
    place, opened = "", []
    for line in config.splitlines():
        words = line.split()
        if words and not line[0].isspace():
            place = " ".join(words[:2])
        elif words[:1] == ["bind"] and not words[1].startswith("unix@"):
            opened.append(place)
    if opened != ["frontend http_frontend"]:
        raise ValueError(
            f"HAProxy would listen for {opened}, expected for ['frontend http_frontend'] alone; "
            "use the Ray that requirements.lock names, or give --ingress proxy"
        )


def answer(code: str) -> str:
    """The whole HTTP answer in place of HAProxy's ``code``."""
    status, title, name, detail = _ANSWERS[code]
    problem = {"type": f"/docs#{name}", "title": title, "status": status, "code": name}
    body = json.dumps(problem | {"detail": detail})
    again = "" if code in ("400", "422") else "Retry-After: 1\r\n"
    return (
        f"HTTP/1.1 {status} {title}\r\nContent-Type: application/problem+json\r\n{again}"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
    )


def main(arguments: list[str]) -> None:
    """Become HAProxy, once its configuration is ours."""
    binary, *rest = arguments
    path = Path(rest[rest.index("-f") + 1])
    for code in _ANSWERS:
        (path.parent / f"{code}.http").write_text(answer(code), newline="")
    ours = path.with_suffix(".confined.cfg")
    ours.write_text(confined(path.read_text(), path.parent))
    rest[rest.index("-f") + 1] = str(ours)
    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    os.execv(binary, [binary, *rest])


if __name__ == "__main__":
    main(sys.argv[1:])
