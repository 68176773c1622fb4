"""What 10 million and 1 billion pictures, and 10 billion training samples, cost; docs/scale.md.

python bench/scale.py measure                 everything below, kept in docs/scale.json; minutes
python bench/scale.py measure --only store    rates, overhead, store, listing, bulk or stream alone
python bench/scale.py costs                   the tables of docs/scale.md, from docs/scale.json
python bench/scale.py costs --gpu-samples-s 5000 --node-cores 64

``rates``: CPU and bytes of a picture. ``overhead``: the driver's CPU for a task and a block of Ray
Data. ``store``: requests counted. ``listing``: CPU for a key. ``bulk`` and ``stream``: the driver's
own code over made-up entries, at sizes that are small enough. All in CPU seconds of one process,
each the least of up to three runs in processes of their own, since a busy machine only adds.
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
from bench.sides.scale_costs import BUCKET, CORES, LIST, SPACE, WORK, Assumptions, fitted
from jobs import cli
from pipelines.agenda import WINDOW_CHUNKS
from pipelines.recognition.plan import CHUNK_ROWS
from pipelines.shards import ROW_GROUP_ROWS
from pipelines.stream.assemble import READY_BATCH_PIXELS

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "docs" / "scale.json"
BUNDLE = ROOT / "bundles" / "strings"
BULK_SIZES = (100_000, 300_000, 1_000_000, 3_000_000)
STREAM_SIZES = (100_000_000, 1_000_000_000, 10_000_000_000)
SAMPLE_BYTES = 3700
PROCESSES = 64
HELD_OUT = 0.05
"""``--val-share`` of jobs/train.py where it is not given."""
REPEATS, LONG_S = 3, 60.0
SIDES: dict[str, list[list[str]]] = {
    "rates": [["scale_rates", "rates", str(BUNDLE), "2048"]],
    "overhead": [["scale_rates", "overhead", "128", "640", "8192"]],
    "store": [["scale_store", "requests", "1024", str(BUNDLE)]],
    "listing": [["scale_store", "listing", "50000"]],
    "bulk": [["scale_driver", "bulk", str(size), str(PROCESSES)] for size in BULK_SIZES],
    "stream": [["scale_driver", "stream", str(size), str(SAMPLE_BYTES)] for size in STREAM_SIZES],
}
BULK_SHOWN = (
    (10_000_000, 1, 1),
    (10_000_000, 4, 1),
    (10_000_000, 16, 1),
    (1_000_000_000, 16, 1),
    (1_000_000_000, 8, 8),
    (1_000_000_000, 16, 16),
)
"""Pictures, nodes, and jobs side by side that share both."""
STREAM_SHOWN = (
    (STREAM_SIZES[0], 1),
    (STREAM_SIZES[1], 4),
    (STREAM_SIZES[2], 4),
    (STREAM_SIZES[2], 32),
)
PLANNING = ("known_s", "plan_s", "agenda_s")
AGAIN = ("again_left_s", "again_known_s")


def measure(names: Sequence[str]) -> None:
    """Run these sides, and keep what they say beside what is kept already."""
    kept: dict[str, Any] = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    for name in names:
        found = {}
        for module, *arguments in SIDES[name]:
            command = [sys.executable, "-m", f"bench.sides.{module}", *arguments]
            print(" ".join(command[1:]), flush=True)
            found[arguments[1]] = least(_runs(command))
            print(f"  {found[arguments[1]]}", flush=True)
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
    measured = {**kept["rates"], **kept["overhead"], **kept["listing"]}
    tables = (
        _measured_table(kept),
        _bulk_fit_table(kept["bulk"]),
        _bulk_table(kept, measured, assume),
        _chunk_table(kept, assume),
        _width_table(measured, assume),
        _stream_driver_table(kept["stream"]),
        _stream_table(kept, measured, assume),
        _before_table(measured),
        _group_table(kept, assume),
    )
    return "\n\n".join(tables)


def fit_of(
    bulk: Mapping[str, Mapping[str, float]], parts: Sequence[str], exponents: Sequence[int]
) -> costs.Fit:
    """A fit over the sizes of the sum of these parts."""
    points = {int(size): sum(run[part] for part in parts) for size, run in bulk.items()}
    return fitted(points, exponents)


def _measured_table(kept: Mapping[str, Any]) -> str:
    rates, overhead, listing = kept["rates"], kept["overhead"], kept["listing"]
    rows = [
        ("a rendered picture, encoded", f"{rates['picture_bytes']:,.0f} bytes", "rates"),
        ("its row in a shard", f"{rates['shard_bytes']:,.0f} bytes", "rates"),
        ("in a ready batch, padded", f"{rates['ready_bytes']:,.0f} bytes", "rates"),
        ("its row in the results, with characters", f"{rates['result_bytes']:,.0f} bytes", "rates"),
        ("decoding", _us(rates["decode_s"]), "rates"),
        ("engine and greedy decoder", _us(rates["engine_s"]), "rates"),
        ("writing its row", _us(rates["write_s"]), "rates"),
        ("reading, decoding, augmenting for training", _us(rates["assemble_s"]), "rates"),
        ("looking at its label", _us(rates["scan_s"]), "rates"),
        ("training step of `mobile`", _us(rates["train_s"]), "rates"),
        ("driver, for a task of Ray Data", _us(overhead["task_s"]), "overhead"),
        ("driver, for a block of ready batches", _us(overhead["block_s"]), "overhead"),
        ("listing a key of a bucket", _us(listing["bucket_key_s"]), "listing"),
        ("reading a row of a Parquet list", _us(listing["list_row_s"]), "listing"),
    ]
    return _table(("one of", "measured", "`measure --only`"), rows)


def _bulk_fit_table(bulk: Mapping[str, Mapping[str, float]]) -> str:
    rows = []
    for label, parts, exponents, unit in (
        ("planning: what is new, written down, cut into tasks", PLANNING, WORK, _time),
        ("taking it up again: what is left, what is known", AGAIN, WORK, _time),
        ("memory", ("memory_bytes",), SPACE, _bytes),
        ("memory when taken up again", ("again_memory_bytes",), SPACE, _bytes),
        ("plans on disk", ("plan_bytes",), SPACE, _bytes),
    ):
        fit = fit_of(bulk, parts, exponents)
        seen = (unit(sum(bulk[str(size)][part] for part in parts)) for size in BULK_SIZES)
        beyond = (unit(fit.at(size)) for size in (10**7, 10**8, 10**9))
        rows.append((label, *seen, *beyond, f"{fit.error:.0%}"))
    sizes = [f"{size:,}" for size in BULK_SIZES]
    head = ("driver of a bulk job", *sizes, "10 million", "100 million", "1 billion", "error")
    return _table(head, rows)


def _bulk_table(kept: Mapping[str, Any], measured: costs.Figures, assume: Assumptions) -> str:
    planning = fit_of(kept["bulk"], PLANNING, WORK)
    rows = []
    for pictures, nodes, jobs in BULK_SHOWN:
        rates = costs.bulk_rates(pictures // jobs, nodes // jobs, jobs, measured, planning, assume)
        for source, other in (("bucket", LIST), ("list", BUCKET)):
            (slowest, rate), (second, _) = [e for e in rates.items() if e[0] != other][:2]
            hours = pictures / (jobs * rate) / 3600
            requests = costs.bulk_requests(pictures, kept["store"])
            if source == "list":
                requests["LIST"] -= -(-pictures // 1000)
            rows.append(
                (
                    *(f"{pictures:,}", source, str(nodes), str(jobs)),
                    *(f"{jobs * rates[CORES]:,.0f}", slowest, f"{jobs * rate:,.0f}"),
                    *(second, f"{hours:,.2f}", f"{hours * nodes * assume.node_price:,.0f}"),
                    f"{costs.price(requests, assume):,.0f}",
                )
            )
    head = (
        *("pictures", "input", "nodes", "jobs", "cores could read /s", "first bottleneck"),
        *("its rate /s", "second", "hours", "nodes $", "requests $"),
    )
    return _table(head, rows)


def _chunk_table(kept: Mapping[str, Any], assume: Assumptions) -> str:
    rows = []
    for pictures in (10_000_000, 10**9):
        for chunk_rows in (CHUNK_ROWS, 4096):
            requests = costs.bulk_requests(pictures, kept["store"], chunk_rows)
            counts = (f"{requests[kind]:,}" for kind in ("LIST", "HEAD", "GET", "PUT"))
            dollars = f"{costs.price(requests, assume):,.2f}"
            rows.append((f"{pictures:,}", f"{chunk_rows:,}", *counts, dollars))
    return _table(("pictures", "rows a chunk", "LIST", "HEAD", "GET", "PUT", "$"), rows)


def _width_table(measured: costs.Figures, assume: Assumptions) -> str:
    """Which share of this many cores a bulk job keeps busy, by the simulation of its windows."""
    picture_s = measured["decode_s"] + measured["engine_s"] + measured["write_s"]
    chunk_s = CHUNK_ROWS * picture_s / assume.bulk_efficiency / assume.core
    task_s = measured["task_s"] / assume.core
    rows = []
    for cores in (16, 64, 256, 1024):
        cells = []
        for times in (1, 8):
            window_s = costs.window_seconds(cores, times * chunk_s, task_s, assume.execution_s)
            busy = WINDOW_CHUNKS * times * chunk_s / cores / window_s
            cells.append(f"{busy:.0%}")
        rows.append((f"{cores:,}", *cells))
    head = ("cores", f"busy, {CHUNK_ROWS} rows a chunk", f"busy, {8 * CHUNK_ROWS:,} rows a chunk")
    return _table(head, rows)


def _stream_driver_table(stream: Mapping[str, Mapping[str, float]]) -> str:
    rows = []
    for label, name, unit in (
        ("manifest", "manifest_bytes", _bytes),
        ("loading it", "load_s", _time),
        ("planning an epoch", "plan_s", _time),
        ("finding what is left, every 256 chunks", "turn_s", _time),
        ("what each task unpacks", "config_bytes", _bytes),
        ("unpacking it, each task", "config_open_s", _time),
        ("cursor in a checkpoint, at the end of an epoch", "cursor_bytes", _bytes),
        ("writing it", "cursor_s", _time),
        ("memory of the driver", "memory_bytes", _bytes),
    ):
        rows.append((label, *(unit(stream[str(size)][name]) for size in STREAM_SIZES)))
    return _table(("batch supply of", *(f"{size:,}" for size in STREAM_SIZES)), rows)


def _stream_table(kept: Mapping[str, Any], measured: costs.Figures, assume: Assumptions) -> str:
    rows = []
    for samples, gpus in STREAM_SHOWN:
        driver = kept["stream"][str(samples)]
        for times in (1, 10):
            rates = costs.stream_rates(gpus, measured, driver, assume, times * READY_BATCH_PIXELS)
            slowest, rate = next(iter(rates.items()))
            waiting_s = costs.waiting_s(samples, driver, assume)
            hours = (samples / rate + waiting_s) / 3600
            cores = assume.gpu_samples_s * costs.assembled_s(measured, driver) / assume.core
            rows.append(
                (
                    *(f"{samples:,}", str(gpus), f"{times * READY_BATCH_PIXELS:,}", slowest),
                    *(f"{rate:,.0f}", f"{hours:,.1f}", f"{waiting_s / 3600 / hours:.0%}"),
                    *(f"{cores:.1f}", f"{hours * gpus * assume.gpu_node_price:,.0f}"),
                )
            )
    head = (
        *("samples", "GPUs", "`--batch-pixels`", "first bottleneck", "its rate /s"),
        *("hours an epoch", "of them between executions", "cores a GPU needs", "nodes $"),
    )
    return _table(head, rows)


def _before_table(rates: costs.Figures) -> str:
    """What comes before the first step, by the size of the set."""
    rows = []
    for samples in (10**7, *STREAM_SIZES):
        hours = samples * rates["scan_s"] / 3600
        held = _bytes(HELD_OUT * samples * rates["ready_bytes"])
        rows.append((f"{samples:,}", f"{hours:,.2f}", held))
    head = ("samples", "look at all labels, core hours", "object store, 5% held out")
    return _table(head, rows)


def _group_table(kept: Mapping[str, Any], assume: Assumptions) -> str:
    rows = []
    for group_rows in (512, ROW_GROUP_ROWS, 8192):
        requests = costs.stream_requests(10**10, kept["store"], group_rows)
        size = _bytes(group_rows * kept["rates"]["shard_bytes"])
        counts = (f"{requests[kind]:,}" for kind in ("HEAD", "GET"))
        rows.append((f"{group_rows:,}", size, *counts, f"{costs.price(requests, assume):,.0f}"))
    return _table(("rows a row group", "its size", "HEAD", "GET", "$ an epoch"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:,.1f} µs"


def _time(seconds: float) -> str:
    for unit, size in (("h", 3600), ("min", 60), ("s", 1)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds * 1e3:,.1f} ms"


def _bytes(count: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count:,.0f} B"


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
