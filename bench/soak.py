"""Memory of the service under hours of good and bad input.

python bench/soak.py                         an hour; writes soak/memory.csv and soak/memory.png
python bench/soak.py --minutes 5 --callers 8

Starts ``jobs/serve.py`` and asks it for as long: pictures in forms and JSON, with lexicons that
never repeat, by the Open Inference Protocol; and between them what is damaged, too large, cut off,
or nonsense. Every answer is checked against the status that it deserves. Looks at the memory of
all processes every few seconds. Last it prints how memory grew from the second quarter of the time
to the last, and ends with status 1 where an answer was wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import csv
import io
import json
import os
import random
import signal
import socket
import statistics
import struct
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.sides.turns import descendants

matplotlib.use("Agg")
from matplotlib import pyplot

ROOT = Path(__file__).resolve().parent.parent
LOOK_S = 5.0
LOOKS_A_LINE = 12
"""How often it says where it is, and writes the curve as far as it is known."""
START_S = 300.0
DISTINCT = 200
GROUPS = {
    "replicas": ("ray::ServeRepli",),
    "ingress": ("haproxy", "ray::ProxyActor", "ray::HAProxyMan"),
    "decoders": (),
    "rest of Ray": (),
}
"""How the names of their processes begin; decoders are told by what they run."""


@dataclass
class Soak:
    """What has come of it so far."""

    url: str
    pictures: list[bytes]
    texts: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    rows: list[list[float]] = field(default_factory=list)
    """Seconds, then MiB of each group and of all."""


Ask = Callable[[Soak, httpx.AsyncClient, random.Random], Awaitable[None]]


def main(arguments: argparse.Namespace) -> int:
    """Soaks the service, writes what was seen, and tells whether all went well."""
    arguments.out.mkdir(parents=True, exist_ok=True)
    with served(arguments.bundle, arguments.out / "serve.log") as (job, url):
        soak = Soak(url, [word(n) for n in range(DISTINCT)])
        asyncio.run(load(soak, job, arguments))
    write(soak, arguments.out)
    print(f"{sum(soak.answers.values()):,} requests: {dict(soak.answers.most_common())}")
    for name, (before, after) in growth(soak.rows).items():
        print(f"{name:<12} {before:7.1f} → {after:7.1f} MiB, {after / max(before, 0.1):.3f} times")
    for line in soak.wrong[:20]:
        print(f"wrong: {line}")
    return 1 if soak.wrong else 0


@contextlib.contextmanager
def served(bundle: str, log_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The service on a free port, warmed up; ended by Ctrl-C."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, str(ROOT / "jobs/serve.py"), "--bundle", bundle, "--port", str(port)]
    with log_path.open("wb") as log:
        job = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + START_S
        while "\nready;" not in log_path.read_text(errors="replace"):
            assert job.poll() is None and time.monotonic() < deadline, log_path.read_text()
            time.sleep(0.2)
        yield job, f"http://127.0.0.1:{port}"
    finally:
        job.send_signal(signal.SIGINT)
        job.wait(120)


async def load(soak: Soak, job: subprocess.Popen[bytes], arguments: argparse.Namespace) -> None:
    """Callers that ask one thing after another, and somebody who looks."""
    callers, seconds = arguments.callers, arguments.minutes * 60
    end_s = time.monotonic() + seconds
    async with httpx.AsyncClient(
        base_url=soak.url, timeout=120, limits=httpx.Limits(max_connections=callers)
    ) as client:
        soak.texts = await expected(soak, client)

        async def caller(number: int) -> None:
            chance = random.Random(number)
            while time.monotonic() < end_s:
                ask = chance.choices(list(ASKED), list(ASKED.values()))[0]
                try:
                    await ask(soak, client, chance)
                except httpx.HTTPError as error:
                    soak.wrong.append(f"{ask.__name__}: {error!r}")

        async def look() -> None:
            began_s = time.monotonic()
            while time.monotonic() < end_s:
                memory = await asyncio.to_thread(memory_by_group, job.pid)
                passed_s = time.monotonic() - began_s
                soak.rows.append([passed_s, *memory, sum(memory)])
                if len(soak.rows) % LOOKS_A_LINE == 0:
                    write(soak, arguments.out)
                    print(progress(soak, passed_s, seconds), flush=True)
                await asyncio.sleep(LOOK_S)

        await asyncio.gather(look(), *map(caller, range(callers)))


def progress(soak: Soak, passed_s: float, seconds: float) -> str:
    """A line of it."""
    asked = soak.answers.total()
    return (
        f"soak: {passed_s / 60:.0f} of {seconds / 60:g} minutes, {asked:,} requests "
        f"({asked / passed_s:.0f}/s), {len(soak.wrong)} wrong, {soak.rows[-1][-1]:,.0f} MiB"
    )


async def expected(soak: Soak, client: httpx.AsyncClient) -> list[str]:
    """What it reads in each picture now, and so has to read each time."""
    texts: list[str] = []
    for start in range(0, DISTINCT, 50):
        form = [("files", ("a", data)) for data in soak.pictures[start : start + 50]]
        answer = await client.post("/v1/recognize", files=form)
        texts += [entry["text"] for entry in answer.json()["results"]]
    return texts


async def form(soak: Soak, client: httpx.AsyncClient, chance: random.Random) -> None:
    picked = chance.sample(range(DISTINCT), chance.choice([1, 1, 1, 2, 4, 16]))
    files = [("files", (f"{n}", soak.pictures[n])) for n in picked]
    answer = await client.post("/v1/recognize", files=files)
    note(soak, "form", answer, 200)
    check_texts(soak, answer, [soak.texts[n] for n in picked])


async def lexicon(soak: Soak, client: httpx.AsyncClient, chance: random.Random) -> None:
    """Words that nobody gave before: what is kept of them must stay bounded."""
    n = chance.randrange(DISTINCT)
    words = [f"{chance.randrange(10**9)}" for _ in range(chance.choice([3, 300, 2_000]))]
    words.insert(chance.randrange(len(words)), soak.texts[n] or "0")
    data = base64.b64encode(soak.pictures[n]).decode()
    body = {"images": [{"data": data}], "options": {"lexicon": words, "chars": False}}
    answer = await client.post("/v1/recognize", json=body)
    note(soak, "lexicon", answer, 200)


async def inference(soak: Soak, client: httpx.AsyncClient, chance: random.Random) -> None:
    n = chance.randrange(DISTINCT)
    raw = struct.pack("<I", len(soak.pictures[n])) + soak.pictures[n]
    tensor = {"name": "image", "shape": [1], "datatype": "BYTES"}
    head = json.dumps({"inputs": [tensor | {"parameters": {"binary_data_size": len(raw)}}]})
    answer = await client.post(
        "/v2/models/crnn/infer",
        content=head.encode() + raw,
        headers={"Inference-Header-Content-Length": str(len(head))},
    )
    note(soak, "v2", answer, 200)
    read = answer.json()["outputs"][0]["data"] if answer.status_code == 200 else None
    if answer.status_code == 200 and read != [soak.texts[n]]:
        soak.wrong.append(f"v2: read {read} for {soak.texts[n]!r}")


async def damaged(soak: Soak, client: httpx.AsyncClient, chance: random.Random) -> None:
    """Two good ones and a bad one between them."""
    n = chance.randrange(DISTINCT)
    bad = chance.choice(
        [
            soak.pictures[n][: len(soak.pictures[n]) // 2],
            b"<html>404</html>",
            b"",
            png_header(40_000, 40_000),
            chance.randbytes(2_000),
            b"\x89PNG\r\n\x1a\n" + chance.randbytes(500),
        ]
    )
    files = [("files", ("", data)) for data in (soak.pictures[n], bad, soak.pictures[n])]
    answer = await client.post("/v1/recognize", files=files)
    note(soak, "damaged", answer, 200)
    check_texts(soak, answer, [soak.texts[n], None, soak.texts[n]])


async def nonsense(soak: Soak, client: httpx.AsyncClient, chance: random.Random) -> None:
    status, content, kind = chance.choice(
        [
            (400, b"{", "application/json"),
            (422, b'{"images": 5}', "application/json"),
            (415, chance.randbytes(1_000), "text/plain"),
            (400, b"--x\r\n" + chance.randbytes(100), "multipart/form-data; boundary=x"),
            (413, bytes(33 << 20), "application/json"),
        ]
    )
    headers = {"content-type": kind}
    answer = await client.post("/v1/recognize", content=content, headers=headers)
    note(soak, "nonsense", answer, status)


async def cut_off(soak: Soak, client: httpx.AsyncClient, chance: random.Random) -> None:
    """Half a request, and good bye."""
    host, _, port = soak.url.removeprefix("http://").partition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST /v1/recognize HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 500000\r\n\r\n" + bytes(chance.randrange(100_000))
    )
    with contextlib.suppress(ConnectionError):
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    soak.answers["cut off"] += 1


async def looks(soak: Soak, client: httpx.AsyncClient, chance: random.Random) -> None:
    for path in ("/metrics", "/v1/model", "/readyz", "/docs", "/nowhere"):
        answer = await client.get(path)
        note(soak, "look", answer, 404 if path == "/nowhere" else 200)


ASKED: dict[Ask, float] = {
    form: 60,
    damaged: 15,
    lexicon: 5,
    inference: 10,
    nonsense: 5,
    cut_off: 4,
    looks: 1,
}
"""What is asked, and how often."""


def note(soak: Soak, kind: str, answer: httpx.Response, status: int) -> None:
    """Overload is an answer too."""
    soak.answers[f"{kind} {answer.status_code}"] += 1
    if answer.status_code not in (status, 429):
        soak.wrong.append(f"{kind}: {answer.status_code}, not {status}: {answer.text[:200]}")


def check_texts(soak: Soak, answer: httpx.Response, texts: list[str | None]) -> None:
    """Each picture's text; None is one that can't be read."""
    if answer.status_code == 200:
        read = [entry.get("text") for entry in answer.json()["results"]]
        if read != texts:
            soak.wrong.append(f"read {read} for {texts}")


def word(number: int) -> bytes:
    """A picture of a few characters."""
    chance = random.Random(number)
    text = "".join(chance.choices("0123456789ABCDEFGHKLMNPRSTUVWXYZ-.", k=chance.randrange(2, 14)))
    font = ImageFont.load_default(size=24)
    left, top, right, bottom = font.getbbox(text)
    image = Image.new("L", (int(right - left) + 10, int(bottom - top) + 10), 230)
    ImageDraw.Draw(image).text((5 - left, 5 - top), text, fill=25, font=font)
    buffer = io.BytesIO()
    image.save(buffer, chance.choice(["PNG", "JPEG", "WEBP"]))
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    return b"\x89PNG\r\n\x1a\n" + chunk


def memory_by_group(pid: int) -> list[float]:
    """MiB that the processes below ``pid`` have for themselves (not shared), by group."""
    sums = dict.fromkeys(GROUPS, 0.0)
    for process in descendants(pid):
        with contextlib.suppress(OSError):
            name = Path(f"/proc/{process}/comm").read_text().strip()
            command = Path(f"/proc/{process}/cmdline").read_bytes()
            fields = Path(f"/proc/{process}/statm").read_text().split()
            own = (int(fields[1]) - int(fields[2])) * os.sysconf("SC_PAGE_SIZE") / 2**20
            sums[_group(name, command)] += own
    return list(sums.values())


def _group(name: str, command: bytes) -> str:
    if b"crnn.images.sandbox.process" in command:
        return "decoders"
    for group in ("replicas", "ingress"):
        if name.startswith(GROUPS[group]):
            return group
    return "rest of Ray"


def growth(rows: list[list[float]]) -> dict[str, tuple[float, float]]:
    """Median MiB of each group in the second quarter of the time, and in the last."""
    names = [*GROUPS, "all"]
    quarter = max(1, len(rows) // 4)
    parts = (rows[quarter : 2 * quarter] or rows, rows[-quarter:])
    return {
        name: (
            statistics.median(row[i + 1] for row in parts[0]),
            statistics.median(row[i + 1] for row in parts[1]),
        )
        for i, name in enumerate(names)
    }


def write(soak: Soak, out: Path) -> None:
    """The curve as CSV and as a picture."""
    names = [*GROUPS, "all"]
    with (out / "memory.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["seconds", *(f"{name} MiB" for name in names)])
        writer.writerows([[f"{value:.1f}" for value in row] for row in soak.rows])
    table = np.array(soak.rows)
    figure, axes = pyplot.subplots(figsize=(9, 4.5), layout="constrained")
    for i, name in enumerate(names):
        axes.plot(table[:, 0] / 60, table[:, i + 1], label=name)
    axes.set(xlabel="minutes", ylabel="MiB, not shared", ylim=(0, None))
    axes.set_title(f"{sum(soak.answers.values()):,} requests, good and bad")
    axes.legend(ncols=len(names), loc="lower center")
    axes.grid(alpha=0.3)
    figure.savefig(out / "memory.png", dpi=120)
    pyplot.close(figure)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", default=str(ROOT / "bundles/strings"), help="(%(default)s)")
    parser.add_argument("--minutes", type=float, default=60, help="(%(default)s)")
    parser.add_argument("--callers", type=int, default=16, help="at a time (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("soak"), help="folder (%(default)s)")
    sys.exit(main(parser.parse_args()))
