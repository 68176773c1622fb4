"""Settings of the decoder ``fusion``, which bundles store; needs no PyTorch."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class FusionConfig:
    """When a language model is asked, and what it is worth beside the picture."""

    below: float = 0.97
    """Readings with a lower CTC probability (0 to 1, not calibrated) are doubtful."""
    weight: float = 0.4
    """Weight of the language model's log-probability beside the CTC's."""
    bonus: float = 0.8
    """Added for each character, in nats; offsets a language model's liking for short texts."""
    beam_width: int = 10
    """Prefixes kept after each time step."""
    classes_per_step: int = 8
    """Characters tried at each time step, the likeliest first."""
    min_probability: float = 1e-3
    """Characters less probable than this are not tried at a time step."""

    def __post_init__(self) -> None:
        if not 0 <= self.below <= 1:
            raise ValueError(f"below is {self.below}; expected a probability, 0 to 1")
        if not (0 <= self.weight < math.inf and math.isfinite(self.bonus)):
            raise ValueError(
                f"weight is {self.weight} and bonus {self.bonus}; expected finite numbers and a "
                "weight of at least 0"
            )
        if self.beam_width < 1 or self.classes_per_step < 1:
            raise ValueError(
                f"beam_width is {self.beam_width} and classes_per_step {self.classes_per_step}; "
                "both are at least 1"
            )
        if not 0 < self.min_probability < 1:
            raise ValueError(f"min_probability is {self.min_probability}; expected 0 to 1, between")
