"""The cost of augmenting a picture against the cost of training on it.

python bench/augment.py                     about half a minute
python bench/augment.py --threads 1 --rounds 40

One process, CPU time of all its threads, in turns of one batch: the augmentation of a ready batch
as the stream does it, then the step of the ``mobile`` model on that batch as ``jobs/train.py``
makes it. Both see the same pictures. The last line is the ratio of the two medians: below 1 the
augmentation costs less than the step.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.sides.sets import CHARSET, new_model
from crnn.images.contract import PictureContract, Pixels, decode_pixels
from crnn.text.charset import Charset
from crnn.training.batch import ReadyBatch
from crnn.training.optim_config import OptimConfig
from crnn.training.trainer import Trainer
from pipelines.augment import AugmentConfig, augment_batch
from pipelines.render.synth import RenderConfig, chosen_fonts, render_samples

BUCKET_PX = 192
BATCH = 64
WARM_UP = 2


def pictures(contract: PictureContract, count: int) -> list[tuple[Pixels, str]]:
    """Scaled pictures of one bucket with their texts."""
    config = RenderConfig(count=count)
    found: list[tuple[Pixels, str]] = []
    fonts = chosen_fonts(config, system=False)
    for sample in render_samples(config, fonts, 0, 20 * count):
        if contract.bucket_width(sample["width"], sample["height"]) == BUCKET_PX:
            found.append((contract.fit(decode_pixels(sample["image"])), sample["text"]))
        if len(found) == count:
            break
    return found


def ready(
    contract: PictureContract, charset: Charset, contents: list[Pixels], texts: list[str]
) -> ReadyBatch:
    targets = [charset.encode(text) for text in texts]
    padded = [contract.pad(content, BUCKET_PX) for content in contents]
    return ReadyBatch(
        images_NHWC=torch.from_numpy(np.stack(padded)),
        targets_S=torch.tensor([c for target in targets for c in target]),
        lengths_N=torch.tensor([len(target) for target in targets]),
        ids=tuple(map(str, range(len(texts)))),
    )


def measure(rounds: int) -> tuple[float, float]:
    """Median CPU ms a picture of the augmentation and of the step."""
    contract, charset = PictureContract(), Charset.named(CHARSET)
    chosen = pictures(contract, BATCH)
    contents, texts = [content for content, _ in chosen], [text for _, text in chosen]
    trainer = Trainer(
        new_model(charset, contract),
        charset,
        OptimConfig(),
        total_samples=10**9,
        device=torch.device("cpu"),
    )
    augmenting, training = [], []
    for turn in range(rounds + WARM_UP):
        seeds = range(turn * BATCH, turn * BATCH + len(contents))
        began_s = time.process_time()
        augmented = augment_batch(contents, seeds, AugmentConfig())
        augmented_s = time.process_time()
        batch = ready(contract, charset, augmented, texts)
        stepping_s = time.process_time()
        trainer.train([batch])
        training.append(time.process_time() - stepping_s)
        augmenting.append(augmented_s - began_s)
    scale = 1e3 / len(contents)
    return median(augmenting[WARM_UP:]) * scale, median(training[WARM_UP:]) * scale


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=30, help="batches of each side")
    parser.add_argument("--threads", type=int, default=2, help="of the training step")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    augmenting_ms, training_ms = measure(arguments.rounds)
    print(f"augmentation: {augmenting_ms:.4f} CPU ms a picture")
    print(f"step of mobile: {training_ms:.4f} CPU ms a picture")
    print(f"augmentation against the step: {augmenting_ms / training_ms:.3f}")


if __name__ == "__main__":
    main()
