"""Which addresses lie in an allowed folder: what is tried to get out of it, and what is fine."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.serving.bulk.settings import BulkSettings
from pipelines.prefixes import inside, lies_in, place

PREFIXES = ("s3://bucket/allowed", "gs://bucket/allowed/", "/data/allowed")
PIECES = st.lists(
    st.sampled_from(["s3://", "gs://", "file://", "/", "bucket", "allowed", "..", ".", "", "-evil",
                     "?", "endpoint_override=h", "*", "%2e%2e", "\\", "\n", "\0", "data", "a"]),
    max_size=12,
)  # fmt: skip


@pytest.mark.parametrize(
    "uri",
    [
        "s3://bucket/allowed",
        "s3://bucket/allowed/",
        "s3://bucket/allowed/2026/a b%2e.png",
        "s3://bucket/allowed/*.png",
        "s3://bucket/allowed/a?.png",
        "gs://bucket/allowed/x",
        "/data/allowed/x",
    ],
)
def test_what_lies_in(uri: str) -> None:
    assert lies_in(uri, PREFIXES)


@pytest.mark.parametrize(
    "uri",
    [
        "s3://bucket/allowed-evil/x",
        "s3://bucket/allowedx",
        "s3://bucket/allow*/x",
        "s3://bucket/Allowed/x",
        "s3://bucket",
        "s3://bucket-2/allowed/x",
        "gs://other/allowed/x",
        "s3://data/allowed/x",
        "/data/allowed-evil",
        "/data",
    ],
)
def test_what_does_not(uri: str) -> None:
    assert not lies_in(uri, PREFIXES)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "/",
        "data/allowed/x",
        "~/x",
        "s3://",
        "s3:///allowed",
        "S3://bucket/allowed",
        "file:///data/allowed/x",
        "http://bucket/allowed",
        "s3://bucket/allowed/../x",
        "s3://bucket/allowed/./x",
        "s3://bucket//allowed",
        "s3://bucket/allowed/x?endpoint_override=evil:9000&scheme=http",
        "s3://bucket/allowed/x?region=x",
        "/data/allowed/../../etc/passwd",
        "/data/allowed/x\n",
        "/data/allowed/x\0",
        "s3://bucket/allowed\\x",
        "/data/allowed/" + "x" * 3000,
    ],
)
def test_what_is_not_plainly_one_place(uri: str) -> None:
    with pytest.raises(ValueError, match=r"expected|it has"):
        place(uri)


@given(PIECES)
def test_only_what_begins_with_all_parts_lies_in(pieces: list[str]) -> None:
    uri = "".join(pieces)
    try:
        found = lies_in(uri, PREFIXES)
    except ValueError:
        return
    begins = any(uri == p.rstrip("/") or uri.startswith(p.rstrip("/") + "/") for p in PREFIXES)
    assert found == begins
    assert not found or (".." not in uri.split("/") and "endpoint_override=h" not in uri[-20:])


def test_links_that_lead_out(tmp_path: Path) -> None:
    allowed, other = tmp_path / "allowed", tmp_path / "other"
    allowed.mkdir()
    other.mkdir()
    (allowed / "out").symlink_to(other)
    (allowed / "in").symlink_to(allowed)
    assert not lies_in(f"{allowed}/out/x", [str(allowed)])
    assert not lies_in(f"{allowed}/out/*.png", [str(allowed)])
    assert lies_in(f"{allowed}/in/x", [str(allowed)])
    assert lies_in(f"{allowed}/new/*.png", [str(allowed)])
    linked = tmp_path / "linked"
    linked.symlink_to(allowed)
    assert lies_in(f"{linked}/x", [str(linked)])


@pytest.mark.parametrize("prefix", ["crops", "s3://b/a?region=x", "s3://b/a*", "/a/../b", "", "/"])
def test_prefixes_that_are_no_folder(prefix: str) -> None:
    with pytest.raises(ValueError, match=r"--bulk\.prefixes has"):
        BulkSettings(prefixes=(prefix,))


def test_settings_that_make_no_sense() -> None:
    assert not BulkSettings().enabled
    with pytest.raises(ValueError, match="bulk jobs are off"):
        BulkSettings(uri="/x")
    with pytest.raises(ValueError, match="workers is -1"):
        BulkSettings(prefixes=("/x",), workers=-1)
    with pytest.raises(ValueError, match="open-jobs is 0"):
        BulkSettings(prefixes=("/x",), open_jobs=0)


INSIDE = [
    "s3://bucket/allowed/x.png",
    "s3://bucket/allowed/a//b\\c\n%41.png",
    "gs://bucket/allowed/x",
    "s3://bucket/allowed/a?b.png",
]
OUTSIDE = [
    "",
    "s3://bucket/allowed-evil/x.png",
    "s3://bucket/Allowed/x.png",
    "S3://bucket/allowed/x.png",
    "s3://user:secret@bucket/allowed/x.png",
    "s3://bucket/allowed/../secret/x.png",
    "s3://bucket/allowed/./x.png",
    "s3://bucket/allowed/%2e%2e/secret/x.png",
    "s3://bucket/allowed/%252E%252e/secret/x.png",
    "s3://bucket/allowed/..%2fsecret/x.png",
    "s3://bucket/allowed/..\\secret/x.png",
    "s3://bucket//allowed/x.png",
    "s3://bucket/allowed/x.png?endpoint_override=evil:9000&scheme=http",
    "s3://bucket/allowed/x.png?region=x",
    "s3://bucket/allowed/x.parquet#3?endpoint_override=evil",
    "s3://bucket/allowed/x.parquet?endpoint_override=evil#3",
    "https://bucket/allowed/x.png",
    "file:///etc/passwd",
    "/etc/passwd",
    "~/x.png",
    "~nobody-of-this-name/x.png",
    "relative.png",
    "/data/allowed/\0x",
]


@pytest.mark.parametrize("uri", INSIDE)
def test_what_may_be_read(uri: str) -> None:
    assert inside(uri, PREFIXES) == uri


@pytest.mark.parametrize("uri", OUTSIDE)
def test_what_may_not(uri: str) -> None:
    assert inside(uri, PREFIXES) is None
    assert inside(uri, ()) == uri, "without folders everything may"


def test_what_is_read_is_where_the_links_lead(tmp_path: Path) -> None:
    allowed, other = tmp_path / "allowed", tmp_path / "other"
    allowed.mkdir()
    other.mkdir()
    (other / "secret.png").touch()
    (allowed / "a.png").touch()
    (allowed / "out").symlink_to(other)
    (allowed / "file.png").symlink_to(other / "secret.png")
    (allowed / "again.png").symlink_to(allowed / "a.png")
    (allowed / "loop").symlink_to(allowed / "loop")
    for name in ("out/secret.png", "file.png", "../other/secret.png", "loop/x"):
        assert inside(f"{allowed}/{name}", (str(allowed),)) is None, name
        assert inside(f"file://{allowed}/{name}", (str(allowed),)) is None, name
    assert inside(f"file://{allowed}/%2e%2e/other/secret.png", (str(allowed),)) is None
    real = str((allowed / "a.png").resolve())
    for name in ("a.png", "again.png", "./a.png", "/a.png"):
        assert inside(f"{allowed}/{name}", (str(allowed),)) == real
    assert inside(f"{allowed}/a.png", ("s3://bucket/allowed", str(allowed))) == real
