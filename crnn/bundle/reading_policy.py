"""How often a picture is read, and which of its readings counts: the bundle's reading policy.

It depends on that picture alone, never on its batch mates, so that evaluation, bulk jobs, the
service and a program give the same text and the same confidence. The reader asks ``again``
after the first reading, reads what that gives, and keeps the most probable (``kept``).

Readings are compared by the natural log of the decoder's probability for the whole text, before
any calibration: calibration is fitted to the readings that were kept. An empty text counts as
impossible: a crop that somebody cut out shows something.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from crnn.images.contract import PictureContract
from crnn.images.prepare import TALL, Prepared


@dataclass(frozen=True, kw_only=True)
class ReadingPolicy:
    """When a picture is read more than once; stored in the bundle and obeyed everywhere."""

    stretches: tuple[float, ...] = (1.5,)
    """Multiples of its width at which a doubtful picture is read again; none given: never."""
    below: float = 0.7
    """A first reading with a lower CTC probability (0 to 1, not calibrated) is doubtful."""
    turn_from: float = 2.0
    """Pictures at least this many times as high as wide are also read turned by 90° both ways; 0:
    never."""

    def __post_init__(self) -> None:
        if not all(1 < stretch <= 4 for stretch in self.stretches):
            raise ValueError(
                f"stretches are {self.stretches}; expected multiples of the width above 1, up to 4"
            )
        if not 0 <= self.below <= 1:
            raise ValueError(f"below is {self.below}; expected a probability, 0 to 1")
        if self.turn_from and not TALL <= self.turn_from < math.inf:
            raise ValueError(
                f"turn_from is {self.turn_from}; expected 0 (never), or a multiple of the width "
                f"of at least {TALL}"
            )

    def again(
        self, first: Prepared, log_probability: float, contract: PictureContract
    ) -> list[Prepared]:
        """What else of the picture to read, in the order in which ``kept`` takes readings.

        Args:
            first: as it was read first.
            log_probability: of that reading's text; ``-inf`` of an empty one.
            contract: the bundle's, by which ``first`` was prepared.
        """
        if self.turn_from and first.source_height_px >= self.turn_from * first.source_width_px:
            return first.turned_both_ways(contract)
        if not self.is_doubtful(log_probability):
            return []
        stretched = (first.stretched(contract, factor) for factor in self.stretches)
        return [picture for picture in stretched if picture is not None]

    def widest_bucket(self, width_px: int, height_px: int, contract: PictureContract) -> int:
        """The widest bucket in which a picture of this size may be read, px."""
        natural_px = contract.natural_width(width_px, height_px)
        buckets = [contract.bucket_width(width_px, height_px)]
        if contract.mode == "bucket":
            stretched = (round(natural_px * factor) for factor in self.stretches)
            buckets += [contract.bucket_of(px) for px in stretched]
        if self.turn_from and height_px >= self.turn_from * width_px:
            buckets.append(contract.bucket_width(height_px, width_px))
        return max(buckets)

    def is_doubtful(self, log_probability: float) -> bool:
        """Whether a first reading is less probable than ``below``; one unknown (NaN) is."""
        return not log_probability >= (math.log(self.below) if self.below else -math.inf)


READ_ONCE = ReadingPolicy(stretches=(), below=0.0, turn_from=0.0)
"""Policy of bundles that don't state one."""


def kept(log_probabilities: Sequence[float]) -> int:
    """Which of one picture's readings counts: the most probable, the earlier one of equals."""
    known = [-math.inf if math.isnan(value) else value for value in log_probabilities]
    return max(range(len(known)), key=known.__getitem__)
