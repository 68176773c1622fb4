"""Memory of a preparation as the number of its pictures grows.

python bench/prepare_memory.py                       1,000,000 small pictures
python bench/prepare_memory.py --pictures 100000

Runs ``jobs/prepare.py`` over a tenth of the pictures, over all of them, and over all of them
again, when there is nothing left to do, and looks at the processes twice a second. Prints the
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


def main(arguments: argparse.Namespace) -> None:
    """Runs the three jobs, and prints their peaks."""
    with rendered(DISTINCT) as sets, tempfile.TemporaryDirectory(prefix="bench-") as name:
        home, peaks = Path(name), {}
        for kind, count in (("tenth", arguments.pictures // 10), ("all", arguments.pictures)):
            picture_files(sets / "train", home / kind, count)
            with (home / kind / "labels.tsv").open("w") as labels:
                for number, file in enumerate(sorted(p.name for p in (home / kind).iterdir())):
                    if file != "labels.tsv":
                        labels.write(f"{file}\t{number}\n")
        for label, kind in (("a tenth", "tenth"), ("all", "all"), ("all, again", "all")):
            began_s = time.monotonic()
            flags = [str(home / kind), str(home / f"out-{kind}")]
            driver, everything, said = job_peaks("prepare.py", flags)
            peaks[label] = driver
            samples = re.findall(r"([\d,]+) samples", said)[-1]
            print(
                f"{label:<10} {samples:>9} samples in {time.monotonic() - began_s:5.0f} s; peak: "
                f"driver {driver:,.0f} MiB, all processes {everything:,.0f} MiB",
                flush=True,
            )
    print(f"driver, ten times the pictures: {peaks['all'] / peaks['a tenth']:.2f} of the memory")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=1_000_000, help="(%(default)s)")
    main(parser.parse_args())
