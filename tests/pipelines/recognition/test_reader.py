"""Chunks in one process of Ray's, and in the next one after it has died."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
import ray
from hypothesis import given
from hypothesis import strategies as st

from pipelines.ledger import Chunk
from pipelines.recognition import BulkConfig, plan_work
from pipelines.recognition.flow import TASK_CHUNKS, _tasks
from pipelines.recognition.reader import ChunkOutcome, ChunkReadConfig, ChunkReader
from pipelines.spread import is_second_try
from tests.jobs.processes import descendants
from tests.pipelines.evaluation_cases import random_bundle, rendered
from tests.pipelines.recognition.results import assert_once, rows_of

pytestmark = pytest.mark.usefixtures("local_ray")


@given(chunks=st.integers(0, 700).map(range), processes=st.integers(1, 40), is_last=st.booleans())
def test_tasks_are_all_chunks_in_order_and_processes_end_together(
    chunks: range, processes: int, is_last: bool
) -> None:
    tasks = _tasks(chunks, processes, is_last=is_last)  # type: ignore[arg-type]
    assert [chunk for task in tasks for chunk in task] == list(chunks)
    sizes = [len(task) for task in tasks]
    assert all(0 < size <= TASK_CHUNKS for size in sizes)
    assert sizes == sorted(sizes, reverse=True)
    if is_last:
        assert sizes[-1:] in ([], [1])
    elif max(sizes, default=0) < TASK_CHUNKS:
        assert len(sizes) <= 2 * processes


@ray.remote(max_retries=1)
def read(config: ChunkReadConfig, chunks: Sequence[Chunk]) -> tuple[list[ChunkOutcome], int]:
    """What the second process tells, and how many of its own it started; the first one dies."""
    before = set(descendants(os.getpid()))  # of other tests' readers
    reader = ChunkReader(config)
    if not is_second_try():
        list(reader(chunks[:1]))
        assert set(descendants(os.getpid())) <= before
        os.kill(os.getpid(), signal.SIGKILL)
    return list(reader(chunks)), len(set(descendants(os.getpid())) - before)


@pytest.mark.slow
@pytest.mark.fault
def test_who_comes_after_a_dead_one_keeps_its_files_and_decodes_apart(tmp_path: Path) -> None:
    folder, out = tmp_path / "crops", str(tmp_path / "out")
    folder.mkdir()
    for number in range(1030):
        (folder / f"{number}.png").write_bytes(rendered(str(number)))
    (folder / "empty.png").write_bytes(b"")
    work = plan_work(random_bundle(tmp_path / "bundle"), str(folder), out, BulkConfig())
    while not work.agenda.wait():
        pass
    chunks = work.agenda.take()
    assert [chunk.rows for chunk in chunks] == [512, 512, 7]
    outcomes, processes = ray.get(read.remote(work.read, chunks))
    assert processes == 1
    assert sorted(outcome.part for outcome in outcomes) == [chunk.part for chunk in chunks]
    assert sum(outcome.rows for outcome in outcomes) == 1031
    assert sum(outcome.sums.errors.total() for outcome in outcomes) == 1
    first = next(outcome for outcome in outcomes if outcome.part == chunks[0].part)
    written = (Path(work.ledger.results_uri) / first.part).stat().st_mtime
    assert written < first.began
    assert_once(rows_of(out), {str(path) for path in folder.iterdir()})
