"""The training step of this project against a plain loop over the public CRNN.

python bench/vgg_step.py                           batch 32 of 32x100, for a minute
python bench/vgg_step.py --batch 8 --rounds 50 --threads 1

Both sides train a network of the same layers (Shi et al. 2015, table 1; two BiLSTM-256 with a
linear layer between them; 37 classes) on the same random pictures and labels, in one process,
with the same threads, in turns of one step. The last line is the ratio of the median times:
above 1 this project's step is the faster one.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from crnn.model.network import CRNN, ModelConfig
from crnn.text.charset import BLANK_ID
from crnn.training.batch import ReadyBatch
from crnn.training.optim import build_optimizer
from crnn.training.optim_config import OptimConfig
from crnn.training.step import train_step

HEIGHT, WIDTH, CLASSES = 32, 100, 37
CLIP_NORM, LR = 5.0, 1e-4
CPU = torch.device("cpu")


class PublicCRNN(nn.Module):
    """``images_NCHW → logits_TNC``, as one would write it down from the paper."""

    def __init__(self) -> None:
        super().__init__()
        wide = (2, 2), (2, 1), (0, 1)
        self.cnn = nn.Sequential(
            *(nn.Conv2d(1, 64, 3, 1, 1), nn.ReLU(True), nn.MaxPool2d(2, 2)),
            *(nn.Conv2d(64, 128, 3, 1, 1), nn.ReLU(True), nn.MaxPool2d(2, 2)),
            *(nn.Conv2d(128, 256, 3, 1, 1), nn.ReLU(True)),
            *(nn.Conv2d(256, 256, 3, 1, 1), nn.ReLU(True), nn.MaxPool2d(*wide)),
            *(nn.Conv2d(256, 512, 3, 1, 1), nn.BatchNorm2d(512), nn.ReLU(True)),
            *(nn.Conv2d(512, 512, 3, 1, 1), nn.BatchNorm2d(512), nn.ReLU(True)),
            *(nn.MaxPool2d(*wide), nn.Conv2d(512, 512, 2), nn.ReLU(True)),
        )
        self.first = nn.LSTM(512, 256, bidirectional=True)
        self.between = nn.Linear(512, 256)
        self.second = nn.LSTM(256, 256, bidirectional=True)
        self.head = nn.Linear(512, CLASSES)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """``logits_TNC``."""
        features_TNF = self.cnn(images_NCHW).squeeze(2).permute(2, 0, 1)
        hidden_TNF = self.between(self.first(features_TNF)[0])
        return self.head(self.second(hidden_TNF)[0])


def random_batch(size: int) -> ReadyBatch:
    lengths = torch.randint(3, 11, (size,))
    return ReadyBatch(
        images_NHWC=torch.randint(0, 256, (size, HEIGHT, WIDTH, 1), dtype=torch.uint8),
        targets_S=torch.randint(BLANK_ID + 1, CLASSES, (int(lengths.sum()),)),
        lengths_N=lengths,
        ids=tuple(map(str, range(size))),
    )


def our_step(batch: ReadyBatch) -> Callable[[], None]:
    config = ModelConfig(backbone="vgg", rnn_hidden=256, rnn_layers=2)
    model = CRNN(config, num_classes=CLASSES, in_channels=1, height=HEIGHT)
    model = model.to(memory_format=torch.channels_last).train()
    optimizer = build_optimizer(model, OptimConfig(lr=LR))

    def step() -> None:
        result = train_step(model, optimizer, [batch], clip_norm=CLIP_NORM, device=CPU)
        assert not result.skipped, "random labels fit into 26 time steps"

    return step


def plain_step(batch: ReadyBatch) -> Callable[[], None]:
    model = PublicCRNN().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR)
    criterion = nn.CTCLoss(blank=BLANK_ID, zero_infinity=True)

    def step() -> None:
        images_NCHW = batch.images_NHWC.permute(0, 3, 1, 2).float().div(127.5).sub(1)
        log_probs_TNC = F.log_softmax(model(images_NCHW), dim=-1)
        steps_N = torch.full_like(batch.lengths_N, log_probs_TNC.shape[0])
        loss = criterion(log_probs_TNC, batch.targets_S, steps_N, batch.lengths_N)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
        optimizer.step()
        loss.item()

    return step


def timed(step: Callable[[], None]) -> float:
    began_s = time.perf_counter()
    step()
    return time.perf_counter() - began_s


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60, help="how long to measure")
    parser.add_argument("--rounds", type=int, default=0, help="steps of each side, instead")
    parser.add_argument("--batch", type=int, default=32, help="pictures in a step")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    batch = random_batch(args.batch)
    steps = {"ours": our_step(batch), "plain": plain_step(batch)}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(2):
        for step in steps.values():
            step()
    deadline_s = time.perf_counter() + args.seconds
    while len(times["plain"]) < (args.rounds or 3) or (
        not args.rounds and time.perf_counter() < deadline_s
    ):
        order = list(steps) if len(times["plain"]) % 2 else list(reversed(steps))
        for name in order:
            times[name].append(timed(steps[name]))
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f"vgg, batch {args.batch} of {HEIGHT}x{WIDTH}, {args.threads} thread(s), CPU")
    for name, median_s in medians.items():
        print(
            f"{name:<6} {median_s * 1e3:8.1f} ms a step (median of {len(times[name])}, "
            f"fastest {min(times[name]) * 1e3:.1f})  {args.batch / median_s:6.1f} images/s"
        )
    print(f"ratio plain time / our time {medians['plain'] / medians['ours']:.3f}")


if __name__ == "__main__":
    main()
