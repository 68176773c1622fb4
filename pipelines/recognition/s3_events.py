"""What a message says that tells of new objects: S3's own, wrapped by SNS, or by EventBridge.

The shapes are those of AWS's "Event message structure" (keys with ``+`` and ``%``) and of its
EventBridge event "Object Created" (keys as they are).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus

_CREATED = "ObjectCreated:"
_TEST = "s3:TestEvent"
_BRIDGED = "aws.s3"


@dataclass(frozen=True, kw_only=True)
class Created:
    """An object that was written."""

    bucket: str
    key: str
    etag: str
    """As a listing has it; empty where the event doesn't say."""
    size: int | None
    when: float | None
    """When the store had it, s since 1970."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What one message tells."""

    created: tuple[Created, ...] = ()
    others: int = 0
    """Events of other kinds: of objects that were removed, tagged …"""


def told(body: str) -> Told | None:
    """What a message tells; None if it isn't of S3.

    S3 sends a test to a queue that it is to notify; it tells nothing.
    """
    try:
        message = json.loads(body)
        if message.get("Type") == "Notification":  # of SNS
            message = json.loads(message["Message"])
        if message.get("Event") == _TEST:
            return Told()
        if message.get("source") == _BRIDGED:
            return _bridged(message)
        return _notified(message["Records"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _notified(records: list[dict[str, Any]]) -> Told:
    created = [
        _created(record["s3"], unquote_plus(record["s3"]["object"]["key"]), record.get("eventTime"))
        for record in records
        if record["eventName"].removeprefix("s3:").startswith(_CREATED)
    ]
    return Told(created=tuple(created), others=len(records) - len(created))


def _bridged(event: dict[str, Any]) -> Told:
    if event["detail-type"] != "Object Created":
        return Told(others=1)
    detail = event["detail"]
    return Told(created=(_created(detail, detail["object"]["key"], event.get("time")),))


def _created(about: dict[str, Any], key: str, when: object) -> Created:
    thing = about["object"]
    size = thing.get("size")
    return Created(
        bucket=str(about["bucket"]["name"]),
        key=key,
        etag=str(thing.get("eTag") or thing.get("etag") or "").strip('"'),
        size=size if isinstance(size, int) else None,
        when=_seconds(when),
    )


def _seconds(when: object) -> float | None:
    try:
        moment = datetime.fromisoformat(str(when))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
