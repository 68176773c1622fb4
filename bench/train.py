"""Images/s of training on Ray against a plain PyTorch loop with a DataLoader.

python bench/train.py                        about five minutes
python bench/train.py --rounds 8 --seconds 10

Four programs train the ``mobile`` model on the same rendered shards, on the same cores:

    Ray, 1 worker      ``python jobs/train.py``: Ray Data decodes and augments, Ray Train trains
    Ray, 2 workers     the same with ``--num-workers 2``; the torch threads shared out
    plain loop         one process and a DataLoader worker that decodes and augments
    tensors in memory  the plain loop over ready batches: nothing to decode

They take turns, while the others are stopped; batches, recipe, threads of torch and priority
are the same. Validations and checkpoints don't fall into the turns. The last line is the ratio
of Ray with one worker to the plain loop: the median over the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.sides.sets import CHARSET, rendered
from bench.sides.turns import RAY_NICENESS, Side, ending, ratio, read_tally, start, take_turns

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = 12_288
NEVER = str(10**12)


class Audit:
    """Pictures that a run has trained on, from the lines it appends at every step."""

    def __init__(self, run: Path) -> None:
        self._folder = run / "audit"
        self._read: dict[Path, int] = {}
        self._samples = 0

    def __call__(self) -> int:
        """Pictures so far, over all ranks."""
        for path in self._folder.glob("*.jsonl"):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                text = file.read()
            whole = text[: text.rfind(b"\n") + 1]
            self._read[path] = self._read.get(path, 0) + len(whole)
            lines = map(json.loads, whole.splitlines())
            self._samples += sum(len(line.get("ids", ())) for line in lines)
        return self._samples


def ray_side(name: str, folder: Path, workers: int, threads: int, extra: list[str]) -> Side:
    """The training job itself, on a cluster of its own, never done."""
    run = f"ray-{workers}"
    command = [sys.executable, str(ROOT / "jobs" / "train.py"), "--audit"]
    command += ["--data", str(folder / "train"), "--val", str(folder / "val")]
    command += ["--charset", CHARSET, "--storage-path", str(folder), "--name", run]
    command += ["--num-workers", str(workers), "--epochs", "1000", "--validate-every", NEVER]
    command += ["--threads-per-worker", str(threads), "--replay", "0"]  # the same pictures
    return start(name, [*command, *extra], folder / f"{run}.log", Audit(folder / run))


def plain_side(name: str, folder: Path, kind: str, threads: int) -> Side:
    tally = folder / f"{kind}.tally"
    script = str(ROOT / "bench/sides/plain_loop.py")
    command = [sys.executable, script, kind, str(folder / "train"), str(tally)]
    command.append(str(threads))
    return start(name, command, folder / f"{kind}.log", lambda: read_tally(tally))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=4, help="turns of each side")
    parser.add_argument("--seconds", type=float, default=4, help="length of a turn")
    parser.add_argument("--threads", type=int, default=1, help="of torch, at one worker")
    parser.add_argument("--warm-up", type=int, default=1500, help="pictures before the first turn")
    args, extra = parser.parse_known_args()
    with rendered(SAMPLES) as folder:
        sides: list[Side] = []
        with ending(sides):
            for begin in (
                lambda: plain_side("plain loop, DataLoader", folder, "loader", args.threads),
                lambda: ray_side("Ray, 1 worker", folder, 1, args.threads, extra),
                lambda: ray_side("Ray, 2 workers", folder, 2, 1, extra),
                lambda: plain_side("tensors in memory", folder, "memory", args.threads),
            ):
                sides.append(begin())
                sides[-1].warm_up(args.warm_up)
            take_turns(sides, rounds=args.rounds, seconds=args.seconds)
    plain, one, two, memory = sides
    print(
        f"mobile on {os.cpu_count()} cores, niceness {RAY_NICENESS}, {args.rounds} rounds of "
        f"{args.seconds:g} s"
    )
    for side in sides:
        print(side.row())
    print(f"plain loop / tensors in memory    {ratio(plain, memory):.3f}")
    print(f"Ray, 2 workers / plain loop       {ratio(two, plain):.3f}")
    print(f"ratio Ray with 1 worker / plain loop {ratio(one, plain):.3f}")


if __name__ == "__main__":
    main()
