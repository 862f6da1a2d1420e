"""The shape of a mesh: what is left of it however it is moved, turned and scaled.

D. G. Kendall, "Shape manifolds, Procrustean metrics, and complex projective spaces" (1984).
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from edge.types import LANDMARKS

Shape = NDArray[np.complex64]
"""(468,): points of the picture's plane, their mean at 0, all together of length 1."""

_MEAN = np.full(LANDMARKS, 1 / LANDMARKS, np.complex64)
"""As a product it costs half of what numpy's mean does."""


def shape(landmarks: NDArray[np.float32]) -> Shape:
    """That of `landmarks` (468, 3) float32; z does not count."""
    points: Shape = np.ascontiguousarray(landmarks[:, :2]).view(np.complex64)[:, 0]
    points = points - points @ _MEAN
    points *= np.float32(1 / sqrt(np.vdot(points, points).real))
    return points


def change(one: Shape, other: Shape) -> float:
    """How much they differ, laid upon each other as well as can be, in shares of their spread.

    That is the Procrustes distance, from 0 to √2.
    """
    return sqrt(max(0.0, 2 - 2 * float(abs(np.vdot(one, other)))))
