"""Bulk recognition against its limit, a peer, and the script that one writes first.

pip install rapidocr==3.10.0 && python bench/bulk.py          about ten minutes
python bench/bulk.py --rounds 5 --pictures 60000

The same pictures are read, in turns, by ``jobs/recognize.py`` from files to Parquet on all cores;
by the same from a bucket, which a small server on these cores gives; by nothing but decoding and
the engine, on all cores too, from memory, before and after: the limit; by the recognition step of
RapidOCR in one thread; and by ``naive_bulk.py``. Prints the median over the rounds of each ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.sides import bucket
from bench.sides.peers import RapidRecognizer, bgr
from bench.sides.sets import picture_files, rendered
from bench.sides.turns import RAY_NICENESS
from crnn.images.contract import Pixels
from crnn.images.prepare import Prepared, prepare
from crnn.inference.recognizer import Recognizer

ROOT = Path(__file__).resolve().parent.parent
CORES = len(os.sched_getaffinity(0))
DISTINCT = 4096
PEER_PICTURES = 512
NAIVE_PICTURES = 8192
SIDES = ("ours", "bucket", "limit", "peer", "naive")


def ours(bundle: str, source: str, out: Path, engine: str) -> float:
    """Pictures a second of the bulk job, from the first task's start to the report."""
    command = [sys.executable, str(ROOT / "jobs/recognize.py"), "--bundle", bundle]
    command += ["--input", source, "--output", str(out), "--engine", engine]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"in this run, ([\d,]+)/s", text)
    assert found, text
    return float(found[1].replace(",", ""))


def naive(bundle: str, folder: Path, out: Path) -> float:
    """The same of the naive script."""
    script = str(ROOT / "bench/sides/naive_bulk.py")
    command = [sys.executable, script, bundle, str(folder), str(out)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return len(list(folder.iterdir())) / float(text.rpartition("seconds ")[2])


def limit(bundle: str, folder: Path, engine: str) -> dict[str, float]:
    """Decoding and engine alone, in a process on every core at once."""
    command = [sys.executable, __file__, "--limit-of", str(folder), "--bundle", bundle]
    command += ["--engine", engine]
    sides = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(CORES)]
    found = [json.loads(side.communicate()[0].splitlines()[-1]) for side in sides]
    mean = {name: statistics.mean(one[name] for one in found) for name in found[0]}
    return mean | {"rate": CORES / (mean["decode"] + mean["engine"])}


def limit_of(bundle: str, folder: Path, engine: str, seconds: float = 8.0) -> None:
    """One process of ``limit``: seconds a picture of each part."""
    os.nice(RAY_NICENESS)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    recognizer = Recognizer.load(bundle, engine=engine)
    contract = recognizer.bundle.picture
    data = [path.read_bytes() for path in sorted(folder.iterdir())[:DISTINCT]]
    decode_s = engine_s = 0.0
    done, began_s, warm = 0, time.perf_counter(), False
    while time.perf_counter() - began_s < seconds:
        for start in range(0, len(data), 512):
            t0 = time.perf_counter()
            prepared = [prepare(one, contract) for one in data[start : start + 512]]
            t1 = time.perf_counter()
            for batch in in_batches(prepared, recognizer):
                recognizer.read_batch_pixels(batch)
            t2 = time.perf_counter()
            if warm:
                decode_s, engine_s, done = decode_s + t1 - t0, engine_s + t2 - t1, done + 512
            warm = True
    print(json.dumps({"decode": decode_s / done, "engine": engine_s / done}))


def in_batches(prepared: list[Prepared], recognizer: Recognizer) -> Iterator[Pixels]:
    """The pictures as the recognizer batches them."""
    for width in sorted({p.pixels.shape[1] for p in prepared}):
        size = recognizer.batch_size(width)
        members = [p.pixels for p in prepared if p.pixels.shape[1] == width]
        for start in range(0, len(members), size):
            yield np.stack(members[start : start + size])


def peer(folder: Path) -> Callable[[], float]:
    """Pictures a second of RapidOCR's recognition step in one thread, decoded before."""
    recognizer = RapidRecognizer()
    images = [bgr(path.read_bytes()) for path in sorted(folder.iterdir())[:PEER_PICTURES]]

    def rate() -> float:
        began_s = time.perf_counter()
        recognizer.read(images)
        return len(images) / (time.perf_counter() - began_s)

    return rate


def main(arguments: argparse.Namespace) -> None:
    """Measures all sides in turns, and prints the ratios."""
    found: dict[str, list[float]] = {name: [] for name in SIDES}
    parts: list[dict[str, float]] = []
    with ExitStack() as stack:
        sets = stack.enter_context(rendered(DISTINCT))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        picture_files(sets / "train", folder / "many", arguments.pictures)
        picture_files(sets / "train", folder / "some", NAIVE_PICTURES)
        peer_rate = peer(folder / "some")
        host = stack.enter_context(bucket.served(folder / "some", arguments.pictures))
        parts.append(limit(arguments.bundle, folder / "some", arguments.engine))
        for number in range(arguments.rounds):
            out = folder / f"out-{number}"
            for name, source in (("ours", str(folder / "many")), ("bucket", bucket.address(host))):
                rate = ours(arguments.bundle, source, out / name, arguments.engine)
                found[name].append(rate)
            parts.append(limit(arguments.bundle, folder / "some", arguments.engine))
            found["limit"].append(statistics.mean(part["rate"] for part in parts[-2:]))
            found["peer"].append(peer_rate())
            found["naive"].append(naive(arguments.bundle, folder / "some", out / "naive"))
            print({name: round(rates[-1]) for name, rates in found.items()}, flush=True)
        asked = bucket.counts(host)
    show(found, parts)
    each = {name: count / arguments.pictures / arguments.rounds for name, count in asked.items()}
    print(
        f"the bucket, for a picture: {each['GET']:.2f} GET, {each['HEAD']:.2f} HEAD, "
        f"{each['cpu_s'] * 1e3:.2f} ms CPU of its server"
    )


def show(found: dict[str, list[float]], parts: list[dict[str, float]]) -> None:
    """The medians, and the ratios of each round's figures."""
    for name in ("decode", "engine"):
        middle = statistics.median(part[name] for part in parts)
        print(f"{name} alone: {middle * 1e3:.3f} ms a picture, one thread on each of {CORES} cores")
    for name, rates in found.items():
        print(f"{name:<6} {statistics.median(rates):8,.0f} images/s")
    per_core = [rate / CORES for rate in found["ours"]]
    for label, upper, lower in (
        ("end to end against 1/(decode + engine)", found["ours"], found["limit"]),
        (
            "a core of ours against RapidOCR's recognition step in one thread",
            per_core,
            found["peer"],
        ),
        ("from the bucket against from files", found["bucket"], found["ours"]),
        ("ours against the naive Ray Data script", found["ours"], found["naive"]),
    ):
        quotients = [a / b for a, b in zip(upper, lower, strict=True)]
        middle = statistics.median(quotients)
        print(f"{label}: {middle:.2f} ({min(quotients):.2f} to {max(quotients):.2f})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", default=str(ROOT / "bundles/mobile"), help="(%(default)s)")
    parser.add_argument("--engine", default="auto", help="engine of ours (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(%(default)s)")
    parser.add_argument("--pictures", type=int, default=120_000, help="for ours (%(default)s)")
    parser.add_argument("--limit-of", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.limit_of:
        limit_of(options.bundle, options.limit_of, options.engine)
    else:
        main(options)
