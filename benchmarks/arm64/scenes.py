"""The frames that are counted: a portrait under a slowly moving camera, and none."""

from __future__ import annotations

from math import cos, sin
from pathlib import Path

import cv2
import numpy as np

from edge.cameras.opencv import read_picture

WIDTH, HEIGHT = 640, 480
FACE = (222.0, 118.0)
"""Centre of the face in the portrait, pixels."""
SCALE = 1.4
"""The face then is 120 pixels wide: 0.6 m before a Pi's camera."""


def frame(portrait: np.ndarray, index: int) -> np.ndarray:
    """The portrait turned by 3° to 11° and moved a little further: (480, 640, 3)."""
    angle = 0.05 + 0.02 * index
    x, y = WIDTH / 2 + 3 * index, HEIGHT / 2 - 2 * index
    a, b = SCALE * cos(angle), SCALE * sin(angle)
    pose = np.array([[a, -b, x - a * FACE[0] + b * FACE[1]], [b, a, y - b * FACE[0] - a * FACE[1]]])
    return cv2.warpAffine(portrait, pose, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)


def save(path: Path, portrait: Path, count: int) -> None:
    """Write `count` frames of each scene."""
    image = read_picture(portrait).image
    moving = np.stack([frame(image, index) for index in range(count)])
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    empty = cv2.GaussianBlur(noise, (0, 0), 3)
    np.savez(path, tracked=moving, found=moving, empty=np.stack([empty] * count))
