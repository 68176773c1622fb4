"""A cascade's accuracy against its speed for a row of bounds, beside RapidOCR alone.

python bench/cascade.py --words DIR DIR --then STRONG
python bench/cascade.py --words DIR --bundle bundles/mobile --then STRONG --below 0.5 0.9 --no-peer
pip install rapidocr==3.10.0 && python bench/cascade.py --words DIR --then rapidocr

The folders are any that ``jobs/prepare.py`` reads. ``--then rapidocr`` has RapidOCR's own code read
what is doubtful, in place of a bundle. Everything is read in one run and one thread, in batches as
bulk jobs make them; rates are pictures read in a second of one core's time, decoding included. A
picture counts as right when letters and digits are, in any case (``crnn.text.metrics.alnum_form``).
Intervals are Wilson's, 95%.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.sides import peers
from bench.sides.labelled import LabelledSet, labelled_set
from crnn import Cascade, Recognizer
from crnn.text.metrics import Sums, score, wilson_interval

PEER = "rapidocr"
CHUNK = 512
WARM_UP = 64


@dataclass(frozen=True, kw_only=True)
class Row:
    """One way to read all pictures."""

    name: str
    sums: Sums
    cpu_s: float
    again: float
    """Share of pictures that were read by the second too."""

    @property
    def rate(self) -> float:
        """Pictures a second of one core."""
        return self.sums.count / self.cpu_s


Read = Callable[[Sequence[bytes]], tuple[list[str], int]]
"""Pictures → their texts, and how many of them were read by the second too."""


def alone(recognizer: Recognizer) -> Read:
    def read(pictures: Sequence[bytes]) -> tuple[list[str], int]:
        return [result.text for result in recognizer.read(pictures, chars=False)], 0

    return read


def both(first: Recognizer, second: Recognizer, below: float) -> Read:
    cascade = Cascade(first, second, below=below)

    def read(pictures: Sequence[bytes]) -> tuple[list[str], int]:
        results = cascade.read(pictures, chars=False)
        return [r.text for r in results], sum(r.model == second.bundle.digest for r in results)

    return read


def by_peer(peer: peers.RapidRecognizer) -> Read:
    def read(pictures: Sequence[bytes]) -> tuple[list[str], int]:
        texts: list[str] = []
        for start in range(0, len(pictures), CHUNK):
            texts += peer.read([peers.bgr(data) for data in pictures[start : start + CHUNK]])
        return texts, 0

    return read


def then_peer(first: Recognizer, peer: peers.RapidRecognizer, below: float) -> Read:
    """As ``Cascade``, with the peer's own code in place of a second bundle."""
    second = by_peer(peer)

    def read(pictures: Sequence[bytes]) -> tuple[list[str], int]:
        results = first.read(pictures, chars=False)
        texts = [result.text for result in results]
        doubtful = [n for n, result in enumerate(results) if result.confidence < below]
        found, _ = second([pictures[n] for n in doubtful])
        for n, text in zip(doubtful, found, strict=True):
            texts[n] = text or texts[n]
        return texts, len(doubtful)

    return read


def measured(name: str, read: Read, sets: Sequence[LabelledSet]) -> Row:
    """All sets read so, one after another."""
    read(sets[0].pictures[:WARM_UP])
    sums, cpu_s, again = Sums(), 0.0, 0
    for one in sets:
        began_s = time.process_time()
        texts, count = read(one.pictures)
        cpu_s += time.process_time() - began_s
        again += count
        sums += sum(map(score, texts, one.labels), Sums())
    row = Row(name=name, sums=sums, cpu_s=cpu_s, again=again / sums.count)
    print(f"{name}: {row.sums.alnum_accuracy:.2%}, {row.rate:,.0f}/s a core", flush=True)
    return row


def table(rows: Sequence[Row], baseline: Row | None) -> list[str]:
    """Markdown: a row a way; differences and ratios are to ``baseline``, if there is one."""
    heads = ["", "right, %", "95%", "by the second, %", "pictures/s a core"]
    heads += [f"points to {baseline.name}", "times its speed"] if baseline else []
    lines = [f"| {' | '.join(heads)} |", f"| {' | '.join(['---'] * len(heads))} |"]
    for row in rows:
        low, high = wilson_interval(row.sums.alnum_exact, row.sums.alnum_count)
        right = row.sums.alnum_accuracy
        cells = [row.name, f"{100 * right:.1f}", f"{100 * low:.1f} - {100 * high:.1f}"]
        cells += [f"{100 * row.again:.0f}", f"{row.rate:,.0f}"]
        if baseline:
            cells.append(f"{100 * (right - baseline.sums.alnum_accuracy):+.1f}")
            cells.append(f"{row.rate / baseline.rate:.1f}")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def main(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    sets = [labelled_set(one, lines=False, limit=arguments.limit) for one in arguments.words]
    first = Recognizer.load(arguments.bundle, engine=arguments.engine, threads=1)
    rows = [measured(f"{first.bundle.name} alone", alone(first), sets)]
    peer = peers.RapidRecognizer() if arguments.peer or arguments.then == PEER else None
    if arguments.then == PEER:
        assert peer is not None
        ways = {below: then_peer(first, peer, below) for below in arguments.below}
    else:
        second = Recognizer.load(arguments.then, engine=arguments.engine, threads=1)
        ways = {below: both(first, second, below) for below in arguments.below}
        rows.append(measured(f"{second.bundle.name} alone", alone(second), sets))
    rows += [measured(f"below {below:g}", way, sets) for below, way in ways.items()]
    baseline = measured(peers.rapidocr_version(), by_peer(peer), sets) if peer else None
    print(f"\n{sum(len(one.labels) for one in sets):,} pictures of {len(sets)} sets\n")
    print(*table([*rows, *([baseline] if baseline else [])], baseline), sep="\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--words", nargs="+", required=True, help="folders of labelled words")
    parser.add_argument("--bundle", default="bundles/mobile", help="reads first (%(default)s)")
    parser.add_argument("--then", required=True, help="bundle that reads the doubtful, or rapidocr")
    parser.add_argument("--below", nargs="+", type=float, default=[0.5, 0.7, 0.8, 0.9, 0.95, 0.99])
    parser.add_argument("--engine", default="auto", help="of the bundles (%(default)s)")
    parser.add_argument("--limit", type=int, default=0, help="pictures of each set; 0: all")
    parser.add_argument("--no-peer", dest="peer", action="store_false", help="no RapidOCR alone")
    main(parser.parse_args())
