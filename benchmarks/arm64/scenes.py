"""The frames that are counted: a portrait under a slowly moving camera, under one that does not
move, and none."""

from __future__ import annotations

from math import cos, sin
from pathlib import Path

import cv2
import numpy as np

from benchmarks.arm64.guest import FRAMES
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


def save(path: Path, portrait: Path) -> None:
    """Write the frames of each scene."""
    image, chance = read_picture(portrait).image, np.random.default_rng(0)
    clouds = cv2.GaussianBlur(chance.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8), (0, 0), 3)
    make = {
        "tracked": lambda index: frame(image, index),
        "found": lambda index: frame(image, index),
        "empty": lambda index: np.roll(clouds, 5 * index, 1),
        "still": lambda index: _noisy(frame(image, 1), chance),
        "vacant": lambda index: _noisy(clouds, chance),
    }
    counts = {scene: sum(frames) for scene, frames in FRAMES.items()}
    pictures = {scene: [make[scene](i) for i in range(count)] for scene, count in counts.items()}
    np.savez(path, **{scene: np.stack(frames) for scene, frames in pictures.items()})


def _noisy(picture: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """As a sensor takes it: noise of 1 grey level in the dark to 3.2 in full light."""
    noise = chance.normal(size=picture.shape) * np.sqrt(1 + 9 * picture / 255)
    return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)
