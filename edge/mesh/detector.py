"""BlazeFace, short range: frame → the faces in it.

Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs" (2019).
Constants from MediaPipe 0.10.18, `modules/face_detection/face_detection_short_range.pbtxt`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import atan2
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import SetupError
from edge.interpreter import Network
from edge.mesh.geometry import ROI_SCALE, Cropper, Roi

INPUT = 128
"""Side of the network's input, pixels."""
OVERLAP = 0.3
"""Intersection over union above which two boxes are the same face."""
_RIGHT_EYE, _LEFT_EYE = slice(0, 2), slice(2, 4)
"""Among the keypoints: the eye on the left of an upright picture, and the other."""


def anchors() -> NDArray[np.float32]:
    """Centres of the 896 anchor boxes, (896, 2) x and y in 0 to 1; all of them have size 1.

    One layer of stride 8 with 2 anchors a cell, three layers of stride 16 with 2 each, which
    MediaPipe lays out as 6 a cell.
    """
    layers = []
    for stride, per_cell in ((8, 2), (16, 6)):
        cells = INPUT // stride
        centre = (np.arange(cells, dtype=np.float32) + 0.5) / cells
        grid = np.stack(np.meshgrid(centre, centre), axis=-1).reshape(-1, 2)
        layers.append(np.repeat(grid, per_cell, axis=0))
    return np.concatenate(layers)


@dataclass(frozen=True, slots=True)
class Detection:
    """A face as the detector sees it: a box, in pixels of the frame, upright where it looked."""

    cx: float
    """Centre."""
    cy: float
    """Centre."""
    width: float
    height: float
    angle: float
    """Of the line through the eyes, radians, clockwise on the screen."""
    score: float
    """0 to 1."""

    @property
    def area(self) -> float:
        """Square pixels."""
        return self.width * self.height

    def roi(self) -> Roi:
        """Where the mesh network should look: the box × 1.5, square, eyes level."""
        return Roi(self.cx, self.cy, max(self.width, self.height) * ROI_SCALE, self.angle)


def weighted_non_maximum_suppression(
    values: NDArray[np.float32], scores: NDArray[np.float32], overlap: float = OVERLAP
) -> list[tuple[NDArray[np.float32], float]]:
    """Merge boxes that overlap by their score-weighted mean, best first.

    `values` (N, 4 + K): x0, y0, x1, y1 and whatever else is averaged along; `scores` (N,).
    """
    order = np.argsort(-scores, kind="stable")
    values, scores = values[order], scores[order]
    merged = []
    while len(scores):
        x0, y0, x1, y1 = values[:, :4].T
        width = np.minimum(x1, x1[0]) - np.maximum(x0, x0[0])
        height = np.minimum(y1, y1[0]) - np.maximum(y0, y0[0])
        common = np.maximum(width, 0) * np.maximum(height, 0)
        area = (x1 - x0) * (y1 - y0)
        same = common > overlap * (area + area[0] - common)
        same[0] = True
        weight = scores[same]
        merged.append((weight @ values[same] / weight.sum(), float(scores[0])))
        values, scores = values[~same], scores[~same]
    return merged


class Detector:
    """Finds faces of up to about two metres' distance."""

    def __init__(self, path: Path, min_score: float = 0.5, threads: int = 1) -> None:
        self._network = Network(path, threads)
        if self._network.output_shapes != [(1, 896, 16), (1, 896, 1)]:
            raise SetupError(f"{path} is not BlazeFace, short range: run `make models`")
        self._min_logit = float(np.log(min_score / (1 - min_score)))
        self._crop = Cropper(INPUT, low=-1.0, high=1.0, outside="black")
        self._anchors = anchors()

    def __call__(self, image: NDArray[np.uint8], place: Roi | None = None) -> list[Detection]:
        """The faces in `image` (H, W, 3) RGB, the surest first.

        `place`: the square in which to look, and how it is turned; all of the image by default.
        """
        roi = place or Roi.of_picture(*image.shape[:2])
        regressors, logits = self._seen(image, roi)
        found = np.flatnonzero(logits >= self._min_logit)
        if not len(found):
            return []
        raw = regressors[0, found] / np.float32(INPUT)  # x, y, w, h, six keypoints x, y
        centre = self._anchors[found]
        points = raw.reshape(len(found), 8, 2)
        points[:, 0] += centre
        points[:, 2:] += centre[:, None]
        half = raw[:, 2:4] / 2
        raw[:, 2:4] = raw[:, :2] + half
        raw[:, :2] -= half
        scores = np.reciprocal(1 + np.exp(-logits[found]), dtype=np.float32)
        return [
            _detection(value.tolist(), score, roi)
            for value, score in weighted_non_maximum_suppression(raw, scores)
        ]

    def likeliest(self, image: NDArray[np.uint8], roi: Roi) -> float:
        """Log-odds of the surest of all boxes when only `roi` of `image` is seen, however low."""
        _, logits = self._seen(image, roi)
        return float(logits.max())

    def _seen(
        self, image: NDArray[np.uint8], roi: Roi
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        self._crop(image, roi, self._network.input()[0])
        regressors, logits = self._network.run()
        return regressors, logits.ravel()


def _detection(value: list[float], score: float, roi: Roi) -> Detection:
    """`value`: box and keypoints in units of `roi`, which was looked at."""
    x0, y0, x1, y1, *keypoints = value
    ox, oy, ux, uy = roi.axes()
    x, y = (x0 + x1) / 2 * roi.size, (y0 + y1) / 2 * roi.size
    right, left = keypoints[_RIGHT_EYE], keypoints[_LEFT_EYE]
    angle = roi.angle + atan2(left[1] - right[1], left[0] - right[0])
    return Detection(
        ox + x * ux - y * uy,
        oy + x * uy + y * ux,
        (x1 - x0) * roi.size,
        (y1 - y0) * roi.size,
        angle,
        score,
    )
