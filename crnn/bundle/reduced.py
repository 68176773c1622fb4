"""What an engine that computes in fewer bits loses on a bundle: measured, and kept in it.

``bundle.json`` has it under ``reduced``, an entry an engine; ``jobs/export.py --reduced`` measures
it. An engine without an entry isn't offered.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Loss:
    """An engine beside eager PyTorch in float32, on the same pictures with known texts."""

    release: str
    """Version of the package that computed."""
    pictures: int
    """Read by both."""
    changed: int
    """Texts that are others than in float32."""
    right: int
    """Texts that were right in float32."""
    right_reduced: int
    """Texts that are right with the engine."""
    max_confidence_difference: float
    """Largest over the pictures whose text stayed."""

    def __str__(self) -> str:
        shares = (100 * right / self.pictures for right in (self.right_reduced, self.right))
        return "{:,} of {:,} texts differ from float32's; {:.2f}% right, {:.2f}% in float32".format(
            self.changed, self.pictures, *shares
        )
