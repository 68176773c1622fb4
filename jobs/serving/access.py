"""The bearer token: where it comes from, and whether a request brings it (RFC 6750)."""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path

from jobs.serving.problems import ProblemError
from jobs.serving.settings import TOKEN_VARIABLE

OPEN_PATHS = frozenset(
    {"/", "/healthz", "/readyz", "/docs", "/openapi.json", "/v2/health/live", "/v2/health/ready"}
)
"""What tells nothing about pictures, models or load, and is answered without a token."""
_LEAST_CHARACTERS = 16


def read_token(token_file: str) -> str:
    """The token of the file, else of the environment, else none: empty.

    Raises:
        ValueError: for a file that can't be read, or a token too short to be a secret. The
            message doesn't tell it.
    """
    if token_file:
        try:
            token = Path(token_file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"--token-file {token_file} can't be read: {error}") from None
        where = f"--token-file {token_file}"
    else:
        token, where = os.environ.get(TOKEN_VARIABLE, "").strip(), f"${TOKEN_VARIABLE}"
        if not token:
            return ""
    if len(token) < _LEAST_CHARACTERS or not token.isascii() or not token.isprintable():
        raise ValueError(
            f"{where} has {len(token)} characters; expected at least {_LEAST_CHARACTERS} of "
            "printable ASCII, such as 'openssl rand -hex 32' gives"
        )
    return token


class Access:
    """Lets requests through that bring the token; all of them where there is none."""

    def __init__(self, token: str) -> None:
        self._digest = hashlib.sha256(token.encode()).digest() if token else None

    def check(self, path: str, authorization: bytes) -> None:
        """Raise ProblemError unless a request for ``path`` with this header may go on."""
        if self._digest is None or path in OPEN_PATHS:
            return
        scheme, _, given = authorization.partition(b" ")
        same = hmac.compare_digest(hashlib.sha256(given.strip()).digest(), self._digest)
        if scheme.lower() != b"bearer" or not same:
            what = "another token" if authorization else "no token"
            raise ProblemError(
                "unauthorized", f"the request brings {what}; expected 'Authorization: Bearer …'"
            )
