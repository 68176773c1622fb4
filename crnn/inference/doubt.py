"""When a second bundle reads what a first one read, and which of the two readings counts.

The rule of a cascade (``crnn.inference.cascade``), without what reads: a command line needs only
this much.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crnn.errors import BundleError
from crnn.result import Result

if TYPE_CHECKING:
    from crnn.bundle.bundle import Bundle

BELOW = 0.9
"""The usual bound."""


@dataclass(frozen=True, kw_only=True)
class Then:
    """The second bundle of a cascade, and when it reads."""

    bundle: Bundle
    below: float = BELOW
    """The first bundle's reading is doubtful at a calibrated confidence below this, up to 1."""
    surer: bool = False
    """Whether the second reading counts only where its confidence is above the first one's: for
    bundles that know different things, such as one that was fine-tuned on pictures of one kind
    and the one that it began from. Else it counts wherever it has a text."""

    def __post_init__(self) -> None:
        check_below(self.below)

    def digest(self, first: Bundle) -> str:
        """Identity of the cascade in results and ledgers: SHA-256 over both digests and the rule.

        Raises:
            BundleError: when both bundles are the same.
        """
        if first.digest == self.bundle.digest:
            raise BundleError(
                f"both bundles of the cascade have the digest {first.digest}; expected two "
                "different ones, the second to read what the first doubts"
            )
        parts: dict[str, Any] = {
            "first": first.digest,
            "then": self.bundle.digest,
            "below": self.below,
        }
        if self.surer:  # left out otherwise: cascades had their digests before there was this rule
            parts["surer"] = True
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def name(self, first: Bundle) -> str:
        """What people call the cascade."""
        rule = " if surer" if self.surer else ""
        return f"{first.name}, then {self.bundle.name} below {self.below:g}{rule}"

    def is_doubtful(self, first: Result) -> bool:
        """Whether the second bundle is to read the picture too."""
        return first.error_code is None and first.confidence < self.below

    def settled(self, first: Result, second: Result) -> Result:
        """Which of a doubtful picture's readings counts."""
        read = second.error_code is None
        counts = read and self.counts(first.confidence, second.text, second.confidence)
        return second if counts else first

    def counts(self, first_confidence: float, text: str, confidence: float) -> bool:
        """Whether the second bundle's ``text`` and ``confidence`` count instead of the first's."""
        return bool(text) and (not self.surer or confidence > first_confidence)


def second_bundle(uri: str, *, below: float, surer: bool, with_onnx: bool = True) -> Then | None:
    """The second bundle at an address, and when it reads; none without an address.

    Raises:
        BundleError: as ``load_bundle``.
        ValueError: for a bound that nothing is below.
    """
    from crnn.bundle.bundle import load_bundle

    if not uri:
        return None
    return Then(bundle=load_bundle(uri, with_onnx=with_onnx), below=below, surer=surer)


def checked_digest(
    first: Bundle, then: Then | None, wanted: str, *, uri: str, then_uri: str
) -> str:
    """Digest of a bundle, or of a cascade of two, which lie at these addresses.

    Raises:
        BundleError: when it isn't the one wanted; an empty one means any.
    """
    found = then.digest(first) if then else first.digest
    if wanted and found != wanted:
        named = f"{uri}, then {then_uri}," if then else uri
        raise BundleError(
            f"{named} has the digest {found}, expected {wanted}; put the right bundle there, or "
            "give the digest of the one that is"
        )
    return found


def check_below(below: float, name: str = "below") -> None:
    """Raise ValueError unless it is a bound that something can be below."""
    if not 0 < below <= 1:
        raise ValueError(f"{name} is {below}; expected a confidence above 0, up to 1")


def check_bound(then: str, below: float, surer: bool) -> None:
    """Raise ValueError unless ``--below`` is a bound, and it and ``--surer`` go with ``--then``."""
    check_below(below, "--below")
    if surer and not then:
        raise ValueError(
            "--surer chooses between two bundles' readings, but there is no second bundle; name it "
            "with --then"
        )
    if below != BELOW and not then:
        raise ValueError(
            f"--below is {below}, but there is no second bundle to read doubtful "
            "pictures; name it with --then"
        )
