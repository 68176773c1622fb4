"""What messages tell, and what becomes of messages and of what they tell."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest

from crnn.errors import DataError
from crnn.files import storage
from pipelines.recognition.follow import Follow
from pipelines.recognition.inputs import pages
from pipelines.recognition.listing import bucket_folder, list_inputs
from pipelines.recognition.plan import Ledger
from pipelines.recognition.s3_events import Told, told
from tests.crnn.moments import until
from tests.pipelines.recognition.queues import TEST_EVENT, ToldQueue, by_bridge, by_topic, event

DIGEST = "0" * 16
ODD = "s3://b/in/a b+c%20ü&.png"
_numbers = itertools.count()


@pytest.mark.parametrize(
    "body", [event(ODD), by_topic(event(ODD)), by_bridge(ODD), by_topic(by_bridge(ODD))]
)
def test_an_object_is_told_in_each_of_the_ways_of_aws(body: str) -> None:
    found = told(body)
    assert found is not None and found.others == 0
    [created] = found.created
    assert f"s3://{created.bucket}/{created.key}" == ODD
    assert (created.etag, created.size, created.when) == ("1", 1024, 1767225600.0)


def test_other_events_are_counted_and_other_messages_are_none() -> None:
    assert told(TEST_EVENT) == told(by_topic(TEST_EVENT)) == Told()
    assert told(event(ODD, name="ObjectRemoved:Delete")) == Told(others=1)
    assert told(by_bridge(ODD, kind="Object Deleted")) == Told(others=1)
    for body in (
        "hello",
        "",
        "[]",
        "7",
        "{}",
        '{"Records": 7}',
        '{"Records": [{}]}',
        "[" * 100_000,
    ):
        assert told(body) is None, body
    assert told(by_topic("hello")) is None
    no_time = json.loads(event(ODD, when="yesterday"))
    del no_time["Records"][0]["s3"]["object"]["eTag"]
    found = told(json.dumps(no_time))
    assert found is not None and (found.created[0].when, found.created[0].etag) == (None, "")


@pytest.fixture
def bucket(new_bucket: Callable[[], str]) -> str:
    return new_bucket()


@pytest.fixture
def queue(bucket: str) -> ToldQueue:
    return ToldQueue(f"queue-{next(_numbers)}")


def put(uri: str, content: str = "") -> str:
    """Its etag."""
    name, _, key = uri.removeprefix("s3://").partition("/")
    answer = boto3.client("s3").put_object(Bucket=name, Key=key, Body=(content or uri).encode())
    return str(answer["ETag"].strip('"'))


def a_follow(uri: str, url: str, relist_s: float = 1000) -> Follow:
    follow = Follow(uri, 0.05, events=url, relist_s=relist_s)
    follow.take_events(bucket_folder(uri), pages)
    return follow


@contextmanager
def planned(
    uri: str, url: str, out: Path, relist_s: float = 1000
) -> Iterator[tuple[Follow, Callable[[], list[tuple[str, str]]]]]:
    """Plans what comes below ``uri``; gives address and version of all that was planned."""
    follow, ledger = a_follow(uri, url, relist_s), Ledger(str(out), DIGEST)
    thread = threading.Thread(
        target=lambda: list(follow.plans(ledger, partial(list_inputs, uri))), daemon=True
    )

    def inputs() -> list[tuple[str, str]]:
        tables = (table for plan in ledger.plans() for table in ledger.inputs(plan))
        return [(row["uri"], row["etag"]) for table in tables for row in table.to_pylist()]

    thread.start()
    try:
        yield follow, inputs
    finally:
        follow.stop()


def test_each_version_is_planned_once_and_every_message_of_s3_deleted(
    bucket: str, queue: ToldQueue, tmp_path: Path
) -> None:
    old, new = f"{bucket}/in/old.png", f"{bucket}/in/a b+c%20ü.png"
    expected = [(old, put(old))]
    queue.of(bucket)
    with planned(f"{bucket}/in", queue.url, tmp_path) as (follow, inputs):
        until(lambda: inputs() == expected)
        first = put(new)
        expected.append((new, first))
        until(lambda: inputs() == expected)
        expected.append((new, put(new, "other")))
        until(lambda: inputs() == expected)
        for body in (event(new, first), event(new, expected[-1][1]), event(old, "00"), TEST_EVENT):
            queue.send(body)  # again, late, and of versions that are there no more
        put(f"{bucket}/in/text.txt")
        put(f"{bucket}/in2/1.png")
        queue.send(by_topic(event("s3://elsewhere/in/1.png")))
        queue.send(event(new, name="ObjectRemoved:Delete"))
        queue.send("hello")
        gone = f"{bucket}/in/gone.png"
        queue.send(event(gone, "77"))
        expected.append((gone, "77"))
        until(lambda: inputs() == expected)
        until(lambda: queue.count() == 1)
        counts = follow.messages
        assert counts is not None
        until(lambda: counts.left == 1)
        assert "'hello'" in counts.example
        assert counts.elsewhere == 4
        assert follow.now().trouble == ""
    assert inputs() == expected


def test_a_message_is_deleted_only_when_its_object_is_planned(bucket: str, tmp_path: Path) -> None:
    """As if it had been killed in between: it comes again, and tells nothing new."""
    uri, queue = f"{bucket}/in", ToldQueue(f"queue-{next(_numbers)}", visibility_s=1)
    queue.send(event(f"{uri}/1.png"))
    plans = a_follow(uri, queue.url).plans(Ledger(str(tmp_path), DIGEST), lambda: iter(()))
    assert next(plans).groups == (1,)
    assert queue.count() == 1
    put(f"{uri}/2.png")
    queue.send(event(f"{uri}/2.png", "2"))
    with planned(uri, queue.url, tmp_path) as (_, inputs):
        until(lambda: queue.count() == 0)
        until(lambda: len(inputs()) == 2)
    assert [uri for uri, _ in inputs()] == [f"{uri}/1.png", f"{uri}/2.png"]


def test_versions_told_at_once_are_the_one_that_is_there(
    bucket: str, queue: ToldQueue, tmp_path: Path
) -> None:
    uri = f"{bucket}/in/1.png"
    now = put(uri)
    for etag in (now, "1", now, "2"):
        queue.send(event(uri, etag))
    with planned(f"{bucket}/in", queue.url, tmp_path) as (_, inputs):
        until(lambda: queue.count() == 0)
        assert inputs() == [(uri, now)]


def test_what_no_message_told_is_found_by_a_later_listing(
    bucket: str, queue: ToldQueue, tmp_path: Path
) -> None:
    with planned(f"{bucket}/in", queue.url, tmp_path, relist_s=0.1) as (follow, inputs):
        until(lambda: follow.now().rounds > 1)
        put(f"{bucket}/in/1.png")
        until(lambda: len(inputs()) == 1)
        assert follow.messages is not None and follow.messages.by_listing == 1


def test_a_queue_that_is_gone_for_a_while_ends_nothing(
    bucket: str, queue: ToldQueue, tmp_path: Path
) -> None:
    with planned(f"{bucket}/in", queue.url, tmp_path) as (follow, inputs):
        until(lambda: follow.now().rounds == 1)
        queue.sqs.delete_queue(QueueUrl=queue.url)
        until(lambda: f"can't read from the queue {queue.url}" in follow.now().trouble)
        queue.create()
        queue.send(event(f"{bucket}/in/1.png"))
        until(lambda: len(inputs()) == 1)
        until(lambda: follow.now().trouble == "")


def test_a_queue_that_never_was_and_inputs_that_have_no_events_are_errors(
    bucket: str, queue: ToldQueue, tmp_path: Path
) -> None:
    url = queue.url + "-not"
    plans = a_follow(bucket, url).plans(Ledger(str(tmp_path), DIGEST), lambda: iter(()))
    with pytest.raises(DataError, match=r"can't read from the queue .*-not.*sqs:ReceiveMessage"):
        next(plans)
    storage.write_bytes(f"{bucket}/list.csv", b"uri\n1.png\n")
    put(f"{bucket}/1.png")
    wrong: tuple[tuple[str, dict[str, Any]], ...] = (
        (f"{bucket}/list.csv", {}),
        (f"{bucket}/1.png", {}),
        (f"{bucket}/1.png", {"all_files": True}),
        (str(tmp_path), {}),
    )
    for uri, options in wrong:
        with pytest.raises(DataError, match=r"is a list|is one picture|isn't in S3"):
            bucket_folder(uri, **options)
    assert bucket_folder(f"{bucket}/2026/*.png").has({"uri": f"{bucket}/2026/1.png"})
