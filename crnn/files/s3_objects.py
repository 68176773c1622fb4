"""Whole objects of S3 in one request each; Arrow's file system sends a HEAD before each GET."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING

import botocore.session
import obstore
from botocore.exceptions import BotoCoreError
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from crnn.files.content import Content, ns_of
from crnn.files.file_systems import CONNECT_S, SILENCE_S, Options, is_anonymous, remote

if TYPE_CHECKING:
    from obstore._get import GetResult
    from obstore.store import S3Credential

_FRESH = timedelta(minutes=10)
"""botocore's credentials hold for at least this long when it gives them."""
_LONGEST = timedelta(hours=1)
"""Of one request; ``SILENCE_S`` ends most of those that fail."""
_BLOCK_BYTES = 1 << 20
_CAUSES = re.compile(r'"[^"]*"|\b[A-Z]\w+')
_making = Lock()
os.environ.setdefault("TOKIO_WORKER_THREADS", "2")
"""obstore would start one a core in each process; a picture took 40% more CPU time with 64."""


def read(bucket: str, options: Options, key: str, most: int | None) -> Content:
    """The object, or its first ``most`` bytes. It asks once: ``storage.attempt`` tries again.

    Raises:
        FileNotFoundError: when there is none.
        OSError: when it can't be read; PermissionError where trying again is of no use.
    """
    try:
        with _making:
            store = _store(bucket, options)
        found = obstore.get(store, key)
        meta = found.meta
        return Content(
            data=_bytes_of(found, most),
            size=meta["size"],
            mtime_ns=ns_of(meta["last_modified"]),
            etag=(meta["e_tag"] or "").strip('"'),
        )
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise PermissionError(_brief(error)) from error
    except (BaseError, BotoCoreError) as error:
        raise OSError(_brief(error)) from error


def _bytes_of(found: GetResult, most: int | None) -> bytes:
    if most is None or found.meta["size"] <= most:
        return found.bytes().to_bytes()
    head = bytearray()
    for block in found.stream(min(most, _BLOCK_BYTES)):
        head += block
        if len(head) >= most:
            break
    return bytes(head[:most])


def _brief(error: Exception) -> str:
    """What an error says, and of its long debugging text the names in the innermost cause."""
    what, _, debug = str(error).partition("\n\nDebug source:")
    cause = _CAUSES.findall(debug.rpartition("reqwest::Error")[2]) if "reqwest" in debug else []
    return f"{what} ({' '.join(cause)})" if cause else what


@lru_cache(maxsize=32)
def _store(bucket: str, options: Options) -> S3Store:
    given, region = dict(options), remote("s3", bucket, options).region
    session = botocore.session.get_session()
    host = given.get("endpoint_override", "")
    by_name = not host and "." not in bucket  # a dot has no certificate
    if not host:
        known = session.get_component("endpoint_resolver").construct_endpoint("s3", region)
        host = known["hostname"] if known else f"s3.{region}.amazonaws.com"
    if "://" not in host:
        host = f"{given.get('scheme', 'https')}://{f'{bucket}.' if by_name else ''}{host}"
    signing = None if is_anonymous(options) else _credentials(session)
    access = {"credential_provider": signing} if signing else {"skip_signature": True}
    return S3Store(
        bucket,
        **access,
        endpoint=host,
        virtual_hosted_style_request=by_name,
        region=region,
        client_options={
            "allow_http": True,
            "connect_timeout": timedelta(seconds=CONNECT_S),
            "read_timeout": timedelta(seconds=SILENCE_S),
            "timeout": _LONGEST,
        },
        retry_config={"max_retries": 0},
    )


def _credentials(session: botocore.session.Session) -> Callable[[], S3Credential] | None:
    """What gives the credentials of the environment, as all of boto3 finds them; None for none."""
    found = session.get_credentials()
    if found is None:
        return None

    def current() -> S3Credential:
        frozen = found.get_frozen_credentials()
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": datetime.now(UTC) + _FRESH,
        }

    return current
