"""Whether a target fits into its time steps: known without PyTorch, which workers that only prepare
data needn't load."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def min_time_steps(target_ids: Sequence[int]) -> int:
    """The fewest time steps that can hold a target: its length and a blank between equals."""
    return len(target_ids) + sum(left == right for left, right in pairwise(target_ids))
