"""Pictures named by URL: fetched if the operator allowed their prefix, else refused.

The sender of a request chooses the URL, which could point anywhere this service can reach.
Hence only whole prefixes of scheme, host and path count, nothing is normalised, no redirect is
followed, no proxy or credential of the environment is used, and bytes and time are bounded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

import aiohttp
from yarl import URL

from crnn.errors import PictureError
from jobs.serving.asked import Link, Source
from jobs.serving.bodies import Held
from jobs.serving.problems import ProblemError

_AT_A_TIME = 8
_CHUNK_BYTES = 1 << 16
_LONGEST_URL = 4_096


class Fetcher:
    """Fetches for many requests. Belongs to one event loop."""

    def __init__(self, allowed: Sequence[str], max_bytes: int, held: Held) -> None:
        """``allowed`` prefixes; ``max_bytes`` of one picture; ``held`` counts what is here."""
        self._allowed, self._max_bytes, self._held = tuple(allowed), max_bytes, held

    async def fetched(
        self, sources: Sequence[Source], deadline_s: float
    ) -> list[bytes | PictureError]:
        """The sources with every link's bytes in its place, or why there are none."""
        if not any(isinstance(source, Link) for source in sources):
            return [source for source in sources if not isinstance(source, Link)]
        left_s = max(deadline_s - asyncio.get_running_loop().time(), 0.001)
        places = asyncio.Semaphore(_AT_A_TIME)
        async with aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=left_s),
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        ) as session:

            async def one(source: Source) -> bytes | PictureError:
                if not isinstance(source, Link):
                    return source
                try:
                    self._check(source.url)
                    async with places:
                        return await self._get(session, source.url)
                except PictureError as error:
                    return error

            return await asyncio.gather(*map(one, sources))

    def _check(self, url: str) -> None:
        """Raise PictureError unless the URL lies under a prefix, however it is read."""
        plain = len(url) <= _LONGEST_URL and url.isascii() and url.isprintable()
        if not (plain and " " not in url and "\\" not in url and url.startswith(self._allowed)):
            raise PictureError(
                "url_not_allowed",
                "this service fetches no such URL; send the picture's data, or ask its operator "
                "to add the prefix to --allowed-urls",
            )
        path = urlsplit(url).path
        while path != (path := unquote(path)):
            pass
        if "\\" in path or any(part in (".", "..") for part in path.split("/")):
            raise PictureError("url_not_allowed", "the URL's path has '.' or '..' in it")

    async def _get(self, session: aiohttp.ClientSession, url: str) -> bytes:
        held, chunks = 0, []
        try:
            async with session.get(URL(url, encoded=True), allow_redirects=False) as response:
                if response.status != 200:
                    raise PictureError("fetch_failed", f"the URL answered {response.status}")
                async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
                    self._held.take(len(chunk))
                    held += len(chunk)
                    chunks.append(chunk)
                    if held > self._max_bytes:
                        raise PictureError("too_large", f"the URL has over {self._max_bytes} bytes")
            return b"".join(chunks)
        except TimeoutError:
            raise PictureError("fetch_failed", "the URL didn't answer in time") from None
        except aiohttp.ClientError as error:
            kind = type(error).__name__
            raise PictureError("fetch_failed", f"the URL can't be fetched: {kind}") from None
        except ProblemError as error:
            raise PictureError("fetch_failed", str(error)) from None
        finally:
            self._held.give_back(held)
