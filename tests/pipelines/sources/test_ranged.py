"""Files of a store read block by block, also from a store that fails in passing."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from crnn.files import storage
from pipelines.prepare import PrepareConfig, prepare
from pipelines.sources.ranged import BLOCK_BYTES, numbered_lines, open_ranged
from tests.faulty_s3 import faulty
from tests.pipelines.conftest import encoded


def test_a_remote_file_reads_as_a_local_one(tmp_path: Path, new_bucket: Callable[[], str]) -> None:
    data = random.Random(3).randbytes(2 * BLOCK_BYTES + 777)
    here, there = str(tmp_path / "file"), storage.join(new_bucket(), "file")
    for uri in (here, there):
        storage.write_bytes(uri, data)
        with open_ranged(uri) as file:
            assert file.read(100) == data[:100]
            file.seek(BLOCK_BYTES - 5)
            assert file.read(10) == data[BLOCK_BYTES - 5 : BLOCK_BYTES + 5]
            file.seek(-7, os.SEEK_END)
            assert file.read() == data[-7:]
            assert file.read() == b""
        with open_ranged(uri) as file:
            assert b"".join(file) == data
    with pytest.raises(FileNotFoundError):
        open_ranged(storage.join(there, "none"))


def test_lines_are_numbered_and_what_is_no_utf_8_says_so(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"\xef\xbb\xbfone\r\n\n  \n\xff\nlast")
    first, bad, last = numbered_lines(str(path))
    assert (first, last) == ((1, "one", ""), (5, "last", ""))
    assert bad[:2] == (4, "")
    assert "not UTF-8" in bad[2]


@pytest.mark.usefixtures("local_ray")
def test_a_store_that_fails_in_passing_loses_no_sample(
    tmp_path: Path, s3_endpoint: str, new_bucket: Callable[[], str]
) -> None:
    kinds = ("good", "throttled", "broken", "cut", "slow")
    names = [f"{kind}-{number}.jpg" for kind in kinds for number in range(3)]
    bucket = new_bucket()
    for name in names:
        storage.write_bytes(storage.join(bucket, name), encoded(name))
    lines = "".join(f"{name}\t{name[0]}\n" for name in names)
    storage.write_bytes(storage.join(bucket, "throttled cut.tsv"), lines.encode())
    with faulty(s3_endpoint) as (address, met):
        source = f"{bucket}?endpoint_override={address.removeprefix('http://')}&scheme=http"
        config = PrepareConfig(lists=("throttled cut.tsv",))
        (manifest,) = prepare(source, str(tmp_path / "out"), config)
    assert manifest.count == len(names)
    assert met["throttled"] > 6
    assert met["broken"] == 6
    assert met["cut"] >= 3
