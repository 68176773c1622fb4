"""A service with a token, allowed URLs and tight bounds, and the pictures that it may fetch."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.jobs.serving.services import SHIPPED, Service, ready, word_pictures

TOKEN = "correct-horse-battery-staple"
BODY_MIB = 1
BOUNDS = (
    *("--limits.request-s", "6", "--limits.pictures", "20", "--limits.body-mb", str(BODY_MIB)),
    *("--limits.held-mb", "2", "--online.queue-pictures", "20", "--online.queue-mb", "2"),
    *("--online.decode-timeout-s", "8"),  # a picture may outlast the request that brought it
)


@dataclass
class Pictures:
    """A web server with pictures, and with traps; it notes what it was asked for."""

    url: str = ""
    asked: list[str] = field(default_factory=list)


@contextmanager
def offered() -> Iterator[Pictures]:
    noted = Pictures()
    picture = word_pictures(1)[0]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            noted.asked.append(self.path)
            if self.path.startswith("/open/moved"):
                self.send_response(302)
                self.send_header("Location", "/private/secret.png")
                self.end_headers()
                return
            found = self.path.endswith(".png")
            body = bytes(3 << 20) if "huge" in self.path else picture
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    noted.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield noted
    server.shutdown()
    server.server_close()


@contextmanager
def guarded_service(folder: Path, pictures: Pictures, *flags: str) -> Iterator[Service]:
    """One that asks for the token, logs every request and takes bulk jobs."""
    token_file = folder / "token"
    token_file.write_text(f"{TOKEN}\n")
    token_file.chmod(0o600)
    arguments = ("--bundle", str(SHIPPED), "--token-file", str(token_file), "--access-log", *BOUNDS)
    given = ("--allowed-urls", f"{pictures.url}/open/", "--bulk.prefixes", str(folder / "data"))
    with ready(folder, *arguments, *given, *flags) as running:
        yield running
