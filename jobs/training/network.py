"""The network of a run: its shape from the settings, and the weights that it begins with.

The driver makes the first weights, once; workers take them from there, or from a checkpoint.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from crnn.bundle.bundle import Bundle, load_bundle, shape_of
from crnn.bundle.shipped import default_bundle
from crnn.bundle.transfer import load_matching
from crnn.errors import BundleError
from crnn.model.backbones.vgg16_bn import Vgg16Bn, freeze, load_imagenet_weights
from crnn.model.network import CRNN
from crnn.text.charset import Charset
from jobs.training.settings import RANDOM, TrainSettings


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


def first_network(settings: TrainSettings, charset: Charset, start: Bundle | None) -> CRNN:
    """The network as training begins with it; says what came from ``start``."""
    torch.manual_seed(settings.seed)
    model = new_network(settings, charset.num_classes)
    if settings.backbone_weights and isinstance(model.backbone, Vgg16Bn):
        load_imagenet_weights(model.backbone, settings.backbone_weights)
    if start:
        report = load_matching(model, charset, start.network(), start.charset)
        print(f"starting from {_in_words(settings, start)}:\n{report}", flush=True)
        if charset.has_turns and start.charset.text_order != charset.text_order:
            print(
                f"it read right-to-left lines in the order {start.charset.text_order!r}, and now "
                f"they are in {charset.text_order!r}: they are learned from scratch (see "
                "--text-order)",
                flush=True,
            )
    return model


def start_address(settings: TrainSettings) -> str | None:
    """Address of the bundle that training begins with; None for random weights.

    Raises:
        BundleError: when the shipped bundle's ``bundle.json`` can't be read.
    """
    if settings.init_from:
        return None if settings.init_from == RANDOM else settings.init_from
    try:
        uri = default_bundle()
    except BundleError:  # an installation without bundles trains all the same
        return None
    model, picture = shape_of(uri)
    same_network = model is not None and replace(model, dropout=0.0) == replace(
        settings.model, dropout=0.0
    )
    same_input = all(
        getattr(settings.picture, name) == getattr(picture, name) for name in ("height", "channels")
    )
    return uri if same_network and same_input else None


def starting_bundle(settings: TrainSettings) -> Bundle | None:
    """The bundle whose weights training begins with, or None for random ones.

    Raises:
        BundleError: when the bundle to begin from can't be loaded.
    """
    address = start_address(settings)
    if address is None:
        return None
    bundle = load_bundle(address, with_onnx=False)
    bundle.network()  # an imported one has no weights to begin with, and says so
    return bundle


def origin(settings: TrainSettings, start: Bundle | None) -> str:
    """What training begins with, in words."""
    return _in_words(settings, start) if start else "random weights"


def _in_words(settings: TrainSettings, start: Bundle) -> str:
    return f"{settings.init_from or start.name}, {start.digest[:12]}"


def time_steps(settings: TrainSettings, num_classes: int) -> tuple[tuple[int, int], ...]:
    """(bucket width in pixels, T of the network) for every bucket."""
    model = new_network(settings, num_classes)
    return tuple((width, model.time_steps(width)) for width in settings.picture.widths)
