"""Ready batches that the pipeline delivers against what the ``mobile`` model can take.

python bench/supply.py                       about two minutes
python bench/supply.py --rounds 8 --seconds 8

Two programs take turns on all cores, while the other is stopped: the stream of Ray Data read by
a loop that does nothing with it, and the training step over batches held in memory. Then one
process does each part of the pipeline's work alone, for the table of what a picture costs. The
last line is the ratio of supply to demand.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.sides.sets import rendered, stream_of
from bench.sides.turns import Side, ending, ratio, read_tally, start, take_turns
from crnn.images.contract import decode_picture
from pipelines.augment import augment_batch
from pipelines.shards import read_row_group
from pipelines.stream.assemble import AssembledBatch, Label, StreamConfig, inspect_label
from pipelines.stream.rows import deliveries, to_row

SAMPLES = 8192
_AUGMENTED_TOGETHER = 32
"""About a batch of the stream."""
SIDES = Path(__file__).resolve().parent / "sides"


def side(name: str, folder: Path, script: str, *arguments: str, before: tuple[str, ...]) -> Side:
    tally = folder / f"{script}.tally"
    command = [sys.executable, str(SIDES / f"{script}.py"), *before, str(folder / "train")]
    command += [str(tally), *arguments]
    # Threads that wait without spinning: the figures of a busy machine stay usable.
    return start(
        name,
        command,
        folder / f"{script}.log",
        lambda: read_tally(tally),
        OMP_WAIT_POLICY="PASSIVE",
    )


class Costs:
    """CPU milliseconds by part of the work."""

    def __init__(self) -> None:
        self.ms: dict[str, float] = {}

    @contextmanager
    def of(self, part: str) -> Iterator[None]:
        """Adds what the block costs."""
        began_s = time.process_time()
        yield
        spent_ms = (time.process_time() - began_s) * 1e3
        self.ms[part] = self.ms.get(part, 0.0) + spent_ms

    def each(self, part: str, work: Callable[[Any], Any], items: list[Any]) -> list[Any]:
        """The results of ``work`` on each of ``items``."""
        with self.of(part):
            return [work(item) for item in items]


def picture_costs(config: StreamConfig, pictures: int) -> dict[str, float]:
    """CPU ms a picture of every part, done in this process over the first row groups."""
    costs, done = Costs(), 0
    cv2.setNumThreads(1)
    source, rng = config.sources[0], np.random.default_rng(0)
    assert config.augment is not None, "the stream is one for training"
    for shard, group, _ in source.groups:
        with costs.of("read the row group"):
            table = read_row_group(source.uri, shard, group)
        with costs.of("inspect labels, plan batches"):
            columns = [table.column(n).to_pylist() for n in ("id", "text", "width", "height")]
            rows = enumerate(zip(*columns, strict=True))
            found = [inspect_label(config, i, *row) for i, row in rows]
            labels = [label for label in found if isinstance(label, Label)]
        data = [table.column("image")[label.row].as_py() for label in labels]
        images = costs.each("decode", decode_picture, data)
        fitted = costs.each("fit (grey, resize)", config.picture.fit, images)
        with costs.of("augment"):
            changed: list[Any] = []
            for start in range(0, len(fitted), _AUGMENTED_TOGETHER):
                some = fitted[start : start + _AUGMENTED_TOGETHER]
                seeds = rng.integers(2**63, size=len(some)).tolist()
                changed += augment_batch(some, seeds, config.augment)
        pairs = sorted(zip(labels, changed, strict=True), key=lambda pair: pair[0].bucket_px)
        with costs.of("assemble (pad, stack)"):
            batches = list(_assembled(config, pairs))
        with costs.of("to an Arrow row and back"):
            for batch in batches:
                list(deliveries(to_row(batch)))
        done += len(labels)
        if done >= pictures:
            break
    return {part: ms / done for part, ms in costs.ms.items()}


def _assembled(config: StreamConfig, pairs: list[tuple[Label, Any]]) -> Iterator[AssembledBatch]:
    while pairs:
        width = pairs[0][0].bucket_px
        size = config.batch_size(width)
        taken = [pair for pair in pairs[:size] if pair[0].bucket_px == width]
        pairs = pairs[len(taken) :]
        pixels = [config.picture.pad(content[:, :width], width) for _, content in taken]
        yield AssembledBatch(
            epoch=0,
            chunk=0,
            batch=0,
            batches=1,
            pixels_NHWC=np.stack(pixels),
            labels=[label for label, _ in taken],
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=4, help="turns of each side")
    parser.add_argument("--seconds", type=float, default=4, help="length of a turn")
    parser.add_argument("--pictures", type=int, default=4096, help="pictures behind the table")
    cores = os.cpu_count() or 1
    parser.add_argument("--threads", type=int, default=cores, help="of torch, for the model")
    args = parser.parse_args()
    with rendered(SAMPLES) as folder:
        first = folder / "first.txt"
        sides: list[Side] = []
        with ending(sides):
            sides.append(side("pipeline alone", folder, "pipeline_side", str(first), before=()))
            sides[-1].warm_up(2 * SAMPLES)
            sides.append(
                side("model alone", folder, "plain_loop", str(args.threads), before=("memory",))
            )
            sides[-1].warm_up(1000)
            take_turns(sides, rounds=args.rounds, seconds=args.seconds)
        first_s = float(first.read_text())
        costs = picture_costs(stream_of(str(folder / "train")), args.pictures)
    supply, model = sides
    print(f"mobile on {cores} cores, {args.threads} thread(s) of torch for the model")
    print(supply.row(), model.row(), sep="\n")
    print(f"first batch after {first_s:.1f} s, from a cluster that has just started")
    report(costs, supply)
    print(f"ratio supply / model {ratio(supply, model):.3f}")


def report(costs: dict[str, float], supply: Side) -> None:
    """The table: CPU ms a picture, alone in one process and in the running pipeline."""
    whole_ms = sorted(supply.cpu_s)[len(supply.cpu_s) // 2] * 1e3
    parts = {**costs, "Ray, and all else": whole_ms - sum(costs.values())}
    print("CPU ms a picture")
    for part, ms in parts.items():
        print(f"  {part:<30} {ms:7.4f}  {ms / whole_ms:6.1%}")
    print(f"  {'all processes together':<30} {whole_ms:7.4f}")


if __name__ == "__main__":
    main()
