"""The network as it was before training: on some samples the new one is to give what it gave.

Labels of replayed pictures would move a network that reads them well already, towards the fonts
and styles that are at hand. What the old one gave for them doesn't, until it begins to forget
(learning without forgetting, Li and Hoiem 2016). Batch norms stay as they were too: their
statistics are those of all the pictures that the old network learnt from.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from crnn.images.contract import normalise
from crnn.model.network import CRNN
from crnn.text.charset import Charset
from crnn.training.batch import ReadyBatch

WEIGHT = 2.0
"""Weight of the divergence from the old network's output, relative to the CTC loss of other
samples."""


class OldNetwork:
    """Frozen; pickled to every worker."""

    def __init__(
        self, model: CRNN, old: Charset, new: Charset, id_prefixes: tuple[str, ...]
    ) -> None:
        """
        Args:
            model: the network that training begins with, its output layer that of ``old``.
            old: its characters.
            new: those of the network that is trained, all of ``old`` and perhaps more.
            id_prefixes: what the ids of the samples begin with that it is asked about.
        """
        self._model = model.eval().requires_grad_(False)
        self._classes = torch.tensor([0, *new.ids_of(old.characters)])
        self._prefixes = id_prefixes

    def to(self, device: torch.device) -> OldNetwork:
        """Itself, moved there."""
        self._model.to(device).to(memory_format=torch.channels_last)
        self._classes = self._classes.to(device)
        return self

    def hold_norms(self, model: nn.Module) -> None:
        """Batch norms of a network in training normalise as they do in reading."""
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()

    def losses(self, losses_N: Tensor, logits_TNC: Tensor, batch: ReadyBatch) -> Tensor:
        """``losses_N``, those of its samples in place of the labels' by what the old one gave.

        KL divergence, summed over time steps, per target character as the CTC loss is.
        """
        rows = [n for n, sample in enumerate(batch.ids) if sample.startswith(self._prefixes)]
        if not rows:
            return losses_N
        index = torch.tensor(rows, device=logits_TNC.device)
        with torch.no_grad():
            images_NCHW = normalise(batch.images_NHWC[index])
            given = self._model(images_NCHW.contiguous(memory_format=torch.channels_last))
            given_TNK = given.float().log_softmax(-1)
        ours_TNK = logits_TNC[:, index].float().log_softmax(-1)[..., self._classes]
        apart_N = (given_TNK.exp() * (given_TNK - ours_TNK)).sum(dim=(0, 2))
        lengths = batch.lengths_N[index].to(apart_N.device).clamp(min=1)
        return losses_N.index_copy(0, index, WEIGHT * apart_N / lengths)
