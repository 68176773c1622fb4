"""From sums and features to findings: what is said of the data as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crnn.bundle.bundle import Bundle
from pipelines.inspection.alphabet import Alphabet, unseen
from pipelines.inspection.contradicted import CONTRADICTED, Contradicted
from pipelines.inspection.copies import Copies
from pipelines.inspection.inputs import DataSet
from pipelines.inspection.kinds import KINDS, SEVERITIES
from pipelines.inspection.look_alikes import described
from pipelines.inspection.outliers import Outliers
from pipelines.inspection.result import Finding
from pipelines.inspection.tally import Example, Total


class Judge:
    """Collects the findings of an inspection."""

    def __init__(self, sets: Sequence[DataSet], total: Total) -> None:
        self._names = [data.name for data in sets]
        self._sets, self._total = sets, total
        self._found: dict[str, Finding] = {}

    def findings(self) -> tuple[Finding, ...]:
        """All that were found, errors first, in the order of ``KINDS``."""
        order = list(KINDS)

        def rank(finding: Finding) -> tuple[int, int]:
            return SEVERITIES.index(finding.kind.severity), order.index(finding.code)

        return tuple(sorted(self._found.values(), key=rank))

    def samples(self) -> None:
        """What each sample showed by itself."""
        total = self._total
        for code in dict.fromkeys(code for counts in total.counts for code in counts):
            reasons = {r: n for (c, r), n in sorted(total.reasons.items()) if c == code}
            details: dict[str, Any] = {"reasons": reasons} if reasons else {}
            if code == "unknown_character":
                unknown = sorted(total.unknown.items(), key=lambda item: (-item[1], item[0]))
                details["labels_by_character"] = dict(unknown)
            self._add(code, [c[code] for c in total.counts], total.examples(code), details)

    def outliers(self, found: Mapping[str, Outliers]) -> None:
        """Labels long or short for their pictures."""
        for code, some in found.items():
            self._add(code, some.counts, some.examples)

    def contradicted(self, found: Contradicted, bundle: Bundle, least: float) -> None:
        """Labels that a bundle contradicts."""
        details = {
            "bundle": bundle.name,
            "digest": bundle.digest,
            "from": least,
            "beyond_charset": found.beyond_charset,
        }
        examples = found.examples(self._total.most_examples)
        self._add(CONTRADICTED, found.counts(len(self._names)), examples, details)

    def copies(self, found: Mapping[str, Copies]) -> None:
        """Equal or nearly equal pictures."""
        for code, some in found.items():
            counts = [some.counts[number] for number in range(len(self._names))]
            details = {"equal_bytes": some.equal_bytes} if code in ("copy", "leak") else {}
            self._add(code, counts, some.examples, details)

    def characters(self, alphabet: Alphabet) -> None:
        """Rare ones, look-alikes, and those that only later sets have."""
        of = len(alphabet.characters)
        rare = [c for c in alphabet.characters if c.rare]
        twins = [c for c in alphabet.characters if c.like]
        new = unseen(self._total)
        self._add_characters(
            "rare_character", of, {c.character: f"occurs {_times(c.count)}" for c in rare}
        )
        self._add_characters(
            "twin_characters", of,
            {c.character: f"{_times(c.count)}; looks like {described(c.like)}" for c in twins},
        )  # fmt: skip
        self._add_characters(
            "unseen_character", of,
            {c: f"occurs {_times(new[c])}, never in {self._names[0]}" for c in sorted(new)},
        )  # fmt: skip

    def found_characters(self) -> dict[str, Mapping[str, str]]:
        """By kind of finding, what is said of each character."""
        found = (f for f in self._found.values() if f.kind.unit == "character")
        return {finding.code: finding.details["characters"] for finding in found}

    def set_aside(self, first: Mapping[str, Sequence[tuple[str, str, str]]]) -> None:
        """What preparation had set aside; ``first`` are the first such inputs of each set."""
        counts = {d.name: sum(d.rejects.values()) for d in self._sets if d.rejects}
        if not counts:
            return
        reasons: dict[str, int] = {}
        for data in self._sets:
            for reason, count in data.rejects.items():
                reasons[reason] = reasons.get(reason, 0) + count
        inputs = [
            {"set": name, "id": id, "reason": reason, "message": message}
            for name, entries in first.items()
            for id, reason, message in entries
        ]
        count = sum(counts.values())
        self._found["set_aside"] = Finding(
            code="set_aside",
            count=count,
            of=count + self._total.samples,
            by_set=counts,
            details={"reasons": dict(sorted(reasons.items())), "inputs": inputs},
        )

    def _add(
        self,
        code: str,
        counts: Sequence[int],
        examples: Sequence[Example],
        details: Mapping[str, Any] | None = None,
    ) -> None:
        if not any(counts):
            return
        by_set = {name: n for name, n in zip(self._names, counts, strict=True) if n}
        self._found[code] = Finding(
            code=code,
            count=sum(by_set.values()),
            of=self._total.samples,
            by_set=by_set,
            examples=tuple(examples),
            details=details or {},
        )

    def _add_characters(self, code: str, of: int, messages: Mapping[str, str]) -> None:
        if not messages:
            return
        total = self._total
        examples = []
        for character, message in list(messages.items())[: total.most_examples]:
            refs = total.labels_of(character)[:1]
            examples.append(Example(tuple(refs), f"{described(character)}: {message}"))
        by_set = {
            name: sum(c in messages for c in characters)
            for name, characters in zip(self._names, total.characters, strict=True)
        }
        self._found[code] = Finding(
            code=code,
            count=len(messages),
            of=of,
            by_set={name: count for name, count in by_set.items() if count},
            examples=tuple(examples),
            details={"characters": dict(messages)},
        )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"
