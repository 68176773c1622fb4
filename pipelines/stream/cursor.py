"""Where a run stands in its data: which ready batches of the epoch were trained on.

A ready batch is (chunk, batch) of an epoch, and always holds the same samples, so a set of
such pairs says exactly what is left, in any order of arrival and for any number of ranks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Cursor:
    """The epoch in progress and the ready batches of it that are done."""

    epoch: int = 0
    done: dict[int, int] = field(default_factory=dict)
    """Chunk index → bit ``b`` set when ready batch ``b`` is done."""
    sizes: dict[int, int] = field(default_factory=dict)
    """Chunk index → its number of ready batches, once known."""

    def add(self, batches: Iterable[tuple[int, int, int]]) -> None:
        """Marks (chunk, batch, batches in the chunk) of the epoch as done."""
        for chunk, batch, size in batches:
            self.done[chunk] = self.done.get(chunk, 0) | (1 << batch)
            self.sizes[chunk] = size

    def next_epoch(self) -> None:
        """The epoch is over."""
        self.epoch, self.done, self.sizes = self.epoch + 1, {}, {}

    def finished(self, chunk: int) -> bool:
        """Whether every ready batch of the chunk is done."""
        return chunk in self.sizes and self.done[chunk] == (1 << self.sizes[chunk]) - 1

    def state_dict(self) -> dict[str, Any]:
        """Plain values; bit sets as hexadecimal, -1 for a finished chunk."""
        done = {
            str(chunk): "all" if self.finished(chunk) else f"{bits:x}"
            for chunk, bits in self.done.items()
        }
        return {
            "epoch": self.epoch,
            "done": done,
            "sizes": {str(c): n for c, n in self.sizes.items()},
        }

    @classmethod
    def from_state_dict(cls, state: dict[str, Any]) -> Cursor:
        """The cursor that ``state_dict`` described."""
        sizes = {int(chunk): size for chunk, size in state["sizes"].items()}
        done = {
            int(chunk): (1 << sizes[int(chunk)]) - 1 if bits == "all" else int(bits, 16)
            for chunk, bits in state["done"].items()
        }
        return cls(epoch=state["epoch"], done=done, sizes=sizes)
