"""Google's object store, as an emulator on this machine gives it over HTTP."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from crnn import storage
from pipelines.prepare import PrepareConfig, begin, carry_out
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
