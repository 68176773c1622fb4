"""A queue of SQS: messages are taken, and deleted once what they tell is written down."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from crnn.errors import DataError

MOST_AT_ONCE = 10
"""The most messages that SQS gives or deletes in one request."""
_LONGEST_WAIT_S = 20
"""The longest that it lets a request wait for a message."""
_REGION = re.compile(r"(?:^|\.)sqs(?:-fips)?\.([a-z0-9-]+)\.|^([a-z0-9-]+)\.queue\.amazonaws\.")
_REGION_ELSEWHERE = "us-east-1"
"""Servers that only speak like SQS take any."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message, until it is deleted or comes again."""

    id: str
    body: str
    receipt: str
    """What it is deleted by."""


class EventQueue:
    """The queue at a URL. Its host is the endpoint; credentials are those of S3's environment."""

    def __init__(self, url: str) -> None:
        self.url = url

    def receive(self, wait_s: float) -> list[Message]:
        """Up to ``MOST_AT_ONCE`` messages; none if none comes within ``wait_s`` or, if that is
        shorter, the longest time that SQS waits.

        The queue hides them for its visibility timeout, and gives them again if they aren't
        deleted by then.

        Raises:
            DataError: when they can't be had.
        """
        try:
            found = self._client.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=MOST_AT_ONCE,
                WaitTimeSeconds=min(int(wait_s), _LONGEST_WAIT_S),
            )
        except (BotoCoreError, ClientError, ValueError) as error:
            raise self._failure("read from", error) from error
        return [
            Message(id=one["MessageId"], body=one["Body"], receipt=one["ReceiptHandle"])
            for one in found.get("Messages", ())
        ]

    def delete(self, messages: Sequence[Message]) -> None:
        """Deletes them; DataError when that fails, of some of them once the others are deleted."""
        refused: list[str] = []
        for start in range(0, len(messages), MOST_AT_ONCE):
            entries = [
                {"Id": str(at), "ReceiptHandle": message.receipt}
                for at, message in enumerate(messages[start : start + MOST_AT_ONCE])
            ]
            try:
                done = self._client.delete_message_batch(QueueUrl=self.url, Entries=entries)
            except (BotoCoreError, ClientError) as error:
                raise self._failure("delete from", error) from error
            refused += [one.get("Message") or one["Code"] for one in done.get("Failed", ())]
        if refused:
            raise self._failure("delete from", f"{len(refused)} messages, such as: {refused[0]}")

    @cached_property
    def _client(self) -> Any:
        parts = urlsplit(self.url)
        found = _REGION.search(parts.hostname or "")
        region = (found[1] or found[2]) if found else boto3.session.Session().region_name
        return boto3.client(
            "sqs",
            endpoint_url=f"{parts.scheme}://{parts.netloc}",
            region_name=region or _REGION_ELSEWHERE,
            config=Config(retries={"mode": "standard", "max_attempts": 3}),
        )

    def _failure(self, what: str, error: object) -> DataError:
        return DataError(
            f"can't {what} the queue {self.url}: {error}; check its URL (aws sqs get-queue-url "
            "--queue-name NAME) and that these credentials may sqs:ReceiveMessage and "
            "sqs:DeleteMessage"
        )
