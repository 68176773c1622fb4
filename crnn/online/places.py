"""How much is taken in and not yet answered, how much may be, and when there is room again.

A picture weighs as many as it costs: one of a word 1, a printed line of sixteen such widths 16
(``PictureContract.weight``). One that must be decoded first weighs 1 until its width is known.
"""

from __future__ import annotations

import time

from crnn.errors import QueueFullError

LONGEST_RETRY_S = 60.0
SHORTEST_RETRY_S = 0.1
_MEMORY_PICTURES = 256
"""Approximate number of pictures over which the rate is averaged."""


class Places:
    """Pictures and bytes on their way, bounded. Use it from one thread."""

    def __init__(self, max_pictures: int, max_bytes: int) -> None:
        self._max_pictures, self._max_bytes = max_pictures, max_bytes
        self.pictures = 0
        """Places taken."""
        self._weight = 0
        """What those pictures weigh; at most ``max_pictures``, but for a call that came alone and
        what turned out to weigh more."""
        self._bytes = 0
        self._picture_s = 0.0
        """The pace: seconds between two pictures while there is something to do."""
        self._paced_s = 0.0
        """Until when it was measured (``time.monotonic``)."""

    def take(self, pictures: int, num_bytes: int, extra: int = 0) -> None:
        """Room for a request's pictures, which weigh ``extra`` beyond one each.

        One that weighs more than there ever is room for is let in when it is alone.

        Raises:
            QueueFullError: when there is none at present.
            ValueError: when there never is.
        """
        for what, wanted, most in (
            ("pictures", pictures, self._max_pictures),
            ("bytes", num_bytes, self._max_bytes),
        ):
            if wanted > most:
                raise ValueError(
                    f"{wanted:,} {what} in one call; the queue holds at most {most:,}: send fewer"
                )
        if self._is_too_much(pictures, num_bytes, extra):
            retry_s = self._retry_after_s()
            raise QueueFullError(
                f"{self.pictures:,} pictures of {self._bytes:,} bytes that count as "
                f"{self._weight:,} words are queued; {pictures:,} more of {num_bytes:,} bytes "
                f"that count as {pictures + extra:,} would exceed the {self._max_pictures:,} "
                f"words and {self._max_bytes:,} bytes allowed; try again in {retry_s:.1f} s",
                retry_s,
            )
        if not self.pictures:
            self._paced_s = time.monotonic()
        self.pictures += pictures
        self._bytes += num_bytes
        self._weight += pictures + extra

    def _is_too_much(self, pictures: int, num_bytes: int, extra: int) -> bool:
        return (
            self.pictures + pictures > self._max_pictures
            or self._bytes + num_bytes > self._max_bytes
            or (self.pictures > 0 and self._weight + pictures + extra > self._max_pictures)
        )

    def grow(self, extra: int) -> None:
        """Pictures taken in turned out to weigh this much more."""
        self._weight += extra

    def give_back(self, pictures: int, num_bytes: int, extra: int = 0) -> None:
        """The room that ``take`` and ``grow`` gave."""
        self.pictures -= pictures
        self._bytes -= num_bytes
        self._weight -= pictures + extra

    def answered(self, pictures: int) -> None:
        """Records the number of pictures done since the last call."""
        now_s = time.monotonic()
        share = min(1.0, pictures / _MEMORY_PICTURES) if self._picture_s else 1.0
        self._picture_s += share * ((now_s - self._paced_s) / pictures - self._picture_s)
        self._paced_s = now_s

    def _retry_after_s(self) -> float:
        return min(max(self.pictures * self._picture_s, SHORTEST_RETRY_S), LONGEST_RETRY_S)
