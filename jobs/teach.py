"""Train a small model on a strong one's readings of unlabelled pictures.

    python jobs/teach.py --teacher STRONG --input crops/ --output taught/
    python jobs/teach.py --teacher S --input s3://b/crops --output O --labelled shards/val
    python jobs/teach.py --teacher S --input I --output O2 --with-labels shards/by-hand
    ray job submit -- python jobs/teach.py --teacher S --input I --output O --train.epochs 8

Reads the pictures with the teacher (OUTPUT/read), makes shards of its confident readings
(OUTPUT/shards), trains the student from the included bundle on them and on rendered words
(OUTPUT/runs/student), gives it a proven ONNX model, and evaluates it: on held-out pictures against
the teacher's texts (OUTPUT/agreement), and on --labelled sets together with the teacher and the
bundle that it was trained from. Then the student reads the pictures too, and OUTPUT/to-label has a
page of those that the two read differently, the most useful to label first; the labels that it
saves can be prepared and given to --with-labels. Speeds are pictures a second of one thread,
decoding included. teach.json is written last. If it is killed, the same command continues where it
stopped.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if not __package__:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from crnn.files import storage
from jobs import cli
from jobs.flags import ClusterAddress
from jobs.progress import ProgressLines
from jobs.teach_summary import (
    BEFORE,
    STUDENT,
    TEACHER,
    begin_summary,
    describe,
    figures_of,
    write_summary,
)
from jobs.training.settings import TrainSettings
from pipelines.prepare.config import CONFIDENCES, PrepareConfig
from pipelines.recognition.config import BulkConfig

if TYPE_CHECKING:
    from pipelines.evaluation import Evaluation, Planned

PACE_PICTURES = 256
"""Held-out pictures by which speeds are measured."""
USUAL = PrepareConfig(min_confidence=0.8, val_share=0.05)
A_CHARACTER = 0.95
"""Least confidence a character of a teacher that isn't calibrated. Of 500 lines of receipts it
keeps 89%, 4.5% of them wrong, and 94% of those with 30 characters or more (0.8 of the whole text:
73%, 1.7% and 34%)."""
BY_HAND, MOST_REPEATS = 0.25, 8
"""Labels by hand as a share of the teacher's readings, and how often an epoch may repeat one."""
_OURS = ("data", "val", "name", "storage_path", "address")
"""Settings of the training that this job makes."""


@dataclass(frozen=True, kw_only=True)
class TeachSettings:
    """Who teaches whom, on which pictures."""

    teacher: str
    """The strong bundle: a folder, s3:// or gs:// address."""
    input: str
    """The pictures, as for recognize: a folder or prefix, a pattern, a list or a prepared set."""
    output: str
    """Folder for everything that is made: a path, s3:// or gs:// address."""
    labelled: tuple[str, ...] = ()
    """Prepared, labelled sets to measure teacher and student on."""
    also: tuple[str, ...] = ()
    """More prepared sets to train on, each picture once an epoch."""
    with_labels: tuple[str, ...] = ()
    """Prepared sets labelled by hand to train on. A small one is repeated in each epoch; of a set
    with a val part, only train is used."""
    to_label: int = 200
    """Number of pictures on the page of what to label first; 0: no page."""
    address: ClusterAddress = ""
    read: BulkConfig = field(default_factory=BulkConfig)
    """How the teacher reads."""
    prepare: PrepareConfig = field(default_factory=lambda: USUAL)
    """Which of its readings are learnt, and which are held out."""
    train: TrainSettings = field(default_factory=lambda: TrainSettings(epochs=4))
    """How the student learns."""

    def __post_init__(self) -> None:
        usual = TrainSettings()
        wrong = [name for name in _OURS if getattr(self.train, name) != getattr(usual, name)]
        if wrong:
            flags = ", ".join(f"--train.{name.replace('_', '-')}" for name in wrong)
            raise ValueError(f"{flags}: this job decides that; see --output, --also and --address")
        if self.read.then:
            raise ValueError("--read.then: a cascade doesn't teach; give its second as --teacher")
        both = sorted(
            {*map(storage.absolute, self.with_labels)} & {*map(storage.absolute, self.labelled)}
        )
        if both:
            raise ValueError(
                f"--with-labels and --labelled both name {both[0]}; what is trained on measures "
                "nothing: hold a part of it out (crnn prepare --val-share)"
            )
        if self.to_label < 0:
            raise ValueError(f"--to-label is {self.to_label}; expected 0 (no page) or more")
        if not self.prepare.val_share:
            raise ValueError("--prepare.val-share is 0; expected a share to measure agreement on")


def main(argv: Sequence[str]) -> None:
    """Teach as the arguments say, and print what came of it."""
    settings = cli.parse(TeachSettings, argv, description=__doc__ or "")
    from jobs.cluster import connect

    out = storage.absolute(settings.output)
    labelled = _labelled(settings)
    settings = bounded(settings)
    begin_summary(out)
    _, most = settings.train.worker_range()
    connect(settings.address or None, local_cpus=most + settings.train.cpus_per_data_task)
    read = _read(settings, settings.teacher, storage.join(out, "read"), "the teacher reads")
    shards = storage.join(out, "shards")
    counts = _prepared(settings, storage.join(out, "read"), shards)
    student = _trained(settings, out, shards)
    held_out = storage.join(shards, "val")
    _export(student, held_out)
    found = {"agreement": _evaluated(_planned(student, (held_out,)), out, "agreement")}
    if settings.labelled:
        labelled = {"labelled": _planned(student, settings.labelled), **labelled}
        found |= {name: _evaluated(planned, out, name) for name, planned in labelled.items()}
    paces = {
        who: pace(uri, held_out) for who, uri in ((STUDENT, student), (TEACHER, settings.teacher))
    }
    page = _to_label(settings, student, out)
    summary = {
        "student": student,
        "read": read,
        "prepared": counts,
        **figures_of(found),
        "images_per_core_s": paces,
        "to_label": page,
        **_lost(out),
    }
    write_summary(summary, out)
    print(describe(summary, out), flush=True)


def bounded(settings: TeachSettings) -> TeachSettings:
    """With a bound by character, unless another was asked for, on a teacher that isn't calibrated.

    Such a one's confidence falls with the length of a text, and a bound on it would leave out long
    lines first, well read ones too.
    """
    from crnn import load_bundle
    from crnn.bundle.calibration import Calibration

    is_usual = all(getattr(settings.prepare, name) == getattr(USUAL, name) for name in CONFIDENCES)
    is_calibrated = load_bundle(settings.teacher).calibration != Calibration()
    if is_calibrated or not is_usual:
        return settings
    print(
        f"note: {settings.teacher} isn't calibrated: readings are learnt from a confidence of "
        f"{A_CHARACTER:g} a character on, in place of {USUAL.min_confidence:g} of the whole text "
        "(--prepare.min-character-confidence); crnn calibrate makes its confidences mean something",
        flush=True,
    )
    prepare = replace(settings.prepare, min_confidence=0.0, min_character_confidence=A_CHARACTER)
    return replace(settings, prepare=prepare)


def _labelled(settings: TeachSettings) -> dict[str, Planned]:
    """The evaluations of others than the student; sets that can't be used are told before work."""
    from crnn.errors import CharsetError
    from jobs.training.data import train_part
    from jobs.training.network import start_address
    from pipelines.manifest import load_manifest

    for uri in (*settings.also, *map(train_part, settings.with_labels)):
        load_manifest(uri)
    if not settings.labelled:
        return {}
    planned = {TEACHER: _planned(settings.teacher, settings.labelled)}
    before = start_address(settings.train)
    if before:
        with contextlib.suppress(CharsetError):  # no character of these sets: that is why it learns
            planned[BEFORE] = _planned(before, settings.labelled)
    return planned


def _read(settings: TeachSettings, bundle: str, out: str, what: str) -> dict[str, Any]:
    """What a bundle has read, all of it, as counts."""
    from pipelines.recognition import Progress, recognize

    lines = ProgressLines(what)

    def report(now: Progress) -> None:
        more = "" if now.listed else ", still listing"
        lines(now.done, now.total, f", {now.errors:,} errors{more}", final=now.listed)

    outcome = recognize(bundle, settings.input, out, settings.read, report)
    names = ("rows", "read", "errors", "results")
    return {name: outcome.report[name] for name in names}


def _prepared(settings: TeachSettings, read: str, shards: str) -> dict[str, Any]:
    """How many readings are learnt and held out, and why others aren't."""
    from pipelines.prepare import Progress, prepare

    lines = ProgressLines("preparing")

    def report(now: Progress) -> None:
        lines(now.done, now.total, f", {now.rejects:,} left out", final=now.listed)

    manifests = prepare(read, shards, settings.prepare, report)
    left_out: dict[str, int] = {}
    for manifest in manifests:
        for reason, count in manifest.rejects.items():
            left_out[reason] = left_out.get(reason, 0) + count
    counts = [manifest.count for manifest in manifests]
    return {"learnt": counts[0], "held_out": sum(counts[1:]), "left_out": left_out}


def _trained(settings: TeachSettings, out: str, shards: str) -> str:
    """Address of the student's bundle."""
    from jobs.training.data import train_part
    from jobs.training.run import train
    from pipelines.manifest import load_manifest

    taught = storage.join(shards, "train")
    by_hand = [train_part(uri) for uri in settings.with_labels]
    counts = [load_manifest(uri).count for uri in (taught, *by_hand)]
    again = repeats(counts[0], sum(counts[1:]))
    if by_hand:
        print(f"{sum(counts[1:]):,} labels by hand, each {again} times an epoch", flush=True)
    return train(
        replace(
            settings.train,
            data=(taught, *settings.also, *(by_hand * again)),
            val=(storage.join(shards, "val"),),
            name=STUDENT,
            storage_path=storage.join(out, "runs"),
            address=settings.address,
        )
    )


def _export(student: str, held_out: str) -> None:
    """Give the student an ONNX model, which runs faster, if it is proven to read the same."""
    from crnn.bundle.bundle import load_bundle
    from crnn.bundle.changes import keep_onnx
    from crnn.bundle.onnx_file import ProvenOnnx
    from crnn.engines.export import export_onnx
    from crnn.engines.proof import prove
    from crnn.errors import EngineError
    from pipelines.samples import from_sets

    bundle = load_bundle(student)
    if bundle.onnx is not None:
        return
    pictures = [encoded for encoded, _ in from_sets([held_out], PACE_PICTURES)]
    try:
        model = export_onnx(bundle)
        proof = prove(bundle, model, pictures)
    except EngineError as error:
        print(f"note: the student has no ONNX model, and is read by PyTorch: {error}", flush=True)
        return
    keep_onnx(student, bundle, ProvenOnnx(data=model, proof=proof))


def repeats(taught: int, by_hand: int) -> int:
    """How often labels by hand come in an epoch, so that a few hundred count beside thousands."""
    return max(1, min(MOST_REPEATS, round(BY_HAND * taught / max(1, by_hand))))


def _to_label(settings: TeachSettings, student: str, out: str) -> str:
    """Address of the page of what student and teacher read differently; empty: none is there."""
    from pipelines.recognition.source import picture_bytes
    from pipelines.review import ReviewConfig, select
    from pipelines.review.write import write

    if not settings.to_label:
        return ""
    theirs = storage.join(out, "read-by-student")
    _read(settings, student, theirs, "the student reads")
    config = ReviewConfig(beside=theirs, limit=settings.to_label)
    selection = select(storage.join(out, "read"), config)
    if not selection.rows:
        return ""
    return write(selection, storage.join(out, "to-label"), config, picture_bytes).page_uri


def _lost(out: str) -> dict[str, Any]:
    """What the training says of what was forgotten, if it does."""
    from pipelines.report import JSON_NAME

    report = json.loads(storage.read_bytes(storage.join(out, "runs", STUDENT, JSON_NAME)))
    return {"lost": report["lost"]["sets"]} if "lost" in report else {}


def _planned(bundle: str, sets: Sequence[str]) -> Planned:
    from pipelines.evaluation import plan_evaluation
    from pipelines.set_names import set_names

    return plan_evaluation(bundle, set_names(sets), decoder=None)


def _evaluated(planned: Planned, out: str, name: str) -> Evaluation:
    """With its report in ``out/name``."""
    from pipelines.evaluation import carry_out
    from pipelines.evaluation.predictions import FOLDER
    from pipelines.report import begin_report, write_report

    folder, lines = storage.join(out, name), ProgressLines(f"evaluating, {name}")
    begin_report(folder)
    evaluation = carry_out(
        planned,
        predictions_uri=storage.join(folder, FOLDER),
        on_progress=lambda now: lines(now.rows, now.total_rows),
    )
    write_report(evaluation, folder)
    return evaluation


def pace(bundle: str, uri: str) -> float:
    """Pictures of a prepared set that one thread reads in a second of its time.

    Unlike the rates of an evaluation, the start of processes and of the engine doesn't count.
    """
    from crnn import Recognizer
    from pipelines.samples import from_sets

    pictures = [encoded for encoded, _ in from_sets([uri], PACE_PICTURES)]
    recognizer = Recognizer.load(bundle, threads=1)
    recognizer.read(pictures, chars=False)  # each width is compiled when it first comes
    began_s = time.process_time()
    recognizer.read(pictures, chars=False)
    return len(pictures) / (time.process_time() - began_s)


if __name__ == "__main__":
    cli.run(main)
