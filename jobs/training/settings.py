"""Every setting of a training run, and which of them a resumed run may change."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import tyro

from crnn.bundle.reading_policy import ReadingPolicy
from crnn.images.contract import PictureContract
from crnn.model.config import ModelConfig
from crnn.text.charset_file import charset_of
from crnn.text.order import TextOrder
from crnn.training.optim_config import OptimConfig
from jobs.cli import as_mapping, flatten
from jobs.flags import ClusterAddress
from jobs.training.tracking import Track
from pipelines import claim
from pipelines.augment import AugmentConfig
from pipelines.stream.plan import READY_BATCH_PIXELS

RENDERED = "rendered"
RANDOM = "none"
"""``init_from`` for random weights."""
DATA_FOLDER = "data"
"""Where rendered sets are, beside the runs."""
# What may differ between a run and its resumption: where and how fast, not what is computed.
FREE_ON_RESUME = frozenset(
    {
        *("num_workers", "use_gpu", "cpus_per_worker", "cpus_per_data_task", "address"),
        *("max_failures", "overwrite", "placement_wait_s", "storage_path", "name", "audit"),
        *("checkpoint_every", "data_ahead_mib", "threads_per_worker", "kept", "track"),
    }
)

_LATER = frozenset({"replay", "replay_targets"})
"""Settings whose default isn't what runs did that were begun before there were any."""


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """A training run: data, model, schedule, workers. Everything is a flag and a YAML key."""

    # data
    data: tuple[str, ...] = ()
    """Prepared sets: local folders, s3:// or gs:// URIs. Default: strings are rendered first."""
    weights: tuple[float, ...] = ()
    """Mixing weights, one for each of --data. Default: the size of each set."""
    val: tuple[str, ...] = ()
    """Prepared sets to validate on. Default: DATA/val if it exists, else a share of --data."""
    val_share: float = 0.05
    """Share of the samples held out, by a hash of their group (or id), if there is no validation
    set."""
    charset: str = "auto"
    """auto (the data's own), a name such as digits, alnum, codes, ascii, the characters, or a .txt
    file of them."""
    text_order: TextOrder = "auto"
    """Direction of lines with Hebrew or Arabic letters in the pictures: auto takes that of their
    first letter, rtl and ltr that of the pages they come from; logical: not turned at all."""
    max_reject_share: float = 0.5
    """Largest share of unusable labels; above it the run ends with an error."""
    rendered_samples: int = 30_000
    """Pictures to render for training when there is no --data."""
    replay: float = 0.3
    """If the bundle to start from has other characters than the data: share of each epoch (0 to
    below 1) that is rendered words of its characters, so that they aren't forgotten; 0: none."""
    replay_targets: Literal["labels", "outputs"] = "labels"
    """What the network learns from replayed words: labels, their texts; or outputs, those of the
    bundle to start from, whose batch norms are then kept too."""
    kept: tuple[str, ...] = ()
    """Prepared sets that the bundle to start from can read; the report says how much is lost on
    them."""

    # run
    name: str = ""
    """Run name under --storage-path; the same name resumes. Default: train- and the time."""
    storage_path: str = "runs"
    """Folder of the runs: a path, s3:// or gs:// URI. On several nodes it must be shared by all."""
    overwrite: bool = False
    """Delete a run of this name, if there is one, and start over; a folder with other files is
    refused."""
    init_from: str = ""
    """Bundle to start from; with another charset or architecture, the weights that fit are used.
    none: random weights. Default: the shipped bundle if --model and --picture are the same as its
    own, else none."""
    backbone_weights: str = ""
    """vgg16_bn only: file with torchvision's ImageNet weights, or hub."""
    freeze_backbone: bool = False
    """vgg16_bn only: don't train the backbone."""

    # schedule
    epochs: int = 2
    """Passes over the data."""
    batch_pixels: int = READY_BATCH_PIXELS
    """Padded pixels (height x width x samples) in a batch of one worker."""
    batches_per_step: int = 0
    """Batches in an optimizer step, over all workers; 0: one for each worker."""
    validate_every: int = 0
    """Samples between validations; 0: once an epoch."""
    checkpoint_every: int = 0
    """Samples between checkpoints; 0: at each validation."""
    patience: int = 0
    """Stop after this many validations without a better exact accuracy; 0: never."""
    seed: int = 0
    """Seed of the weights, the order of samples and augmentation."""

    # workers
    num_workers: str = "1"
    """Data-parallel workers: 4, or 1:4 for an elastic run."""
    use_gpu: bool = False
    """Use one GPU for each worker and NCCL, instead of CPUs and gloo."""
    cpus_per_worker: float = 0
    """CPUs reserved for each worker; 0: 1, or less if that would leave none for the data tasks."""
    cpus_per_data_task: float = 1.0
    """CPUs reserved for each task that decodes and augments."""
    threads_per_worker: int = 0
    """PyTorch threads of a CPU worker; 0: an equal share of all cores but one, which is for
    decoding."""
    data_ahead_mib: int = 128
    """Memory for batches prepared ahead of the workers, MiB of the object store."""
    max_failures: int = 3
    """Number of worker failures to recover from before the run ends with an error."""
    address: ClusterAddress = ""
    placement_wait_s: float = 30.0
    """Seconds to wait for nodes with room for the workers; use about 900 with an autoscaler."""
    track: Annotated[Track, tyro.conf.arg(metavar="{mlflow,wandb}")] = ""
    """Also log settings, metrics of each validation, and the bundle and report, with your own
    installed mlflow or wandb, which read their own environment variables (MLFLOW_TRACKING_URI,
    WANDB_PROJECT, …). Default: nothing is logged."""
    audit: bool = False
    """Write the sample ids of every step to RUN/audit/, to prove what was trained on."""

    model: ModelConfig = field(default_factory=ModelConfig)
    """Shape of the network."""
    picture: PictureContract = field(default_factory=PictureContract)
    """Size and preparation of the pictures that the network gets."""
    reading: ReadingPolicy = field(default_factory=ReadingPolicy)
    """When the finished bundle reads a picture more than once."""
    optim: OptimConfig = field(default_factory=OptimConfig)
    """Optimizer and learning rate."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """Augmentation of the training pictures."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "charset", charset_of(self.charset))
        if self.weights and len(self.weights) != len(self.data):
            raise ValueError(
                f"--weights has {len(self.weights)} values for {len(self.data)} --data; "
                "give one for each"
            )
        if self.name and (not re.fullmatch(r"\w[\w.-]*", self.name) or self.name == DATA_FOLDER):
            raise ValueError(
                f"--name is {self.name!r}; expected letters, digits, dots, dashes and underscores, "
                f"and not {DATA_FOLDER!r}, where rendered strings are"
            )
        if self.picture.height % 8:
            raise ValueError(
                f"--picture.height is {self.picture.height}; every network takes a multiple of 8 px"
            )
        if self.val and not self.data:
            raise ValueError("--val goes with --data; rendered strings bring their own")
        low, high = self.worker_range()
        if not 1 <= low <= high:
            raise ValueError(f"--num-workers is {self.num_workers!r}; expected N or MIN:MAX")
        share = math.lcm(*range(low, high + 1))
        if self.batches_per_step % share:
            raise ValueError(
                f"--batches-per-step is {self.batches_per_step}; expected a multiple of {share}, "
                f"so that --num-workers {self.num_workers} take equal shares of it"
            )
        positive = ("epochs", "batch_pixels", "rendered_samples", "cpus_per_data_task")
        for name in positive:
            if getattr(self, name) <= 0:
                flag = "--" + name.replace("_", "-")
                raise ValueError(f"{flag} is {getattr(self, name)}; expected more than 0")
        if not 0 <= self.val_share < 1:
            raise ValueError(f"--val-share is {self.val_share}; expected 0 up to, not including, 1")
        if not 0 <= self.replay < 1:
            raise ValueError(f"--replay is {self.replay}; expected 0 up to, not including, 1")
        if (self.backbone_weights or self.freeze_backbone) and self.model.backbone != "vgg16_bn":
            raise ValueError(
                "--backbone-weights and --freeze-backbone go with --model.backbone vgg16_bn, "
                f"not {self.model.backbone}"
            )

    def worker_range(self) -> tuple[int, int]:
        """The least and the largest number of workers.

        Raises:
            ValueError: when ``num_workers`` is neither ``N`` nor ``MIN:MAX``.
        """
        low, _, high = self.num_workers.partition(":")
        try:
            return int(low), int(high or low)
        except ValueError:
            raise ValueError(
                f"--num-workers is {self.num_workers!r}; expected N or MIN:MAX"
            ) from None


def differences(old: dict[str, Any], new: TrainSettings) -> list[str]:
    """Settings that a resumed run may not change and that differ: ``key: old → new``.

    A setting that there wasn't when the run began had its default, or didn't matter.
    """
    given = flatten(old)
    before = flatten(as_mapping(TrainSettings())) | given
    after = flatten(as_mapping(new))
    keys = sorted((before.keys() | after.keys()) - FREE_ON_RESUME - (_LATER - given.keys()))
    return claim.differences(*({key: side.get(key) for key in keys} for side in (before, after)))
