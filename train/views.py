"""Other views of a training picture: what augments the meshes, always at the picture.

A mirrored mesh is not the mesh of the mirrored picture, nor is a turned or noisy one: the mesh
network has habits of its own. So the picture is changed and goes through the network again. Every
view is drawn from the picture's bytes: the same picture gives the same view, on any machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from math import cos, radians, sin

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
PLAIN = "plain"
"""The name of no change."""


def mirror(image: Image) -> Image:
    """Left is right."""
    return np.ascontiguousarray(image[:, ::-1])


def turn(image: Image, rng: np.random.Generator) -> Image:
    """Turned by up to 30°, 0.85 to 1.1 times as large, moved by up to 4 %; every second mirrored.

    The border is repeated: the picture keeps its size.
    """
    height, width = image.shape[:2]
    angle, scale = radians(rng.uniform(-30, 30)), rng.uniform(0.85, 1.1)
    shift = rng.uniform(-0.04, 0.04, 2) * max(height, width)
    a, b = scale * cos(angle), scale * sin(angle)
    cx, cy = (width - 1) / 2, (height - 1) / 2
    matrix = np.array(
        [[a, b, cx - a * cx - b * cy + shift[0]], [-b, a, cy + b * cx - a * cy + shift[1]]]
    )
    turned = cv2.warpAffine(
        image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return _every_second_mirrored(np.asarray(turned, np.uint8), rng)


def degrade(image: Image, rng: np.random.Generator) -> Image:
    """Darker or brighter, flatter, coarser, blurred and noisy; every second mirrored."""
    height, width = image.shape[:2]
    coarse = rng.uniform(0.6, 1.0)
    small = (max(round(width * coarse), 16), max(round(height * coarse), 16))
    image = np.asarray(cv2.resize(image, small, interpolation=cv2.INTER_AREA), np.uint8)
    image = np.asarray(cv2.resize(image, (width, height)), np.uint8)
    sigma = rng.uniform(0.01, 0.8) * max(height, width) / 48
    pixels = np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.float64) / 255
    pixels = pixels ** rng.uniform(0.6, 1.6) * rng.uniform(0.4, 1.2)
    pixels += rng.normal(0, rng.uniform(0, 0.03), (height, width, 1))
    changed = np.clip(np.rint(pixels * 255), 0, 255).astype(np.uint8)
    return _every_second_mirrored(changed, rng)


def _every_second_mirrored(image: Image, rng: np.random.Generator) -> Image:
    return mirror(image) if rng.random() < 0.5 else np.ascontiguousarray(image)


VIEWS: dict[str, Callable[[Image, np.random.Generator], Image]] = {
    PLAIN: lambda image, rng: image,
    "mirrored": lambda image, rng: mirror(image),
    "turned": turn,
    "degraded": degrade,
}
"""Every view of a picture. Each takes and gives (H, W, 3) uint8 RGB."""

OTHERS = tuple(name for name in VIEWS if name != PLAIN)
"""What is made of every training picture besides itself."""
SIZES = (40, 32, 24, 16)
"""Longer sides, pixels, to which validation pictures are shrunk to see what is lost."""


def shrunk(side: int) -> Callable[[Image, np.random.Generator], Image]:
    """The view of a picture whose longer side has so many pixels."""

    def shrink(image: Image, rng: np.random.Generator) -> Image:
        scale = side / max(image.shape[:2])
        size = tuple(max(round(n * scale), 1) for n in image.shape[1::-1])
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)

    return shrink


VIEWS |= {f"{side}px": shrunk(side) for side in SIZES}


def view(name: str, image: Image, content: bytes) -> Image:
    """The view `name` of `image`, drawn from the `content` of its file."""
    seed = hashlib.sha256(name.encode() + content).digest()[:8]
    return VIEWS[name](image, np.random.default_rng(int.from_bytes(seed, "big")))
