"""glibc's heap in processes that compute: one, and it is kept.

By itself glibc gives memory back to the kernel as soon as it is free, and a process that takes
megabytes for every batch or picture faults its pages in again each time.
"""

from __future__ import annotations

MOST_MMAP_BYTES = 32 << 20
"""glibc's own bound for the threshold over which memory comes apart from the heap."""


def kept_heap(kept_bytes: int) -> dict[str, str]:
    """Environment variables for a process that may keep so much freed memory; Linux heeds them."""
    return {
        "MALLOC_ARENA_MAX": "1",
        "MALLOC_MMAP_THRESHOLD_": str(min(MOST_MMAP_BYTES, kept_bytes)),
        "MALLOC_TRIM_THRESHOLD_": str(kept_bytes),
    }
