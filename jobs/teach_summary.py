"""``teach.json``: what came of ``jobs/teach.py``, as a file and in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from crnn.errors import DataError
from crnn.files import storage

if TYPE_CHECKING:
    from pipelines.evaluation import Evaluation

STUDENT, TEACHER, BEFORE = "student", "teacher", "before"
TEACH_FILE = "teach.json"
_FIGURES = ("count", "exact_accuracy", "alnum_accuracy")


def begin_summary(out: str) -> None:
    """Delete an earlier summary, so that one that is there is of this command.

    Raises:
        DataError: when what lies there is none of ours.
    """
    address = storage.join(out, TEACH_FILE)
    if not storage.exists(address):
        return
    try:
        found = json.loads(storage.read_bytes(address))
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict) or "student" not in found:
        raise DataError(
            f"{address} isn't the summary of a job, which would replace it; move it away, or give "
            "another --output"
        )
    storage.delete(address)


def figures_of(found: Mapping[str, Evaluation]) -> dict[str, Any]:
    """What the summary has of each evaluation."""
    from pipelines.evaluation import measures

    all_of = {name: measures(evaluation.total) for name, evaluation in found.items()}
    return {name: {key: figures[key] for key in _FIGURES} for name, figures in all_of.items()}


def write_summary(summary: Mapping[str, Any], out: str) -> None:
    """Into the folder ``out``."""
    text = json.dumps(summary, indent=1, ensure_ascii=False)
    storage.write_bytes(storage.join(out, TEACH_FILE), text.encode())


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
    lines += [
        f"forgotten, {name}: {_shares(lost['before'])} before, {_shares(lost['after'])} now"
        for name, lost in summary.get("lost", {}).items()
    ]
    lines.append(f"agreement: {storage.join(out, 'agreement', 'report.html')}")
    lines.append(f"what to label first: {summary['to_label'] or 'they read all pictures alike'}")
    lines.append(f"student: {summary['student']}")
    return "\n".join(lines)


def _shares(figures: Mapping[str, Any]) -> str:
    """Exactly read, and letters and digits alone, of how many."""
    alnum = figures["alnum_accuracy"]
    more = "" if alnum is None else f" (letters and digits: {alnum:.2%})"
    return f"{figures['exact_accuracy']:.2%}{more} of {figures['count']:,}"
