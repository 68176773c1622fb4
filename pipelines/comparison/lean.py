"""How a line of text is turned and slanted, by where its edges fall in line.

Rotation is found as Postl did for pages (Detection of linear oblique structures and skew scan in
digitized documents, ICPR 1986): edges are summed along lines of each angle, and at the right one
the sums are the most uneven, as baselines and tops of letters then fall together. Slant is the
same for uprights (Vinciarelli and Luettin, A new normalization technique for cursive handwritten
words, 2001). Edges instead of ink, so that neither the polarity nor the light matters.

Where there is little to go by (a round letter, noise), sums are the most even far from 0, since the
same edges spread over more lines there: the angle is then found near 0 rather than anywhere.

Shape suffixes: H height, W width (pixels), A angles, N edge points.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

ROTATIONS_DEG = np.arange(-30.0, 30.5, 1.0)
SLANTS_DEG = np.arange(-45.0, 46.0, 1.5)
_AS_GOOD = 1 - 1e-6
"""An angle that gathers at least this share of what the best one gathers is as good; the one
nearest 0 counts."""
_WEAK = 0.15
"""Edges below this share of the strongest one count as paper."""


def rotation_deg(down_HW: Floats) -> float:
    """Angle of the baseline, degrees; positive where it falls to the right.

    Args:
        down_HW: the picture's derivative from top to bottom; not 0 everywhere.
    """
    y_N, x_N, weight_N = _points(down_HW)
    return _sharpest(y_N, x_N - down_HW.shape[1] / 2, weight_N, ROTATIONS_DEG)


def slant_deg(across_HW: Floats) -> float:
    """Angle of the uprights from the vertical, degrees; positive where they lean to the right.

    Args:
        across_HW: the picture's derivative from left to right; not 0 everywhere.
    """
    y_N, x_N, weight_N = _points(across_HW)
    return _sharpest(x_N, across_HW.shape[0] / 2 - y_N, weight_N, SLANTS_DEG)


def _points(change_HW: Floats) -> tuple[Floats, Floats, Floats]:
    """Where the edges are, and how strong."""
    strength_HW = np.abs(change_HW)
    y_N, x_N = np.nonzero(strength_HW > _WEAK * strength_HW.max())
    return y_N.astype(np.float32), x_N.astype(np.float32), strength_HW[y_N, x_N]


def _sharpest(
    along_N: Floats, beside_N: Floats, weight_N: Floats, degrees_A: NDArray[np.float64]
) -> float:
    """The angle whose lines ``along - beside * tangent`` gather the edges best."""
    tangents_A = np.tan(np.radians(degrees_A)).astype(np.float32)
    line_AN = np.rint(along_N - tangents_A[:, None] * beside_N).astype(np.int64)
    line_AN -= line_AN.min()
    lines = int(line_AN.max()) + 1
    line_AN += lines * np.arange(len(degrees_A))[:, None]
    weight_AN = np.broadcast_to(weight_N, line_AN.shape)
    sums = np.bincount(line_AN.ravel(), weight_AN.ravel(), lines * len(degrees_A))
    energy_A = (sums.reshape(len(degrees_A), lines) ** 2).sum(axis=1)
    best_A = degrees_A[energy_A >= _AS_GOOD * energy_A.max()]
    return float(best_A[np.abs(best_A).argmin()])
