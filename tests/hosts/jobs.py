"""Jobs that a client outside submits to a cluster, and what is on the object store of them."""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from crnn.files import storage
from pipelines.shards import Sample
from tests.hosts.cluster import BIN, Cluster
from tests.jobs.audits import AUDIT_FOLDER, Audit
from tests.jobs.runs import PROJECT
from tests.pipelines.stream.sets import write_set

_ENOUGH_S = 600


@dataclass
class Job:
    """``ray job submit`` in the project's folder; it shows what the job says until it ends."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def succeeds(self) -> str:
        """What it said, once it has ended well."""
        status = self.process.wait(_ENOUGH_S)
        assert status == 0, self.text[-6000:]
        assert "Traceback" not in self.text, self.text[-6000:]
        return self.text

    def fails(self) -> str:
        """What it said, once it has failed."""
        assert self.process.wait(_ENOUGH_S) != 0, self.text[-6000:]
        return self.text

    def stop(self, cluster: Cluster) -> None:
        """``ray job stop``, and its end."""
        for name in re.findall(r"Job '(\w+)' submitted", self.text):
            command = [str(BIN / "ray"), "job", "stop", "--address", cluster.dashboard, name]
            subprocess.run(command, env=cluster.outside, capture_output=True, check=False)
            self.process.wait(_ENOUGH_S)

    def until(self, happened: Callable[[], bool]) -> None:
        """Returns when it has happened; fails when the job ends first, or nothing comes of it."""
        deadline = time.monotonic() + _ENOUGH_S
        while not happened():
            assert self.process.poll() is None, self.text[-6000:]
            assert time.monotonic() < deadline, self.text[-6000:]
            time.sleep(0.2)


@contextmanager
def submitted(cluster: Cluster, folder: Path, *command: str) -> Iterator[Job]:
    """``python COMMAND`` as a job that brings the project's folder; its log goes to ``folder``."""
    submit = [str(BIN / "ray"), "job", "submit", "--address", cluster.dashboard]
    log = folder / f"job-{len(list(folder.glob('job-*')))}"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*submit, "--working-dir", ".", "--", "python", *command],
            cwd=PROJECT,
            env=cluster.outside,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    job = Job(process, log)
    try:
        yield job
    finally:
        if process.poll() is None:  # the test has failed
            job.stop(cluster)
        process.kill()
        process.wait()


def put_set(uri: str, samples: Iterable[Sample]) -> None:
    """A finished set on the object store."""
    with tempfile.TemporaryDirectory() as folder:
        storage.upload_folder(Path(write_set(Path(folder) / "set", samples)), uri)


def audit_of(run_uri: str) -> Audit:
    """The audit files of a run on the object store."""
    with tempfile.TemporaryDirectory() as folder:
        for uri in audited(run_uri):
            path = Path(folder) / AUDIT_FOLDER / uri.split("/")[-2]
            path.parent.mkdir(exist_ok=True)
            with path.open("ab") as file:
                file.write(storage.read_bytes(uri))
        return Audit(Path(folder))


def audited(run_uri: str) -> list[str]:
    """Every line of the audit files so far, an object each."""
    return _files(f"{run_uri}/{AUDIT_FOLDER}")


def parts(out: str) -> list[str]:
    """The results files of a bulk job so far."""
    return [uri for uri in _files(out) if "/part-" in uri and uri.endswith(".parquet")]


def rows(out: str) -> pa.Table:
    """All rows of a bulk job."""
    files = [pa.BufferReader(storage.read_bytes(part)) for part in parts(out)]
    return pa.concat_tables([pq.read_table(file) for file in files])


def uris(out: str) -> Counter[str]:
    """How many rows each input has."""
    return Counter(rows(out)["uri"].to_pylist())


def _files(uri: str) -> list[str]:
    try:
        return [info.uri for info in storage.list_files(uri, recursive=True)]
    except FileNotFoundError:
        return []
