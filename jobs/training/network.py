"""The network of a run: its shape from the settings, and the weights that it begins with.

The driver makes the first weights, once; workers take them from there, or from a checkpoint.
"""

from __future__ import annotations

import torch

from crnn.backbones.vgg16_bn import Vgg16Bn, freeze, load_imagenet_weights
from crnn.bundle import load_bundle
from crnn.charset import Charset
from crnn.model import CRNN
from crnn.transfer import load_matching
from jobs.training.settings import TrainSettings


def new_network(settings: TrainSettings, num_classes: int) -> CRNN:
    """The network with random weights; a backbone to be left as loaded takes no gradient."""
    model = CRNN(
        settings.model,
        num_classes=num_classes,
        in_channels=settings.picture.channels,
        height=settings.picture.height,
    )
    if settings.freeze_backbone and isinstance(model.backbone, Vgg16Bn):
        freeze(model.backbone)
    return model


def first_network(settings: TrainSettings, charset: Charset) -> CRNN:
    """The network as training begins with it; says what came from ``--init-from``.

    Raises:
        BundleError: when the bundle to begin from can't be loaded.
    """
    torch.manual_seed(settings.seed)
    model = new_network(settings, charset.num_classes)
    if settings.backbone_weights and isinstance(model.backbone, Vgg16Bn):
        load_imagenet_weights(model.backbone, settings.backbone_weights)
    if settings.init_from:
        start = load_bundle(settings.init_from)
        report = load_matching(model, charset, start.model.state_dict(), start.charset)
        print(f"starting from {settings.init_from}:\n{report}", flush=True)
    return model


def time_steps(settings: TrainSettings, num_classes: int) -> tuple[tuple[int, int], ...]:
    """(bucket width in pixels, T of the network) for every bucket."""
    model = new_network(settings, num_classes)
    return tuple((width, model.time_steps(width)) for width in settings.picture.widths)
