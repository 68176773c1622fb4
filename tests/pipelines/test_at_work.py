"""A second job in the same output folder is told that there is a first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from crnn.errors import DataError
from jobs.training.run import train
from jobs.training.settings import TrainSettings
from pipelines.at_work import Hold, at_work
from pipelines.prepare import PrepareConfig, begin
from pipelines.render.synth import RenderConfig, render_set
from tests.pipelines.stream.sets import good, write_set

BUSY = "another job is at work in .*wait until it has ended"


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


def test_every_job_that_writes_a_folder_says_so(
    tmp_path: Path, words_folder: Callable[[Sequence[str]], Path]
) -> None:
    source = str(words_folder(["one", "two"]))
    shards = write_set(tmp_path / "set", good(60))
    out = tmp_path / "runs/out"
    jobs: list[Callable[[], object]] = [
        lambda: begin([source], str(out), PrepareConfig()),
        lambda: render_set(str(out), RenderConfig(count=1)),
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
