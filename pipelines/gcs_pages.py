"""The objects of a Google Cloud Storage bucket, page by page, by its JSON API; Arrow lists all
of them at once.

Credentials are those of the environment (``google.auth.default``), as Arrow finds them too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, quote

import google.auth
import requests
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from crnn.errors import DataError

ENDPOINT = "storage.googleapis.com"
_READ_ONLY = "https://www.googleapis.com/auth/devstorage.read_only"
_FIELDS = "items(name,etag,size),prefixes,nextPageToken"
_TIMEOUT_S = (10, 60)
"""To connect, and to wait for an answer."""
_RETRIES = Retry(total=6, backoff_factor=0.5, status_forcelist=(408, 429, 500, 502, 503, 504))


def pages(
    bucket: str, prefix: str, options: str, *, below: bool = True
) -> Iterator[dict[str, Any]]:
    """Answers of ``objects.list`` for the keys with ``prefix``, in order; not ``below`` a ``/``.

    Args:
        bucket: its name.
        prefix: what keys begin with.
        options: of the address: ``?endpoint_override=…&scheme=…&anonymous=…``, or nothing.
        below: whether to list keys with a ``/`` behind the prefix, rather than their
            ``prefixes``.

    Raises:
        DataError: when it can't be listed.
    """
    given = dict(parse_qsl(options[1:]))
    host = f"{given.get('scheme', 'https')}://{given.get('endpoint_override', ENDPOINT)}"
    address = f"{host}/storage/v1/b/{quote(bucket, safe='')}/o"
    query = {"prefix": prefix, "fields": _FIELDS} | ({} if below else {"delimiter": "/"})
    try:
        with _session(given.get("anonymous", "").lower() in ("1", "true", "yes")) as session:
            token: str | None = ""
            while token is not None:
                answer = session.get(
                    address,
                    params=query | ({"pageToken": token} if token else {}),
                    timeout=_TIMEOUT_S,
                )
                answer.raise_for_status()
                page = answer.json()
                yield page
                token = page.get("nextPageToken")
    except (requests.RequestException, GoogleAuthError, ValueError) as error:
        raise DataError(
            f"can't list gs://{bucket}/{prefix}: {error}; check address, credentials and endpoint"
        ) from error


def _session(anonymous: bool) -> requests.Session:
    """With the environment's credentials, trying passing errors again."""
    if anonymous:
        session = requests.Session()
    else:
        credentials, _ = google.auth.default(scopes=[_READ_ONLY])
        session = AuthorizedSession(credentials)
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(max_retries=_RETRIES))
    return session
