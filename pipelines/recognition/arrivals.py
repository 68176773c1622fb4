"""What comes below a prefix of S3, as its events tell it: messages of a queue.

Messages are taken, what they tell is written down, and only then are they deleted. So a message
whose picture nobody has written down comes again, and one that comes again tells nothing new: in
doubt (an object that was planned before, in another version) the store is asked what is there now.
Events may be lost where they are set up wrongly; so the prefix is listed when the job begins, and
once in a long while, a part at a time between messages.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from botocore.exceptions import BotoCoreError, ClientError

from crnn.brief import brief
from crnn.errors import DataError
from crnn.files import storage
from pipelines.recognition.event_queue import MOST_AT_ONCE, EventQueue, Message
from pipelines.recognition.inputs import SCHEMA
from pipelines.recognition.known import Known
from pipelines.recognition.listing import InputFolder, below
from pipelines.recognition.listings import LONGEST_PAUSE, InputBatch, Listings
from pipelines.recognition.s3_events import Created, told
from pipelines.stores import s3_client

_MOST_MESSAGES = 1000
"""Of one batch; taking and planning them stays far below a queue's visibility timeout."""
_GATHER_S = 2.0
"""A batch takes what comes within so long after its first message."""
_LISTED_S = 20.0
"""A listing goes on for so long before messages are taken again."""
_ASKING = 8
"""Requests at once that ask what is there now."""

Cut = Callable[[Iterator[pa.Table]], Iterator[pa.Table]]
"""Gives the same inputs in other tables."""


@dataclass(kw_only=True)
class MessageCounts:
    """What came from the queue in this run."""

    read: int = 0
    """Messages taken and deleted."""
    elsewhere: int = 0
    """Events of other kinds, or of objects that are no inputs of this job."""
    left: int = 0
    """Messages that aren't events of S3, and stay in the queue."""
    example: str = ""
    """One of these."""
    by_listing: int = 0
    """Inputs that a later listing found, and no message had told by then."""


class Arrivals:
    """Takes messages and, now and then, lists; in the thread of the plans."""

    def __init__(
        self, queue: EventQueue, folder: InputFolder, cut: Cut, *, every_s: float, relist_s: float
    ) -> None:
        """
        Args:
            queue: where the events of the folder's bucket come.
            folder: what is read.
            cut: makes tables of the size of chunks.
            every_s: seconds from one batch to the next.
            relist_s: seconds from the end of a listing to the next.
        """
        self._queue, self._folder, self._cut = queue, folder, cut
        self._every_s, self._relist_s = every_s, relist_s
        self._begin = time.time()
        self._left = set[str]()
        self._trouble = {"take": "", "delete": ""}
        self._pause = 1
        self._next_take_s = 0.0
        self._has_taken = self._is_listed = False
        self.counts = MessageCounts()

    @property
    def trouble(self) -> str:
        """What is wrong with the queue; empty for nothing."""
        return self._trouble["take"] or self._trouble["delete"]

    def narrowed(self, tables: Iterator[pa.Table], known: Known) -> Iterator[pa.Table]:
        """What a listing gives, without what is planned by then; DataError as ``listing``."""
        is_first, self._is_listed = not self._is_listed, True
        for table in tables:
            new = self._unplanned(known, table)
            self.counts.by_listing += 0 if is_first else len(new)
            yield new

    def batches(
        self, known: Known, listings: Listings, stop: threading.Event
    ) -> Iterator[InputBatch]:
        """Batches of what isn't known, until ``stop`` is set; of ``listings`` they are narrowed.

        Raises:
            DataError: when the first messages can't be taken, or the first listing fails.
        """
        next_listing_s, pause = time.monotonic(), 1
        while not stop.is_set():
            if time.monotonic() >= self._next_take_s:
                rest_s = 0 if listings.under_way else next_listing_s - time.monotonic()
                batch = self._taken(known, max(0, rest_s))
                if stop.is_set():
                    return
                if batch is not None:
                    yield batch
            if time.monotonic() >= next_listing_s:
                yield InputBatch(listings.tables(_LISTED_S))
                if not listings.under_way:
                    pause = min(2 * pause, LONGEST_PAUSE) if listings.trouble else 1
                    rest_s = self._every_s * pause if listings.trouble else self._relist_s
                    next_listing_s = time.monotonic() + rest_s
            else:
                stop.wait(min(self._next_take_s, next_listing_s) - time.monotonic())

    def _taken(self, known: Known, wait_s: float) -> InputBatch | None:
        """The next messages, and what to do when their objects are written down."""
        try:
            messages, has_more = self._gathered(wait_s)
            rows, whens = self._told(messages)
            new = self._unplanned(known, pa.Table.from_pylist(rows, schema=SCHEMA))
        except DataError as error:
            if not self._has_taken:
                raise
            self._trouble["take"] = str(error)
            self._next_take_s = time.monotonic() + self._every_s * self._pause
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
            return None
        self._trouble["take"], self._pause, self._has_taken = "", 1, True
        if not messages:
            return None
        if not has_more:
            self._next_take_s = time.monotonic() + self._every_s
        waited = [when for uri in new["uri"].to_pylist() if (when := whens[uri]) is not None]
        since = min((when for when in waited if when >= self._begin), default=None)
        done = [message for message in messages if message.id not in self._left]
        return InputBatch(self._cut(iter([new])), since, lambda: self._delete(done))

    def _gathered(self, wait_s: float) -> tuple[list[Message], bool]:
        """Messages, and whether there are more of them at once."""
        found = self._queue.receive(wait_s)
        messages, until_s = list(found), time.monotonic() + _GATHER_S
        while found and len(messages) < _MOST_MESSAGES and time.monotonic() < until_s:
            found = self._queue.receive(1)
            messages += found
        return messages, len(found) == MOST_AT_ONCE

    def _told(
        self, messages: Sequence[Message]
    ) -> tuple[list[dict[str, Any]], dict[str, float | None]]:
        """The inputs of which messages tell, and when each of them came."""
        rows, whens = dict[str, dict[str, Any]](), dict[str, float | None]()
        for message in messages:
            found = told(message.body)
            if found is None:
                self._leave(message)
                continue
            self.counts.elsewhere += found.others
            for created in found.created:
                row = self._row(created)
                if row is None:
                    self.counts.elsewhere += 1
                    continue
                uri = row["uri"]
                if rows.setdefault(uri, row)["etag"] != row["etag"]:
                    rows[uri] = {**row, "etag": ""}  # which of them is the last isn't told
                whens[uri] = min(
                    (one for one in (whens.get(uri), created.when) if one is not None), default=None
                )
        return list(rows.values()), whens

    def _row(self, created: Created) -> dict[str, Any] | None:
        """The object as a listing gives it; None where it is no input of this job."""
        options = storage.split_options(self._folder.uri)[1]
        uri = f"s3://{created.bucket}/{created.key}"
        row = {"uri": uri + options, "etag": created.etag, "size": created.size}
        is_below = uri.startswith(below(self._folder.uri)) and not uri.endswith("/")
        return row if is_below and self._folder.has(row) else None

    def _leave(self, message: Message) -> None:
        self._left.add(message.id)
        self.counts.left = len(self._left)
        self.counts.example = self.counts.example or f"{message.id}: {brief(message.body)}"

    def _delete(self, messages: Sequence[Message]) -> None:
        try:
            self._queue.delete(messages)
        except DataError as error:
            self._trouble["delete"] = str(error)
        else:
            self.counts.read += len(messages)
            self._trouble["delete"] = ""

    def _unplanned(self, known: Known, table: pa.Table) -> pa.Table:
        """Those whose version isn't planned; of doubtful ones the version that is there now."""
        is_open = pc.equal(table["etag"], "")
        table = table.filter(pc.or_(is_open, pa.array(known.new(table))))
        is_planned: list[bool] = known.has(table).tolist()
        rows = table.to_pylist()
        doubtful = [at for at, row in enumerate(rows) if is_planned[at] or not row["etag"]]
        if not doubtful:
            return table
        with ThreadPoolExecutor(_ASKING) as pool:
            asked = pool.map(lambda at: self._now(rows[at], is_planned[at]), doubtful)
            for at, row in zip(doubtful, list(asked), strict=True):
                rows[at] = row
        there = pa.Table.from_pylist([row for row in rows if row is not None], schema=SCHEMA)
        return there.filter(pa.array(known.new(there)))

    def _now(self, row: dict[str, Any], is_planned: bool) -> dict[str, Any] | None:
        """The object as it is; None if it is gone and has a row already.

        Raises:
            DataError: when the store can't be asked.
        """
        bare = storage.split_options(row["uri"])[0]
        bucket, _, key = bare.removeprefix("s3://").partition("/")
        try:
            found = self._client.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if status == 404:
                return None if is_planned else row
            if 400 <= status < 500:  # it may be read nonetheless, or its row will say why not
                return row
            raise DataError(f"can't look at {bare}: {error}") from error
        except BotoCoreError as error:
            raise DataError(f"can't look at {bare}: {error}") from error
        return {**row, "etag": found["ETag"].strip('"'), "size": found["ContentLength"]}

    @cached_property
    def _client(self) -> Any:
        return s3_client(storage.split_options(self._folder.uri)[1])
