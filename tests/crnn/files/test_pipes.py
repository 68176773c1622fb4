"""Pipes and devices are not waited at."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from crnn.errors import DataError
from crnn.files import storage


def test_a_pipe_or_a_device_is_refused_and_not_waited_at(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    link = tmp_path / "link.csv"
    link.symlink_to(pipe)
    for address in (str(pipe), str(link), "/dev/zero", "/dev/null", f"file://{pipe}"):
        with pytest.raises(DataError, match="is a pipe, a socket or a device; expected a file"):
            storage.read_bytes(address)
        with pytest.raises(DataError, match="is a pipe, a socket or a device; expected a file"):
            storage.check_file(address)
    storage.check_file(str(tmp_path / "nothing"))
    storage.check_file(str(tmp_path))
    storage.check_file("s3://bucket/anything")


def test_what_this_process_was_given_open_may_be_a_pipe() -> None:
    end, other = os.pipe()
    try:
        os.write(other, b"word\n")
        os.close(other)
        assert storage.read_bytes(f"/dev/fd/{end}") == b"word\n"
    finally:
        os.close(end)
