"""Whole objects of S3: one request each, its credentials, hosts, odd keys and errors."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from crnn.errors import DataError
from crnn.files import storage
from tests.faulty_s3 import faulty


def test_a_file_of_s3_is_read_whole_or_in_part_by_one_request(
    new_bucket: Callable[[], str], s3_endpoint: str
) -> None:
    with faulty(s3_endpoint) as (address, met):
        host = address.removeprefix("http://")
        folder = f"{new_bucket()}/x?endpoint_override={host}&scheme=http"
        data = os.urandom(3 << 20)
        contents = {"whole": (data, None), "head": (data, 2_000_000), "empty": (b"", 9)}
        for name, (content, _) in contents.items():
            storage.write_bytes(storage.join(folder, name), content)
        met.clear()
        for name, (content, most) in contents.items():
            assert storage.read_bytes(storage.join(folder, name), most=most) == content[:most]
        with pytest.raises(FileNotFoundError):
            storage.read_bytes(storage.join(folder, "none"))
    assert met == {"GET": 4}


@pytest.mark.parametrize("key", ["tab\t.jpg", "bell\x07.jpg", "del\x7f.jpg"])
def test_a_key_with_control_characters_is_read(key: str, new_bucket: Callable[[], str]) -> None:
    uri = f"{new_bucket()}/{key}"
    storage.write_bytes(uri, b"odd")
    assert storage.read_bytes(uri) == b"odd"


def test_a_store_that_refuses_is_asked_once_and_one_that_fails_again(
    new_bucket: Callable[[], str], s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "FIRST_WAIT_S", 0.01)
    bucket = new_bucket()
    for name in ("throttled", "broken", "cut"):
        storage.write_bytes(f"{bucket}/{name}", b"content")
    with faulty(s3_endpoint) as (address, met):
        options = f"?endpoint_override={address.removeprefix('http://')}&scheme=http"
        with pytest.raises(DataError, match=r"can't read s3://.*/forbidden.*403.*credentials"):
            storage.read_bytes(f"{bucket}/forbidden{options}")
        for name in ("throttled", "broken", "cut"):
            assert storage.read_bytes(f"{bucket}/{name}{options}") == b"content"
        with pytest.raises(DataError, match=r"can't read s3://.*/failing.*500"):
            storage.read_bytes(f"{bucket}/failing{options}")
    assert [met[kind] for kind in ("forbidden", "throttled", "broken", "cut")] == [1, 2, 2, 1]
    assert met["failing"] == storage.ATTEMPTS


def test_a_store_that_is_not_there_is_told_with_the_cause(
    s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "FIRST_WAIT_S", 0.01)
    with pytest.raises(DataError, match=r"can't read s3://b/x.*Connection refused.*endpoint"):
        storage.read_bytes("s3://b/x?endpoint_override=127.0.0.1:1&scheme=http")


@pytest.mark.parametrize(
    ("bucket", "region", "address"),
    [
        ("bu", "cn-north-1", "https://bu.s3.cn-north-1.amazonaws.com.cn/a%20b"),
        ("b.u", "eu-west-1", "https://s3.eu-west-1.amazonaws.com/b.u/a%20b"),
        ("bu", "new-region-1", "https://bu.s3.new-region-1.amazonaws.com/a%20b"),
    ],
)
def test_the_address_of_a_bucket_of_aws_itself(
    bucket: str, region: str, address: str, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "FIRST_WAIT_S", 0.01)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")  # no request leaves this machine
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    with pytest.raises(DataError, match=f"performing GET {re.escape(address)} "):
        storage.read_bytes(f"s3://{bucket}/a b?region={region}")


def test_a_profile_and_no_credentials_at_all(
    tmp_path: Path, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What boto3 finds signs the requests; where that is nothing, they aren't signed."""
    signed: list[str] = []

    class Store(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            signed.append(self.headers.get("Authorization") or "")
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.send_header("Last-Modified", "Tue, 01 Dec 2026 00:00:00 GMT")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Nothing."""

    (tmp_path / "keys").write_text("[mine]\naws_access_key_id=AK\naws_secret_access_key=x\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "keys"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with ThreadingHTTPServer(("127.0.0.1", 0), Store) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        options = f"?endpoint_override=127.0.0.1:{server.server_port}&scheme=http&region=r-1"
        storage.read_bytes(f"s3://no-profile/x{options}")
        monkeypatch.setenv("AWS_PROFILE", "mine")
        storage.read_bytes(f"s3://profile/x{options}")
        storage.read_bytes(f"s3://profile/x{options}&anonymous=true")
        monkeypatch.setenv("AWS_PROFILE", "theirs")
        with pytest.raises(DataError, match="theirs"):
            storage.read_bytes(f"s3://no-such-profile/x{options}")
        server.shutdown()
    assert [one.partition("/")[0] for one in signed] == ["", "AWS4-HMAC-SHA256 Credential=AK", ""]
    assert "/r-1/s3/" in signed[1]
