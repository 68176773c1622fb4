"""What both clients are given: where the service is, and how to ask it."""

from __future__ import annotations

from typing import Any

TIMEOUT_S = 60.0
RETRIES = 5
PARALLEL = 4


class Settings:
    """What both clients are given."""

    def __init__(
        self,
        base_url: str,
        token: str | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        retries: int = RETRIES,
        parallel: int = PARALLEL,
    ) -> None:
        """A client of the service at ``base_url``, such as ``http://127.0.0.1:8000``.

        Args:
            base_url: address of the service, with http:// or https://.
            token: its bearer token, if it needs one.
            timeout_s: seconds to wait for each answer.
            retries: how often a request is sent again after a transient failure.
            parallel: requests of one ``read`` that are under way at a time.

        Raises:
            ValueError: for another kind of address, or a number out of its range.
        """
        if not base_url.startswith(("http://", "https://")):
            raise ValueError(f"base_url is {base_url!r}; expected http://host:port")
        if timeout_s <= 0:
            raise ValueError(f"timeout_s is {timeout_s}; expected more than 0")
        if retries < 0:
            raise ValueError(f"retries is {retries}; expected 0 or more")
        if parallel < 1:
            raise ValueError(f"parallel is {parallel}; expected at least 1")
        self.retries = retries
        self.parallel = parallel
        self._http: dict[str, Any] = {
            "base_url": base_url.rstrip("/") + "/",
            "timeout": timeout_s,
            "headers": {"Authorization": f"Bearer {token}"} if token else {},
        }
        self._open()

    def _open(self) -> None:
        raise NotImplementedError
