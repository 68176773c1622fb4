"""A job that may read some folders only, given inputs that name other places."""

from __future__ import annotations

import io
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from crnn.errors import DataError, PictureError
from crnn.files import storage
from pipelines.recognition import BulkConfig, recognize
from pipelines.recognition.listing import list_inputs
from pipelines.recognition.source import encoded
from tests.pipelines.evaluation_cases import random_bundle, rendered, sample, write_set
from tests.pipelines.recognition.results import rows_of

GOOD, SECRET = rendered("1"), rendered("2")


def outcomes(uri: str, *prefixes: str) -> dict[str, bytes | str]:
    """The bytes or the error code of everything that ``uri`` stands for."""
    pages = list_inputs(uri, prefixes=prefixes)
    entries = [row for page in pages for row in page.to_pylist()]
    read = [file.data for file in encoded([entries], prefixes) for _ in file.regions]
    return {
        entry["uri"]: data.reason if isinstance(data, PictureError) else data
        for entry, data in zip(entries, read, strict=True)
    }


def write_list(uri: str, addresses: list[str | None], **columns: Any) -> str:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"uri": pa.array(addresses, pa.string()), **columns}), buffer)
    storage.write_bytes(uri, buffer.getvalue())
    return uri


@pytest.fixture
def elsewhere() -> Iterator[tuple[str, list[bytes]]]:
    """Where no request may come; host and port, and what came."""
    came: list[bytes] = []

    class Noting(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            came.append(self.request.recv(4096))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Noting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}", came
        server.shutdown()


@pytest.mark.slow
def test_what_a_list_names_elsewhere_is_not_read(
    tmp_path: Path, new_bucket: Callable[[], str], elsewhere: tuple[str, list[bytes]]
) -> None:
    bucket, other = new_bucket(), new_bucket()
    host, came = elsewhere
    allowed = f"{bucket}/in"
    for uri, data in (
        (f"{allowed}/a.png", GOOD),
        (f"{allowed}/%41#1.png", GOOD),
        (f"{bucket}/private/s.png", SECRET),
        (f"{bucket}/in-private/s.png", SECRET),
        (f"{other}/in/s.png", SECRET),
        (str(tmp_path / "s.png"), SECRET),
    ):
        storage.write_bytes(uri, data)
    write_set(f"{allowed}/set", [sample("s", "1", GOOD)])
    write_set(f"{other}/set", [sample("s", "2", SECRET)])
    [shard] = [i.uri for i in storage.list_files(f"{allowed}/set", suffix=".parquet")]
    [secret_shard] = [i.uri for i in storage.list_files(f"{other}/set", suffix=".parquet")]
    good = [f"{allowed}/a.png", f"{allowed}/%41#1.png", f"{shard}#0"]
    options = f"endpoint_override={host}&scheme=http"
    bad = [
        f"{bucket}/private/s.png",
        f"{bucket}/in-private/s.png",
        f"{allowed}/../private/s.png",
        f"{allowed}/%2e%2e/private/s.png",
        f"{other}/in/s.png",
        f"{bucket.replace('s3', 'S3')}/in/a.png",
        f"{bucket.replace('s3://', 's3://user:secret@')}/in/a.png",
        f"{allowed}/a.png?{options}",
        f"{shard}#0?{options}",
        f"{secret_shard}#0",
        str(tmp_path / "s.png"),
        f"file://{tmp_path}/s.png",
        "/dev/stdin",
        "http://127.0.0.1/s.png",
    ]
    odd = ["~nobody-of-this-name/s.png"]  # no home, and so a name beside the list
    found = outcomes(write_list(f"{allowed}/list.parquet", [*good, *bad, *odd, None]), allowed)
    assert [found.pop(uri) for uri in good] == [GOOD] * 3
    assert found.pop(f"{allowed}/{odd[0]}") == "not_found", found
    nameless = f"{allowed}/list.parquet#row {len(good) + len(bad) + len(odd) + 1}"
    assert found.pop(nameless) == "bad_line", found
    assert set(found.values()) == {"not_allowed"}, found
    assert len(found) == len(bad) - 1, "two are the same file"
    assert came == []
    everything = outcomes(f"{allowed}/list.parquet")
    assert everything[f"{bucket}/private/s.png"] == SECRET, "nobody forbade it"
    assert everything[f"{secret_shard}#0"] == SECRET


def test_inputs_that_lie_elsewhere_are_no_job(
    tmp_path: Path, new_bucket: Callable[[], str]
) -> None:
    bucket = new_bucket()
    storage.write_bytes(f"{bucket}/private/s.png", SECRET)
    write_list(f"{bucket}/private/list.parquet", [f"{bucket}/in/a.png"])
    write_set(f"{bucket}/private/set", [sample("s", "2", SECRET)])
    (tmp_path / "in").mkdir()
    (tmp_path / "in/out").symlink_to(tmp_path)
    for uri in ("private", "private/*.png", "private/s.png", "private/list.parquet", "private/set",
                "in/../private", "*", "in?endpoint_override=h"):  # fmt: skip
        with pytest.raises(DataError, match="outside the folders that may be read"):
            list(list_inputs(f"{bucket}/{uri}", prefixes=(f"{bucket}/in",)))
    for name in ("in/out", "in/out/*.png", "in/../x", "in/out/list.csv"):
        with pytest.raises(DataError, match="outside the folders that may be read"):
            list(list_inputs(str(tmp_path / name), prefixes=(str(tmp_path / "in"),)))


@pytest.mark.parametrize("name", ["../secret/{}", "%2e%2e/secret/{}", "x/../../secret/{}"])
def test_a_set_whose_manifest_names_shards_elsewhere_is_refused(
    tmp_path: Path, new_bucket: Callable[[], str], name: str
) -> None:
    for root in (new_bucket(), str(tmp_path)):
        for folder in ("in/set", "secret"):
            write_set(f"{root}/{folder}", [sample("s", "2", SECRET)])
        address = f"{root}/in/set/manifest.json"
        manifest = json.loads(storage.read_bytes(address))
        shard = manifest["shards"][0]
        shard["name"] = name.format(shard["name"])
        storage.write_bytes(address, json.dumps(manifest).encode())
        with pytest.raises(DataError, match=r"outside the folders|is gone"):
            list(list_inputs(f"{root}/in/set", prefixes=(f"{root}/in",)))


def test_links_in_a_folder_are_read_where_they_stay_in_it(tmp_path: Path) -> None:
    allowed, other = tmp_path / "in", tmp_path / "other"
    allowed.mkdir()
    other.mkdir()
    (other / "s.png").write_bytes(SECRET)
    (allowed / "a.png").write_bytes(GOOD)
    (allowed / "same.png").symlink_to(allowed / "a.png")
    (allowed / "out.png").symlink_to(other / "s.png")
    (allowed / "folder").symlink_to(other)
    found = outcomes(str(allowed), str(allowed))
    assert {Path(uri).name: data for uri, data in found.items()} == {
        "a.png": GOOD, "same.png": GOOD, "out.png": "not_allowed", "s.png": "not_allowed",
    }  # fmt: skip


def test_what_is_no_shard_of_pictures_is_an_error_of_its_rows(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "text.parquet")
    pq.write_table(pa.table({"image": ["a"]}), tmp_path / "image.parquet")
    (tmp_path / "junk.parquet").write_bytes(b"junk")
    names = ("text.parquet#0", "image.parquet#0", "junk.parquet#0", "gone.parquet#0")
    uris: list[str | None] = [f"{tmp_path}/{name}" for name in names]
    nobody = ["~nobody-of-this-name/x.parquet#1", "~nobody-of-this-name/x"]
    uris += ["http://x/y.parquet#1", *nobody]
    found = outcomes(write_list(f"{tmp_path}/list.parquet", [*uris, "", None]))
    for gone in (f"{tmp_path}/gone.parquet#0", *(f"{tmp_path}/{name}" for name in nobody)):
        assert found.pop(gone) == "not_found"
    for row in (8, 9):
        assert found.pop(f"{tmp_path}/list.parquet#row {row}") == "bad_line"
    assert set(found.values()) == {"unreadable"}, found


def test_a_list_with_other_things_in_it_is_said_so(tmp_path: Path) -> None:
    path = write_list(f"{tmp_path}/list.parquet", ["/a.png"], box=[5])
    with pytest.raises(DataError, match="can't be read as a list of pictures"):
        list(list_inputs(path))


def test_prefixes_that_are_no_folders_are_refused() -> None:
    with pytest.raises(ValueError, match=r"--prefixes has 's3://b/\*'; expected a folder"):
        BulkConfig(prefixes=("s3://b/*",))


@pytest.mark.slow
@pytest.mark.usefixtures("local_ray")
def test_every_address_of_a_list_has_its_row_and_no_page_shows_what_is_not_allowed(
    tmp_path: Path,
) -> None:
    bundle = random_bundle(tmp_path / "bundle")
    allowed, other = tmp_path / "in", tmp_path / "other"
    allowed.mkdir()
    other.mkdir()
    buffer = io.BytesIO()
    Image.new("L", (60, 30), 7).save(buffer, "PNG")
    (allowed / "a.png").write_bytes(GOOD)
    (other / "s.png").write_bytes(buffer.getvalue())
    uris = [str(allowed / "a.png"), str(other / "s.png")]
    path = write_list(f"{allowed}/list.parquet", [*uris])
    out = str(tmp_path / "out")
    recognize(bundle, path, out, BulkConfig(prefixes=(str(allowed),)))
    codes = {row["uri"]: row["error_code"] for row in rows_of(out)}
    assert codes == {uris[0]: None, uris[1]: "not_allowed"}
    recognize(bundle, path, out, BulkConfig(retry_failed=True))
    assert {row["error_code"] for row in rows_of(out)} == {None}
    recognize(bundle, path, out, BulkConfig(prefixes=(str(allowed),)))
    page = (tmp_path / "out/_report.html").read_text()
    assert page.count("<img") == 1
    assert page.count("no picture to show") == 1
