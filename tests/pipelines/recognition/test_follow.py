"""Pictures that keep coming: what is new in each round, what fails in passing, and how it ends."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest

from crnn.errors import DataError
from crnn.files import storage
from pipelines.recognition import BulkConfig, Follow, carry_out, plan_work, recognize
from pipelines.recognition.flow import BulkWork, Outcome, Progress
from pipelines.recognition.known import REPLACES, Known
from pipelines.recognition.plan import Ledger
from pipelines.recognition.sweep import sweep
from tests.crnn.moments import until
from tests.pipelines.evaluation_cases import random_bundle, rendered
from tests.pipelines.recognition.results import (
    assert_once,
    assert_says_what_rows_say,
    rows_of,
)
from tests.pipelines.recognition.test_ledger import table

EVERY_S = 0.05


def test_each_round_plans_what_is_new_or_in_another_version_than_last() -> None:
    known = Known([], rounds=True)

    def fresh(names: str, etag: str) -> dict[str, bool]:
        found = known.fresh(table(names, etag))
        return dict(zip(found["uri"].to_pylist(), found[REPLACES.name].to_pylist(), strict=True))

    assert fresh("ab", "1") == {"a": False, "b": False}
    assert fresh("ab", "2") == {}, "one round takes a picture once"
    for names, etag, expected in (
        ("ab", "1", {}),
        ("ac", "1", {"c": False}),
        ("a", "2", {"a": True}),
        ("abc", "1", {"a": True}),  # as it was at first
        ("a", "1", {}),
        ("a", "2", {"a": True}),
        ("abc", "2", {"b": True, "c": True}),
    ):
        known.next_round()
        assert fresh(names, etag) == expected, (names, etag)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    return random_bundle(tmp_path_factory.mktemp("bundle"))


def put(folder: Path, *names: str, text: str = "") -> None:
    """Each of them whole at once."""
    for name in names:
        (folder / "part").write_bytes(rendered(text or name))
        (folder / "part").rename(folder / f"{name}.png")


@contextmanager
def followed(
    bundle: str, input_uri: str, out: str, on_progress: Callable[[Progress], None] = lambda _: None
) -> Iterator[tuple[Follow, list[Outcome]]]:
    """A job that reads what comes, and what came of it once it was told to stop."""
    follow, outcomes = Follow(input_uri, EVERY_S), list[Outcome]()
    work = plan_work(bundle, input_uri, out, BulkConfig(), follow=follow)
    thread = threading.Thread(target=lambda: outcomes.append(carry_out(work, on_progress)))
    thread.start()
    try:
        yield follow, outcomes
    finally:
        follow.stop()
        thread.join()


def is_read(out: str, count: int) -> Callable[[], bool]:
    def there() -> bool:
        try:
            return len({row["uri"] for row in rows_of(out)}) == count
        except (pa.ArrowInvalid, FileNotFoundError):  # not one results file yet
            return False

    return there


@pytest.mark.usefixtures("local_ray")
def test_what_comes_and_what_changes_has_one_row_and_the_end_is_reported(
    bundle: str, tmp_path: Path
) -> None:
    folder, out = tmp_path / "in", str(tmp_path / "out")
    folder.mkdir()
    put(folder, "1", "2")
    with followed(bundle, str(folder), out) as (follow, outcomes):
        until(is_read(out, 2))
        (folder / "deeper").mkdir()
        put(folder, "3")
        put(folder / "deeper", "4")
        until(is_read(out, 4))
        put(folder, "1", text="31415")
        os.utime(folder / "1.png", ns=(1, 1))
        put(folder, "5")
        until(is_read(out, 5))
    assert_once(rows_of(out), {str(path) for path in folder.rglob("*.png")})
    [outcome] = outcomes
    assert outcome.left == 0 and outcome.read == 6
    assert outcome.report["rows"] == 5 and storage.exists(outcome.page)
    assert outcome.lag is not None and 0 < outcome.lag.median_s <= outcome.lag.most_s < 600
    assert follow.now().trouble == ""
    assert_says_what_rows_say(outcome.report, bundle, BulkConfig(), tmp_path / "counted")


@pytest.mark.usefixtures("local_ray")
def test_a_folder_that_is_gone_for_a_while_ends_nothing(bundle: str, tmp_path: Path) -> None:
    folder, away, out = tmp_path / "in", tmp_path / "away", str(tmp_path / "out")
    folder.mkdir()
    put(folder, "1")
    told: list[str] = []

    def note(now: Progress) -> None:
        assert now.followed is not None
        told.append(now.followed.trouble)

    with followed(bundle, str(folder), out, note) as (follow, outcomes):
        until(is_read(out, 1))
        folder.rename(away)
        until(lambda: "there is nothing at" in follow.now().trouble)
        until(lambda: "there is nothing at" in told[-1])
        put(away, "2")
        away.rename(folder)
        until(is_read(out, 2))
    assert outcomes[0].report["rows"] == 2


def test_a_first_listing_that_fails_is_an_error(bundle: str, tmp_path: Path) -> None:
    follow = Follow(str(tmp_path / "nowhere"), EVERY_S)
    work = plan_work(
        bundle, str(tmp_path / "nowhere"), str(tmp_path / "out"), BulkConfig(), follow=follow
    )
    with pytest.raises(DataError, match="there is nothing at"):
        carry_out(work)


@pytest.mark.usefixtures("local_ray")
def test_a_prefix_may_be_empty_at_first(
    bundle: str, new_bucket: Callable[[], str], tmp_path: Path
) -> None:
    bucket, out = new_bucket(), str(tmp_path / "out")
    with followed(bundle, f"{bucket}/incoming", out) as (follow, outcomes):
        until(lambda: follow.now().rounds > 2)
        storage.write_bytes(f"{bucket}/incoming/1.png", rendered("1"))
        until(is_read(out, 1))
    assert_once(rows_of(out), {f"{bucket}/incoming/1.png"})
    assert outcomes[0].report["rows"] == 1


@pytest.mark.usefixtures("local_ray")
def test_what_is_left_when_it_is_stopped_is_not_called_complete(
    bundle: str, tmp_path: Path
) -> None:
    folder, out = tmp_path / "in", str(tmp_path / "out")
    folder.mkdir()
    put(folder, "1", "2", "3")

    def planned(*, stop_at: Callable[[BulkWork], bool]) -> Outcome:
        follow = Follow(str(folder), EVERY_S)
        work = plan_work(bundle, str(folder), out, BulkConfig(), follow=follow)
        until(lambda: stop_at(work))
        follow.stop()
        until(lambda: work.agenda.complete)
        return carry_out(work)

    def take(work: BulkWork) -> bool:
        return bool(work.agenda.take())

    left = planned(stop_at=take)
    assert (left.read, left.left, left.report, left.page) == (0, 3, {}, "")
    assert not storage.exists(storage.join(out, "_report.json"))
    done = planned(stop_at=lambda work: work.agenda.rows == 3)
    assert (done.read, done.left) == (3, 0)
    assert_once(rows_of(out), {str(path) for path in folder.iterdir()})


@pytest.mark.usefixtures("local_ray")
def test_an_older_row_stays_until_the_newer_one_is_written(bundle: str, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", str(tmp_path / "out")
    folder.mkdir()
    put(folder, "1", "2")
    recognize(bundle, str(folder), out, BulkConfig())
    put(folder, "1", text="31415")
    work = plan_work(bundle, str(folder), out, BulkConfig())
    until(lambda: work.agenda.complete)
    assert sweep(work.ledger) == 0
    assert_once(rows_of(out), {str(path) for path in folder.iterdir()})
    assert carry_out(work).read == 1
    assert_once(rows_of(out), {str(path) for path in folder.iterdir()})
    assert work.ledger.unswept() == []


def test_another_job_in_the_same_place_ends_it(tmp_path: Path) -> None:
    ledger, follow = Ledger(str(tmp_path), "0" * 16), Follow(str(tmp_path), EVERY_S)
    names = iter("abc")
    plans = follow.plans(ledger, lambda: iter([table([next(names)])]))
    assert next(plans).number == 0
    list(Ledger(str(tmp_path), "0" * 16).add(iter([Known([]).fresh(table("x"))])))
    with pytest.raises(DataError, match="another job"):
        next(plans)


def test_sweeping_leaves_time_to_read() -> None:
    follow, swept = Follow("/", EVERY_S), list[float]()

    def swept_now() -> None:
        swept.append(time.monotonic())
        time.sleep(0.02)

    for _ in range(3):
        follow._replaced = True
        follow.may_sweep(swept_now)
    assert len(swept) == 1
    until(lambda: follow.may_sweep(swept_now) is None and len(swept) == 2)
    assert swept[1] - swept[0] >= 0.02 * 10
