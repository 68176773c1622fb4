"""Pages over HTTP and in a program: the same pages, the same bundle, in one run.

    python bench/pages_http.py DIR --most 24 --callers 4

Beside ``Recognizer.read_page``, one thread and one page after another, stands a service of one
replica with one engine, to which callers send a page each. Both read every page in turns: some
here, then the same over HTTP. Pages a second are of CPU time, so what other work takes doesn't
count; over HTTP that of the replica, of the process that opens pages, and of what listens. The
texts of both must be the same.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.pages import BUNDLE, SUFFIXES
from bench.sides.programs import ROOT, free_port, program, says_ready
from bench.sides.turns import cpu_s, descendants
from crnn import Recognizer
from crnn.client import Client
from crnn.pages import DbDetector, detector_graph

TURN = 6
"""Pages that each side reads before it is the other's turn."""
SERVING = ("ray::ServeRepli", "crnn", "haproxy", "ray::ProxyActor")
"""How the names of the processes begin that work on requests; others are Ray's own."""
ALONE = (
    *("--min-replicas", "1", "--max-replicas", "1", "--cpus-per-replica", "1"),
    *("--online.engine-threads", "1", "--limits.request-s", "600", "--pages.request-s", "600"),
)


def serving_cpu_s(pid: int) -> float:
    """CPU time so far of what serves, among all that ``pid`` started."""
    return sum(map(cpu_s, (one for one in descendants(pid) if name(one).startswith(SERVING))))


def name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="pages")
    parser.add_argument("--bundle", default=str(BUNDLE))
    parser.add_argument("--most", type=int, default=24, help="pages")
    parser.add_argument("--callers", type=int, default=4)
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    files = sorted(path for path in options.folder.rglob("*") if path.suffix in SUFFIXES)
    pages = [file.read_bytes() for file in files[: options.most]]
    if not pages:
        parser.error(f"{options.folder} has no picture; expected one of {sorted(SUFFIXES)}")
    with tempfile.TemporaryDirectory() as folder:
        log, port = Path(folder) / "serve.log", free_port()
        command = [sys.executable, str(ROOT / "jobs/serve.py"), "--bundle", options.bundle]
        command += ["--port", str(port), *ALONE]
        with program(command, log, says_ready(log)) as process:
            measure(pages, options.bundle, f"http://127.0.0.1:{port}", process.pid, options.callers)


def measure(pages: Sequence[bytes], bundle: str, url: str, pid: int, callers: int) -> None:
    recognizer = Recognizer.load(bundle, threads=1)
    detector = DbDetector(graph=detector_graph())
    here_s = there_s = here_wall_s = there_wall_s = 0.0
    differ = 0
    with Client(url, timeout_s=600) as client, ThreadPoolExecutor(callers) as threads:

        def ask(page: bytes) -> list[str]:
            [found] = client.read_page(page, chars=False)
            return [line.text for line in found.lines]

        def read(page: bytes) -> list[str]:
            lines = recognizer.read_page(page, detector=detector, chars=False)
            return [line.text for line in lines]

        list(threads.map(ask, pages[:TURN]))  # models load, caches fill
        read(pages[0])
        for start in range(0, len(pages), TURN):
            some = pages[start : start + TURN]
            began_s, before_s = time.monotonic(), time.process_time()
            texts = [read(page) for page in some]
            here_s += time.process_time() - before_s
            here_wall_s += time.monotonic() - began_s
            began_s, before_s = time.monotonic(), serving_cpu_s(pid)
            answers = list(threads.map(ask, some))
            there_s += serving_cpu_s(pid) - before_s
            there_wall_s += time.monotonic() - began_s
            differ += sum(one != other for one, other in zip(texts, answers, strict=True))
    count = len(pages)
    print(f"{count} pages, {callers} callers")
    print(f"  read_page  {count / here_s:6.2f} pages/s of CPU, {here_wall_s:6.1f} s by the clock")
    print(f"  HTTP       {count / there_s:6.2f} pages/s of CPU, {there_wall_s:6.1f} s by the clock")
    print(f"  HTTP against read_page: {here_s / there_s:.2f}; other texts on {differ} pages")


if __name__ == "__main__":
    main(sys.argv[1:])
