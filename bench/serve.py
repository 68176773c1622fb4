"""Recognition over HTTP under load, beside what it could be at best and what a plain server does.

    python bench/serve.py

Starts ``jobs/serve.py``, beside it a no-op behind the same ingress, and the same model in plain
FastAPI with a worker on one core and on all. Each is loaded in turns with 1, 8, 32 and 128
connections and 1 and 16 pictures a request; what rests meanwhile takes next to nothing. The load
runs on the same cores. Just before and after each load of the service the engine is measured
without it. Prints throughput and latencies, and as medians over the rounds:

- with one picture a request, the service against 1/(time of the no-op + engine time);
- with 16, against the engine in-process on the same cores: a process on each, engine alone, and
  with decoding and texts, which the service does too (``Recognizer.read``); how much of the
  engine's rate that keeps is printed beside it, and what 1/(no-op + ``Recognizer.read``) keeps:
  more of the engine than this no service gets, whose HTTP costs what the no-op does;
- with one connection, by how much p50 exceeds the no-op's p50 + engine time;
- the service against the plain servers.

Every text is compared with ``Recognizer.read``'s.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.sides.alone import Side, in_process
from bench.sides.load import Load, drive, multipart, write_requests
from bench.sides.noop_app import ANSWER
from bench.sides.programs import answers_at, free_port, program, says_ready, wait_until
from bench.sides.turns import descendants
from crnn.inference.recognizer import Recognizer
from pipelines.render.synth import RenderConfig, chosen_fonts, render_samples

ROOT = Path(__file__).resolve().parent.parent
CORES = len(os.sched_getaffinity(0))
DISTINCT = 512
SERVICE, NOOP, PLAIN, PLAIN_ALL = "service", "no-op", "plain", f"plain x{CORES}"


@contextlib.contextmanager
def all_sides(options: argparse.Namespace, folder: Path) -> Iterator[dict[str, str]]:
    """Every side's URL, while all of them run."""
    ports = [free_port() for _ in range(3)]
    ray = {
        "RAY_TMPDIR": str(folder),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
    }
    serve = [sys.executable, str(ROOT / "jobs/serve.py"), "--bundle", options.bundle]
    serve += ["--port", str(ports[0]), "--online.engine", options.engine, *options.serve]
    base = f"http://127.0.0.1:{ports[0]}"
    found = {SERVICE: f"{base}/v1/recognize", NOOP: f"{base}/noop"}
    log = folder / "service.log"
    with contextlib.ExitStack() as stack:
        process = stack.enter_context(program(serve, log, says_ready(log), **ray))
        print(log.read_text(), flush=True)
        subprocess.run(
            [sys.executable, str(ROOT / "bench/sides/noop_app.py")],
            check=True,
            env={**os.environ, **ray, "RAY_ADDRESS": cluster_of(process.pid)},
        )
        wait_until(answers_at(ports[0], "/noop"))
        for name, workers, port in ((PLAIN, 1, ports[1]), (PLAIN_ALL, CORES, ports[2])):
            plain = [sys.executable, "-m", "uvicorn", "bench.sides.plain_fastapi:app", "--factory"]
            plain += ["--port", str(port), "--workers", str(workers), "--no-access-log"]
            found[name] = f"http://127.0.0.1:{port}/v1/recognize"
            variables = {"BUNDLE": options.bundle, "ENGINE": options.engine}
            ready = answers_at(port, "/docs")
            stack.enter_context(program(plain, folder / f"{name}.log", ready, **variables))
        yield found


def cluster_of(pid: int) -> str:
    """The address of the Ray cluster that a process has started."""
    for child in descendants(pid):
        for argument in Path(f"/proc/{child}/cmdline").read_text().split("\0"):
            if argument.startswith("--gcs-address="):
                return argument.partition("=")[2]
    raise RuntimeError(f"process {pid} has started no Ray cluster")


Case = tuple[int, int]
"""Pictures a request, connections."""


@dataclass
class Found:
    """All that was measured: a list entry for each round."""

    loads: dict[Case, dict[str, list[Load]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    alone: dict[Case, list[dict[str, float]]] = field(default_factory=lambda: defaultdict(list))
    """Beside each load of the service: the mean of just before and just after it."""

    def ratios(self, case: Case, of: Callable[[dict[str, float], dict[str, Load]], float]) -> str:
        """Median and range over the rounds of what ``of`` makes of a round's figures."""
        sides = self.loads[case]
        each = [
            of(alone, {name: loads[number] for name, loads in sides.items()})
            for number, alone in enumerate(self.alone[case])
        ]
        return f"{statistics.median(each):.2f} ({min(each):.2f} to {max(each):.2f})"


def main(options: argparse.Namespace) -> None:
    """Measures all sides in turns, and prints the ratios."""
    found = Found()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        data = rendered_pictures()
        (folder / "pictures").mkdir()
        for number, picture in enumerate(data):
            (folder / "pictures" / f"{number:04d}").write_bytes(picture)
        texts = [result.text for result in Recognizer.load(options.bundle).read(data)]
        requests = {
            count: write_requests(
                [multipart(data[i : i + count]) for i in range(0, len(data) - count + 1, count)],
                folder / f"requests-{count}",
            )
            for count in options.pictures
        }
        with all_sides(options, folder) as urls:
            pictures = folder / "pictures"
            sides = [Side(options.bundle, options.engine, pictures) for _ in range(CORES)]
            for number in range(options.rounds):
                measure(options, urls, sides, requests, texts, found, number)
            for one in sides:
                one.close()
    show(found)


def rendered_pictures() -> list[bytes]:
    """What ``jobs/train.py`` trains on by default."""
    config = RenderConfig(count=DISTINCT)
    fonts = chosen_fonts(config, system=config.system_fonts)
    return [sample["image"] for sample in render_samples(config, fonts, 0, DISTINCT)]


def measure(
    options: argparse.Namespace,
    urls: dict[str, str],
    sides: list[Side],
    requests: dict[int, Path],
    texts: list[str],
    found: Found,
    number: int,
) -> None:
    """One round; every other one goes through the sides in reverse order."""
    for pictures in options.pictures:
        for connections in options.connections:
            for name in sorted(urls, reverse=number % 2 == 1):
                before = in_process(sides, pictures) if name == SERVICE else {}
                load = drive(
                    urls[name],
                    requests[pictures],
                    connections=connections,
                    seconds=options.seconds,
                    warm_up_s=options.warm_up,
                )
                check(load, pictures, texts, name)
                found.loads[pictures, connections][name].append(load)
                if name == SERVICE:
                    after = in_process(sides, pictures)
                    both = {what: (before[what] + after[what]) / 2 for what in before}
                    found.alone[pictures, connections].append(both)
                print(row(name, (pictures, connections), [load]), flush=True)


def check(load: Load, pictures: int, texts: list[str], name: str) -> None:
    """The answers are those of the recognizer, or of the no-op."""
    for answer in load.answers:
        if name == NOOP:
            if answer["body"].encode() != ANSWER:
                raise RuntimeError(f"the no-op answered {answer['body'][:80]!r}")
            continue
        first = answer["request"] * pictures
        read = [result.get("text") for result in json.loads(answer["body"])["results"]]
        if read != texts[first : first + pictures]:
            raise RuntimeError(f"{name} read {read}; expected {texts[first : first + pictures]}")


def row(name: str, case: Case, loads: list[Load]) -> str:
    """Medians in one line."""

    def middle(of: Callable[[Load], float]) -> float:
        return statistics.median(map(of, loads))

    pictures, connections = case
    return (
        f"{pictures:3d} pictures {connections:4d} connections {name:<9}"
        f"{middle(lambda load: load.rate):8,.0f} requests/s"
        f"{middle(lambda load: load.rate * pictures):8,.0f} pictures/s"
        f"  p50 {middle(lambda load: load.p50_ms):7.2f} ms"
        f"  p99 {middle(lambda load: load.p99_ms):7.2f} ms"
        f"  load's own CPU {middle(lambda load: load.cpu_ms):5.3f} ms"
    )


def show(found: Found) -> None:
    """The medians, then the ratios of each round's figures."""
    print()
    for case, sides in found.loads.items():
        for name, loads in sides.items():
            print(row(name, case, loads))
    for name, what in (
        ("one", "engine, one picture at a time, one core"),
        ("batch", "engine, full batches, one core"),
        ("engines", f"engine, full batches, {CORES} cores"),
        ("readers", f"Recognizer.read, {CORES} cores"),
    ):
        each = [alone[name] for case in found.alone.values() for alone in case if name in alone]
        if each:
            print(f"{what}: {statistics.median(each) * 1e3:.3f} ms a picture")
    for case in found.loads:
        for line in ratio_lines(found, case):
            print(f"{case[0]:3d} pictures {case[1]:4d} connections: {line}")


def ratio_lines(found: Found, case: Case) -> Iterator[str]:
    """What there is to say of one case."""
    pictures = case[0]

    def limit(alone: dict[str, float], loads: dict[str, Load]) -> float:
        best = 1 / (1 / loads[NOOP].rate + pictures * alone["batch"])
        return loads[SERVICE].rate / best

    def against(name: str) -> Callable[[dict[str, float], dict[str, Load]], float]:
        return lambda alone, loads: loads[SERVICE].rate * pictures * alone[name]

    yield f"{found.ratios(case, limit)} of 1/(no-op + engine)"
    if pictures > 1:
        yield f"{found.ratios(case, against('batch'))} of the engine on one core"
        yield f"{found.ratios(case, against('engines'))} of the engine on {CORES} cores"
        yield f"{found.ratios(case, against('readers'))} of Recognizer.read on {CORES} cores"

        def kept(alone: dict[str, float], _: dict[str, Load]) -> float:
            return alone["engines"] / alone["readers"]

        def possible(alone: dict[str, float], loads: dict[str, Load]) -> float:
            noop = 1 / (loads[NOOP].rate * pictures)
            return alone["engines"] / (noop + alone["readers"])

        yield f"{found.ratios(case, kept)} of the engine is what Recognizer.read keeps"
        yield f"{found.ratios(case, possible)} of it is what no-op + Recognizer.read keep"
    if case == (1, 1):

        def beyond(alone: dict[str, float], loads: dict[str, Load]) -> float:
            engine_ms = alone["one"] * 1e3
            return loads[SERVICE].p50_ms - loads[NOOP].p50_ms - engine_ms

        yield f"p50 {found.ratios(case, beyond)} ms over that of no-op + engine"
    for name in (PLAIN, PLAIN_ALL):

        def faster(_: dict[str, float], loads: dict[str, Load], name: str = name) -> float:
            return loads[SERVICE].rate / loads[name].rate

        yield f"{found.ratios(case, faster)} times {name} FastAPI"


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", default=str(ROOT / "bundles/mobile"), help="(%(default)s)")
    parser.add_argument("--engine", default="auto", help="(%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(%(default)s)")
    parser.add_argument("--seconds", type=float, default=4.0, help="each load (%(default)s)")
    parser.add_argument("--warm-up", type=float, default=1.0, help="seconds (%(default)s)")
    parser.add_argument("--connections", type=numbers, default=[1, 8, 32, 128])
    parser.add_argument("--pictures", type=numbers, default=[1, 16], help="a request")
    parser.add_argument(
        "serve", nargs="*", help="after --: more flags for jobs/serve.py, such as --ingress proxy"
    )
    main(parser.parse_args())
