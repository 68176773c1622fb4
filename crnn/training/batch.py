"""The ready batch: padded pictures of one bucket with their targets.

Shape suffixes: N samples, H height, W bucket width, C channels, S summed target lengths.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from crnn.text.charset import Charset


@dataclass(frozen=True, kw_only=True)
class ReadyBatch:
    """What a training step or a validation pass takes; uint8 until it is on the device."""

    images_NHWC: Tensor
    """uint8 pixels, padded to the bucket."""
    targets_S: Tensor
    """int64 class ids of all labels, one after the other."""
    lengths_N: Tensor
    """int64 label lengths."""
    ids: tuple[str, ...]
    """Sample ids, in order."""

    def __len__(self) -> int:
        return len(self.ids)

    def to(self, device: torch.device) -> ReadyBatch:
        """The pixels on ``device``; targets stay where the CTC loss wants them (the same)."""
        return ReadyBatch(
            images_NHWC=self.images_NHWC.to(device, non_blocking=True),
            targets_S=self.targets_S.to(device, non_blocking=True),
            lengths_N=self.lengths_N.to(device, non_blocking=True),
            ids=self.ids,
        )

    def texts(self, charset: Charset) -> list[str]:
        """The labels."""
        labels = self.targets_S.split(self.lengths_N.tolist())
        return [charset.text(ids.tolist()) for ids in labels]
