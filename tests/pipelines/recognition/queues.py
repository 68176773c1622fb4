"""Queues of a real SQS endpoint that are told what comes to a bucket, as AWS tells it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote_plus

import boto3


class ToldQueue:
    """A queue, and the messages that lie in it."""

    def __init__(self, name: str, *, visibility_s: int = 600) -> None:
        """``visibility_s``: a message that was taken and isn't deleted by then comes again."""
        self.sqs = boto3.client("sqs")
        self._attributes = {"VisibilityTimeout": str(visibility_s)}
        self._name = name
        self.create()

    def create(self) -> None:
        made = self.sqs.create_queue(QueueName=self._name, Attributes=self._attributes)
        self.url = made["QueueUrl"]

    def of(self, bucket: str) -> None:
        """From here on the bucket's events come here."""
        arn = self._attribute("QueueArn")
        boto3.client("s3").put_bucket_notification_configuration(
            Bucket=bucket.removeprefix("s3://"),
            NotificationConfiguration={
                "QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]
            },
        )

    def send(self, body: str) -> None:
        self.sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def count(self) -> int:
        """Messages that aren't deleted, taken or not."""
        kinds = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        return sum(int(self._attribute(kind)) for kind in kinds)

    def _attribute(self, name: str) -> str:
        found = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=[name])
        return str(found["Attributes"][name])


def event(
    uri: str,
    etag: str = "1",
    *,
    name: str = "ObjectCreated:Put",
    when: str = "2026-01-01T00:00:00.000Z",
) -> str:
    """What S3 sends of one object: "Event message structure" of its documentation."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    thing = {
        "key": quote_plus(key, safe="/"),
        "size": 1024,
        "eTag": etag,
        "sequencer": "0055AED6DCD90281E5",
    }
    about = {
        "s3SchemaVersion": "1.0",
        "configurationId": "crops",
        "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
        "object": thing,
    }
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventTime": when,
        "eventName": name,
        "s3": about,
    }
    return json.dumps({"Records": [record]})


def by_topic(body: str) -> str:
    """A message as a topic of SNS hands it on."""
    return json.dumps({"Type": "Notification", "TopicArn": "arn:aws:sns:…", "Message": body})


def by_bridge(uri: str, etag: str = "1", kind: str = "Object Created") -> str:
    """What EventBridge sends of one object."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    about: dict[str, Any] = {
        "version": "0",
        "bucket": {"name": bucket},
        "object": {"key": key, "size": 1024, "etag": etag, "sequencer": "00617F08299329D189"},
        "reason": "PutObject",
    }
    return json.dumps(
        {
            "version": "0",
            "detail-type": kind,
            "source": "aws.s3",
            "time": "2026-01-01T00:00:00Z",
            "detail": about,
        }
    )


TEST_EVENT = json.dumps(
    {"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-01-01T00:00:00.000Z"}
)
