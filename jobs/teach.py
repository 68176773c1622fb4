"""Teach a small model what a strong one reads, on pictures that nobody labelled.

    python jobs/teach.py --teacher STRONG --input crops/ --output taught/
    python jobs/teach.py --teacher S --input s3://b/crops --output O --labelled shards/val
    ray job submit -- python jobs/teach.py --teacher S --input I --output O --train.epochs 8

Reads the pictures with the teacher (OUTPUT/read), makes shards of what it was sure of
(OUTPUT/shards), trains the student from the included bundle (OUTPUT/runs/student), and evaluates
it: on held-out pictures against the teacher's texts (OUTPUT/agreement; its report shows where the
two differ most, which are the pictures to label), and on --labelled sets beside the teacher.
teach.json is written last. If it is killed, the same command continues where it stopped.
"""

from __future__ import annotations

import json
import sys
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
    from pipelines.evaluation import Evaluation

STUDENT = "student"
TEACH_FILE = "teach.json"
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
    storage.delete(storage.join(out, TEACH_FILE))
    _, most = settings.train.worker_range()
    connect(settings.address or None, local_cpus=most + settings.train.cpus_per_data_task)
    read = _read(settings, storage.join(out, "read"))
    shards = storage.join(out, "shards")
    counts = _prepared(settings, storage.join(out, "read"), shards)
    student = _trained(settings, out, shards)
    found = {
        "agreement": _evaluated(student, (storage.join(shards, "val"),), out, "agreement"),
    }
    if settings.labelled:
        found |= {
            "labelled": _evaluated(student, settings.labelled, out, "labelled"),
            "teacher": _evaluated(settings.teacher, settings.labelled, out, "teacher"),
        }
    summary = {"student": student, "read": read, "prepared": counts, **_figures(found)}
    text = json.dumps(summary, indent=1, ensure_ascii=False)
    storage.write_bytes(storage.join(out, TEACH_FILE), text.encode())
    print(describe(summary, out), flush=True)


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


def _evaluated(bundle: str, sets: Sequence[str], out: str, name: str) -> Evaluation:
    """With its report in ``out/name``."""
    from pipelines.evaluation import evaluate, set_names
    from pipelines.report import begin_report, write_report

    folder, lines = storage.join(out, name), ProgressLines(f"evaluating, {name}")
    begin_report(folder)
    evaluation = evaluate(
        bundle,
        set_names(sets),
        decoder=None,
        predictions_uri=storage.join(folder, "predictions"),
        on_progress=lambda now: lines(now.rows, now.total_rows),
    )
    write_report(evaluation, folder)
    return evaluation


def _figures(found: Mapping[str, Evaluation]) -> dict[str, Any]:
    return {
        name: {
            "count": evaluation.total.count,
            "exact_accuracy": evaluation.total.exact_accuracy,
            "images_per_s": evaluation.images_per_s,
        }
        for name, evaluation in found.items()
    }


def describe(summary: Mapping[str, Any], out: str) -> str:
    """What came of it, in a few lines."""
    read, made, agreement = (summary[name] for name in ("read", "prepared", "agreement"))
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in made["left_out"].items())
    lines = [
        f"the teacher read {read['read']:,} of {read['rows']:,} pictures",
        f"learnt {made['learnt']:,}, held out {made['held_out']:,}, left out: {left_out or 'none'}",
        f"the student agrees with the teacher on {agreement['exact_accuracy']:.2%} of "
        f"{agreement['count']:,} held-out pictures",
    ]
    if "labelled" in summary:
        lines += [
            f"labelled pictures, {who}: {summary[key]['exact_accuracy']:.2%} of "
            f"{summary[key]['count']:,}, {summary[key]['images_per_s']:,.0f}/s"
            for who, key in (("student", "labelled"), ("teacher", "teacher"))
        ]
    lines.append(f"where they differ: {storage.join(out, 'agreement', 'report.html')}")
    lines.append(f"student: {summary['student']}")
    return "\n".join(lines)


if __name__ == "__main__":
    cli.run(main)
