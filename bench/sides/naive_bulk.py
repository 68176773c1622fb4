"""Bulk recognition as one writes it from Ray Data's documentation: the other side of bulk.py.

python bench/sides/naive_bulk.py BUNDLE PICTURES OUT

``read_images`` gives pictures of one size, an actor pool runs the model on batches of them, and
``write_parquet`` keeps the texts. It has no ledger, and one bad picture ends it.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import ray
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from crnn.bundle.bundle import load_bundle
from crnn.decode import build_decoder
from crnn.images.contract import normalise
from jobs.cluster import connect

SIZE = (32, 128)
BATCH = 128


class Model:
    """The bundle's model in an actor."""

    def __init__(self, bundle_uri: str) -> None:
        torch.set_num_threads(1)
        self.bundle = load_bundle(bundle_uri)
        self.decode = build_decoder("greedy")

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list]:
        """The texts of a batch."""
        pixels_NHWC = torch.from_numpy(np.array(batch["image"]))[..., None]
        with torch.inference_mode():
            log_probs_TNC = self.bundle.model(normalise(pixels_NHWC)).log_softmax(dim=-1)
        read = self.decode(log_probs_TNC, self.bundle.charset)
        return {"path": list(batch["path"]), "text": [one.text for one in read]}


def main(bundle: str, pictures: str, out: str) -> None:
    connect(None)
    ray.data.DataContext.get_current().enable_progress_bars = False
    began_s = time.monotonic()
    images = ray.data.read_images(pictures, size=SIZE, mode="L", include_paths=True)
    workers = int(ray.cluster_resources()["CPU"])
    texts = images.map_batches(
        Model,
        fn_constructor_args=(bundle,),
        batch_size=BATCH,
        compute=ray.data.ActorPoolStrategy(size=max(1, workers // 2)),
    )
    texts.write_parquet(out)
    print(f"seconds {time.monotonic() - began_s:.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:4])
