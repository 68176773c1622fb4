"""Memory of a bulk job as the number of its inputs grows.

python bench/bulk_memory.py                       about twenty minutes, 1,000,000 small pictures
python bench/bulk_memory.py --pictures 100000

Runs ``jobs/recognize.py`` over a tenth of the pictures, over all of them, and over all of them
again, when there is nothing left to read, and looks at the processes twice a second. Prints the
peak of the driver and of everything together, and last the ratio of the driver's peaks.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.peaks import DISTINCT, job_peaks
from bench.sets import picture_files, rendered

ROOT = Path(__file__).resolve().parent.parent


def main(arguments: argparse.Namespace) -> None:
    """Runs the three jobs, and prints their peaks."""
    with rendered(DISTINCT) as sets, tempfile.TemporaryDirectory(prefix="bench-") as name:
        home, peaks = Path(name), {}
        for kind, count in (("tenth", arguments.pictures // 10), ("all", arguments.pictures)):
            picture_files(sets / "train", home / kind, count)
        for label, kind in (("a tenth", "tenth"), ("all", "all"), ("all, again", "all")):
            began_s = time.monotonic()
            flags = ["--bundle", arguments.bundle, "--input", str(home / kind)]
            flags += ["--output", str(home / f"out-{kind}")]
            driver, everything, said = job_peaks("recognize.py", flags)
            peaks[label] = driver
            read = re.findall(r"read ([\d,]+) pictures in this run", said)[-1]
            print(
                f"{label:<10} {read:>9} read in {time.monotonic() - began_s:5.0f} s; peak: driver "
                f"{driver:,.0f} MiB, all processes {everything:,.0f} MiB",
                flush=True,
            )
    print(f"driver, ten times the inputs: {peaks['all'] / peaks['a tenth']:.2f} times the memory")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", default=str(ROOT / "bundles/strings"), help="(%(default)s)")
    parser.add_argument("--pictures", type=int, default=1_000_000, help="(%(default)s)")
    main(parser.parse_args())
