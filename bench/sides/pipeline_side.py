"""The supply side of ``bench/supply.py``: the stream of ready batches with no model behind it.

python bench/sides/pipeline_side.py SET TALLY START     START gets the seconds to the first batch

Runs until it is ended, and counts the pictures delivered.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.sides.sets import stream_of
from bench.sides.turns import Tally
from jobs import cluster
from pipelines.stream import flow
from pipelines.stream.cursor import Cursor

EPOCHS = 1000


def main(uri: str, tally_path: str, start_path: str) -> None:
    cluster.connect(None)
    tally, began_s = Tally(Path(tally_path)), time.perf_counter()
    config = stream_of(uri)
    dataset = flow.ready_batches(config, flow.work_left(config, Cursor(), EPOCHS))
    for number, delivery in enumerate(flow.read(flow.split(dataset, 1)[0])):
        if number == 0:
            Path(start_path).write_text(f"{time.perf_counter() - began_s:.2f}")
        tally.add(len(delivery.batch))


if __name__ == "__main__":
    main(*sys.argv[1:])
