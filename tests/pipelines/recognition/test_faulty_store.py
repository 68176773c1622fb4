"""Reading from a store that throttles, fails, cuts off and crawls."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.recognition import BulkConfig, recognize
from pipelines.stores import s3_client
from tests.faulty_s3 import faulty
from tests.pipelines.evaluation_cases import random_bundle, rendered
from tests.pipelines.recognition.results import assert_once, rows_of

pytestmark = pytest.mark.usefixtures("local_ray")


def filled(bucket: str, names: list[str]) -> None:
    client = s3_client("")
    for name in names:
        client.put_object(Bucket=bucket.removeprefix("s3://"), Key=f"in/{name}", Body=rendered("1"))


@pytest.mark.slow
def test_what_passes_is_read_and_what_stays_is_a_row(
    tmp_path: Path, s3_endpoint: str, new_bucket: Callable[[], str]
) -> None:
    bucket, bundle = new_bucket(), random_bundle(tmp_path / "bundle")
    kinds = ("good", "throttled", "broken", "cut", "slow", "failing")
    names = [f"{kind}-{n}.png" for kind in kinds for n in range(3)]
    filled(bucket, names)
    with faulty(s3_endpoint) as (address, met):
        options = f"?endpoint_override={address.removeprefix('http://')}&scheme=http"
        recognize(bundle, f"{bucket}/in{options}", str(tmp_path / "out"), BulkConfig())
    rows = rows_of(str(tmp_path / "out"))
    assert_once(rows, {f"{bucket}/in/{name}{options}" for name in names})
    errors = {r["uri"].rpartition("/")[2].split("?")[0]: r["error_code"] for r in rows}
    assert errors == {name: "unreadable" if name.startswith("failing") else None for name in names}
    good = {r["text"] for r in rows if r["error_code"] is None}
    assert len(good) == 1, "a picture cut off or in pieces must not read otherwise"
    assert met["throttled"] == met["broken"] == 6
    assert met["cut"] == 3
    assert met["slow"] >= 3
    assert met["failing"] > 6
    failed = next(r for r in rows if r["error_code"])
    assert "failing" in failed["error_message"]


@pytest.mark.slow
def test_a_read_that_stalls_is_tried_again(
    tmp_path: Path, s3_endpoint: str, new_bucket: Callable[[], str]
) -> None:
    bucket, bundle = new_bucket(), random_bundle(tmp_path / "bundle")
    filled(bucket, ["stalled.png", "good.png"])
    with faulty(s3_endpoint) as (address, met):
        options = f"?endpoint_override={address.removeprefix('http://')}&scheme=http"
        outcome = recognize(bundle, f"{bucket}/in{options}", str(tmp_path / "out"), BulkConfig())
    assert met["stalled"] == 1
    assert outcome.report["read"] == 2
