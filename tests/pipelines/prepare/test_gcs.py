"""Google's object store, as an emulator on this machine gives it over HTTP."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests

from crnn.errors import DataError
from crnn.files import storage
from pipelines.prepare import PrepareConfig, begin, carry_out
from pipelines.recognition.listing import list_inputs
from pipelines.sources import open_source
from pipelines.stores import file_at, files_at, names_in
from pipelines.versions import newer_version
from tests.pipelines.conftest import encoded
from tests.pipelines.prepare.outputs import samples_of
from tests.pipelines.sources.made import tar

BUCKET = "bucket"


@pytest.fixture(scope="module")
def gcs() -> Iterator[str]:
    """Options for addresses of the emulator's bucket.

    It is a process of its own: Arrow keeps this one's threads waiting while it asks for a file.
    """
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        host, port = unused.getsockname()
    command = f"start --host {host} --port {port} --in-memory --default-bucket {BUCKET}"
    start = "from gcp_storage_emulator.__main__ import main; main()"
    with subprocess.Popen([sys.executable, "-c", start, *command.split()]) as emulator:
        while emulator.poll() is None and not is_open(host, port):
            time.sleep(0.05)
        yield f"?endpoint_override={host}:{port}&scheme=http&anonymous=true"
        emulator.kill()


def is_open(host: str, port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((host, port)) == 0


@pytest.fixture(scope="module")
def paged(gcs: str) -> Iterator[str]:
    """The same bucket behind a server that lists three objects a page, each page at second try.

    The emulator gives all of a listing at once, which Google's store doesn't.
    """
    emulator = parse_qs(gcs[1:])["endpoint_override"][0]
    failed = set[str]()

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path not in failed:
                failed.add(self.path)
                self.send_error(503)
                return
            address = urlsplit(self.path)
            query = parse_qs(address.query)
            start = int(query.pop("pageToken", ["0"])[0])
            url = f"http://{emulator}{address.path}?{urlencode(query, doseq=True)}"
            answer = requests.get(url, timeout=60).json()
            more = len(answer["items"]) > start + 3
            answer["items"] = answer["items"][start : start + 3]
            answer["prefixes"] = [] if more else answer.get("prefixes", [])
            body = json.dumps(answer | ({"nextPageToken": str(start + 3)} if more else {}))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"?endpoint_override=127.0.0.1:{server.server_port}&scheme=http&anonymous=true"
        server.shutdown()


def test_a_listing_comes_page_by_page(gcs: str, paged: str) -> None:
    names = sorted([*(f"a%{number}ü+.png" for number in range(7)), "below/x.png", "below/y.png"])
    for name in names:
        storage.write_bytes(f"gs://{BUCKET}/many/{name}{gcs}", name.encode())
    rows = list(files_at(f"gs://{BUCKET}/many{paged}"))
    assert [row["uri"] for row in rows] == [f"gs://{BUCKET}/many/{name}{paged}" for name in names]
    assert [row["size"] for row in rows] == [len(name.encode()) for name in names]
    assert len({row["etag"] for row in rows}) == len(names)
    assert sorted(names_in(f"gs://{BUCKET}/many/{paged}")) == sorted(
        [*((name, False) for name in names[:7]), ("below", True)]
    )
    with pytest.raises(DataError, match=r"can't list gs://nowhere/.*404.*credentials"):
        list(files_at(f"gs://nowhere/x{gcs}"))


def test_a_version_is_told_from_the_next_by_what_a_listing_gives(gcs: str) -> None:
    folder, uri = f"gs://{BUCKET}/versions{gcs}", f"gs://{BUCKET}/versions/a.png{gcs}"
    told = set[str]()
    for content in (b"1", b"22"):
        storage.write_bytes(uri, content)
        now, read = (
            {next(files_at(folder))["etag"], file_at(uri)["etag"]},
            storage.read_version(uri),
        )
        assert {newer_version(uri, etag, read) for etag in now} == {""}
        assert {newer_version(uri, etag, read) for etag in told} <= now
        told |= now
    assert len(told) == 4


@pytest.mark.usefixtures("local_ray")
@pytest.mark.parametrize("kind", ["labels", "webdataset"])
def test_a_source_on_gcs_to_gcs(kind: str, gcs: str) -> None:
    words = {f"w{number} ü+%": encoded(str(number)) for number in range(7)}
    source, out = (f"gs://{BUCKET}/{kind} {name}{gcs}" for name in ("source", "out"))
    if kind == "labels":
        lines = "".join(f"i/{word}.jpg\t{word}\n" for word in words)
        storage.write_bytes(storage.join(source, "labels.tsv"), lines.encode())
        for word, data in words.items():
            storage.write_bytes(storage.join(source, f"i/{word}.jpg"), data)
    else:
        members: dict[str, bytes | str] = {}
        for word, data in words.items():
            members |= {f"{word}.jpg": data, f"{word}.txt": word}
        storage.write_bytes(storage.join(source, "s.tar"), tar(members))
    (made,) = carry_out(begin([source], out, PrepareConfig(part_rows=3)))
    assert {row["text"]: row["image"] for row in samples_of(out, made.manifest)} == words
    assert (made.missing.count, made.unlabelled.count) == (0, 0)
    (again,) = carry_out(begin([source], out, PrepareConfig(part_rows=3)))
    assert again.was_complete
    prepared = f"gs://{BUCKET}/{kind} prepared{gcs}"
    (anew,) = carry_out(begin([out], prepared, PrepareConfig()))
    assert anew.manifest.count == 7


def test_names_that_look_like_patterns_are_read_literally(gcs: str) -> None:
    name, decoy = "x[1]*?.png", "x1aa.png"
    folder = storage.join(f"gs://{BUCKET}{gcs}", "set [2024]")
    picture = encoded("literal")
    storage.write_bytes(storage.join(folder, name), picture)
    storage.write_bytes(storage.join(folder, decoy), encoded("decoy"))
    storage.write_bytes(storage.join(folder, "labels.tsv"), f"{name}\ta\n".encode())
    source = open_source(folder)
    (item,) = source.items()
    assert (item.id, item.text, source.read([item])) == (name, "a", [picture])
    for asked, found in ((name, {name}), ("x[1]*.png", {decoy}), ("x*.png", {name, decoy})):
        listed = [page["uri"].to_pylist() for page in list_inputs(storage.join(folder, asked))]
        assert {uri for page in listed for uri in page} == {storage.join(folder, n) for n in found}
