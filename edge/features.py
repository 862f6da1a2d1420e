"""Mesh → feature vector: the only copy, used in training and on the device.

Every feature is invariant to where the face is, how large it is and how it is turned in the
picture; what it keeps is the shape. A manifest names its feature and version; a changed formula
is a new version.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import hypot, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.mesh.geometry import LEFT_EYE_OUTER, RIGHT_EYE_OUTER
from edge.types import LANDMARKS

NOSE_TIP = 1
"""The mesh point from which distances are measured."""
LIPS = (
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270, 409,
    78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 191, 80, 81, 82, 13, 312, 311, 310, 415,
)  # fmt: skip
RIGHT_EYE_AND_BROW = (
    33, 7, 163, 144, 145, 153, 154, 155, 133, 246, 161, 160, 159, 158, 157, 173, 46, 53, 52,
    65, 55, 70, 63, 105, 66, 107,
)  # fmt: skip
LEFT_EYE_AND_BROW = (
    263, 249, 390, 373, 374, 380, 381, 382, 362, 466, 388, 387, 386, 385, 384, 398, 276, 283,
    282, 295, 285, 300, 293, 334, 296, 336,
)  # fmt: skip
NOSE = (
    1, 2, 98, 327, 168, 6, 197, 195, 5, 4, 45, 275, 115, 344, 220, 440, 48, 278, 64, 294, 50,
    280, 205, 425,
)  # fmt: skip
INNER = tuple(sorted({*LIPS, *RIGHT_EYE_AND_BROW, *LEFT_EYE_AND_BROW, *NOSE}))
"""Lips, eyes, brows and nose: 116 points of the mesh. Right is the person's right."""
_INNER = np.array(INNER)
_EVENLY = np.full(LANDMARKS, 1 / LANDMARKS, np.float32)
_TINY = 1e-6
_FAR = 4.0


def distances(landmarks: NDArray[np.float32], reference: int = NOSE_TIP) -> NDArray[np.float32]:
    """Distance of every point to one of them in the picture plane, mean 1: (468,) float32.

    The public precursor's feature. `landmarks` (468, 3), any unit.
    """
    offset = landmarks[:, :2] - landmarks[reference, :2]
    length: NDArray[np.float32] = np.hypot(offset[:, 0], offset[:, 1])
    length /= max(float(length.mean()), _TINY)
    return length


def aligned(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Landmarks (468, 3), any unit → the same centred, eyes level, RMS radius 1: (468, 3) float32.

    The turn is in the picture plane; z is scaled like x and y.
    """
    # From the nose first: a mean of pixels far from the origin would lose digits in float32.
    centred = landmarks - landmarks[NOSE_TIP]
    centred -= _EVENLY @ centred  # the mean, but numpy is slow across rows of three
    dx, dy = (landmarks[LEFT_EYE_OUTER, :2] - landmarks[RIGHT_EYE_OUTER, :2]).tolist()
    length = hypot(dx, dy)
    cos, sin = (dx / length, dy / length) if length > _TINY else (1.0, 0.0)
    radius = max(sqrt(float(np.vdot(centred, centred)) / len(centred)), _TINY)
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], np.float32) / np.float32(radius)
    out: NDArray[np.float32] = centred @ turn
    return out


def inner_xyz(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """`aligned` x, y, z of the points that expressions move (INNER): (348,) float32.

    Cheeks, forehead and outline follow these points in the mesh network's output; leaving them
    out loses nothing on validation and quarters the vector.
    """
    inner: NDArray[np.float32] = aligned(landmarks)[_INNER]
    return inner.ravel()


def aligned_xy(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """`aligned` x, y of every point: (936,) float32. The graph network's, before `normalised`."""
    flat: NDArray[np.float32] = aligned(landmarks)[:, :2].ravel()
    return flat


def normalised(
    feature: NDArray[Any], mean: NDArray[Any], basis: NDArray[Any], gain: NDArray[Any]
) -> NDArray[Any]:
    """`aligned_xy` (…, 936) → the same, in units of how much faces vary: (…, 936).

    The deviation from the mean face is taken apart into the directions in which faces vary (basis
    (936, k), orthonormal), each is scaled (gain (k,)), and put together again: a smile's few
    pixels come out as large as a turn of the head. What lies outside the basis is the mesh
    network's noise, and is left out. (Partial ZCA whitening: Bell & Sejnowski, 1997.) Values have
    RMS 1; the few beyond ±4 are cut, so that eight bits serve the others.
    """
    nodes: NDArray[Any] = (((feature - mean) @ basis) * gain) @ basis.T
    return np.clip(nodes, -_FAR, _FAR, out=nodes)


@dataclass(frozen=True, slots=True)
class Feature:
    """A named feature."""

    compute: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    """Landmarks (468, 3) → vector (size,) float32."""
    version: int
    """Raised whenever the formula changes."""
    size: int
    """Length of the vector."""


FEATURES = {
    "aligned_xy": Feature(aligned_xy, 1, LANDMARKS * 2),
    "distances": Feature(distances, 1, LANDMARKS),
    "inner_xyz": Feature(inner_xyz, 1, len(INNER) * 3),
}
"""Every feature a manifest may name."""
