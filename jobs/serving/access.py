"""Who may ask: the bearer token that a request brings (RFC 6750), the host that it names."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Sequence
from pathlib import Path

from jobs.serving.bodies import shown
from jobs.serving.problems import ProblemError
from jobs.serving.settings import TOKEN_VARIABLE

OPEN_PATHS = frozenset(
    {"/", "/healthz", "/readyz", "/docs", "/openapi.json", "/v2/health/live", "/v2/health/ready"}
)
"""What tells nothing about pictures, models or load, and is answered without a token."""
_PROBED_PATHS = frozenset({"/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"})
"""What asks here whether the service is there knows it by its address."""
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
    """Lets requests through that bring the token and name a host of ours; all where none is set."""

    def __init__(self, token: str, hosts: Sequence[str] = ()) -> None:
        """``hosts``: names without a port; ``*.example.org`` for all below that."""
        self._digest = hashlib.sha256(token.encode()).digest() if token else None
        self._hosts = frozenset(host.lower() for host in hosts)

    def check(self, path: str, authorization: bytes, host: bytes) -> None:
        """Raise ProblemError unless a request for ``path`` with these headers may go on."""
        if self._hosts and path not in _PROBED_PATHS:
            self._check_host(host)
        if self._digest is None or path in OPEN_PATHS:
            return
        scheme, _, given = authorization.partition(b" ")
        same = hmac.compare_digest(hashlib.sha256(given.strip()).digest(), self._digest)
        if scheme.lower() != b"bearer" or not same:
            what = "another token" if authorization else "no token"
            raise ProblemError(
                "unauthorized", f"the request has {what}; expected 'Authorization: Bearer …'"
            )

    def _check_host(self, host: bytes) -> None:
        """A page that was loaded from elsewhere under a name that now leads here names that."""
        name = re.sub(r":\d*$", "", host.decode("latin-1")).lower()
        above = name.partition(".")[2]
        if name not in self._hosts and not (above and f"*.{above}" in self._hosts):
            raise ProblemError(
                "misdirected", f"the Host is {shown(host)}, which isn't a name of this service"
            )
