"""The heap of processes that compute: glibc's is kept, Python's is searched for cycles seldom.

By itself glibc gives memory back to the kernel as soon as it is free, and a process that takes
megabytes for every batch or picture faults its pages in again each time. By itself Python looks
for dead cycles whenever some hundred objects more are alive than before, and a process that makes
thousands for every batch, none of them in a cycle, goes through all its modules again each time.
"""

from __future__ import annotations

import gc

MOST_MMAP_BYTES = 32 << 20
"""glibc's own bound for the threshold over which memory comes apart from the heap."""
SELDOM_OBJECTS = 100_000
"""Containers, such as tuples and objects, that Python adds before it looks for dead cycles."""


def kept_heap(kept_bytes: int) -> dict[str, str]:
    """Environment variables for a process that may keep this much freed memory; they work on
    Linux."""
    return {
        "MALLOC_ARENA_MAX": "1",
        "MALLOC_MMAP_THRESHOLD_": str(min(MOST_MMAP_BYTES, kept_bytes)),
        "MALLOC_TRIM_THRESHOLD_": str(kept_bytes),
    }


def collect_seldom() -> None:
    """What is alive now stays; later objects are searched when there are ``SELDOM_OBJECTS`` more.

    Call it when modules and models are loaded.
    """
    gc.collect()
    gc.freeze()
    search_after(SELDOM_OBJECTS)


def search_after(objects: int) -> None:
    """Run Python's cycle collector after this many more live containers."""
    gc.set_threshold(objects, *gc.get_threshold()[1:])
