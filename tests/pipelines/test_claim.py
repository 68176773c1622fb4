"""A second job in the same output folder is told that there is a first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from crnn.errors import DataError
from crnn.files import storage
from jobs import compare_data, inspect_data
from jobs.training.run import train
from jobs.training.settings import TrainSettings
from pipelines import claim as work
from pipelines.claim import Hold, alone_at_work, at_work
from pipelines.ledger import read_chunk
from pipelines.output import claim
from pipelines.prepare import PrepareConfig, begin
from pipelines.recognition import BulkConfig, plan_work
from pipelines.recognition.known import REPLACES
from pipelines.recognition.plan import PLAN_SCHEMA, Ledger
from pipelines.render.synth import RenderConfig, render_set
from tests.pipelines.evaluation_cases import random_bundle
from tests.pipelines.stream.sets import good, write_set

BUSY = "another job is at work in .*wait until it ends"


def test_one_at_a_time_and_the_next_when_it_has_ended(tmp_path: Path) -> None:
    folder = tmp_path / "a/b"
    hold = Hold(str(folder))
    with pytest.raises(DataError, match=BUSY):
        Hold(str(folder))
    Hold(str(tmp_path / "a")).release()
    hold.release()
    with at_work(str(folder)), pytest.raises(DataError, match=BUSY), at_work(str(folder)):
        pass
    assert not folder.exists(), "nothing was written"


def test_an_object_store_tells_nothing(new_bucket: Callable[[], str]) -> None:
    uri = f"{new_bucket()}/out"
    with at_work(uri), at_work(uri):
        pass


def test_a_run_on_an_object_store_shows_a_sign_of_life(
    new_bucket: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "BEAT_S", 0.05)
    uri = f"{new_bucket()}/runs/a"
    sign = f"{uri}/{work.SIGN_NAME}"
    with alone_at_work(uri):
        with pytest.raises(DataError, match=BUSY), alone_at_work(uri):
            pass
        shards = ("s3://none/set",)
        for overwrite in (False, True):
            run = TrainSettings(name="a", storage_path=uri[:-2], data=shards, overwrite=overwrite)
            with pytest.raises(DataError, match=BUSY):
                train(run)
    assert not storage.exists(sign)
    storage.write_bytes(sign, b"of a job that was killed")
    with alone_at_work(uri):
        assert b"killed" not in storage.read_bytes(sign)


def test_every_job_that_writes_a_folder_says_so(
    tmp_path: Path, words_folder: Callable[[Sequence[str]], Path]
) -> None:
    source = str(words_folder(["one", "two"]))
    shards = write_set(tmp_path / "set", good(60))
    bundle = random_bundle(tmp_path / "bundle")
    out = tmp_path / "runs/out"
    jobs: list[Callable[[], object]] = [
        lambda: begin([source], str(out), PrepareConfig()),
        lambda: render_set(str(out), RenderConfig(count=1)),
        lambda: plan_work(bundle, source, str(out), BulkConfig()),
        lambda: inspect_data.main([shards, "--out", str(out)]),
        lambda: compare_data.main([shards, shards, "--out", str(out)]),
        lambda: train(TrainSettings(name="out", storage_path=str(out.parent), data=(shards,))),
    ]
    with at_work(str(out)):
        for job in jobs:
            with pytest.raises(DataError, match=BUSY):
                job()
    first = begin([source], str(out), PrepareConfig())
    with pytest.raises(DataError, match=BUSY):
        begin([source], str(out), PrepareConfig(overwrite=True))
    first.hold.release()


def test_of_some_with_other_settings_at_once_all_but_one_are_refused(tmp_path: Path) -> None:
    uri = str(tmp_path / "out")
    recipes = [{"": {"made_by": "prepare", "seed": number}} for number in range(6)]

    def begun(recipe: dict[str, dict[str, object]]) -> str:
        try:
            with at_work(uri):  # as a job: locally nothing else keeps one from another's files
                claim(uri, recipe, overwrite=False)
        except DataError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(6) as jobs:
        told = list(jobs.map(begun, recipes))
    assert told.count("") == 1
    assert all("choose another folder" in message for message in told if message)
    assert begun(recipes[told.index("")]) == "", "its own rerun goes on"


def test_of_two_bulk_jobs_that_plan_at_once_on_a_store_the_later_is_told(
    new_bucket: Callable[[], str],
) -> None:
    uri = f"{new_bucket()}/out"

    def table(name: str) -> pa.Table:
        return pa.Table.from_pylist([{"uri": name, REPLACES.name: False}], PLAN_SCHEMA)

    def begun_between() -> Iterator[pa.Table]:
        """The other job plans when this one has looked what plans there are."""
        list(Ledger(uri, "d" * 64).add([table("first.png")]))
        yield table("second.png")

    with pytest.raises(DataError, match="written by another job meanwhile"):
        list(Ledger(uri, "d" * 64).add(begun_between()))
    (plan,) = Ledger(uri, "d" * 64).plans()
    assert read_chunk(plan.chunks()[0])["uri"].to_pylist() == ["first.png"]
