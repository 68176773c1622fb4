"""Sets prepared when what is not_found was a missing_file: complete, counted, gone on with."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.inspection.inputs import find_sets, set_aside
from pipelines.inspection.settings import InspectConfig
from pipelines.prepare import PrepareConfig, begin, carry_out
from pipelines.prepare.config import source_names
from pipelines.prepare.entries import Entries
from pipelines.prepare.task import PartMaker
from pipelines.rejects import FORMER_REASONS
from pipelines.shards import load_manifest
from pipelines.sources import open_source
from tests.pipelines.prepare.outputs import rejects_of
from tests.pipelines.sources.made import PICTURE, files

CONFIG = PrepareConfig(shuffle_seed=-1, part_rows=3)
LISTED, FOUND = "pairs/0005.gt.txt", ["listed/gone.png", "listed/lost.png"]
"""A text without a picture, told by the listing; pictures that are looked for in vain."""

pytestmark = pytest.mark.usefixtures("local_ray")


@pytest.fixture
def sources(tmp_path: Path) -> list[str]:
    pairs = {f"{n:04d}.png": PICTURE for n in range(5)} | {f"{n:04d}.gt.txt": "x" for n in range(6)}
    lines = "".join(f"{name}\tx\n" for name in ("gone.png", "1.png", "folder.png", "lost.png"))
    listed = {"labels.tsv": lines, "1.png": PICTURE}
    folders = [files(tmp_path / "pairs", pairs), files(tmp_path / "listed", listed)]
    (tmp_path / "listed" / "folder.png").mkdir()
    return [str(folder) for folder in folders]


def former(reason: str) -> str:
    return FORMER_REASONS.get(reason, reason)


def former_digest(uris: list[str]) -> str:
    """Of the listing, as it was computed then."""
    digest = hashlib.sha256()
    sources = [open_source(uri, options=CONFIG.options) for uri in uris]
    entries = Entries(sources, source_names(CONFIG, sources), CONFIG)
    for _, entry in (one for page in entries.pages() for one in page):
        group = (entry.group,) if entry.group else ()
        values = (*entry[:7], former(entry.reason), entry.source, *group)
        digest.update("\t".join(map(str, values)).encode() + b"\n")
    return digest.hexdigest()


def age(out: Path, digest: str) -> None:
    """Gives all that a folder of shards holds the names and the digest of then."""
    for path in out.rglob("*.json"):
        values = json.loads(path.read_text(encoding="utf-8"))
        if "rejects" in values:
            values["rejects"] = {former(name): n for name, n in values["rejects"].items()}
        if "listing_digest" in values.get("recipe", {}):
            values["recipe"]["listing_digest"] = digest
        path.write_text(json.dumps(values), encoding="utf-8")
    for path in (*out.glob("rejects/*.parquet"), *out.glob("_parts/plan-*.parquet")):
        table = pq.read_table(path)
        place = table.schema.get_field_index("reason")
        reasons = pa.array([former(reason) for reason in table["reason"].to_pylist()])
        table = table.set_column(place, table.schema.field(place), reasons)
        if path.name.startswith("plan-"):
            table = table.replace_schema_metadata({"listing_digest": digest})
        rows = pq.read_metadata(path).row_group(0).num_rows
        pq.write_table(table, path, row_group_size=rows)


def test_a_finished_set_of_then_is_complete_and_counted(tmp_path: Path, sources: list[str]) -> None:
    out = tmp_path / "out"
    (made,) = carry_out(begin(sources, str(out), CONFIG))
    assert made.manifest.rejects == {"not_found": 3, "unreadable": 1}
    age(out, former_digest(sources))
    assert {reason for reason, _ in rejects_of(out).values()} == set(FORMER_REASONS.values())
    (again,) = carry_out(begin(sources, str(out), CONFIG))
    assert again.was_complete
    assert again.manifest.rejects == load_manifest(str(out)).rejects == made.manifest.rejects
    assert again.missing == made.missing
    assert (made.missing.count, sorted(made.missing.first)) == (3, [*FOUND, LISTED])
    (found,) = find_sets([str(out)], InspectConfig())
    assert found.rejects == made.manifest.rejects
    reasons = {id: reason for id, reason, _ in set_aside(found, 9)}
    assert reasons == {
        **dict.fromkeys((LISTED, *FOUND), "not_found"),
        "listed/folder.png": "unreadable",
    }


def test_an_unfinished_set_of_then_is_gone_on_with(tmp_path: Path, sources: list[str]) -> None:
    (whole,) = carry_out(begin(sources, str(tmp_path / "whole"), CONFIG))
    out = tmp_path / "out"
    job = begin(sources, str(out), CONFIG)
    while not job.agenda.complete:
        job.agenda.wait()
    make = PartMaker(job.task)
    for chunk in [*job.agenda.take()][1:3]:
        list(make(chunk))
    done = {path: path.stat().st_mtime_ns for path in out.glob("part-*.parquet")}
    assert done
    job.hold.release()
    age(out, former_digest(sources))
    (made,) = carry_out(begin(sources, str(out), CONFIG))
    assert made.manifest == whole.manifest
    assert {path: path.stat().st_mtime_ns for path in done} == done


@pytest.mark.parametrize("change", ["0001.gt.txt", "0007.gt.txt"])
def test_another_listing_is_told_from_one_of_then(
    tmp_path: Path, sources: list[str], change: str
) -> None:
    out = tmp_path / "out"
    carry_out(begin(sources, str(out), CONFIG))
    age(out, former_digest(sources))
    (tmp_path / "pairs" / change).write_text("new")
    with pytest.raises(Exception, match="another listing: listing_digest"):
        carry_out(begin(sources, str(out), CONFIG))
