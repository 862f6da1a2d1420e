"""Frame → mesh: 468 landmarks of the face in it."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge.bundle import Bundle
from edge.errors import SetupError
from edge.mesh.tracker import DETECTOR_FILE, LANDMARK_FILE, CropMesher, Mesher
from edge.settings import MeshSettings
from edge.stopwatch import Stopwatch
from edge.types import Mesh


class FaceMesher(Protocol):
    """Anything that finds a mesh in a picture."""

    def __call__(self, image: NDArray[np.uint8], *, watch: Stopwatch | None = None) -> Mesh | None:
        """The mesh of one face in `image` (H, W, 3) RGB, or None. `watch` is told the stages."""

    def reset(self) -> None:
        """Forget what was tracked."""


def open_mesher(
    bundle: Bundle, settings: MeshSettings, *, tracking: bool = True, cropped: bool = False
) -> FaceMesher:
    """The mesher that the settings ask for; `cropped` for pictures that are face crops."""
    if settings.backend == "mediapipe":
        if cropped:
            raise SetupError(
                "mesh.backend = 'mediapipe' cannot read cropped pictures: use 'tflite'"
            )
        from edge.mesh.mediapipe import MediaPipeMesher

        return MediaPipeMesher(settings, tracking=tracking)
    landmark = bundle.network(LANDMARK_FILE)
    if cropped:
        return CropMesher(landmark, settings)
    return Mesher(bundle.network(DETECTOR_FILE), landmark, settings, tracking=tracking)
