from __future__ import annotations

import gzip
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import fs

from crnn.errors import DataError
from crnn.files import storage
from tests.faulty_s3 import WRITE_REFUSALS, faulty

PROJECT = Path(__file__).resolve().parents[3]
ODD_KEYS = [
    "a b/c d.jpg",
    "plus+and%25percent%.jpg",
    "ünïcode/文字 ✓.jpg",
    "question?mark=1&x.jpg",
    "hash#tag;[1]'\".jpg",
]
KEY_PARTS = st.text(
    st.characters(codec="utf-8", exclude_characters="/\\", exclude_categories=("Cc", "Cs")),
    min_size=1,
    max_size=12,
).filter(lambda part: part.strip(".") != "")


@pytest.fixture(params=["local", "s3"])
def base(request: pytest.FixtureRequest, tmp_path: Path, new_bucket: Callable[[], str]) -> str:
    return str(tmp_path) if request.param == "local" else new_bucket()


def test_a_full_disk_is_told_with_the_address_and_the_old_content_stays(tmp_path: Path) -> None:
    """Files of this process may not grow past some size, which fails as a full disk does."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    program = (
        "import resource, sys; from crnn.files import storage\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "storage.write_bytes(sys.argv[1], bytes(5000))"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", program, str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert f"DataError: can't write {path}: " in done.stderr
    assert "the space on its disk" in done.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"], "nothing is left of it"
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("key", ODD_KEYS)
def test_what_is_written_is_read_under_the_very_same_key(base: str, key: str) -> None:
    uri = storage.join(base, key)
    assert not storage.exists(uri)
    storage.write_bytes(uri, key.encode())
    assert storage.exists(uri)
    assert storage.read_bytes(uri) == key.encode()
    assert [f.uri for f in storage.list_files(base, recursive=True)] == [uri]


def test_keys_reach_the_store_literally(new_bucket: Callable[[], str], s3_endpoint: str) -> None:
    import boto3

    bucket = new_bucket()
    for key in ODD_KEYS:
        storage.write_bytes(storage.join(bucket, key), b"x")
    client = boto3.client("s3", endpoint_url=s3_endpoint)
    listed = client.list_objects_v2(Bucket=bucket.removeprefix("s3://"))["Contents"]
    assert {entry["Key"] for entry in listed} == set(ODD_KEYS)


@settings(max_examples=40, deadline=None)
@given(parts=st.lists(KEY_PARTS, min_size=1, max_size=3))
def test_any_key_round_trips_on_s3(parts: list[str], new_bucket: Callable[[], str]) -> None:
    uri = storage.join(new_bucket(), *parts)
    storage.write_bytes(uri, b"content")
    assert storage.read_bytes(uri) == b"content"
    storage.delete(uri)
    assert not storage.exists(uri)


@given(parts=st.lists(KEY_PARTS, min_size=1, max_size=4))
def test_join_keeps_options_at_the_end(parts: list[str]) -> None:
    options = "?endpoint_override=host:1&scheme=http"
    joined = storage.join(f"s3://bucket/a{options}", *parts)
    assert joined == "s3://bucket/a/" + "/".join(parts) + options
    assert storage.resolve(joined)[1] == "bucket/a/" + "/".join(parts)


def test_options_of_the_address_name_the_endpoint(
    new_bucket: Callable[[], str], s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = new_bucket()
    storage.write_bytes(f"{bucket}/folder/x", b"1")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    host = s3_endpoint.removeprefix("http://")
    folder = f"{bucket}/folder?endpoint_override={host}&scheme=http&region=us-east-1"
    (found,) = storage.list_files(folder)
    assert found.uri == storage.join(folder, "x")
    assert (storage.read_bytes(found.uri), found.size_bytes) == (b"1", 1)
    assert found.mtime > 1.6e9


def test_list_files_by_suffix_and_depth(base: str) -> None:
    for name in ("a.txt", "b.jpg", "deep/c.txt", "deep/er/d.txt"):
        storage.write_bytes(storage.join(base, name), b"")
    flat = [storage.base_name(f.uri) for f in storage.list_files(base, suffix=".txt")]
    deep = [
        storage.base_name(f.uri) for f in storage.list_files(base, suffix=".txt", recursive=True)
    ]
    assert flat == ["a.txt"]
    assert deep == ["a.txt", "c.txt", "d.txt"]


def test_what_is_not_there_says_so(base: str) -> None:
    with pytest.raises(FileNotFoundError):
        storage.read_bytes(storage.join(base, "none.jpg"))
    with pytest.raises(FileNotFoundError):
        list(storage.list_files(storage.join(base, "none")))
    storage.delete(storage.join(base, "none"))


def test_delete_takes_a_folder_with_all_it_holds(base: str) -> None:
    for name in ("keep.txt", "gone/a", "gone/b/c"):
        storage.write_bytes(storage.join(base, name), b"x")
    storage.delete(storage.join(base, "gone"))
    left = [storage.base_name(f.uri) for f in storage.list_files(base, recursive=True)]
    assert left == ["keep.txt"]


@pytest.mark.parametrize("root", ["/", "s3://bucket", "s3://bucket/", "gs://bucket"])
def test_delete_refuses_roots(root: str, s3_endpoint: str) -> None:
    with pytest.raises(ValueError, match="whole bucket"):
        storage.delete(root)


def test_a_failing_block_leaves_the_old_file_and_nothing_else(base: str) -> None:
    uri = storage.join(base, "f")
    storage.write_bytes(uri, b"old")
    with pytest.raises(RuntimeError), storage.replacing(uri) as path:
        path.write_bytes(b"half of the ne")
        raise RuntimeError
    assert storage.read_bytes(uri) == b"old"
    with storage.replacing(uri) as path:
        path.write_bytes(b"new" * 4_000_000)  # over the size of one part of an S3 upload
    assert storage.read_bytes(uri) == b"new" * 4_000_000
    assert [f.uri for f in storage.list_files(base)] == [uri]
    if storage.is_local(base):
        assert [path.name for path in Path(base).iterdir()] == ["f"]


def test_unfinished_files_are_not_listed(tmp_path: Path) -> None:
    with storage.replacing(str(tmp_path / "x")) as path:
        path.write_bytes(b"")
        assert list(storage.list_files(str(tmp_path))) == []


def test_folders_travel_both_ways(base: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    local = tmp_path_factory.mktemp("local")
    (local / "sub dir").mkdir()
    (local / "sub dir/ü.bin").write_bytes(b"\x00\xff")
    (local / "bundle.json").write_bytes(b"{}")
    target = storage.join(base, "to here")
    storage.upload_folder(local, target, last=("bundle.json",))
    back = tmp_path_factory.mktemp("back")
    storage.download_folder(target, back)
    assert (back / "sub dir/ü.bin").read_bytes() == b"\x00\xff"
    assert (back / "bundle.json").read_bytes() == b"{}"


@pytest.mark.parametrize("uri", ["", "http://host/x", "az://container/x", "s3:///key", "gs://"])
def test_addresses_that_are_none(uri: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        storage.resolve(uri)


def test_file_addresses_are_percent_decoded(tmp_path: Path) -> None:
    (tmp_path / "a b").write_bytes(b"x")
    base = tmp_path.as_uri()
    assert storage.read_bytes(f"{base}/a%20b") == b"x"
    assert storage.join(base, "a b") == f"{base}/a%20b"
    assert storage.is_local(base)


def test_a_tilde_is_a_home_only_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    (tmp_path / "~root").touch()
    for name, expected in {
        "~": "/home/me",
        "~/a.png": "/home/me/a.png",
        "~root": f"{tmp_path}/~root",
        "~t.png": f"{tmp_path}/~t.png",
        "~$a.png": f"{tmp_path}/~$a.png",
        "~no such user/a.png": f"{tmp_path}/~no such user/a.png",
    }.items():
        assert storage.local_path(name) == expected


def test_errors_of_a_store_name_the_address(new_bucket: Callable[[], str], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="s3://no-such-bucket/x"):
        storage.write_bytes("s3://no-such-bucket/x", b"")
    with pytest.raises(DataError, match=str(tmp_path)):
        storage.read_bytes(str(tmp_path))


def test_a_key_with_an_empty_name_is_told(
    new_bucket: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "FIRST_WAIT_S", 0.01)
    bucket = new_bucket()
    for key in ("x", "a/b"):
        storage.write_bytes(f"{bucket}/{key}", b"another")
    for key in ("/x", "a//b"):
        with pytest.raises(DataError, match=r"can't read s3://.*/.*Empty path component.*rename"):
            storage.read_bytes(f"{bucket}/{key}")
    for no_file in (f"{bucket}/x/", bucket):
        with pytest.raises(DataError, match=f"can't read {no_file}"):
            storage.read_bytes(no_file)


def test_passing_errors_are_tried_again(new_bucket: Callable[[], str]) -> None:
    uri = storage.join(new_bucket(), "x")
    outcomes = iter([OSError("SLOW_DOWN"), OSError("connection reset"), b"there"])

    def flaky() -> object:
        outcome = next(outcomes)
        if isinstance(outcome, OSError):
            raise outcome
        return outcome

    assert storage.attempt("read", uri, flaky) == b"there"


def test_a_refusal_is_not_tried_again() -> None:
    tries = []

    def refused() -> None:
        tries.append(1)
        raise OSError("AWS Error ACCESS_DENIED during GetObject operation")

    with pytest.raises(DataError, match="credentials"):
        storage.attempt("read", "s3://bucket/x", refused)
    assert len(tries) == 1


@pytest.mark.slow
def test_a_patient_file_system_tries_again_wherever_it_was_sent(
    new_bucket: Callable[[], str], s3_endpoint: str
) -> None:
    with faulty(s3_endpoint) as (address, met):
        host = address.removeprefix("http://")
        uri = f"{new_bucket()}/unwelcome?endpoint_override={host}&scheme=http"
        system, path = storage.resolve_careful(uri)
        sent = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(system))))
        with sent.open_output_stream(path) as stream:
            stream.write(b"at last")
        assert met["unwelcome"] == WRITE_REFUSALS
        assert storage.read_bytes(uri) == b"at last"


KILLED_WHILE_WRITING = """
import os, pickle, signal, sys
system, path = pickle.load(sys.stdin.buffer)
with system.open_output_stream(path) as stream:
    stream.write(b"half of the n")
    stream.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_library_killed_while_it_writes_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "state.json"
    target.write_bytes(b"old")
    sent = pickle.dumps(storage.resolve_careful(str(target)))
    done = subprocess.run(
        [sys.executable, "-c", KILLED_WHILE_WRITING], cwd=PROJECT, input=sent, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert target.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 2, "it was writing"
    system, path = pickle.loads(sent)
    with system.open_output_stream(path) as stream:
        stream.write(b"n")
        assert target.read_bytes() == b"old"
        stream.write(b"ew")
    assert target.read_bytes() == b"new"


def test_a_careful_local_file_system_is_pyarrows_but_for_that(tmp_path: Path) -> None:
    system, path = storage.resolve_careful(str(tmp_path / "packed.gz"))
    with system.open_output_stream(path) as stream:
        stream.write(b"packed by its suffix")
    assert gzip.decompress(Path(path).read_bytes()) == b"packed by its suffix"
    assert [entry.name for entry in tmp_path.iterdir()] == ["packed.gz"]
    with pytest.raises(FileNotFoundError):
        system.open_output_stream(str(tmp_path / "nowhere" / "x"))
    assert isinstance(system, fs.LocalFileSystem), "libraries ask for it"
