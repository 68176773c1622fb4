"""An inspection from end to end: sets found, looked at on Ray, judged, and looked at again.

The first pass looks at every sample, and keeps some tens of bytes of each on the driver. Two short
ones read again the pictures that may be near duplicates, and those that the page shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import ray

from crnn.bundle.bundle import Bundle, load_bundle
from crnn.errors import DataError
from crnn.images.contract import Pixels
from crnn.model.backbones import build_backbone
from crnn.text.charset import Charset
from pipelines.inspection import copies
from pipelines.inspection.again import AgainConfig, ShownSample, Signed, Wanted, show, sign, wanted
from pipelines.inspection.alphabet import alphabet
from pipelines.inspection.buckets import measure
from pipelines.inspection.contradicted import ContradictConfig, Contradicted, contradicter
from pipelines.inspection.every import EveryFinding
from pipelines.inspection.inputs import DataSet, find_sets, set_aside
from pipelines.inspection.judge import Judge
from pipelines.inspection.labels import differing
from pipelines.inspection.look import LookConfig, looker
from pipelines.inspection.outliers import outliers
from pipelines.inspection.passes import Listed, Progress, Report, over
from pipelines.inspection.pictures import NEAR_DIFFERENCE, difference
from pipelines.inspection.result import BucketReport, Finding, Inspection, NearSummary
from pipelines.inspection.settings import AUTO, InspectConfig
from pipelines.inspection.shapes import Shape, best_buckets, histograms, shape, too_long
from pipelines.inspection.tally import Ref, Total

MOST_BUCKETS = 10


@dataclass(frozen=True, kw_only=True)
class Planned:
    """An inspection whose sets and settings were found sound; ``carry_out`` runs it."""

    sets: tuple[DataSet, ...]
    config: InspectConfig
    charset: Charset | None
    time_steps: Callable[[int], int]
    """T of the network by width in px."""
    bundle: Bundle | None
    """A trained one that reads the pictures too."""


def inspect(
    uris: Sequence[str], config: InspectConfig, report: Report = lambda _: None
) -> Inspection:
    """``plan_inspection``, then ``carry_out``; see there."""
    return carry_out(plan_inspection(uris, config), report)


def plan_inspection(uris: Sequence[str], config: InspectConfig) -> Planned:
    """Find the sets and check the settings, without Ray.

    Args:
        uris: prepared sets, folders of their splits, or sources.
        config: what to look for.

    Raises:
        DataError: for an address with nothing there, an unfinished or incomplete set, a source of
            no known format.
        BundleError: the bundle can't be loaded.
        ValueError: for no address, the same one twice, or a height that the backbone can't take.
    """
    if not uris:
        raise ValueError("there is nothing to inspect; give a prepared set or a source")
    picture = config.picture
    backbone = build_backbone(
        config.model.backbone, in_channels=picture.channels, height=picture.height
    )
    return Planned(
        sets=tuple(find_sets(uris, config)),
        config=config,
        charset=None if config.charset == AUTO else Charset.named(config.charset),
        time_steps=backbone.time_steps,
        bundle=load_bundle(config.bundle) if config.bundle else None,
    )


def carry_out(planned: Planned, report: Report = lambda _: None) -> Inspection:
    """Look at all that was planned; Ray must be initialised.

    Raises:
        DataError: there is no sample at all, a shard is damaged, or a store fails for good.
    """
    config = planned.config
    total = _look(planned, report)
    if not total.samples:
        names = ", ".join(data.uri for data in planned.sets)
        raise DataError(f"{names}: no samples; expected labelled pictures")
    judge = Judge(planned.sets, total)
    judge.samples()
    far = outliers(total.features, config.examples)
    judge.outliers(far)
    near, links = _copies(planned, total, judge, report)
    contradicted = _contradicted(planned, judge, report)
    characters = alphabet(total, planned.charset, config.rare_below)
    judge.characters(characters)
    judge.set_aside({d.name: set_aside(d, config.examples) for d in planned.sets if d.rejects})
    findings, found = judge.findings(), shape(total.features)
    shown = _show(planned, findings, report)
    return Inspection(
        config=config,
        sets=planned.sets,
        set_samples=tuple(len(features) for features in total.features),
        findings=tuple(_told_apart(finding, shown) for finding in findings),
        alphabet=characters,
        buckets=_buckets(planned, found),
        histograms=histograms(found, config.picture),
        time_steps=_time_steps(planned),
        near=near,
        shown=shown,
        every=EveryFinding(
            sets=planned.sets,
            limit=config.limit,
            features=total.features,
            notes=total.notes,
            links=links,
            outliers=far,
            characters=judge.found_characters(),
            contradicted=contradicted,
        ),
    )


def _look(planned: Planned, report: Report) -> Total:
    """The first pass, over all samples."""
    config = planned.config
    total = Total(len(planned.sets), most_examples=config.examples, rare_below=config.rare_below)
    listed = Listed(planned.sets, config.limit)
    look_ref = ray.put(
        LookConfig(
            sets=planned.sets,
            inspect=config,
            charset=planned.charset,
            time_steps=_time_steps(planned),
        )
    )
    done = 0
    for tally in over(looker, look_ref, listed):
        total.add(tally)
        done += tally.rows
        report(Progress(stage="looking", done=done, total=listed.total, final=listed.is_final))
    total.finish()
    return total


def _contradicted(planned: Planned, judge: Judge, report: Report) -> Contradicted:
    """What the bundle says, where there is one."""
    parts: list[Contradicted] = []
    if planned.bundle is not None:
        listed = Listed(planned.sets, planned.config.limit)
        config_ref = ray.put(ContradictConfig(planned.sets, planned.config, planned.bundle))
        done = 0
        for part in over(contradicter, config_ref, listed):
            parts.append(part)
            done += part.rows
            report(Progress(stage="reading", done=done, total=listed.total, final=listed.is_final))
        judge.contradicted(Contradicted.of(parts), planned.bundle, planned.config.contradicted_from)
    return Contradicted.of(parts)


def _copies(
    planned: Planned, total: Total, judge: Judge, report: Report
) -> tuple[NearSummary, dict[str, copies.Links]]:
    """Equal and nearly equal pictures: how they were looked for, and which they are."""
    most = planned.config.examples
    samples = copies.Samples(total.features)
    found = copies.candidates(samples)
    near = _compare(planned, samples, found.pairs, report)
    kinds = {**copies.exact(samples, most), **copies.near(samples, near, most)}
    judge.copies(kinds)
    summary = NearSummary(
        candidates=len(found.pairs) + found.left_out,
        compared=len(found.pairs),
        near=len(near),
        crowded=found.crowded,
    )
    return summary, {kind: some.links for kind, some in kinds.items()}


def _compare(
    planned: Planned, samples: copies.Samples, pairs: Sequence[tuple[int, int]], report: Report
) -> list[tuple[int, int]]:
    """The pairs whose pictures are near."""
    refs = {index: samples.ref_of(index) for index in {i for pair in pairs for i in pair}}
    signatures: dict[Ref, Pixels] = {}
    outcomes: Iterator[list[Signed]] = _again(sign, planned, refs)
    for signed in outcomes:
        signatures.update(signed)
        report(Progress(stage="comparing", done=len(signatures), total=len(refs), final=True))
    return [
        (one, other)
        for one, other in pairs
        if (a := signatures.get(refs[one])) is not None
        and (b := signatures.get(refs[other])) is not None
        and difference(a, b) < NEAR_DIFFERENCE
    ]


def _show(planned: Planned, findings: Sequence[Finding], report: Report) -> dict[Ref, ShownSample]:
    """The samples of all examples."""
    refs = {
        ref: ref for finding in findings for example in finding.examples for ref in example.refs
    }
    shown: dict[Ref, ShownSample] = {}
    outcomes: Iterator[ShownSample] = _again(show, planned, refs)
    for sample in outcomes:
        shown[sample.ref] = sample
        report(Progress(stage="showing", done=len(shown), total=len(refs), final=True))
    return shown


def _told_apart(finding: Finding, shown: Mapping[Ref, ShownSample]) -> Finding:
    """The finding, its examples of several labels with what little these differ in."""
    examples = tuple(
        replace(e, message=e.message or differing([shown[ref].text for ref in e.refs]))
        for e in finding.examples
    )
    return replace(finding, examples=examples)


def _again(
    build: Callable[[AgainConfig], Callable[[Wanted], Iterable[Any]]],
    planned: Planned,
    refs: Mapping[Any, Ref],
) -> Iterator[Any]:
    config_ref = ray.put(AgainConfig(planned.sets, planned.config))
    return over(build, config_ref, wanted(planned.sets, refs.values(), planned.config.limit))


def _buckets(planned: Planned, found: Shape) -> BucketReport | None:
    picture = planned.config.picture
    if picture.mode == "fixed" or not len(found.width_px):
        return None
    number, widest = len(picture.widths), picture.widths[-1]
    proposed = best_buckets(found, number, widest_px=widest)
    unsqueezed = best_buckets(found, number)
    compared = {
        "current": measure(found.width_px, picture.widths),
        "proposed": proposed,
        "unsqueezed": unsqueezed,
    }
    return BucketReport(
        current=compared["current"],
        proposed=proposed,
        unsqueezed=unsqueezed if unsqueezed != proposed else None,
        too_long={
            name: too_long(found, buckets.widths, planned.time_steps)
            for name, buckets in compared.items()
        },
        by_number=tuple(
            best_buckets(found, n, widest_px=widest) for n in range(1, MOST_BUCKETS + 1)
        ),
    )


def _time_steps(planned: Planned) -> dict[int, int]:
    return {width: planned.time_steps(width) for width in planned.config.picture.widths}
