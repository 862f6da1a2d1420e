"""The same interface on the mediapipe package (`mp.solutions` of 0.10.18): our reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import SetupError
from edge.settings import MeshSettings
from edge.stopwatch import Stopwatch
from edge.types import LANDMARKS, Mesh


class MediaPipeMesher:
    """Frame → the mesh that MediaPipe's FaceMesh finds.

    MediaPipe does not tell its presence; a mesh that it returns has passed the threshold, so
    `presence` is 1. Of several faces it takes the surest.
    """

    def __init__(self, settings: MeshSettings, *, tracking: bool = True) -> None:
        try:
            from mediapipe.python.solutions.face_mesh import FaceMesh
        except ImportError as error:
            raise SetupError(
                f"mesh.backend = 'mediapipe' needs mediapipe 0.10.18 (Python 3.12 at most): {error}"
            ) from None
        self._open: Callable[[], Any] = lambda: FaceMesh(
            static_image_mode=not tracking,
            max_num_faces=1,
            refine_landmarks=False,
            min_detection_confidence=settings.min_detection,
            min_tracking_confidence=settings.min_presence,
        )
        self._graph = self._open()

    def __call__(self, image: NDArray[np.uint8], *, watch: Stopwatch | None = None) -> Mesh | None:
        """The mesh of one face in `image` (H, W, 3) RGB, or None."""
        mesh = self._find(image)
        if watch:
            watch.lap("mesh")
        return mesh

    def _find(self, image: NDArray[np.uint8]) -> Mesh | None:
        faces = self._graph.process(np.ascontiguousarray(image)).multi_face_landmarks
        if not faces:
            return None
        height, width = image.shape[:2]
        points = faces[0].landmark[:LANDMARKS]
        # z is on the scale of x: MediaPipe normalises both by the width.
        landmarks = np.array([(p.x * width, p.y * height, p.z * width) for p in points], np.float32)
        return Mesh(landmarks, 1.0)

    def reset(self) -> None:
        """Forget the face that was tracked."""
        self._graph.close()
        self._graph = self._open()
