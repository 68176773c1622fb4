"""Equal and nearly equal pictures: within a set, across sets, with one label or several.

Works on the features of all samples; constant pictures are a trouble of their own, and equal to
one another for no reason of interest, so they are left out.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.inspection.near import near_pairs
from pipelines.inspection.tally import READABLE, VARIED, Example, Features, Ref

MOST_PAIRS = 20_000
"""Pairs of near looks whose pictures are read again and compared; more are not."""
NO_SIDE, TRAINING, MEASURING = 0, 1, 2
"""Sides of a leak: of two sets that share a picture the earlier one is trained on."""
Numbers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Links:
    """Samples of one kind of finding, each with another one; indices run over all sets."""

    samples: Numbers
    others: Numbers
    """The sample that stays; where none is better than the other, one that tells why."""
    sides: Numbers
    """Sides of a leak; otherwise ``NO_SIDE``."""


@dataclass(frozen=True, kw_only=True)
class Copies:
    """Samples of one kind of finding."""

    counts: Counter[int]
    """By set."""
    equal_bytes: int
    """Those that equal the first one byte for byte."""
    examples: list[Example]
    links: Links
    """Every sample; of a leak those of both sides, where ``counts`` has the later sets' alone."""


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Pairs of samples whose pictures may be near."""

    pairs: list[tuple[int, int]]
    """Indices over all sets, the lower first; those across sets first, then the closest."""
    left_out: int
    """Pairs beyond ``MOST_PAIRS``, which are not examined."""
    crowded: int
    """Pictures with too many near looks to compare all."""


class Samples:
    """The usable pictures of all sets, in order; an index runs over all samples of all sets."""

    def __init__(self, features: Sequence[Features]) -> None:
        self._starts = np.cumsum([0, *(len(f) for f in features)])
        self._features = features
        wanted = READABLE | VARIED
        usable = [np.flatnonzero((f["flags"] & wanted) == wanted) for f in features]
        self.index: Numbers = np.concatenate(
            [np.empty(0, np.int64), *(u + s for u, s in zip(usable, self._starts, strict=False))]
        )
        self._usable = usable
        self.set = np.repeat(np.arange(len(features)), [len(u) for u in usable])

    def column(self, name: str) -> NDArray[Any]:
        """A feature of the usable pictures."""
        parts = [f[name][u] for f, u in zip(self._features, self._usable, strict=True)]
        return np.concatenate(parts)

    def ref(self, place: int) -> Ref:
        """The sample at a place among the usable ones."""
        return self.ref_of(int(self.index[place]))

    def ref_of(self, index: int) -> Ref:
        """The sample of an index."""
        number = int(np.searchsorted(self._starts, index, side="right")) - 1
        return Ref(number, index - int(self._starts[number]))


def exact(samples: Samples, most_examples: int) -> dict[str, Copies]:
    """``copy``, ``leak`` and ``same_picture_other_text``."""
    pixels, texts = samples.column("pixels"), samples.column("text")
    order = np.lexsort((samples.index, pixels))
    begins = np.flatnonzero(np.diff(pixels[order], prepend=~pixels[order[:1]]) != 0)
    sizes = np.diff(np.append(begins, len(order)))
    found = {name: _Collected(samples, most_examples) for name in
             ("copy", "leak", "same_picture_other_text")}  # fmt: skip
    many = sizes > 1
    groups = sorted(
        (order[b : b + size] for b, size in zip(begins[many], sizes[many], strict=True)),
        key=lambda places: int(places[0]),
    )
    encoded = samples.column("bytes")
    for places in groups:
        _sort_out(samples, places, texts, encoded, found)
    return {name: collected.done() for name, collected in found.items()}


def candidates(samples: Samples, most: int = MOST_PAIRS) -> Candidates:
    """Pairs of different pictures that look alike; those across sets first, then the closest."""
    pixels, texts = samples.column("pixels"), samples.column("text")
    looks = samples.column("look")
    _, first = np.unique(pixels, return_index=True)
    places: Numbers = np.sort(first)
    near = near_pairs(looks[places], samples.column("width")[places])
    one, other = places[near.first], places[near.second]
    across = samples.set[one] != samples.set[other]
    bits = np.bitwise_count(looks[one] ^ looks[other])
    order = np.lexsort((other, one, texts[one] == texts[other], bits, ~across))[:most]
    kept = zip(samples.index[one[order]], samples.index[other[order]], strict=True)
    return Candidates(
        pairs=[(int(a), int(b)) for a, b in kept],
        left_out=len(one) - len(order),
        crowded=near.crowded,
    )


def near(
    samples: Samples, pairs: Sequence[tuple[int, int]], most_examples: int
) -> dict[str, Copies]:
    """``near_copy``, ``near_leak``, ``near_picture_other_text`` of pairs that are truly near."""
    texts = samples.column("text")
    found = {name: _Collected(samples, most_examples) for name in
             ("near_copy", "near_leak", "near_picture_other_text")}  # fmt: skip
    equal = _Equal(samples.column("pixels"))
    earlier: dict[int, int] = {}
    for indices in sorted(pairs):
        one, other = (int(place) for place in np.searchsorted(samples.index, indices))
        if texts[one] != texts[other]:
            found["near_picture_other_text"].add([one, other], [one, other])
            found["near_picture_other_text"].link([one, other], [other, one])
        _leaking(found["near_leak"], samples, equal.to(one), equal.to(other))
        if samples.set[one] == samples.set[other] and texts[one] == texts[other]:
            low, high = sorted((_first(earlier, one), _first(earlier, other)))
            if low != high:
                earlier[high] = low
                found["near_copy"].add([one, other], [high])
    for high in sorted(earlier):
        found["near_copy"].link([high], [_first(earlier, high)])
    return {name: collected.done() for name, collected in found.items()}


class _Equal:
    """Which pictures are equal to one, itself among them."""

    def __init__(self, pixels: NDArray[Any]) -> None:
        _, self._group = np.unique(pixels, return_inverse=True)
        self._order: Numbers = np.argsort(self._group, kind="stable")
        self._begins = np.searchsorted(self._group[self._order], np.arange(len(pixels) + 1))

    def to(self, place: int) -> Numbers:
        """Places, in order of sets and rows."""
        group = self._group[place]
        return self._order[self._begins[group] : self._begins[group + 1]]


def _leaking(leaks: _Collected, samples: Samples, some: Numbers, like: Numbers) -> None:
    """Note all of ``some`` and ``like`` them (in order) that stand in different sets."""
    for here, there in ((some, like), (like, some)):
        sets, others = samples.set[here], samples.set[there]
        after = np.searchsorted(others, sets, side="right")
        trained = np.flatnonzero(after < len(there))
        leaks.link(here[trained], there[after[trained]], TRAINING)
        measured = here[sets > others[0]]
        if len(measured):
            leaks.add([int(there[0]), int(measured[0])], measured.tolist())
            leaks.link(measured, np.full(len(measured), there[0]), MEASURING)


def _first(earlier: dict[int, int], place: int) -> int:
    """The first of all that are linked to ``place``."""
    while place in earlier:
        place = earlier[place]
    return place


def _sort_out(
    samples: Samples,
    places: Numbers,
    texts: NDArray[Any],
    encoded: NDArray[Any],
    found: dict[str, _Collected],
) -> None:
    """What a group of equal pictures is, in order of sets and rows."""
    if (texts[places] != texts[places[0]]).any():
        _, distinct = np.unique(texts[places], return_index=True)
        found["same_picture_other_text"].add(places[np.sort(distinct)].tolist(), places.tolist())
        differs = texts[places] != texts[places[0]]
        others = np.where(differs, places[0], places[differs][0])
        found["same_picture_other_text"].link(places, others)
    later = places[samples.set[places] != samples.set[places[0]]].tolist()
    if later:
        equal = int((encoded[later] == encoded[places[0]]).sum())
        found["leak"].add([int(places[0]), later[0]], later, equal_bytes=equal)
        _leaking(found["leak"], samples, places, places)
    seen: dict[tuple[int, int], int] = {}
    keys = zip(samples.set[places].tolist(), texts[places].tolist(), strict=True)
    for place, key in zip(places.tolist(), keys, strict=True):
        original = seen.setdefault(key, place)
        if original != place:
            equal = int(encoded[original] == encoded[place])
            found["copy"].add([original, place], [place], equal_bytes=equal)
            found["copy"].link([place], [original])


class _Collected:
    """Samples of a finding, each counted once, and the first few examples."""

    def __init__(self, samples: Samples, most_examples: int) -> None:
        self._samples, self._most = samples, most_examples
        self._members = np.zeros(len(samples.index), bool)
        self._examples: list[Example] = []
        self._equal_bytes = 0
        self._links = array("q")
        """Places of a sample and of the other one, and the side."""

    def link(
        self, places: Sequence[int] | Numbers, others: Sequence[int] | Numbers, side: int = NO_SIDE
    ) -> None:
        """The samples are found because of the others."""
        for place, other in zip(places, others, strict=True):
            self._links.extend((int(place), int(other), side))

    def add(self, shown: Sequence[int], counted: Sequence[int], *, equal_bytes: int = 0) -> None:
        self._equal_bytes += equal_bytes
        fresh = not self._members[counted].all()
        self._members[counted] = True
        if fresh and len(self._examples) < self._most:
            refs = tuple(self._samples.ref(place) for place in shown[:3])
            self._examples.append(Example(refs, ""))

    def done(self) -> Copies:
        sets = self._samples.set[self._members]
        return Copies(
            counts=Counter(sets.tolist()),
            equal_bytes=self._equal_bytes,
            examples=self._examples,
            links=self._linked(),
        )

    def _linked(self) -> Links:
        """By sample, each once for each side."""
        places, others, sides = np.array(self._links, np.int64).reshape(-1, 3).T
        _, first = np.unique(places * 3 + sides, return_index=True)
        index = self._samples.index
        return Links(samples=index[places[first]], others=index[others[first]], sides=sides[first])
