"""What it costs to inspect pictures of a source: CPU seconds of all processes.

python bench/inspection.py

Renders words, writes each to a file of its own with a list of labels, and runs
``jobs/inspect_data.py`` over a few of them, which costs what starting Ray and the job costs, and
over all. CPU seconds are of the job and of all that it starts, Ray's processes included.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.sides.peaks import job_cpu_s
from bench.sides.sets import rendered
from pipelines.samples import from_sets

FEW = 16
PNG = b"\x89PNG"


def main(pictures: int) -> None:
    """Inspects few and all of them, and prints what each took."""
    with rendered(pictures) as sets, tempfile.TemporaryDirectory(prefix="bench-") as name:
        home, took = Path(name), {}
        for count in (FEW, pictures):
            write(sets / "train", home / f"{count}", count)
            arguments = [str(home / f"{count}"), "--out", str(home / f"out-{count}")]
            took[count] = job_cpu_s("inspect_data.py", arguments)
            print(f"{count:,} pictures: {took[count]:.1f} CPU s", flush=True)
    each_ms = 1000 * (took[pictures] - took[FEW]) / pictures
    print(f"a picture beyond the start: {each_ms:.2f} ms")


def write(shards: Path, folder: Path, count: int) -> None:
    """The first samples of a set as files with a list."""
    folder.mkdir()
    lines = []
    for number, (picture, text) in enumerate(from_sets([str(shards)], count)):
        name = f"{number:08d}.{'png' if picture.startswith(PNG) else 'jpg'}"
        (folder / name).write_bytes(picture)
        lines.append(f"{name}\t{text}\n")
    (folder / "labels.tsv").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=65_536, help="(%(default)s)")
    main(parser.parse_args().pictures)
