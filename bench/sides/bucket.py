"""A bucket of pictures as S3 gives it, with little work for an answer; it counts its requests.

``python bucket.py FOLDER KEYS`` prints its port. Keys are ``many/00000000.jpg`` and so on, whose
bytes are those of the folder's files over and over. ``/__counts__`` tells requests and CPU seconds.
"""

from __future__ import annotations

import asyncio
import bisect
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import md5
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from urllib.request import ProxyHandler, build_opener

BUCKET, FOLDER = "pictures", "many"
_ACCESS = {
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "AWS_DEFAULT_REGION": "us-east-1",
    "NO_PROXY": "127.0.0.1",
}
_PAGE_KEYS = 1000
_SINCE = "Last-Modified: Tue, 01 Dec 2026 00:00:00 GMT\r\n"
_NONE = "<Error><Code>NoSuchKey</Code></Error>"


@contextmanager
def served(folder: Path, keys: int) -> Iterator[str]:
    """Host and port of such a bucket, in a process of its own; sets this one's credentials."""
    command = [sys.executable, __file__, str(folder), str(keys)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            host = f"127.0.0.1:{server.stdout.readline().strip()}"
            os.environ |= _ACCESS
            yield host
        finally:
            server.kill()


def address(host: str) -> str:
    """That of its pictures."""
    return f"s3://{BUCKET}/{FOLDER}?endpoint_override={host}&scheme=http"


def counts(host: str) -> dict[str, float]:
    """Its requests since it began, by method, and its CPU seconds."""
    with build_opener(ProxyHandler({})).open(f"http://{host}/__counts__") as answer:
        found: dict[str, float] = json.load(answer)
        return found


class _Bucket:
    """What it holds, and how often it was asked."""

    def __init__(self, folder: Path, keys: int) -> None:
        self._files = [path.read_bytes() for path in sorted(folder.iterdir())]
        self._tags = [md5(data, usedforsecurity=False).hexdigest() for data in self._files]
        self._keys = [f"{FOLDER}/{number:08d}.jpg" for number in range(keys)]
        self._places = {key: number for number, key in enumerate(self._keys)}
        self._counts: Counter[str] = Counter()

    def answer(self, request: bytes) -> bytes:
        """The answer to a request without a body."""
        method, target = request.split(b" ", 2)[:2]
        address = urlsplit(target.decode())
        if address.path == "/__counts__":
            cpu = {"cpu_s": time.process_time()}
            asked = {name: self._counts[name] for name in ("GET", "HEAD", "LIST")}
            return _response("200 OK", json.dumps(asked | cpu).encode())
        is_listing = "list-type" in address.query
        self._counts["LIST" if is_listing else method.decode()] += 1
        if is_listing:
            return _response("200 OK", self._listing(parse_qs(address.query)).encode())
        number = self._places.get(unquote(address.path).removeprefix(f"/{BUCKET}/"))
        data = _NONE.encode() if number is None else self._files[number % len(self._files)]
        status, more = "404 Not Found", ""
        if number is not None:
            status, more = "200 OK", f'ETag: "{self._tags[number % len(self._tags)]}"\r\n{_SINCE}'
            if b"\nrange: bytes=" in request.lower():  # all that is asked for is whole pictures
                status = "206 Partial Content"
                more += f"Content-Range: bytes 0-{len(data) - 1}/{len(data)}\r\n"
        return _response(status, data, more, bare=method == b"HEAD")

    def _listing(self, query: dict[str, list[str]]) -> str:
        prefix = query.get("prefix", [""])[0]
        after = query.get("continuation-token", [prefix])[0]
        start = bisect.bisect_left(self._keys, after)
        past = start + min(_PAGE_KEYS, int(query.get("max-keys", ["1000"])[0]))
        page = [key for key in self._keys[start:past] if key.startswith(prefix)]
        more = past < len(self._keys) and len(page) == past - start
        entries = "".join(
            f"<Contents><Key>{key}</Key><LastModified>2026-12-01T00:00:00.000Z</LastModified>"
            f"<ETag>&quot;{self._tags[at]}&quot;</ETag><Size>{len(self._files[at])}</Size>"
            "</Contents>"
            for number, key in enumerate(page, start)
            for at in [number % len(self._files)]
        )
        token = f"<NextContinuationToken>{self._keys[past]}</NextContinuationToken>" if more else ""
        return (
            f"<?xml version='1.0'?><ListBucketResult><Name>{BUCKET}</Name>"
            f"<KeyCount>{len(page)}</KeyCount><IsTruncated>{str(more).lower()}</IsTruncated>"
            f"{token}{entries}</ListBucketResult>"
        )


def _response(status: str, body: bytes, more: str = "", *, bare: bool = False) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode()
    return head if bare else head + body


class _Connection(asyncio.Protocol):
    def __init__(self, bucket: _Bucket) -> None:
        self._bucket, self._waiting = bucket, b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *requests, self._waiting = (self._waiting + data).split(b"\r\n\r\n")
        for request in requests:
            self._transport.write(self._bucket.answer(request))


async def _serve(folder: Path, keys: int) -> None:
    loop, bucket = asyncio.get_running_loop(), _Bucket(folder, keys)
    server = await loop.create_server(partial(_Connection, bucket), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2])))
