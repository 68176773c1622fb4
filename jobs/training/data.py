"""From the settings to two streams: sets found or rendered, charset chosen, labels looked at."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from crnn.brief import brief
from crnn.bundle.bundle import Bundle
from crnn.errors import DataError
from crnn.files import storage
from crnn.text.charset import CHARSETS, Charset, shown
from crnn.training.optim import build_optimizer
from jobs.progress import ProgressLines
from jobs.training.network import new_network, starting_bundle, time_steps
from jobs.training.replay import Replay, is_wanted, old_characters, replay_beside
from jobs.training.settings import DATA_FOLDER, RENDERED, TrainSettings
from pipelines.manifest import MANIFEST_NAME
from pipelines.render.config import RenderConfig, key_of
from pipelines.render.synth import render_set
from pipelines.set_names import set_names
from pipelines.shards import check_sizes
from pipelines.stream import flow
from pipelines.stream.assemble import StreamConfig
from pipelines.stream.plan import epoch_rows
from pipelines.stream.scan import Scan, scan_labels

RENDERED_CHARSET = "codes"
RENDERED_VAL_SAMPLES = 1500
_REMEDIES = {
    "too_long_for_width": "pictures too narrow for their labels: choose larger --picture.widths, "
    "or a network with more time steps",
    "empty_label": "labels without text: prepare the data again, which sets them aside",
}


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """Both streams of a run and what is known of them."""

    train: StreamConfig
    val: StreamConfig
    train_scan: Scan
    val_scan: Scan
    val_sets: dict[str, str]
    """Name → address of the validation sets, for the evaluation at the end."""
    replay: Replay
    """Rendered words among ``train``, if any."""
    digest: str
    """Identity of all data, of both streams."""


def check_inputs(settings: TrainSettings) -> Bundle | None:
    """A look at what the settings name, before a cluster is joined or started.

    Returns:
        The bundle to begin from; None for random weights.

    Raises:
        DataError: when a set is missing, unfinished, or not as large as its manifest says.
        BundleError: when the bundle to begin from can't be loaded.
        CharsetError: when the charset is none.
        ValueError: when settings of the model and the optimizer don't go together.
    """
    if settings.charset != "auto":
        Charset.named(settings.charset)
    named = _sets(settings) if settings.data else ([], [])
    for uri in (*named[0], *named[1], *settings.kept):
        check_sizes(uri, flow.load_source(uri)[1])
    build_optimizer(new_network(settings, num_classes=2), settings.optim)
    return starting_bundle(settings)


def gather(settings: TrainSettings, old: Charset | None) -> TrainingData:
    """The run's data, rendered first if there is none, and what is replayed beside it.

    Args:
        settings: of the run.
        old: characters of the bundle that training begins with; None for random weights.

    Raises:
        DataError: when a set is missing or unfinished, or too many labels are unfit.
    """
    train_uris, val_uris = _sets(settings)
    weights = settings.weights or (None,) * len(train_uris)
    train_sets = [flow.load_source(u, w) for u, w in zip(train_uris, weights, strict=True)]
    held_out = 0.0 if val_uris else settings.val_share
    val_sets = [flow.load_source(u) for u in val_uris] or [
        (replace(source, weight=None), manifest) for source, manifest in train_sets
    ]
    written = [c for _, manifest in train_sets for c in manifest.characters]
    characters = ""
    if old is not None and is_wanted(settings, old, written):
        characters = old_characters(settings, old)
    charset = choose_charset(settings, [*written, *characters])
    train = StreamConfig(
        sources=tuple(source for source, _ in train_sets),
        charset=charset,
        picture=settings.picture,
        time_steps=time_steps(settings, charset.num_classes),
        batch_pixels=settings.batch_pixels,
        seed=settings.seed,
        augment=settings.augment,
        held_out_share=held_out,
    )
    val = replace(
        train,
        sources=tuple(source for source, _ in val_sets),
        seed=None,
        augment=None,
        held_out=held_out > 0,
    )
    train_scan = checked(settings, train, "training")
    val_scan = checked(settings, val, "validation")
    replay = Replay()
    if old is not None and characters:
        rows = round(epoch_rows(train.sources) * (1 - held_out))
        replay = replay_beside(settings, old, rows)
        if not replay.sources:  # and so no reason to keep characters that nothing teaches
            return gather(replace(settings, replay=0.0), old)
        replayed = replace(train, sources=replay.sources)
        train_scan += scan_labels(replayed, num_cpus=settings.cpus_per_data_task)
        train = replace(train, sources=(*train.sources, *replay.sources))
    digests = [*(m.digest for _, m in (*train_sets, *val_sets)), *replay.digests]
    return TrainingData(
        train=train,
        val=val,
        train_scan=train_scan,
        val_scan=val_scan,
        val_sets=set_names([source.uri for source in val.sources]),
        replay=replay,
        digest=hashlib.sha256(json.dumps([held_out, *digests]).encode()).hexdigest(),
    )


def choose_charset(settings: TrainSettings, written: Sequence[str]) -> Charset:
    """The charset asked for; ``auto`` is the rendered strings' own, or the characters written."""
    if settings.charset != "auto":
        return Charset.named(settings.charset, settings.text_order)
    if not settings.data:
        return Charset(CHARSETS[RENDERED_CHARSET])
    return Charset.of_texts(written, settings.text_order)


def train_part(uri: str) -> str:
    """The folder's own part for training, where it has one; else the folder."""
    part = storage.join(uri, "train")
    return part if storage.exists(storage.join(part, MANIFEST_NAME)) else uri


def _sets(settings: TrainSettings) -> tuple[list[str], list[str]]:
    """Addresses of the training sets and of the validation sets (none: hold out a share)."""
    if not settings.data:
        return _rendered(settings)
    train, val = [], [storage.absolute(uri) for uri in settings.val]
    for uri in map(storage.absolute, settings.data):
        train.append(train_part(uri))
        if (
            train[-1] != uri
            and not settings.val
            and storage.exists(storage.join(uri, "val", MANIFEST_NAME))
        ):
            val.append(storage.join(uri, "val"))
    if val and not settings.val and len(val) < len(train):
        raise DataError(
            f"of {len(train)} sets only {len(val)} have a val part; name the validation sets "
            "with --val"
        )
    return train, val


def _rendered(settings: TrainSettings) -> tuple[list[str], list[str]]:
    """The default strings, in fonts that training sees and in fonts that it doesn't."""
    charset = CHARSETS[RENDERED_CHARSET] if settings.charset == "auto" else settings.charset
    train = RenderConfig(
        count=settings.rendered_samples, seed=settings.seed, split="train", fonts="train"
    )
    val = RenderConfig(
        count=RENDERED_VAL_SAMPLES, seed=settings.seed + 1, split="held_out", fonts="all"
    )
    if charset != CHARSETS[RENDERED_CHARSET]:
        characters = Charset.named(charset).characters
        train, val = replace(train, charset=characters), replace(val, charset=characters)
    key = key_of(train, val)
    home = storage.join(storage.absolute(settings.storage_path), DATA_FOLDER, f"{RENDERED}-{key}")
    uris = [storage.join(home, "train"), storage.join(home, "held-out")]
    for uri, config in zip(uris, (train, val), strict=True):
        if storage.exists(storage.join(uri, MANIFEST_NAME)):
            print(f"rendered before: {uri}", flush=True)
        else:
            print(f"rendering {config.count:,} pictures to {uri}", flush=True)
        render_set(uri, config, ProgressLines("rendering"))
    return [uris[0]], [uris[1]]


def checked(settings: TrainSettings, config: StreamConfig, role: str) -> Scan:
    """The scan of a stream that has enough usable labels; what is odd about them is printed.

    Raises:
        DataError: when there are no labels, or more are unusable than ``max_reject_share`` allows.
    """
    scan = scan_labels(config, num_cpus=settings.cpus_per_data_task)
    refused = scan.total - scan.usable
    if refused:
        counts = ", ".join(f"{count} {reason}" for reason, count in scan.refused.items())
        print(f"{role}: {refused:,} of {scan.total:,} labels set aside: {counts}", flush=True)
    if scan.backwards and config.charset.text_order != "logical":
        print(f"{role}: {_in_visual_order(scan)}", flush=True)
    if scan.usable and refused <= settings.max_reject_share * scan.total:
        return scan
    raise DataError(
        _nothing(settings, config, role) if not scan.total else _unfit(settings, scan, role)
    )


def _in_visual_order(scan: Scan) -> str:
    """That labels seem to be written as they stand in the picture, and what helps."""
    return (
        f"{scan.backwards:,} of {scan.usable:,} labels have a word that begins as words only end, "
        f"such as {brief(scan.backwards_example)}: they seem to be in visual order, and would be "
        "learned backwards; write all of their source in the order in which they are read, or "
        "give --text-order logical, which turns nothing (docs/right-to-left.md)"
    )


def _nothing(settings: TrainSettings, config: StreamConfig, role: str) -> str:
    """Why a stream has no samples at all, and what to do."""
    rows = sum(rows for source in config.sources for _, _, rows in source.groups)
    share = config.held_out_share
    if not share:
        return f"the {role} set has no samples; look at its manifest.json for the rejects"
    return (
        f"none of the {rows:,} samples is for {role}: --val-share {share:g} holds samples out by "
        "a hash of their group (or id), which can be none or all of so few. Name a validation set "
        "with --val, choose another --val-share, or add samples"
    )


def _unfit(settings: TrainSettings, scan: Scan, role: str) -> str:
    """What is wrong with too many labels, and what helps against it."""
    counts = ", ".join(f"{count:,} {reason}" for reason, count in scan.refused.items())
    unknown = sorted(scan.unknown_characters, key=lambda c: -scan.unknown_characters[c])
    remedies = []
    if unknown:
        remedies.append(
            f"characters that the charset lacks: {shown(unknown)}; choose --charset auto or one "
            "that has them"
        )
    remedies += [remedy for reason, remedy in _REMEDIES.items() if reason in scan.refused]
    return (
        f"{scan.total - scan.usable:,} of {scan.total:,} {role} labels are unusable ({counts}), "
        f"more than the allowed share of {settings.max_reject_share:g}; {'; '.join(remedies)}; "
        "or raise "
        "--max-reject-share"
    )
