"""Faces as a pixel network sees them: 48×48, grey."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.cameras.opencv import decode
from edge.mesh.geometry import Roi
from train.dataset import Picture

Array = NDArray[Any]
SIDE = 48
"""Pixels."""
MARGIN = 1.2
"""Of the mesh's box around which a larger picture is cut."""


def crops(pictures: Sequence[Picture], landmarks: Array) -> Array:
    """Grey faces (N, 48, 48) float32, each of mean 0 and deviation 1.

    A picture of 48×48 is taken as it is; of a larger one the square around its mesh.
    """
    out = np.empty((len(pictures), SIDE, SIDE), np.float32)
    for row, (picture, mesh) in enumerate(zip(pictures, landmarks, strict=True)):
        image = decode(picture.read_bytes(), picture.id)
        out[row] = normal(whole(image) if image.shape[:2] == (SIDE, SIDE) else cut(image, mesh))
    return out


def whole(image: Array) -> Array:
    """A face crop (H, W, 3) uint8 RGB, grey and of (48, 48) uint8."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if grey.shape == (SIDE, SIDE):
        return grey
    shrinks = max(grey.shape) > SIDE
    return cv2.resize(
        grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )


def cut(image: Array, landmarks: Array, level: bool = False) -> Array:
    """The square around the mesh (468, 3) in `image` (H, W, 3) uint8 RGB: (48, 48) uint8, grey.

    Upright, as a face detector's box is; with `level` turned as the line through the eyes is.
    """
    box = Roi.of_landmarks(landmarks, MARGIN) if level else _upright(landmarks)
    finer = max(ceil(box.size / SIDE), 1)  # sampled finely and averaged: no pixel is skipped
    x, y, cos, sin = box.axes()
    step = box.size / (SIDE * finer)
    back = np.array([[cos * step, -sin * step, x], [sin * step, cos * step, y]])
    square = cv2.warpAffine(
        cv2.cvtColor(image, cv2.COLOR_RGB2GRAY),
        back,
        (SIDE * finer, SIDE * finer),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return cv2.resize(square, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def _upright(landmarks: Array) -> Roi:
    (x0, y0), (x1, y1) = landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)
    return Roi.of_box(float(x0), float(y0), float(x1), float(y1), (1, 0), MARGIN)


def normal(face: Array) -> Array:
    """Of mean 0 and deviation 1, float32."""
    return ((face - face.mean()) / (face.std() + 1)).astype(np.float32)
