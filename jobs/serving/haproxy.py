"""Runs HAProxy for Ray Serve with its side doors shut. Started as a program; imports nothing of us.

    python haproxy.py /path/of/haproxy -f CONFIG …

Serve lets HAProxy listen with its metrics and its statistics on every interface, at fixed ports,
and answer 500 when no replica can. Serve's only way in is the path of the binary: what is started
instead is this. It turns those two doors into sockets beside the configuration, gives problem
details as answers, and has HAProxy end with the process that started it.

HAProxy before 3.2 asks no ``errorfile`` about a request that it can't parse (its issue 3032): what
it says then, in HTML, is in the program itself. So what runs is a copy that says it as problem
details. A newer HAProxy needs none of it, and its texts may be left as they are.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import signal
import sys
from pathlib import Path

_SET_PARENT_DEATH_SIGNAL = 1
_HEAD_S = 30
"""For a request's line and headers; Serve sets no bound."""
_ANSWERS = {
    "400": (400, "Bad Request", "malformed", "this is no HTTP request, or its head is too large"),
    "408": (408, "Request Timeout", "slow_request", f"no whole head within {_HEAD_S} s"),
    "413": (400, "Bad Request", "malformed", "no chunks in HTTP/1.0"),
    "422": (400, "Bad Request", "malformed", "Transfer-Encoding isn't chunked"),
    "500": (500, "Internal Server Error", "internal", "the service failed on this request"),
    "502": (503, "Service Unavailable", "unavailable", "the replica was lost; send it again"),
    "503": (503, "Service Unavailable", "unavailable", "no replica is ready; try again later"),
    "504": (504, "Gateway Timeout", "timed_out", "no answer in time; send it again"),
}
_ITS_OWN = re.compile(rb"HTTP/1\.1 (\d{3}) [^\0]*\r\n\r\n<html>[^\0]*\0")
"""An answer within the program: a C string."""
_BRIEFLY = {  # there is as much room as HAProxy's own text takes
    "400": "not valid HTTP/1.1",
    "408": f"no whole head within {_HEAD_S} s",
    "413": _ANSWERS["413"][-1],
    "422": _ANSWERS["422"][-1],
    "500": "failed",
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
        r"\g<1>status 400 default-errorfiles if !{ path -m beg / }"
        r"\n    http-request return status 503 default-errorfiles",
        config,
    )
    # A wish for another protocol, which uvicorn would lose the body over: RFC 9110, 7.8, lets go.
    config = _replaced(
        r"(\nfrontend http_frontend\n)", r"\g<1>    http-request del-header upgrade\n", config
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
    status, title, _, detail = _ANSWERS[code]
    again = "" if status == 400 else "Retry-After: 1\r\n"
    return _response(f"{status} {title}", again, _problem(code, detail))


def _response(status: str, headers: str, body: str) -> str:
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: application/problem+json\r\n{headers}"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
    )


def _problem(code: str, detail: str) -> str:
    status, title, name, _ = _ANSWERS[code]
    members = {"type": f"/docs#{name}", "title": title, "status": status, "code": name}
    return json.dumps(members | {"detail": detail}, separators=(",", ":"))


def answering(program: bytes) -> bytes:
    """HAProxy's program with problem details in place of its own answers to what it can't parse.

    Each is written over one that is at least as long, so that nothing else moves. A program
    without them, such as a later HAProxy, comes back as it was.
    """
    return _ITS_OWN.sub(_ours, program)


def _ours(found: re.Match[bytes]) -> bytes:
    code, room = found[1].decode(), len(found[0])
    if code not in _BRIEFLY:
        return found[0]
    ours = _response(f"{_ANSWERS[code][0]} ", "", _problem(code, _BRIEFLY[code])).encode()
    return ours.ljust(room, b"\0") if len(ours) < room else found[0]


def _copy(binary: Path, folder: Path) -> Path:
    """The program that answers as we do, beside a link to the libraries that it looks for there.

    Serve starts a new HAProxy while the previous one still runs: what is there already is taken.
    """
    ours = folder / "answering" / "haproxy"
    if ours.exists():
        return ours
    ours.parent.mkdir(exist_ok=True)
    libraries = ours.parent / "lib"
    if not libraries.is_symlink():
        libraries.symlink_to(binary.resolve().parent / "lib")
    being_written = ours.with_suffix(f".{os.getpid()}")
    being_written.write_bytes(answering(binary.read_bytes()))
    shutil.copymode(binary, being_written)
    being_written.rename(ours)
    return ours


def main(arguments: list[str]) -> None:
    """Become HAProxy, once its configuration is ours."""
    given, *rest = arguments
    path = Path(rest[rest.index("-f") + 1])
    for code in _ANSWERS:
        (path.parent / f"{code}.http").write_text(answer(code), newline="")
    ours = path.with_suffix(".confined.cfg")
    ours.write_text(confined(path.read_text(), path.parent))
    rest[rest.index("-f") + 1] = str(ours)
    binary = _copy(Path(given), path.parent)
    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    os.execv(binary, [given, *rest])


if __name__ == "__main__":
    main(sys.argv[1:])
