"""Train a small model on what a strong one reads, using unlabelled pictures.

    python jobs/teach.py --teacher STRONG --input crops/ --output taught/
    python jobs/teach.py --teacher S --input s3://b/crops --output O --labelled shards/val
    ray job submit -- python jobs/teach.py --teacher S --input I --output O --train.epochs 8

Reads the pictures with the teacher (OUTPUT/read), makes shards of what it was sure of
(OUTPUT/shards), trains the student from the included bundle (OUTPUT/runs/student), and evaluates
it: on held-out pictures against the teacher's texts (OUTPUT/agreement; its report shows where the
two differ most, which are the pictures to label), and on --labelled sets beside the teacher and
the bundle that it was trained from. Speeds are pictures a second of one thread, decoding included.
teach.json is written last. If it is killed, the same command continues where it stopped.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if not __package__:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from crnn import storage
from jobs import cli
from jobs.progress import ProgressLines
from jobs.training.settings import TrainSettings
from pipelines.prepare.config import PrepareConfig
from pipelines.recognition.config import BulkConfig

if TYPE_CHECKING:
    from pipelines.evaluation import Evaluation, Planned

STUDENT, TEACHER, BEFORE = "student", "teacher", "before"
TEACH_FILE = "teach.json"
PACE_PICTURES = 256
"""Held-out pictures by which speeds are measured."""
_FIGURES = ("count", "exact_accuracy", "alnum_accuracy")
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
    """Prepared sets to train on too, so that nothing is forgotten: rendered words, own labels."""
    address: str = ""
    """Ray cluster to use; default: $RAY_ADDRESS, else a local one is started."""
    read: BulkConfig = field(default_factory=BulkConfig)
    """How the teacher reads."""
    prepare: PrepareConfig = field(
        default_factory=lambda: PrepareConfig(min_confidence=0.8, val_share=0.05)
    )
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
        if not self.prepare.val_share:
            raise ValueError("--prepare.val-share is 0; expected a share to measure agreement on")


def main(argv: Sequence[str]) -> None:
    """Teach as the arguments say, and print what came of it."""
    settings = cli.parse(TeachSettings, argv, description=__doc__ or "")
    from jobs.cluster import connect

    out = storage.absolute(settings.output)
    labelled = _labelled(settings)
    note = confidence_note(settings.teacher)
    if note:
        print(note, flush=True)
    storage.delete(storage.join(out, TEACH_FILE))
    _, most = settings.train.worker_range()
    connect(settings.address or None, local_cpus=most + settings.train.cpus_per_data_task)
    read = _read(settings, storage.join(out, "read"))
    shards = storage.join(out, "shards")
    counts = _prepared(settings, storage.join(out, "read"), shards)
    student = _trained(settings, out, shards)
    held_out = storage.join(shards, "val")
    found = {"agreement": _evaluated(_planned(student, (held_out,)), out, "agreement")}
    if settings.labelled:
        labelled = {"labelled": _planned(student, settings.labelled), **labelled}
        found |= {name: _evaluated(planned, out, name) for name, planned in labelled.items()}
    paces = {
        who: pace(uri, held_out) for who, uri in ((STUDENT, student), (TEACHER, settings.teacher))
    }
    summary = {
        "student": student,
        "read": read,
        "prepared": counts,
        **_figures(found),
        "images_per_core_s": paces,
    }
    text = json.dumps(summary, indent=1, ensure_ascii=False)
    storage.write_bytes(storage.join(out, TEACH_FILE), text.encode())
    print(describe(summary, out), flush=True)


def confidence_note(teacher: str) -> str:
    """What to know of the confidence of a teacher that was never calibrated; else nothing."""
    from crnn import load_bundle
    from crnn.calibration import Calibration

    if load_bundle(teacher).calibration != Calibration():
        return ""
    return (
        f"note: {teacher} isn't calibrated: its confidence falls with the length of a text, so "
        "--prepare.min-confidence leaves out long lines first, well read ones too; lower it, or "
        "run crnn calibrate on some labelled pictures"
    )


def _labelled(settings: TeachSettings) -> dict[str, Planned]:
    """The evaluations of others than the student; sets that can't be used are told before work."""
    from crnn.errors import CharsetError
    from jobs.training.network import start_address
    from pipelines.manifest import load_manifest

    for uri in settings.also:
        load_manifest(uri)
    if not settings.labelled:
        return {}
    planned = {TEACHER: _planned(settings.teacher, settings.labelled)}
    before = start_address(settings.train)
    if before:
        with contextlib.suppress(CharsetError):  # no character of these sets: that is why it learns
            planned[BEFORE] = _planned(before, settings.labelled)
    return planned


def _read(settings: TeachSettings, out: str) -> dict[str, Any]:
    """What the teacher has read, all of it, as counts."""
    from pipelines.recognition import Progress, recognize

    lines = ProgressLines("the teacher reads")

    def report(now: Progress) -> None:
        more = "" if now.listed else ", still listing"
        lines(now.done, now.total, f", {now.errors:,} errors{more}", final=now.listed)

    outcome = recognize(settings.teacher, settings.input, out, settings.read, report)
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
    from jobs.training.run import train

    return train(
        replace(
            settings.train,
            data=(storage.join(shards, "train"), *settings.also),
            val=(storage.join(shards, "val"),),
            name=STUDENT,
            storage_path=storage.join(out, "runs"),
            address=settings.address,
        )
    )


def _planned(bundle: str, sets: Sequence[str]) -> Planned:
    from pipelines.evaluation import plan_evaluation, set_names

    return plan_evaluation(bundle, set_names(sets), decoder=None)


def _evaluated(planned: Planned, out: str, name: str) -> Evaluation:
    """With its report in ``out/name``."""
    from pipelines.evaluation import carry_out
    from pipelines.report import begin_report, write_report

    folder, lines = storage.join(out, name), ProgressLines(f"evaluating, {name}")
    begin_report(folder)
    evaluation = carry_out(
        planned,
        predictions_uri=storage.join(folder, "predictions"),
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


def _figures(found: Mapping[str, Evaluation]) -> dict[str, Any]:
    from pipelines.evaluation import measures

    all_of = {name: measures(evaluation.total) for name, evaluation in found.items()}
    return {name: {key: figures[key] for key in _FIGURES} for name, figures in all_of.items()}


def describe(summary: Mapping[str, Any], out: str) -> str:
    """What came of it, in a few lines."""
    read, made, agreement = (summary[name] for name in ("read", "prepared", "agreement"))
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in made["left_out"].items())
    lines = [
        f"the teacher read {read['read']:,} of {read['rows']:,} pictures",
        f"learnt {made['learnt']:,}, held out {made['held_out']:,}, left out: {left_out or 'none'}",
        f"the student agrees with the teacher on {_shares(agreement)} held-out pictures",
    ]
    lines += [
        f"labelled pictures, {who}: {_shares(summary[key])}"
        for who, key in (("teacher", TEACHER), ("student", "labelled"), ("before", BEFORE))
        if key in summary
    ]
    student, teacher = (summary["images_per_core_s"][who] for who in (STUDENT, TEACHER))
    lines.append(
        f"a core reads {student:,.0f} pictures a second with the student, {teacher:,.0f} with the "
        f"teacher: {student / teacher:.1f} times as fast"
    )
    lines.append(f"where they differ: {storage.join(out, 'agreement', 'report.html')}")
    lines.append(f"student: {summary['student']}")
    return "\n".join(lines)


def _shares(figures: Mapping[str, Any]) -> str:
    """Exactly read, and letters and digits alone, of how many."""
    alnum = figures["alnum_accuracy"]
    more = "" if alnum is None else f" (letters and digits: {alnum:.2%})"
    return f"{figures['exact_accuracy']:.2%}{more} of {figures['count']:,}"


if __name__ == "__main__":
    cli.run(main)
