"""What an inspection found; ``to_dict`` is ``report.json``.

    version     1
    sets        [{name, uri, format, digest, samples}]; format is "shards" for a prepared set
    samples     looked at, in all sets
    errors      findings of that severity; warnings, infos likewise: numbers of kinds
    findings    worst first: [{code, severity, unit, title, count, of, share, by_set: {name: count},
                meaning, remedy, details, examples: [{message, samples: [{set, id, text}]}]}]
    characters  the most frequent first: [{character, code_point, name, script, count, rare, known,
                like}]; like is a more frequent character of the data that looks the same, or ""
    charset     {chosen, proposed, left_out, labels_left_out, named}; chosen is null for "auto",
                named the smallest registered charset with all that is proposed, or ""
    buckets     null in fixed mode, else {current, proposed, unsqueezed: {widths, padded_share,
                squeezed, squeezed_share, too_long, buckets: [{width_px, pictures,
                padded_share}]}, by_number: [{number, widths, padded_share}]}; proposed has no
                wider bucket than current; unsqueezed is null where it is the same
    histograms  {width_px, length, aspect, px_per_character: [{from, to, count}]}; to is null for
                the last, open one
    model       {backbone, height, channels, mode, stretch, time_steps: {width_px: T}}
    near        {bits, most_difference, candidates, compared, near, left_out, crowded}

``of`` is what the share is taken of: samples, characters, or inputs for what preparation set
aside. Equal data and settings give equal bytes: there are no times in it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pipelines.inspection.again import ShownSample
from pipelines.inspection.alphabet import Alphabet
from pipelines.inspection.buckets import BucketChoice
from pipelines.inspection.every import EveryFinding
from pipelines.inspection.inputs import DataSet
from pipelines.inspection.kinds import KINDS, SEVERITIES, FindingKind, Severity
from pipelines.inspection.near import MOST_BITS
from pipelines.inspection.pictures import NEAR_DIFFERENCE
from pipelines.inspection.settings import AUTO, InspectConfig
from pipelines.inspection.shapes import Bin
from pipelines.inspection.tally import Example, Ref

VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One kind of trouble, and how much of it there is."""

    code: str
    count: int
    of: int
    """The total that the share refers to."""
    by_set: dict[str, int]
    examples: tuple[Example, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    """What else is known, for ``report.json``."""

    @property
    def kind(self) -> FindingKind:
        """What it means."""
        return KINDS[self.code]

    @property
    def share(self) -> float:
        """0 to 1."""
        return self.count / self.of if self.of else 0.0


@dataclass(frozen=True, kw_only=True)
class BucketReport:
    """The contract's buckets and better ones."""

    current: BucketChoice
    proposed: BucketChoice
    """As many, none wider than the contract's widest, that pad least."""
    unsqueezed: BucketChoice | None
    """As many that pad least and squeeze hardly any; None where those are the proposed ones."""
    too_long: Mapping[str, int]
    """Labels that the pictures' time steps can't hold, with each of these."""
    by_number: tuple[BucketChoice, ...]
    """The best of one bucket, two, and so on, none wider than the contract's widest."""


@dataclass(frozen=True, kw_only=True)
class NearSummary:
    """How the near duplicates were looked for."""

    candidates: int = 0
    """Pairs with near looks."""
    compared: int = 0
    """Pairs whose pictures were compared."""
    near: int = 0
    """Compared pairs that are near."""
    crowded: int = 0
    """Pictures with too many near looks to compare all."""


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """All that an inspection found."""

    config: InspectConfig
    sets: tuple[DataSet, ...]
    set_samples: tuple[int, ...]
    findings: tuple[Finding, ...]
    """The worst first."""
    alphabet: Alphabet
    buckets: BucketReport | None
    histograms: Mapping[str, tuple[Bin, ...]]
    time_steps: Mapping[int, int]
    near: NearSummary
    shown: Mapping[Ref, ShownSample]
    """The samples of all examples."""
    every: EveryFinding
    """All findings, sample by sample."""

    @property
    def samples(self) -> int:
        """Looked at, in all sets."""
        return sum(self.set_samples)

    def of(self, severity: Severity) -> list[Finding]:
        """The findings of a severity."""
        return [finding for finding in self.findings if finding.kind.severity == severity]

    def to_dict(self) -> dict[str, Any]:
        """``report.json``, as the head of this file says."""
        sets = [
            {"name": data.name, "uri": data.uri, "format": data.format, "digest": data.digest,
             "samples": samples}
            for data, samples in zip(self.sets, self.set_samples, strict=True)
        ]  # fmt: skip
        return {
            "version": VERSION,
            "sets": sets,
            "samples": self.samples,
            **{f"{severity}s": len(self.of(severity)) for severity in SEVERITIES},
            "findings": [self._finding(finding) for finding in self.findings],
            "characters": [_character(asdict(c)) for c in self.alphabet.characters],
            "charset": {
                "chosen": None if self.config.charset == AUTO else self.config.charset,
                "proposed": self.alphabet.proposed,
                "left_out": self.alphabet.left_out,
                "labels_left_out": self.alphabet.labels_left_out,
                "named": self.alphabet.named,
            },
            "buckets": self._buckets(),
            "histograms": {
                name: [{"from": b.low, "to": b.high, "count": b.samples} for b in bins]
                for name, bins in self.histograms.items()
            },
            "model": self._model(),
            "near": self._near(),
        }

    def _finding(self, finding: Finding) -> dict[str, Any]:
        kind = finding.kind
        return {
            "code": finding.code,
            "severity": kind.severity,
            "unit": kind.unit,
            "title": kind.title,
            "count": finding.count,
            "of": finding.of,
            "share": finding.share,
            "by_set": finding.by_set,
            "meaning": kind.meaning,
            "remedy": kind.remedy,
            "details": dict(finding.details),
            "examples": [
                {"message": e.message, "samples": [self._sample(ref) for ref in e.refs]}
                for e in finding.examples
            ],
        }

    def _sample(self, ref: Ref) -> dict[str, str]:
        shown = self.shown[ref]
        return {"set": self.sets[ref.set].name, "id": shown.id, "text": shown.text}

    def _buckets(self) -> dict[str, Any] | None:
        b = self.buckets
        if b is None:
            return None
        three = {"current": b.current, "proposed": b.proposed, "unsqueezed": b.unsqueezed}
        return {
            **{name: found and _measured(found, b.too_long[name]) for name, found in three.items()},
            "by_number": [
                {"number": len(found.widths), "widths": list(found.widths),
                 "padded_share": found.padded_share}
                for found in b.by_number
            ],
        }  # fmt: skip

    def _model(self) -> dict[str, Any]:
        picture = self.config.picture
        return {
            "backbone": self.config.model.backbone,
            "height": picture.height,
            "channels": picture.channels,
            "mode": picture.mode,
            "stretch": picture.stretch,
            "time_steps": {str(width): steps for width, steps in self.time_steps.items()},
        }

    def _near(self) -> dict[str, Any]:
        near = self.near
        return {
            "bits": MOST_BITS,
            "most_difference": NEAR_DIFFERENCE,
            "candidates": near.candidates,
            "compared": near.compared,
            "near": near.near,
            "left_out": near.candidates - near.compared,
            "crowded": near.crowded,
        }


def _measured(found: BucketChoice, too_long: int) -> dict[str, Any]:
    return {
        "widths": list(found.widths),
        "padded_share": found.padded_share,
        "squeezed": found.squeezed,
        "squeezed_share": found.squeezed_share,
        "too_long": too_long,
        "buckets": [asdict(bucket) for bucket in found.buckets],
    }


def _character(values: dict[str, Any]) -> dict[str, Any]:
    character = values["character"]
    return {
        **values,
        "code_point": f"U+{ord(character):04X}",
        "name": unicodedata.name(character, ""),
    }
