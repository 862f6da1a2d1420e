"""Whether a mesh is like those that the classifiers learnt from; else the label is `unknown`.

The limits are the bundle's, fitted by `convert.plausible`: the size below which a face is too
small, the pose beyond which there were almost no training meshes, and, for pictures that were said
to be face crops, how little may speak for a face. Who says so vouches for the pose, too.

How a head is tilted in the picture has no limit: the features take it out. The mesh's own shape has
none either: the mesh network draws a face-like mesh over anything, and the distance from trained
meshes tells nothing that its presence does not.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import atan2, degrees, hypot, isfinite, log
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.bundle import MANIFEST, Bundle
from edge.errors import SetupError
from edge.mesh.detector import Detector
from edge.mesh.geometry import LEFT_EYE_OUTER, RIGHT_EYE_OUTER, Roi
from edge.mesh.tracker import DETECTOR_FILE
from edge.settings import MeshSettings
from edge.types import Mesh

FOREHEAD, CHIN = 10, 152
"""The highest and the lowest point of the mesh."""
BELIEVED = 0.5
"""Presence from which a mesh of a face crop is believed without a second opinion."""
_POINTS = np.array([RIGHT_EYE_OUTER, LEFT_EYE_OUTER, FOREHEAD, CHIN])
_AROUND = 1.5
"""The mesh's ROI times this: where the second opinion looks, so that a face elsewhere in the crop
speaks for no mesh."""
_WEIGHT = 5.0
"""Of the detector's logit against the mesh network's: about what a logistic regression gives it, on
doubtful training pictures against patches of photographs without a face."""
_LEAST = 1e-9


@dataclass(frozen=True, slots=True)
class Limits:
    """What a bundle's `plausible` says."""

    pixels: float
    """Least height of a face, forehead to chin, pixels of the picture."""
    yaw: float
    """Largest turn to either side, degrees."""
    pitch_up: float
    """Largest nod upwards, degrees."""
    pitch_down: float
    """Largest nod downwards, degrees."""
    support: float
    """Least `support` of a face in what was said to be a face crop."""

    @classmethod
    def of(cls, bundle: Bundle) -> Limits:
        """Those of the bundle. Raises SetupError where one is missing or no number."""
        table = bundle.manifest.get("plausible")
        try:
            found = {field.name: float(table[field.name]) for field in fields(cls)}  # type: ignore[index]
            if not all(map(isfinite, found.values())):
                raise ValueError(f"not finite: {found}")
            return cls(**found)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise SetupError(
                f"{bundle.folder / MANIFEST}: the limits in 'plausible' are not whole ({error}): "
                "run `git checkout models`, or `make convert`"
            ) from None


def pose(landmarks: NDArray[np.float32]) -> tuple[float, float, float]:
    """Yaw and pitch in degrees, height in pixels, from the outer eye corners, forehead and chin.

    `landmarks` (468, 3), pixels. Yaw is positive where the person's left eye is farther away,
    pitch where the chin is: looking down. A tilt in the picture changes none of them.
    """
    right, left, top, low = landmarks[_POINTS].tolist()
    across = hypot(left[0] - right[0], left[1] - right[1])
    down = hypot(low[0] - top[0], low[1] - top[1])
    yaw, pitch = atan2(left[2] - right[2], across), atan2(low[2] - top[2], down)
    return degrees(yaw), degrees(pitch), down


class SecondOpinion:
    """How much speaks for a face in a crop in which the mesh network hardly sees one."""

    def __init__(self, path: Path) -> None:
        """`path`: the detector, which is loaded when it is first asked."""
        self._path = path
        self._detector: Detector | None = None

    def __call__(self, image: NDArray[np.uint8], mesh: Mesh) -> float:
        """Log-odds of mesh network and detector, added up; `image` (H, W, 3) RGB."""
        if self._detector is None:
            self._detector = Detector(self._path)
        place = Roi.of_landmarks(mesh.landmarks).scaled(_AROUND)
        kept = min(max(mesh.presence, _LEAST), 1 - _LEAST)
        return log(kept / (1 - kept)) + _WEIGHT * self._detector.likeliest(image, place)


class Plausible:
    """Says why a mesh should not be read."""

    def __init__(self, limits: Limits, opinion: SecondOpinion | None = None) -> None:
        """`opinion`: for face crops, for which no detector was asked; it takes the place of the
        limits of pose."""
        self._limits, self._opinion = limits, opinion

    def __call__(self, image: NDArray[np.uint8], mesh: Mesh) -> str | None:
        """One of `edge.types.REASONS`, or None for a mesh that may be read."""
        limits = self._limits
        yaw, pitch, height = pose(mesh.landmarks)
        if height < limits.pixels:
            return "too small"
        if self._opinion:
            sure = mesh.presence >= BELIEVED
            enough = sure or self._opinion(image, mesh) >= limits.support
            return None if enough else "not a face"
        if abs(yaw) > limits.yaw or not -limits.pitch_up <= pitch <= limits.pitch_down:
            return "turned away"
        return None


def open_plausible(bundle: Bundle, settings: MeshSettings, *, cropped: bool) -> Plausible | None:
    """What the settings ask for, with the bundle's limits; None where they switch it off."""
    if not settings.check:
        return None
    opinion = SecondOpinion(bundle.network(DETECTOR_FILE)) if cropped else None
    return Plausible(Limits.of(bundle), opinion)
