"""What a billion pictures to read, or training on many GPUs, would cost; docs/scale.md.

python bench/scale.py measure                 everything below, kept in docs/scale.json
python bench/scale.py measure --only store    rates, overhead, store, listing or bulk alone
python bench/scale.py costs                   the tables of docs/scale.md, from docs/scale.json
python bench/scale.py costs --gpu-samples-s 5000 --node-cores 64

``rates``: CPU and bytes of a picture. ``overhead``: the driver's CPU for a task and a block of Ray
Data. ``store``: requests counted, and CPU of fetching a picture. ``listing``: CPU for a key.
``bulk``: the driver's own code over made-up entries. All in CPU seconds of one process, each the
least of up to three runs in processes of their own, since a busy machine only adds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.sides import scale_costs as costs
from bench.sides.scale_costs import Assumptions
from jobs import cli
from pipelines.stream.assemble import READY_BATCH_PIXELS

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "docs" / "scale.json"
BUNDLE = str(ROOT / "bundles" / "strings")
BULK_SIZES = (100_000, 1_000_000, 10_000_000)
REPEATS, LONG_S = 3, 60.0
SIDES: dict[str, list[list[str]]] = {
    "rates": [["scale_rates", "rates", BUNDLE]],
    "overhead": [["scale_rates", "overhead"]],
    "store": [["scale_store", "requests", BUNDLE]],
    "listing": [["scale_store", "listing"]],
    "bulk": [["scale_rates", "driver", str(size)] for size in BULK_SIZES],
}
BULK_SHOWN = ((1, 1), (4, 1), (1, 8), (1, 16))
"""Nodes of a job, and such jobs side by side, each of ``JOB_PICTURES``."""
JOB_PICTURES = BULK_SIZES[-1]
GPUS_SHOWN = (1, 4, 16)
CORES_SHOWN = (16, 64, 256, 1024)


def measure(names: Sequence[str]) -> None:
    """Run these sides, and keep what they say beside what is kept already."""
    kept: dict[str, Any] = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    for name in names:
        found = {}
        for module, *arguments in SIDES[name]:
            command = [sys.executable, "-m", f"bench.sides.{module}", *arguments]
            print(" ".join(command[1:]), flush=True)
            found[arguments[-1]] = least(_runs(command))
            print(f"  {found[arguments[-1]]}", flush=True)
        kept[name] = found if len(found) > 1 else next(iter(found.values()))
        KEPT.write_text(json.dumps(kept, indent=1) + "\n")


def least(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The least of each figure: what else the machine does only adds."""
    return {name: min(run[name] for run in runs) for name in runs[0]}


def _runs(command: Sequence[str]) -> list[dict[str, float]]:
    """What it says, three times; fewer where that takes long."""
    began_s, runs = time.monotonic(), [_said(command)]
    while len(runs) < REPEATS and time.monotonic() - began_s < LONG_S:
        runs.append(_said(command))
    return runs


def _said(command: Sequence[str]) -> dict[str, float]:
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def show(assume: Assumptions) -> str:
    """All tables, from what is kept."""
    kept = json.loads(KEPT.read_text())
    measured = {**kept["rates"], **kept["overhead"], **kept["listing"], **kept["store"]}
    tables = (
        _table(("one of", "measured"), [(label, _unit(measured, key)) for label, key in MEASURED]),
        _requests_table(kept["store"], assume),
        _driver_table(kept["bulk"]),
        _bulk_table(kept["bulk"], measured, assume),
        _width_table(measured, assume),
        _stream_table(measured, assume),
    )
    return "\n\n".join(tables)


MEASURED = (
    ("decoding a picture", "decode_s"),
    ("engine and greedy decoder", "engine_s"),
    ("fetching a picture of a bucket", "fetch_s"),
    ("reading, decoding, augmenting for training", "assemble_s"),
    ("looking at its label", "scan_s"),
    ("listing its key in a bucket", "bucket_key_s"),
    ("reading its row in a Parquet list", "list_row_s"),
    ("driver, for a task of Ray Data", "task_s"),
    ("driver, for a block of ready batches", "block_s"),
    ("a rendered picture, encoded", "picture_bytes"),
    ("its row in a shard", "shard_bytes"),
    ("in a ready batch, padded", "ready_bytes"),
)
DRIVER = (
    ("planning", "plan_s"),
    ("taking the plans up again", "again_s"),
    ("memory", "memory_bytes"),
)
"""Rows of tables: what a figure is, and its name."""
UNITS = {
    "s": (("min", 60), ("s", 1), ("ms", 1e-3), ("µs", 1e-6)),
    "bytes": (("GB", 1e9), ("MB", 1e6), ("bytes", 1)),
}


def _driver_table(bulk: Mapping[str, costs.Figures]) -> str:
    rows = [(label, *(_unit(run, key) for run in bulk.values())) for label, key in DRIVER]
    return _table(("inputs of a bulk job", *(f"{int(size):,}" for size in bulk)), rows)


def _requests_table(store: costs.Figures, assume: Assumptions) -> str:
    requests = costs.bulk_requests(10**6, store)
    cells = (
        *(f"{count:,}" for count in requests.values()),
        f"{costs.price(requests, assume):,.2f}",
    )
    return _table(("requests for a million pictures", *requests, "$"), [("", *cells)])


def _bulk_table(
    bulk: Mapping[str, costs.Figures], measured: costs.Figures, assume: Assumptions
) -> str:
    planned_s = bulk[str(JOB_PICTURES)]["plan_s"] / JOB_PICTURES
    rows = []
    for nodes, jobs in BULK_SHOWN:
        for source in ("bucket", "list"):
            rates = costs.bulk_rates(
                nodes, jobs, measured, assume, planned_s=planned_s, is_list=source == "list"
            )
            slowest, rate = next(iter(rates.items()))
            hours = JOB_PICTURES / rate / 3600
            rows.append(
                (
                    *(str(jobs), str(nodes), source, f"{rates['cores']:,.0f}", slowest),
                    *(f"{rate:,.0f}", f"{hours:,.2f}", f"{10**9 / rate / jobs / 3600:,.1f}"),
                )
            )
    head = (
        *("jobs", "nodes of each", "input", "its cores could read /s", "bottleneck", "its rate /s"),
        *("hours for 10 million each", "hours for a billion in all"),
    )
    return _table(head, rows)


def _width_table(measured: costs.Figures, assume: Assumptions) -> str:
    """Which share of this many cores a bulk job keeps busy, by the simulation of its windows."""
    each = costs.core_rate(measured, assume)
    busy = [costs.window_rate(cores, measured, assume) / cores / each for cores in CORES_SHOWN]
    head = ("cores of a job", *(f"{cores:,}" for cores in CORES_SHOWN))
    return _table(head, [("busy", *(f"{share:.0%}" for share in busy))])


def _stream_table(measured: costs.Figures, assume: Assumptions) -> str:
    rows = []
    for gpus in GPUS_SHOWN:
        for pixels in (READY_BATCH_PIXELS, 10 * READY_BATCH_PIXELS):
            rates = costs.stream_rates(gpus, measured, assume, pixels)
            slowest, rate = next(iter(rates.items()))
            pace = costs.with_pauses(rate, assume)
            rows.append((str(gpus), f"{pixels:,}", slowest, f"{rate:,.0f}", f"{pace:,.0f}"))
    head = ("GPUs", "`--batch-pixels`", "bottleneck", "its samples/s", "with pauses")
    return _table(head, rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _unit(figures: costs.Figures, name: str) -> str:
    """A figure of this name, with its unit."""
    value, units = figures[name], UNITS[name.rpartition("_")[2]]
    unit, size = next((one for one in units if value >= 2 * one[1]), units[-1])
    return f"{value / size:,.{0 if unit == 'bytes' else 1}f} {unit}"


def main(arguments: Sequence[str]) -> None:
    if arguments[:1] == ["costs"]:
        print(show(cli.parse(Assumptions, arguments[1:], description=__doc__ or "")))
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=["measure", "costs"])
    parser.add_argument("--only", nargs="*", choices=list(SIDES), default=list(SIDES))
    measure(parser.parse_args(arguments).only)


if __name__ == "__main__":
    main(sys.argv[1:])
