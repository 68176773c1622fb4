"""Puts an inspection in its place: ``report.json`` last, so a folder without it is unfinished."""

from __future__ import annotations

import json

import pyarrow.parquet as pq

from crnn.files import storage
from pipelines.inspection.findings_file import FINDINGS_NAME, FINDINGS_SCHEMA, SETS_KEY
from pipelines.inspection.page import page
from pipelines.inspection.result import Inspection
from pipelines.ledger import gathered
from pipelines.owned import begin_page

HTML_NAME = "report.html"
JSON_NAME = "report.json"
ROW_GROUP_ROWS = 1 << 16


def write(inspection: Inspection, out_uri: str) -> str:
    """Write the three files to a folder or address, and return the address of the HTML page.

    Raises:
        DataError: when they can't be written.
    """
    begin_page(out_uri, HTML_NAME, JSON_NAME)
    _write_findings(inspection, storage.join(out_uri, FINDINGS_NAME))
    address = storage.join(out_uri, HTML_NAME)
    storage.write_bytes(address, page(inspection).encode("utf-8", "surrogatepass"))
    text = json.dumps(inspection.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
    storage.write_bytes(storage.join(out_uri, JSON_NAME), text.encode())
    return address


def _write_findings(inspection: Inspection, address: str) -> None:
    sets = json.dumps({data.name: data.uri for data in inspection.sets}, ensure_ascii=False)
    schema = FINDINGS_SCHEMA.with_metadata({SETS_KEY: sets.encode("utf-8", "surrogatepass")})
    with (
        storage.replacing(address) as path,
        pq.ParquetWriter(path, schema, compression="zstd") as writer,
    ):
        for table in gathered(inspection.every.tables(), ROW_GROUP_ROWS):
            writer.write_table(table.cast(schema))
