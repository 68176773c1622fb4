"""What the jobs ask of an object store, counted; and what a listing costs the one who reads it.

``requests``: a bulk job and a training stream, without Ray, against a local S3 server that counts.
``listing``: pages of a thousand keys as S3 words them, from a server that has nothing else to do.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from bench.sides.scale_rates import samples_of, stream_config
from pipelines.recognition import BulkConfig, plan_work
from pipelines.recognition.finished import read_parts
from pipelines.recognition.listing import list_inputs
from pipelines.recognition.plan import Ledger
from pipelines.recognition.reader import ChunkReader
from pipelines.recognition.summary import summarise, write_summary
from pipelines.recognition.sweep import sweep
from pipelines.shards import ShardWriter, finish
from pipelines.stores import s3_client
from pipelines.stream.assemble import assemble_chunk
from pipelines.stream.flow import load_source
from pipelines.stream.plan import epoch_chunks
from pipelines.stream.scan import _scan_pieces

Figures = dict[str, float]
BUCKET = "bucket"
COUNTED = ["text", "confidence", "error_code", "model"]
"""Columns that the report at the end of a bulk job reads of each results file."""
_LIST_KEYS = 1000


def requests(bundle: str, pictures: int = 1024, group_rows: int = 64) -> Figures:
    """Requests a picture, a chunk, a plan, a run of the bulk job; a row group of the stream."""
    with _counting() as counts:
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        samples = samples_of(256)
        for number in range(pictures):
            body = samples[number % len(samples)]["image"]
            client.put_object(Bucket=BUCKET, Key=f"crops/{number:08d}.jpg", Body=body)
        counts.clear()
        ledger, chunks = _read(bundle)
        bulk = dict(counts)
        counts.clear()
        for _ in read_parts(ledger.parts(), COUNTED):
            pass
        report = {f"report {name}": count for name, count in counts.items() if "results" in name}
        parts = f"s3://{BUCKET}/shards"
        with ShardWriter(parts, "0", row_group_rows=group_rows) as writer:
            writer.write(samples)
        finish(parts, [writer.close()], {})
        groups, passes = _stream_passes(parts, counts)
    found = {f"bulk {name}": count for name, count in bulk.items()} | report
    return found | {"pictures": pictures, "chunks": chunks, "groups": groups} | passes


def listing(keys: int) -> Figures:
    """CPU seconds a key of a bucket, and a row of a list."""
    ours, theirs = Pipe()
    server = Process(target=_list_server, args=(theirs, keys), daemon=True)
    server.start()
    options = f"?endpoint_override=127.0.0.1:{ours.recv()}&scheme=http&region=us-east-1"
    _environment("")
    s3_client(options)  # what the first client loads is paid once
    bucket_s, rows = _cpu(list_inputs(f"s3://{BUCKET}/crops{options}"))
    server.terminate()
    server.join()
    assert rows == keys
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = Path(folder) / "list.parquet"
        uris = [f"s3://{BUCKET}/crops/{i:012d}.jpg" for i in range(keys)]
        pq.write_table(pa.table({"uri": uris, "etag": [f"{i:032x}" for i in range(keys)]}), path)
        list_s, rows = _cpu(list_inputs(str(path)))
    assert rows == keys
    return {"bucket_key_s": bucket_s / keys, "list_row_s": list_s / keys}


def _read(bundle: str) -> tuple[Ledger, int]:
    """The bulk job in this process, all steps of it; its ledger, and how many chunks it had."""
    torch.set_num_threads(1)
    work = plan_work(bundle, f"s3://{BUCKET}/crops", f"s3://{BUCKET}/out", BulkConfig())
    while not work.agenda.complete:
        work.agenda.wait()
    reader, chunks = ChunkReader(work.read), 0
    while window := work.agenda.take():
        chunks += len(list(reader(window)))
    sweep(work.ledger)
    write_summary(summarise(work.ledger, bundle=work.read.bundle), work.out_uri)
    return work.ledger, chunks


def _stream_passes(uri: str, counts: Counter[str]) -> tuple[int, Figures]:
    """Row groups, and the requests of one pass of training and of the look at the labels."""
    counts.clear()
    source, _ = load_source(uri)
    config = stream_config(source)
    opening = sum(counts.values())
    counts.clear()
    (chunk,) = epoch_chunks(config.sources, seed=0, epoch=0)
    for _ in assemble_chunk(config, chunk):
        pass
    training = dict(counts)
    counts.clear()
    _scan_pieces(config, list(chunk.pieces))
    scan = dict(counts)
    figures = {f"train {name}": float(count) for name, count in training.items()}
    figures |= {f"scan {name}": float(count) for name, count in scan.items()}
    return len(chunk.pieces), figures | {"manifest": float(opening)}


@contextmanager
def _counting() -> Iterator[Counter[str]]:
    """A local S3 server; what is asked of it, by method and folder."""
    counts: Counter[str] = Counter()
    app = DomainDispatcherApplication(create_backend_app)

    def counted(environ: dict[str, Any], respond: Callable[..., Any]) -> Any:
        query = parse_qs(environ.get("QUERY_STRING", ""))
        folder = environ["PATH_INFO"].removeprefix(f"/{BUCKET}").strip("/").split("/")
        name = "plans" if "_work" in folder else next(iter(folder), "")
        name = "results" if any(part.startswith("model=") for part in folder) else name
        method = environ["REQUEST_METHOD"]
        if "prefix" in query or "list-type" in query:
            method, name = "LIST", query.get("prefix", [""])[0].split("/")[0]
        counts[f"{method} {name}"] += 1
        return app(environ, respond)

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, counted, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    _environment(f"http://127.0.0.1:{server.port}")
    try:
        yield counts
    finally:
        server.shutdown()
        thread.join()


def _environment(endpoint: str) -> None:
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    os.environ.pop("AWS_ENDPOINT_URL", None)
    if endpoint:
        os.environ["AWS_ENDPOINT_URL"] = endpoint


def _list_server(pipe: Connection, keys: int) -> None:
    """Answers listings of ``keys`` keys, and that everything else isn't there."""
    pages = [_page(start, keys) for start in range(0, keys, _LIST_KEYS)]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            whole = query.get("prefix") == ["crops/"]
            at = int(query.get("continuation-token", ["0"])[0])
            body = pages[at] if whole else _NOTHING
            self.send_response(200)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_HEAD(self) -> None:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    pipe.send(server.server_address[1])
    server.serve_forever()


_HEAD = b'<?xml version="1.0" encoding="UTF-8"?>\n'
_OPEN = b'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
_NOTHING = (
    _HEAD + _OPEN + b"<Name>bucket</Name><KeyCount>0</KeyCount><MaxKeys>1000</MaxKeys>"
    b"<IsTruncated>false</IsTruncated></ListBucketResult>"
)


def _page(start: int, keys: int) -> bytes:
    rows = "".join(
        f"<Contents><Key>crops/{number:012d}.jpg</Key>"
        "<LastModified>2026-01-01T00:00:00.000Z</LastModified>"
        f"<ETag>&quot;{number:032x}&quot;</ETag><ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm>"
        "<ChecksumType>FULL_OBJECT</ChecksumType><Size>3200</Size>"
        "<StorageClass>STANDARD</StorageClass></Contents>"
        for number in range(start, min(keys, start + _LIST_KEYS))
    )
    more = start + _LIST_KEYS < keys
    token = f"<NextContinuationToken>{start // _LIST_KEYS + 1}</NextContinuationToken>"
    tail = (
        f"<Name>bucket</Name><Prefix>crops/</Prefix><KeyCount>{_LIST_KEYS}</KeyCount>"
        f"<MaxKeys>1000</MaxKeys><IsTruncated>{str(more).lower()}</IsTruncated>"
        f"{token if more else ''}</ListBucketResult>"
    )
    return _HEAD + _OPEN + rows.encode() + tail.encode()


def _cpu(tables: Iterator[pa.Table]) -> tuple[float, int]:
    began_s = time.process_time()
    rows = sum(len(table) for table in tables)
    return time.process_time() - began_s, rows


if __name__ == "__main__":
    which, size = sys.argv[1], int(sys.argv[2])
    found = listing(size) if which == "listing" else requests(sys.argv[3], size)
    print(json.dumps(found))
