"""What was made lately and may be wanted again, bounded by its bytes."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Kept(Generic[Key, Value]):
    """The most recently used values, up to a total size in bytes. Not thread-safe."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self.bytes = 0
        """Total size of the kept values, as reported when they were made."""

    def get(self, key: Key) -> Value | None:
        """None where there is none (any more)."""
        found = self._entries.get(key)
        if found is None:
            return None
        self._entries.move_to_end(key)
        return found[0]

    def keep(self, key: Key, value: Value, num_bytes: int) -> None:
        """Keep one more, and let go of those used longest ago; one that is too large isn't kept."""
        self._drop(key)
        if num_bytes > self._max_bytes:
            return
        self._entries[key] = value, num_bytes
        self.bytes += num_bytes
        while self.bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))

    def clear(self) -> None:
        """Let go of all."""
        self._entries.clear()
        self.bytes = 0

    def _drop(self, key: Key) -> None:
        _, num_bytes = self._entries.pop(key, (None, 0))
        self.bytes -= num_bytes
