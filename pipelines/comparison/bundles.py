"""Two evaluations of the same labelled samples: which bundle is better, and where they differ."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from crnn.brief import brief
from crnn.errors import DataError
from crnn.files import storage
from pipelines.comparison.bundles_page import page
from pipelines.comparison.write import CHANGED_NAME, begin, put
from pipelines.evaluation.paired import NEEDED, Tests, paired_tests
from pipelines.evaluation.predictions import FOLDER, read_predictions, same_samples
from pipelines.report.write import JSON_NAME
from pipelines.set_names import set_names

_TOLD = ("text", "confidence", "edits", "exact", "alnum_exact")


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """One evaluation, as its report has it."""

    name: str
    uri: str
    report: dict[str, Any]

    @property
    def bundle(self) -> str:
        """Name and digest of what was evaluated."""
        bundle = self.report["bundle"]
        return f"{bundle['name']} {bundle['digest'][:12]}"


@dataclass(frozen=True, kw_only=True)
class TwoBundles:
    """What two evaluations tell of their bundles."""

    evaluated: tuple[Evaluated, Evaluated]
    tests: Tests
    changed: int
    """Samples that the two read differently."""


def is_evaluation(uri: str) -> bool:
    """Whether there is the report of an evaluation with its predictions."""
    names = (JSON_NAME, FOLDER)
    return all(storage.exists(storage.join(uri, name)) for name in names)


def compare_bundles(first: str, second: str, out_uri: str) -> tuple[TwoBundles, str]:
    """Test, and write ``changed.parquet``, ``comparison.html`` and, last, ``comparison.json``.

    Args:
        first: folder of an evaluation.
        second: that of another bundle on the same sets.
        out_uri: where the comparison goes.

    Returns what was found, and the address of the page.

    Raises:
        DataError: when the evaluations aren't of the same samples, can't be read, or the
            comparison can't be written.
        ValueError: when both are the same folder.
    """
    names = list(set_names([first, second]))
    ours, theirs = (
        Evaluated(name=name, uri=storage.absolute(uri), report=_report(uri))
        for name, uri in zip(names, (first, second), strict=True)
    )
    _check_sets(ours, theirs)
    tables = [read_predictions(storage.join(one.uri, FOLDER), NEEDED) for one in (ours, theirs)]
    tests = paired_tests(tables[0], tables[1])
    begin(out_uri)
    changed = _changed(tables[0], tables[1])
    with storage.replacing(storage.join(out_uri, CHANGED_NAME)) as path:
        pq.write_table(changed, path, compression="zstd")
    found = TwoBundles(evaluated=(ours, theirs), tests=tests, changed=len(changed))
    bundles = (ours.bundle, theirs.bundle)
    html = page(names=(ours.name, theirs.name), bundles=bundles, tests=tests,
                changed=changed, uris=(ours.uri, theirs.uri))  # fmt: skip
    return found, put(out_uri, html, _figures(found))


def _report(uri: str) -> dict[str, Any]:
    address = storage.join(uri, JSON_NAME)
    try:
        report: dict[str, Any] = json.loads(storage.read_bytes(address))
        report["bundle"]["digest"][:1], report["bundle"]["name"], dict(report["sets"])
    except (ValueError, LookupError, TypeError) as error:
        raise DataError(
            f"{address} isn't the report of an evaluation: {brief(error)}; evaluate the bundle "
            "again"
        ) from error
    return report


def _check_sets(ours: Evaluated, theirs: Evaluated) -> None:
    """DataError where a set of one name isn't the same set."""
    for name, entry in ours.report["sets"].items():
        other = theirs.report["sets"].get(name)
        if other is not None and other["digest"] != entry["digest"]:
            raise DataError(
                f"the set {name!r} isn't the same in both evaluations: {entry['uri']} "
                f"({entry['digest'][:12]}) and {other['uri']} ({other['digest'][:12]}); evaluate "
                "both bundles on the same set"
            )


def _changed(first: pa.Table, second: pa.Table) -> pa.Table:
    """The samples that the two read differently, those that one alone has right first."""
    first, second = same_samples(first, second)
    other = pc.not_equal(first["text"].fill_null(""), second["text"].fill_null(""))
    columns = {name: first[name] for name in ("set", "id", "group", "label")}
    for side, table in (("first", first), ("second", second)):
        columns |= {f"{side}_{name}": table[name] for name in _TOLD}
    changed = pa.table(columns).filter(other)
    one_alone = pc.cast(pc.equal(changed["first_exact"], changed["second_exact"]), pa.int8())
    order = pc.sort_indices(pa.table({"alone": one_alone, "place": pa.array(range(len(changed)))}),
                            sort_keys=[("alone", "ascending"), ("place", "ascending")])  # fmt: skip
    return changed.take(order)


def _figures(found: TwoBundles) -> dict[str, Any]:
    return {
        "evaluations": [
            {
                "name": one.name,
                "uri": one.uri,
                "bundle": one.report["bundle"],
                "decoder": one.report.get("decoder"),
            }
            for one in found.evaluated
        ],
        "tests": {
            name: {measure: test.to_dict() for measure, test in tests.items()}
            for name, tests in found.tests.items()
        },
        "changed": found.changed,
    }
