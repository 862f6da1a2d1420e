"""Mesh → feature vector: the only copy, used in training and on the device.

Every feature is invariant to where the face is, how large it is and how it is turned in the
picture; what it keeps is the shape. A manifest names its feature and version; a changed formula
is a new version.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.mesh.geometry import LEFT_EYE_OUTER, RIGHT_EYE_OUTER
from edge.types import LANDMARKS

NOSE_TIP = 1
"""The mesh point from which distances are measured."""


def distances(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Distance of every point to the nose tip in the picture plane, mean 1: (468,) float32.

    The public precursor's feature. `landmarks` (468, 3), any unit.
    """
    offset = landmarks[:, :2] - landmarks[NOSE_TIP, :2]
    length = np.hypot(offset[:, 0], offset[:, 1])
    return (length / max(float(length.mean()), 1e-6)).astype(np.float32)


def aligned_xyz(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Coordinates after centring, levelling the eyes and scaling to RMS radius 1: (1404,) float32.

    `landmarks` (468, 3), any unit; x, y, z of point 0, then of point 1, … The turn is in the
    picture plane; z is scaled alike.
    """
    centred = landmarks - landmarks.mean(axis=0)
    dx, dy = (landmarks[LEFT_EYE_OUTER, :2] - landmarks[RIGHT_EYE_OUTER, :2]).tolist()
    length = max(float(np.hypot(dx, dy)), 1e-6)
    cos, sin = dx / length, dy / length
    radius = max(float(np.sqrt((centred[:, :2] ** 2).sum(axis=1).mean())), 1e-6)
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], np.float32) / np.float32(radius)
    aligned: NDArray[np.float32] = centred @ turn
    return aligned.ravel()


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
    "distances": Feature(distances, 1, LANDMARKS),
    "aligned_xyz": Feature(aligned_xyz, 1, LANDMARKS * 3),
}
"""Every feature a manifest may name."""
