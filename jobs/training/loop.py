"""What every training worker runs: stream in, steps, validations, checkpoints.

    for each epoch: take this rank's ready batches → step → mark them done → report when due

The ranks decide everything from sums that are equal on all of them, so none is ever left
alone in a collective call. Rank 0 starts the stream, from the cursor in the checkpoint that
Ray Train hands to the group, which is why the stream is not given to Ray Train as a dataset.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
import ray.train
import torch
from ray.data import ExecutionResources
from ray.train.collective import broadcast_from_rank_zero
from ray.train.torch import get_device

from crnn.bundle.bundle import save_bundle
from crnn.errors import NonFiniteLossError
from crnn.model.network import CRNN
from crnn.training.batch import ReadyBatch
from crnn.training.old_network import OldNetwork
from crnn.training.ranks import gather_objects, sum_over_ranks
from crnn.training.trainer import Trainer, Validation
from jobs.training.audit import AuditLog
from jobs.training.curves import EventWriter
from jobs.training.history import History
from jobs.training.network import new_network
from jobs.training.rejects import RejectParts
from jobs.training.settings import TrainSettings
from pipelines.stream import flow
from pipelines.stream.assemble import Refusal, StreamConfig
from pipelines.stream.cursor import Cursor
from pipelines.stream.rows import Delivery, deliveries

STATE_FILE = "state.pt"
PROGRESS_FILE = "progress.json"
BUNDLE_FOLDER = "bundle"
_SKIPPED = "its training step was skipped on all workers"


@dataclass(frozen=True, kw_only=True)
class WorkerOrders:
    """What the driver decided and every worker needs."""

    settings: TrainSettings
    run_uri: str
    weights: ray.ObjectRef
    """State dict that training begins with."""
    old: OldNetwork | None
    """What the network was, where some of that is replayed."""
    train: StreamConfig
    val: StreamConfig
    total_samples: int
    data_digest: str
    cpus_per_worker: float
    threads: int
    """Torch threads of a CPU worker."""
    board: Any
    """The ProgressBoard actor."""


@dataclass
class Feed:
    """This rank's deliveries, taken epoch by epoch."""

    deliveries: Iterator[Delivery]
    end_epoch: int
    """The first epoch of which there is nothing in it."""
    held: Delivery | None = None

    def take(self, epoch: int, count: int) -> list[Delivery]:
        """Up to ``count`` deliveries of ``epoch``; fewer when the feed has no more of it."""
        taken: list[Delivery] = []
        while len(taken) < count:
            delivery = self.held or next(self.deliveries, None)
            self.held = None
            if delivery is None:
                break
            if delivery.epoch > epoch:
                self.held = delivery
                break
            taken.append(delivery)
        return taken


@dataclass
class Unreported:
    """What this rank did since the last checkpoint."""

    done: list[tuple[int, int, int]] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    """Samples set aside, of the first epoch: the stream refuses the same ones in every epoch."""


def train_worker(config: dict[str, WorkerOrders]) -> str | None:
    """Entry point of a worker; returns when the run is complete, or why it gave up.

    Giving up is returned, not raised: Ray Train would try the same again from a checkpoint.
    """
    try:
        Worker(config["orders"]).run()
    except NonFiniteLossError as error:
        return str(error)
    return None


class Worker:
    """One rank of the run."""

    def __init__(self, orders: WorkerOrders) -> None:
        context = ray.train.get_context()
        self.orders, self.settings = orders, orders.settings
        self.rank, self.world = context.get_world_rank(), context.get_world_size()
        self.device = get_device()
        if self.device.type == "cpu":
            torch.set_num_threads(orders.threads)
        torch.manual_seed(self.settings.seed)
        self.charset = orders.train.charset
        self.trainer = Trainer(
            self._network(),
            self.charset,
            self.settings.optim,
            total_samples=orders.total_samples,
            device=self.device,
            old=orders.old,
        )
        self.cursor, self.history = Cursor(), History()
        self.unreported = Unreported()
        self.refused: list[Refusal] = []
        self.rejects = RejectParts(orders.run_uri)
        self.events: EventWriter | None = None
        self.audit = AuditLog(orders.run_uri, self.rank) if self.settings.audit else None
        self._restore()
        if self.rank == 0:
            self.events = EventWriter(orders.run_uri, purge_from=self.trainer.progress.samples)
        self.due = Due(self.settings, self.trainer.progress.samples)
        self.val_blocks = self._validation_blocks()

    def run(self) -> None:
        """All epochs that are left."""
        feed = Feed(iter(()), end_epoch=0)
        while self.cursor.epoch < self.settings.epochs and not self.history.stopped_early:
            if self.cursor.epoch >= feed.end_epoch:
                feed = self._open_feed()
            self._train(feed)
            if flow.epoch_done(self.orders.train, self.cursor):
                self._end_epoch()
            else:
                feed.end_epoch = 0  # it was cut within the epoch
        if not self.history.reported_at(self.trainer.progress.samples):
            self._report(validate=True)

    def _train(self, feed: Feed) -> None:
        """Steps until no rank's feed has more of the epoch."""
        share = self._batches_per_rank()
        while True:
            taken = feed.take(self.cursor.epoch, share)
            samples = float(sum(len(delivery.batch) for delivery in taken))
            anywhere, samples = sum_over_ranks([float(len(taken)), samples], self.device)
            if not anywhere:
                break
            self._step(taken, int(samples))
            if self.due.checkpoint(self.trainer.progress.samples):
                self._report(validate=self.due.validation(self.trainer.progress.samples))
                if self.history.stopped_early:
                    return
        self._collect()

    def _end_epoch(self) -> None:
        self.cursor.next_epoch()
        if not self.settings.validate_every:
            self._report(validate=True)

    def _step(self, taken: list[Delivery], samples: int) -> None:
        """One step over the global batch of ``samples`` of which ``taken`` is this rank's part."""
        batches: list[ReadyBatch] = [d.batch for d in taken if len(d.batch)]
        result = self.trainer.train(batches, samples=samples)
        self.unreported.done += [(d.chunk, d.index, d.batches) for d in taken]
        if self.cursor.epoch == 0:
            self.unreported.refusals += [r for d in taken for r in d.refusals]
        self.unreported.refusals += [
            Refusal(id=i, reason=reason, message=_SKIPPED) for i, reason in result.bad
        ]
        if self.audit:
            loss = result.loss_sum / max(1, result.samples)
            self.audit.step(self.trainer.progress.steps, self.cursor.epoch, batches, loss)
        if self.rank == 0:
            self.history.step(self.trainer, result, epoch=self.cursor.epoch)
            self.history.post(self.orders.board, self.settings.epochs)

    def _collect(self) -> None:
        """Every rank's doings since the last checkpoint into the cursor and the rejects."""
        gathered = gather_objects(self.unreported)
        self.unreported = Unreported()
        for part in gathered:
            self.cursor.add(part.done)
            self.refused += part.refusals

    def _report(self, *, validate: bool) -> None:
        """A checkpoint of the moment, with or without a validation, reported by every rank."""
        self._collect()
        validation = self._validate() if validate else None
        if validation is not None:
            self.history.validated(self.trainer, validation, patience=self.settings.patience)
            if self.rank == 0:
                self.orders.board.say.remote(self.history.validation_line())
                self.orders.board.measured.remote(self.history.measured())
        if self.audit:
            self.audit.checkpoint(self.trainer.progress.steps)
        metrics = self.history.metrics(self.trainer, fresh_validation=validate)
        if self.rank != 0:
            self.refused = []
            ray.train.report(metrics)
            return
        self.rejects.write(self.trainer.progress.samples, self.refused)
        self.refused = []
        with tempfile.TemporaryDirectory() as folder:
            self._write_checkpoint(Path(folder), validation)
            checkpoint = ray.train.Checkpoint.from_directory(folder)
            ray.train.report(metrics, checkpoint=checkpoint)
        self.history.publish(self.orders.run_uri)
        assert self.events is not None, "rank 0 has them"
        self.events.flush(self.history)

    def _write_checkpoint(self, folder: Path, validation: Validation | None) -> None:
        torch.save(self.trainer.state_dict(), folder / STATE_FILE)
        progress = {
            "cursor": self.cursor.state_dict(),
            "history": self.history.state_dict(),
            "workers": self.world,
        }
        (folder / PROGRESS_FILE).write_text(json.dumps(progress), encoding="utf-8")
        save_bundle(
            folder / BUNDLE_FOLDER,
            model=self.trainer.shipped_model(),
            charset=self.charset,
            picture=self.settings.picture,
            reading=self.settings.reading,
            name=self.settings.name,
            data_digest=self.orders.data_digest,
            metrics=validation.sums.to_dict() if validation else {},
        )

    def _validate(self) -> Validation:
        tables = (ray.get(ref) for ref in self.val_blocks[self.rank :: self.world])
        batches = (delivery.batch for table in tables for delivery in deliveries(table))
        return self.trainer.validate(batch for batch in batches if len(batch))

    def _network(self) -> CRNN:
        """The network, with the weights that the run begins with unless a checkpoint has them."""
        model = new_network(self.settings, self.charset.num_classes)
        if ray.train.get_checkpoint() is None:
            model.load_state_dict(ray.get(self.orders.weights))
        return model

    def _restore(self) -> None:
        checkpoint = ray.train.get_checkpoint()
        if checkpoint is None:
            return
        with checkpoint.as_directory() as folder:
            state = torch.load(Path(folder) / STATE_FILE, map_location="cpu", weights_only=True)
            progress = json.loads((Path(folder) / PROGRESS_FILE).read_text(encoding="utf-8"))
        self.trainer.load_state_dict(state)
        self.cursor = Cursor.from_state_dict(progress["cursor"])
        self.history = History.from_state_dict(progress["history"])
        if self.rank == 0:
            self.rejects.forget_after(self.trainer.progress.samples)
            older = progress["history"].get("rejects", {})  # of a run begun before there were parts
            self.rejects.write(
                0, [Refusal(id=i, reason=r, message=m) for i, (r, m) in older.items()]
            )
            self.orders.board.say.remote(
                f"resumed at epoch {self.cursor.epoch + 1}, "
                f"{self.trainer.progress.samples:,} samples, on {self.world} worker(s) "
                f"(the checkpoint had {progress['workers']})"
            )

    def _open_feed(self) -> Feed:
        """This rank's part of the stream from the cursor on."""
        offer = None
        if self.rank == 0:
            work = flow.work_left(self.orders.train, self.cursor, self.settings.epochs)
            end = work[-1][0].epoch + 1
            dataset = flow.ready_batches(self.orders.train, work, **self._stream_options())
            offer = (flow.split(dataset, self.world), end)
        iterators, end = broadcast_from_rank_zero(offer)
        return Feed(flow.read(iterators[self.rank]), end_epoch=end)

    def _validation_blocks(self) -> list[ray.ObjectRef]:
        blocks = None
        if self.rank == 0:
            blocks = flow.validation_blocks(self.orders.val, **self._stream_options())
        return broadcast_from_rank_zero(blocks)

    def _stream_options(self) -> dict[str, Any]:
        return {
            "num_cpus": self.settings.cpus_per_data_task,
            "reserved": ExecutionResources(cpu=self.world * self.orders.cpus_per_worker),
            "ahead_bytes": self.settings.data_ahead_mib * 1024 * 1024,
        }

    def _batches_per_rank(self) -> int:
        return (self.settings.batches_per_step or self.world) // self.world


class Due:
    """When to validate and when to checkpoint, by samples seen; equal on all ranks."""

    def __init__(self, settings: TrainSettings, samples: int) -> None:
        self._validate_every = settings.validate_every
        self._checkpoint_every = settings.checkpoint_every or settings.validate_every
        self._validated = self._checkpointed = samples

    def checkpoint(self, samples: int) -> bool:
        """Whether to report now."""
        if not self._checkpoint_every:
            return False
        if samples - self._checkpointed < self._checkpoint_every:
            return False
        self._checkpointed = samples
        return True

    def validation(self, samples: int) -> bool:
        """Whether this report comes with a validation."""
        if not self._validate_every or samples - self._validated < self._validate_every:
            return False
        self._validated = samples
        return True
