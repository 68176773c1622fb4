"""Whole pages from files to Parquet, against nothing but decoding, finding and reading them.

pip install -e '.[pages]' && python bench/pages_bulk.py DIR…
python bench/pages_bulk.py DIR… --bundle bundles/mobile --rounds 3 --copies 8

The same pages are read by ``jobs/recognize.py --pages`` on all cores and, before and after, by a
plain loop in a process on every core: a file decoded, its text found, cut out and read in one
thread, nothing written. The limit is the pages a second of these loops together. Prints the parts
of a page's time, and last the median over the rounds of the job's pages a second by the limit.
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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.sides.turns import RAY_NICENESS
from crnn import Recognizer
from crnn.pages import DbDetector, detector_graph
from crnn.pages.lines import read_lines
from crnn.pages.opening import open_page
from crnn.pages.page import PageRequest
from pipelines.stores import is_picture_name

ROOT = Path(__file__).resolve().parent.parent
CORES = len(os.sched_getaffinity(0))
PARTS = ("decode", "find", "read")


def job(bundle: str, folder: Path, out: Path) -> float:
    """Pages a second of the bulk job, from the first task's start to the last row."""
    command = [sys.executable, str(ROOT / "jobs/recognize.py"), "--pages", "--bundle", bundle]
    command += ["--input", str(folder), "--output", str(out)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"in this run, ([\d,.]+) pages/s", text)
    assert found, text
    return float(found[1].replace(",", ""))


def limit(bundle: str, folder: Path) -> dict[str, float]:
    """Seconds a page of each part, and pages a second of a loop on every core at once."""
    command = [sys.executable, __file__, "--limit-of", str(folder), "--bundle", bundle]
    sides = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(CORES)]
    found = [json.loads(side.communicate()[0].splitlines()[-1]) for side in sides]
    mean = {name: statistics.mean(one[name] for one in found) for name in PARTS}
    return mean | {"rate": CORES / sum(mean.values())}


def limit_of(bundle: str, folder: Path) -> None:
    """One process of ``limit``, over all pages; the first one is read twice, to warm up."""
    os.nice(RAY_NICENESS)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    recognizer = Recognizer.load(bundle, threads=1)
    detector, spent_s = DbDetector(graph=detector_graph()), dict.fromkeys(PARTS, 0.0)
    decode = recognizer.decoder()
    files = sorted(folder.iterdir())
    for place, file in enumerate([files[0], *files]):
        times = [time.perf_counter()]
        pixels = open_page(file.read_bytes(), PageRequest()).pixels
        times.append(time.perf_counter())
        found_s = [0.0]

        def find(page_HWC: Any) -> Any:
            began = time.perf_counter()
            found = detector(page_HWC)
            found_s[0] = time.perf_counter() - began  # noqa: B023  (called at once)
            return found

        read_lines(pixels, _Named(find, detector.name), recognizer, decode)
        times.append(time.perf_counter())
        if place:
            spent_s["decode"] += times[1] - times[0]
            spent_s["find"] += found_s[0]
            spent_s["read"] += times[2] - times[1] - found_s[0]
    print(json.dumps({name: value / len(files) for name, value in spent_s.items()}))


class _Named:
    """A detector that is timed."""

    def __init__(self, find: Callable[[Any], Any], name: str) -> None:
        self._find, self.name = find, name

    def __call__(self, page_HWC: Any) -> Any:
        return self._find(page_HWC)


def copies(folders: Sequence[Path], most: int, times: int, into: Path) -> int:
    """Links to the pages of these folders, mixed; how many there are."""
    pages = [page for folder in folders for page in _pages(folder, most)]
    for copy in range(times):
        for number, page in enumerate(pages):
            (into / f"{copy:03d}-{number:04d}{page.suffix}").symlink_to(page.resolve())
    return times * len(pages)


def _pages(folder: Path, most: int) -> Iterator[Path]:
    found = sorted(path for path in folder.rglob("*") if is_picture_name(path.name))
    yield from found[:most]


def main(options: argparse.Namespace) -> None:
    """Takes the rounds, and prints them."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        home = Path(name)
        (home / "in").mkdir()
        count = copies(options.folders, options.most, options.copies, home / "in")
        print(f"{count} files, {CORES} cores")
        before, ratios = limit(options.bundle, home / "in"), []
        for number in range(options.rounds):
            rate = job(options.bundle, home / "in", home / f"out-{number}")
            after = limit(options.bundle, home / "in")
            most = statistics.mean([before["rate"], after["rate"]])
            parts = ", ".join(f"{part} {1e3 * after[part]:.0f} ms" for part in PARTS)
            print(f"job {rate:.2f} pages/s, limit {most:.2f} ({parts} a page)", flush=True)
            ratios.append(rate / most)
            before = after
    print(f"files to Parquet: {statistics.median(ratios):.2f} of the limit")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="*", type=Path, help="of pictures of pages")
    parser.add_argument("--bundle", default=str(ROOT / "bundles/mobile"), help="(%(default)s)")
    parser.add_argument("--most", type=int, default=8, help="pages of each folder (%(default)s)")
    parser.add_argument("--copies", type=int, default=4, help="of each page (%(default)s)")
    parser.add_argument("--rounds", type=int, default=1, help="(%(default)s)")
    parser.add_argument("--limit-of", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.limit_of:
        limit_of(arguments.bundle, arguments.limit_of)
    else:
        main(arguments)
