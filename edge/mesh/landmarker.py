"""MediaPipe face mesh V1: a look at one ROI → 468 landmarks.

Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs" (2019).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import SetupError
from edge.interpreter import Network
from edge.mesh.geometry import Cropper, Roi
from edge.stopwatch import Stopwatch
from edge.types import LANDMARKS, Mesh

INPUT = 192
"""Side of the network's input, pixels."""


class Landmarker:
    """Runs the mesh network on a ROI of a frame."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        self._network = Network(path, threads)
        sizes = [int(np.prod(shape)) for shape in self._network.output_shapes]
        square = (1, INPUT, INPUT, 3)
        if self._network.input_shape != square or sorted(sizes) != [1, LANDMARKS * 3]:
            raise SetupError(f"{path} is not MediaPipe's mesh V1: run `make models`")
        self._points = sizes.index(LANDMARKS * 3)
        self._presence = sizes.index(1)
        self._crop = Cropper(INPUT)

    def __call__(self, image: NDArray[np.uint8], roi: Roi, watch: Stopwatch | None = None) -> Mesh:
        """The mesh in `roi` of `image` (H, W, 3) RGB. Its presence says whether to believe it."""
        watch = watch or Stopwatch()
        self._crop(image, roi, self._network.input()[0])
        return self._seen(roi, watch)

    def mirrored(self, image: NDArray[np.uint8], roi: Roi, watch: Stopwatch) -> Mesh:
        """The mesh that the mirror image of `image` has in what is mirrored of `roi`.

        Its pixels are the mirror image's.
        """
        size, cx, angle = roi.size, image.shape[1] - 1 - roi.cx, -roi.angle
        _, _, ux, uy = roi.axes()
        # A crop's first pixel lies on the ROI's border, its last one a step before: from there.
        step = size / INPUT
        whole = self._network.input()[0]
        self._crop(image, Roi(roi.cx + step * ux, roi.cy + step * uy, size, roi.angle), whole)
        whole[:] = whole[:, ::-1].copy()
        del whole  # the network does not run while its input is held
        return self._seen(Roi(cx, roi.cy, size, angle), watch)

    def _seen(self, roi: Roi, watch: Stopwatch) -> Mesh:
        """What the network says of its input, the pixels in `roi`."""
        watch.lap("crop")
        outputs = self._network.run()
        points = outputs[self._points].reshape(LANDMARKS, 3) / np.float32(INPUT)
        logit = float(outputs[self._presence].ravel()[0])
        mesh = Mesh(roi.to_frame(points), float(1 / (1 + np.exp(-logit))))
        watch.lap("mesh")
        return mesh
