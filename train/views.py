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
    """Turned by up to 30°, 0.85 to 1.1 × as large, moved by up to 4 %; every second mirrored."""
    return _every_second_mirrored(_moved(image, rng, 30, (0.85, 1.1), 0.04), rng)


def degrade(image: Image, rng: np.random.Generator) -> Image:
    """Darker or brighter, flatter, coarser, blurred and noisy; every second mirrored."""
    height, width = image.shape[:2]
    coarse = rng.uniform(0.6, 1.0)
    image = _coarser(image, coarse)
    sigma = rng.uniform(0.01, 0.8) * max(height, width) / 48
    pixels = np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.float64) / 255
    pixels = pixels ** rng.uniform(0.6, 1.6) * rng.uniform(0.4, 1.2)
    pixels += rng.normal(0, rng.uniform(0, 0.03), (height, width, 1))
    return _every_second_mirrored(_bytes(pixels), rng)


def wear(image: Image, rng: np.random.Generator) -> Image:
    """What a poor camera sees from afar; every second mirrored.

    By lot, one after the other: a dark band over the eyes; turned by up to 35°; of 26 to 100
    pixels along the longer side; blurred; another gamma, contrast, gain and colour, light from one
    side; noise; JPEG. It keeps its size.
    """
    height, width = image.shape[:2]
    side = max(height, width)
    if rng.random() < 0.2:
        image = image.copy()
        middle, half = rng.uniform(0.33, 0.48) * height, rng.uniform(0.025, 0.09) * height
        left, right = rng.uniform(0.08, 0.25) * width, rng.uniform(0.75, 0.92) * width
        rows = slice(round(middle - half), round(middle + half) + 1)
        image[rows, round(left) : round(right)] = rng.integers(0, 50)
    if rng.random() < 0.6:
        image = _moved(image, rng, 35, (0.75, 1.1), 0.06)
    coarse = np.exp(rng.uniform(np.log(26), np.log(min(side, 100)))) / side
    if rng.random() < 0.7 and coarse < 1:
        image = _coarser(image, coarse)
    if rng.random() < 0.5:
        sigma = rng.uniform(0.004, 0.035) * side
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)
    pixels = np.asarray(image, np.float64) / 255
    if rng.random() < 0.4:
        pixels **= np.exp(rng.uniform(-1.2, 1.2))
    if rng.random() < 0.3:
        mean = pixels.mean()
        pixels = (pixels - mean) * rng.uniform(0.15, 1) + mean
    if rng.random() < 0.4:
        pixels *= np.exp(rng.uniform(np.log(0.2), np.log(2.2)))
    if rng.random() < 0.2:
        gain = np.linspace(1, rng.uniform(0.1, 0.7), width)
        pixels *= (gain if rng.random() < 0.5 else gain[::-1])[:, None]
    if rng.random() < 0.3:
        shift = rng.uniform(-0.35, 0.35)
        pixels *= (1 + shift, 1, 1 - shift)
    if rng.random() < 0.4:
        sigma = rng.uniform(0, 0.08)
        pixels += rng.normal(0, sigma, (height, width, int(rng.choice([1, 3]))))
    image = _bytes(pixels)
    if rng.random() < 0.3:
        quality = int(rng.uniform(8, 70))
        code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        image = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)
    return _every_second_mirrored(image, rng)


def _moved(
    image: Image, rng: np.random.Generator, turn: float, size: tuple[float, float], shift: float
) -> Image:
    """Turned by up to `turn` degrees, `size` times as large, moved by up to `shift`, a share.

    The border is repeated: the picture keeps its size.
    """
    height, width = image.shape[:2]
    angle, scale = radians(rng.uniform(-turn, turn)), rng.uniform(*size)
    x, y = rng.uniform(-shift, shift, 2) * max(height, width)
    a, b = scale * cos(angle), scale * sin(angle)
    cx, cy = (width - 1) / 2, (height - 1) / 2
    matrix = np.array([[a, b, cx - a * cx - b * cy + x], [-b, a, cy + b * cx - a * cy + y]])
    moved = cv2.warpAffine(
        image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(moved, np.uint8)


def _coarser(image: Image, coarse: float) -> Image:
    """As if there were `coarse` times as many pixels along each side; of the same size."""
    height, width = image.shape[:2]
    small = (max(round(width * coarse), 16), max(round(height * coarse), 16))
    image = np.asarray(cv2.resize(image, small, interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.resize(image, (width, height)), np.uint8)


def _bytes(pixels: NDArray[np.float64]) -> Image:
    """0 to 1 → 0 to 255."""
    return np.clip(np.rint(pixels * 255), 0, 255).astype(np.uint8)


def _every_second_mirrored(image: Image, rng: np.random.Generator) -> Image:
    return mirror(image) if rng.random() < 0.5 else np.ascontiguousarray(image)


VIEWS: dict[str, Callable[[Image, np.random.Generator], Image]] = {
    PLAIN: lambda image, rng: image,
    "mirrored": lambda image, rng: mirror(image),
    "turned": turn,
    "degraded": degrade,
    "worn": wear,
}
"""Every view of a picture. Each takes and gives (H, W, 3) uint8 RGB."""

OTHERS = tuple(name for name in VIEWS if name != PLAIN)
"""What is made of training pictures besides themselves."""
OF_LARGE = ("worn",)
"""Those that are made of large pictures only: a small one has no detail to lose."""
LARGE = 96
"""Longer side, pixels, from which a picture is large."""
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
