"""Runs HAProxy for Ray Serve with its side doors shut. Started as a program; imports nothing of us.

    python haproxy.py /path/of/haproxy FOLDER-OF-ANSWERS -f CONFIG …

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
import os
import re
import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crnn.wire import ProblemCode

_SET_PARENT_DEATH_SIGNAL = 1
_HEAD_S = 30
"""For a request's line and headers; Serve sets no bound."""
_SLOW = f"no whole head within {_HEAD_S} s"
ANSWERS: dict[str, tuple[ProblemCode, str, str]] = {
    "400": ("malformed", "this is no HTTP request, or its head is too large", "not valid HTTP/1.1"),
    "408": ("slow_request", _SLOW, _SLOW),
    "413": ("malformed", "no chunks in HTTP/1.0", "no chunks in HTTP/1.0"),
    "422": ("malformed", "Transfer-Encoding isn't chunked", "Transfer-Encoding isn't chunked"),
    "500": ("internal", "the service failed on this request", "failed"),
    "502": ("unavailable", "the replica was lost; send it again", ""),
    "503": ("unavailable", "no replica is ready; try again later", ""),
    "504": ("timed_out", "no answer in time; send it again", ""),
}
"""The problem in place of HAProxy's code, its detail, and a brief one where the text is within the
program: there is as much room as HAProxy's own takes. ``jobs.serving.ingress`` writes them."""
WHOLE, BRIEF = ".http", ".brief"
"""Endings of their files."""
_ITS_OWN = re.compile(rb"HTTP/1\.1 (\d{3}) [^\0]*\r\n\r\n<html>[^\0]*\0")
"""An answer within the program: a C string."""


def confined(config: str, folder: Path, answers: Path) -> str:
    """Serve's configuration with its side doors as sockets in ``folder``, and our ``answers``.

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
    ours = [f"errorfile {code} {answers}/{code}{WHOLE}" for code in ANSWERS]
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


def answering(program: bytes, answers: Mapping[str, bytes]) -> bytes:
    """HAProxy's program with ours of these answers, by code, to what it can't parse.

    Each is written over one that is at least as long, so that nothing else moves. A program
    without them, such as a later HAProxy, comes back as it was.
    """

    def ours(found: re.Match[bytes]) -> bytes:
        answer, room = answers.get(found[1].decode(), b""), len(found[0])
        return answer.ljust(room, b"\0") if 0 < len(answer) < room else found[0]

    return _ITS_OWN.sub(ours, program)


def _copy(binary: Path, folder: Path, answers: Path) -> Path:
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
    brief = {path.stem: path.read_bytes() for path in answers.glob(f"*{BRIEF}")}
    being_written.write_bytes(answering(binary.read_bytes(), brief))
    shutil.copymode(binary, being_written)
    being_written.rename(ours)
    return ours


def main(arguments: list[str]) -> None:
    """Become HAProxy, once its configuration is ours."""
    given, answers, *rest = arguments
    path = Path(rest[rest.index("-f") + 1])
    ours = path.with_suffix(".confined.cfg")
    ours.write_text(confined(path.read_text(), path.parent, Path(answers)))
    rest[rest.index("-f") + 1] = str(ours)
    binary = _copy(Path(given), path.parent, Path(answers))
    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    os.execv(binary, [given, *rest])


if __name__ == "__main__":
    main(sys.argv[1:])
