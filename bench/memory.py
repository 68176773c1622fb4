"""Memory of a job as the number of its pictures grows.

python bench/memory.py recognize                  about twenty minutes, 1,000,000 small pictures
python bench/memory.py prepare --pictures 100000

Runs ``jobs/recognize.py`` or ``jobs/prepare.py`` over a tenth of the pictures, over all of them,
and over all of them again, when there is nothing left to do, and looks at the processes twice a
second. Prints the peak of the driver and of everything together, and last the ratio of the
driver's peaks.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.sides.peaks import DISTINCT, job_peaks
from bench.sides.sets import picture_files, rendered

ROOT = Path(__file__).resolve().parent.parent
COUNTED = {
    "recognize": r"read ([\d,]+) pictures in this run",
    "prepare": r"([\d,]+) samples",
}
"""By job, what it says of how much it did."""


def main(arguments: argparse.Namespace) -> None:
    """Runs the job three times, and prints its peaks."""
    with rendered(DISTINCT) as sets, tempfile.TemporaryDirectory(prefix="bench-") as name:
        home, peaks = Path(name), {}
        for kind, count in (("tenth", arguments.pictures // 10), ("all", arguments.pictures)):
            picture_files(sets / "train", home / kind, count)
            if arguments.job == "prepare":
                label(home / kind)
        for told, kind in (("a tenth", "tenth"), ("all", "all"), ("all, again", "all")):
            began_s = time.monotonic()
            flags = flags_of(arguments, home / kind, home / f"out-{kind}")
            driver, everything, said = job_peaks(f"{arguments.job}.py", flags)
            peaks[told] = driver
            done = re.findall(COUNTED[arguments.job], said)[-1]
            print(
                f"{told:<10} {done:>9} pictures in {time.monotonic() - began_s:5.0f} s; peak: "
                f"driver {driver:,.0f} MiB, all processes {everything:,.0f} MiB",
                flush=True,
            )
    print(f"driver, ten times the pictures: {peaks['all'] / peaks['a tenth']:.2f} times the memory")


def label(folder: Path) -> None:
    """A list of the pictures, each with its number as its text."""
    names = sorted(path.name for path in folder.iterdir())
    lines = [f"{name}\t{number}\n" for number, name in enumerate(names)]
    (folder / "labels.tsv").write_text("".join(lines))


def flags_of(arguments: argparse.Namespace, folder: Path, out: Path) -> list[str]:
    if arguments.job == "prepare":
        return [str(folder), str(out)]
    return ["--bundle", arguments.bundle, "--input", str(folder), "--output", str(out)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("job", choices=list(COUNTED))
    parser.add_argument("--bundle", default=str(ROOT / "bundles/strings"), help="(%(default)s)")
    parser.add_argument("--pictures", type=int, default=1_000_000, help="(%(default)s)")
    main(parser.parse_args())
