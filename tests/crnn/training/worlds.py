"""Real groups of processes for tests of what ranks do together."""

from __future__ import annotations

import multiprocessing
import pickle
import queue
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

TIMEOUT_S = 120


def in_world(size: int, work: Callable[..., Any], *arguments: Any) -> list[Any]:
    """``work(rank, *arguments)`` in ``size`` gloo processes; their answers in rank order."""
    context = multiprocessing.get_context("forkserver")  # whose server imports PyTorch once
    # The first optimizer of a process loads torch._dynamo, for longer than the tests take.
    context.set_forkserver_preload(["tests.crnn.training.test_step", "torch._dynamo"])
    answers = context.Queue()
    with tempfile.TemporaryDirectory() as folder:
        store = str(Path(folder) / "store")
        processes = [
            context.Process(target=_member, args=(answers, store, size, rank, work, arguments))
            for rank in range(size)
        ]
        for process in processes:
            process.start()
        try:
            got = dict(answers.get(timeout=TIMEOUT_S) for _ in processes)
        except queue.Empty:
            raise AssertionError(
                f"no answer; exit codes {[p.exitcode for p in processes]}"
            ) from None
        finally:
            for process in processes:
                process.join(timeout=10)
                process.kill()
    return [pickle.loads(got[rank]) for rank in range(size)]


def _member(
    answers: Any, store: str, size: int, rank: int, work: Callable[..., Any], arguments: Any
) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=size)
    try:
        # by value: a tensor's own way through a queue needs the sender to be alive
        answers.put((rank, pickle.dumps(work(rank, *arguments))))
    finally:
        dist.destroy_process_group()
