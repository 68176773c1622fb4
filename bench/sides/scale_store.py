"""What a bulk job asks of an object store, counted, and what listing and fetching cost this side.

All without Ray, against a local S3 server in a thread of this process, which counts; pictures are
fetched from one in a process of its own.
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
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from bench.sides import bucket
from bench.sides.scale_rates import Figures, samples_of
from pipelines.recognition import BulkConfig, plan_work
from pipelines.recognition.listing import list_inputs
from pipelines.recognition.reader import ChunkReader
from pipelines.recognition.source import encoded
from pipelines.recognition.summary import summarise, write_summary
from pipelines.recognition.sweep import sweep

BUCKET = "bucket"
FOLDERS = ("crops", "model=")
"""What keys of pictures have, and those of results."""
PICTURES = 1024
KEYS, LIST_ROWS = 4000, 400_000


def requests(bundle: str) -> Figures:
    """Requests of a bulk job, by method and what they are about."""
    with _counting() as counts:
        _upload(PICTURES)
        counts.clear()
        chunks = _read(bundle)
        return {"pictures": PICTURES, "chunks": chunks, **counts, "fetch_s": _fetch()}


def _fetch() -> float:
    """CPU seconds of fetching a picture, as a bulk job does."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for number, sample in enumerate(samples_of(256)):
            (Path(folder) / f"{number}.jpg").write_bytes(sample["image"])
        with bucket.served(Path(folder), KEYS) as host:
            first, *pages = [page.to_pylist() for page in list_inputs(bucket.address(host))]
            list(encoded([first]))  # what the first request loads is paid once
            began_s = time.process_time()
            pictures = sum(1 for _ in encoded(pages))
            return (time.process_time() - began_s) / pictures


def listing() -> Figures:
    """CPU seconds of a key of a bucket, and of a row of a list."""
    with _counting():
        _upload(KEYS)
        list(list_inputs(f"s3://{BUCKET}/crops"))  # what the first client loads is paid once
        bucket_s, keys = _thread_cpu(list_inputs(f"s3://{BUCKET}/crops"))
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = Path(folder) / "list.parquet"
        uris = [f"s3://{BUCKET}/crops/{i:012d}.jpg" for i in range(LIST_ROWS)]
        pq.write_table(
            pa.table({"uri": uris, "etag": [f"{i:032x}" for i in range(len(uris))]}), path
        )
        list_s, rows = _thread_cpu(list_inputs(str(path)))
    assert (keys, rows) == (KEYS, LIST_ROWS)
    return {"bucket_key_s": bucket_s / keys, "list_row_s": list_s / rows}


def _thread_cpu(tables: Iterator[pa.Table]) -> tuple[float, int]:
    """CPU seconds of this thread, without the server's, and rows."""
    began_s = time.thread_time()
    rows = sum(map(len, tables))
    return time.thread_time() - began_s, rows


def _upload(pictures: int) -> None:
    """So many objects of a few rendered samples."""
    client, samples = boto3.client("s3"), samples_of(256)
    client.create_bucket(Bucket=BUCKET)
    for number in range(pictures):
        body = samples[number % len(samples)]["image"]
        client.put_object(Bucket=BUCKET, Key=f"crops/{number:08d}.jpg", Body=body)


def _read(bundle: str) -> int:
    """The bulk job in this process, all steps of it; how many chunks it had."""
    torch.set_num_threads(1)
    work = plan_work(bundle, f"s3://{BUCKET}/crops", f"s3://{BUCKET}/out", BulkConfig())
    while not work.agenda.complete:
        work.agenda.wait()
    reader, chunks = ChunkReader(work.read), 0
    while window := work.agenda.take():
        for outcome in reader(window):
            work.summed.add(outcome.part, outcome.sums)
            chunks += 1
    sweep(work.ledger)
    report = summarise(work.ledger, bundle=work.read.bundle, summed=work.summed)
    write_summary(report, work.out_uri)
    return chunks


@contextmanager
def _counting() -> Iterator[Counter[str]]:
    """A local S3 server; what is asked of it, by method and folder."""
    counts: Counter[str] = Counter()
    app = DomainDispatcherApplication(create_backend_app)

    def counted(environ: dict[str, Any], respond: Callable[..., Any]) -> Any:
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        listing = "list-type" in environ.get("QUERY_STRING", "")
        name = next((one for one in FOLDERS if one in path), "other")
        counts["LIST" if listing else f"{method} {name}"] += 1
        return app(environ, respond)

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, counted, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.port}",
    }
    try:
        yield counts
    finally:
        server.shutdown()
        thread.join()


if __name__ == "__main__":
    print(json.dumps(listing() if sys.argv[1] == "listing" else requests(sys.argv[2])))
