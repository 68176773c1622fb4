"""Whether a target fits into its time steps: known without PyTorch, which workers that only prepare
data needn't load."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from operator import eq


def min_time_steps(target: Sequence[int] | str) -> int:
    """The fewest time steps that can hold a target: its length and a blank between equals.

    A target is class ids, or the characters in their place.
    """
    return len(target) + sum(map(eq, target, islice(target, 1, None)))
