"""A store that fails as real ones do: an HTTP proxy before an S3 endpoint.

What happens to a read of an object is in its key: ``throttled`` and ``broken`` ones are refused
twice before they are given (503 SlowDown, 500), ``failing`` ones are never given, ``cut`` ones
break off in the middle once, ``slow`` ones come in pieces, ``stalled`` ones send nothing once,
``forbidden`` ones are refused for good. The first writes of ``unwelcome`` ones are refused.
What is passed on is counted by method.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

REFUSALS = 2
WRITE_REFUSALS = 3
STALL_S = 60
_ERROR = "<?xml version='1.0'?><Error><Code>{code}</Code><Message>as asked</Message></Error>"


@contextmanager
def faulty(endpoint: str) -> Iterator[tuple[str, Counter[str]]]:
    """Address of the proxy, and how often each kind of fault was met."""
    met: Counter[str] = Counter()
    tried: Counter[str] = Counter()

    class Handler(_Handler):
        target = urlsplit(endpoint).netloc
        tries = tried
        faults = met

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", met
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    target: str
    tries: Counter[str]
    faults: Counter[str]

    def do_GET(self) -> None:
        key = urlsplit(self.path).path
        self.tries[key] += 1
        first, refused = self.tries[key] == 1, self.tries[key] <= REFUSALS
        if "forbidden" in key:
            return self._refuse("forbidden", 403, "AccessDenied")
        if "failing" in key:
            return self._refuse("failing", 500, "InternalError")
        if "throttled" in key and refused:
            return self._refuse("throttled", 503, "SlowDown")
        if "broken" in key and refused:
            return self._refuse("broken", 500, "InternalError")
        if "stalled" in key and first:
            self.faults["stalled"] += 1
            time.sleep(STALL_S)
            self.close_connection = True
            return None
        return self._forward(cut="cut" in key and first, slow="slow" in key)

    def do_HEAD(self) -> None:
        self._forward()

    do_POST = do_DELETE = do_HEAD

    def do_PUT(self) -> None:
        key = urlsplit(self.path).path
        self.tries[key] += 1
        if "unwelcome" not in key or self.tries[key] > WRITE_REFUSALS:
            return self._forward()
        self.rfile.read(int(self.headers.get("Content-Length") or 0)) or self._chunked()
        return self._refuse("unwelcome", 503, "ServiceUnavailable")

    def log_message(self, *args: object) -> None:
        """Nothing: a test's output is its own."""

    def _refuse(self, kind: str, status: int, code: str) -> None:
        self.faults[kind] += 1
        body = _ERROR.format(code=code).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/xml")
        self.end_headers()
        self.wfile.write(body)

    def _forward(self, *, cut: bool = False, slow: bool = False) -> None:
        self.faults[self.command] += 1
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else self._chunked()
        upstream = http.client.HTTPConnection(self.target, timeout=30)
        headers = {k: v for k, v in self.headers.items() if k.lower() != "transfer-encoding"}
        if body:
            headers["Content-Length"] = str(len(body))
        upstream.request(self.command, self.path, body=body or None, headers=headers)
        answer = upstream.getresponse()
        data = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(name, value)
        size = answer.getheader("Content-Length") if self.command == "HEAD" else len(data)
        self.send_header("Content-Length", str(size or 0))
        self.end_headers()
        upstream.close()
        if self.command != "HEAD":
            self._send(data, cut=cut, slow=slow)

    def _send(self, data: bytes, *, cut: bool, slow: bool) -> None:
        if cut:
            self.faults["cut"] += 1
            self.wfile.write(data[: len(data) // 2])
            self.close_connection = True
        elif slow:
            self.faults["slow"] += 1
            piece = max(1, len(data) // 4)
            for start in range(0, len(data), piece):
                self.wfile.write(data[start : start + piece])
                self.wfile.flush()
                time.sleep(0.3)
        else:
            self.wfile.write(data)

    def _chunked(self) -> bytes:
        """The body of a request that gives its length piece by piece; else empty."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return b""
        found = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            found.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(found)
