"""Frame → mesh: detect, then track, as MediaPipe does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.mesh.detector import Detector
from edge.mesh.geometry import Roi
from edge.mesh.landmarker import Landmarker
from edge.mesh.still import Still
from edge.settings import MeshSettings
from edge.stopwatch import Stopwatch
from edge.types import Mesh

DETECTOR_FILE = "face_detection_short_range.tflite"
LANDMARK_FILE = "face_landmark.tflite"


class Mesher:
    """Frame → the mesh of one face, or None.

    `tracking` looks first where the last frame's face was, and asks the detector only when the
    face is not there any more. Without it every frame stands alone. With `mesh.still`, a frame in
    which nothing moved since the last one that was read gives the same Mesh (the same object), or
    None, again.
    """

    def __init__(
        self, detector: Path, landmarker: Path, settings: MeshSettings, *, tracking: bool = True
    ) -> None:
        """Load the two networks from their files."""
        self._settings = settings
        self._tracking = tracking
        self._detect = Detector(detector, settings.min_detection, settings.threads)
        self._look = Landmarker(landmarker, settings.threads)
        self._still = Still() if settings.still and tracking else None
        self._mesh: Mesh | None = None
        self._roi: Roi | None = None

    def __call__(self, image: NDArray[np.uint8], *, watch: Stopwatch | None = None) -> Mesh | None:
        """The mesh of the face in `image` (H, W, 3) RGB, or None. `watch` is told the stages."""
        watch = watch or Stopwatch()
        if self._still and self._still.ready:
            unmoved = self._still(image)
            watch.lap("still")
            if unmoved:
                return self._mesh
        tracked = self._follow(image, watch)
        mesh = tracked or self._find(image, watch)
        self._roi = Roi.of_landmarks(mesh.landmarks) if mesh and self._tracking else None
        if self._still:
            mesh = self._still.look(image, mesh, self._roi, tracked=tracked is not None)
        self._mesh = mesh
        watch.lap("mesh" if mesh else "detect")
        return mesh

    def reset(self) -> None:
        """Forget the face that was tracked: the next frame belongs to another scene."""
        self._roi = None
        if self._still:
            self._still.reset()

    def _follow(self, image: NDArray[np.uint8], watch: Stopwatch) -> Mesh | None:
        return self._believe(self._look(image, self._roi, watch)) if self._roi else None

    def _find(self, image: NDArray[np.uint8], watch: Stopwatch) -> Mesh | None:
        detections = self._detect(image)
        watch.lap("detect")
        if not detections:
            return None
        if self._settings.select == "largest":
            detections = [max(detections, key=lambda detection: detection.area)]
        return self._believe(self._look(image, detections[0].roi(), watch))

    def _believe(self, mesh: Mesh) -> Mesh | None:
        return mesh if mesh.presence >= self._settings.min_presence else None


class CropMesher:
    """A picture that is already a face crop (as FER-2013's are) → the mesh of it, always.

    No detector: on 48×48 crops it misses one face in six. The first look takes the whole
    picture with a margin, the next ones the ROI that the landmarks before give. The mesh is the
    mean of the last two looks: of so few pixels each look has noise of its own.
    """

    def __init__(self, landmarker: Path, settings: MeshSettings) -> None:
        """Load the mesh network from its file."""
        self._look = Landmarker(landmarker, settings.threads)
        self._settings = settings

    def __call__(
        self,
        image: NDArray[np.uint8],
        first: Roi | None = None,
        *,
        watch: Stopwatch | None = None,
    ) -> Mesh:
        """The mesh of the face that fills `image` (H, W, 3) RGB, or `first` where that is given."""
        watch = watch or Stopwatch()
        mesh = self._look(image, first or self._first(*image.shape[:2]), watch)
        for look in range(2, self._settings.crop_looks + 1):
            before = mesh
            mesh = self._look(image, Roi.of_landmarks(before.landmarks), watch)
            if look > 2 and look == self._settings.crop_looks:
                mean = (before.landmarks + mesh.landmarks) * np.float32(0.5)
                mesh = Mesh(mean, mesh.presence)
        return mesh

    def _first(self, height: int, width: int) -> Roi:
        side = max(height, width) * self._settings.crop_scale
        return Roi(width / 2, height * self._settings.crop_centre, side)

    def reset(self) -> None:
        """Nothing to forget: every picture stands alone."""
