"""What happens to pictures: pure functions on (H, W, 3) uint8 RGB arrays.

Each takes the picture, how much of it there is, and, where something is drawn by lot, a generator:
the same generator gives the same picture. None changes the picture it is given. `mesh` is (468, 3)
float32 in pixels of the picture. What moves a picture is a matrix: `turned` … `seen_aside` make
one around the origin, `moved` applies it.
"""

from __future__ import annotations

from math import ceil, cos, radians, sin, sqrt
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.mesh.geometry import LEFT_EYE_OUTER, RIGHT_EYE_OUTER

Image = NDArray[np.uint8]
Array = NDArray[Any]
_FOREHEAD, _CHIN = 10, 152
_MASK, _FRAME = (168, 200, 214), (22, 20, 20)
"""RGB of a surgical mask and of dark glasses."""


def _bytes(values: Array) -> Image:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def brightness(image: Image, factor: float) -> Image:
    """Every value × `factor`, cut at white."""
    return _bytes(image * np.float32(factor))


def contrast(image: Image, factor: float) -> Image:
    """Distance from the mean value × `factor`."""
    mean = np.float32(image.mean())
    return _bytes((image - mean) * np.float32(factor) + mean)


def gamma(image: Image, exponent: float, rng: np.random.Generator) -> Image:
    """Values, 0 to 1, to the power `exponent` or, by lot, 1 / `exponent`."""
    power = exponent if rng.random() < 0.5 else 1 / exponent
    table = _bytes((np.arange(256) / 255) ** power * 255)
    return table[image]


def side_light(image: Image, loss: float, rng: np.random.Generator) -> Image:
    """Light from one side: the gain falls evenly from 1 to 1 - `loss` across the picture."""
    gain = np.linspace(1, 1 - loss, image.shape[1], dtype=np.float32)
    if rng.random() < 0.5:
        gain = gain[::-1]
    return _bytes(image * gain[:, None])


def colour_cast(image: Image, shift: float, rng: np.random.Generator) -> Image:
    """Red × (1 + `shift`) and blue × (1 - `shift`), or, by lot, the other way round."""
    gain = np.array([1 + shift, 1, 1 - shift], np.float32)
    if rng.random() < 0.5:
        gain = gain[::-1]
    return _bytes(image * gain)


def gaussian_noise(image: Image, sigma: float, rng: np.random.Generator) -> Image:
    """Normal noise of deviation `sigma` values (of 255), each channel its own."""
    return _bytes(image + rng.standard_normal(image.shape, np.float32) * np.float32(sigma))


def shot_noise(image: Image, photons: float, rng: np.random.Generator) -> Image:
    """Poisson noise: white is `photons` photons."""
    return _bytes(rng.poisson(image * (photons / 255)) * (255 / photons))


def jpeg(image: Image, quality: float) -> Image:
    """Compressed and decompressed."""
    bgr = np.ascontiguousarray(image[..., ::-1])
    code = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])[1]
    return np.ascontiguousarray(cv2.imdecode(code, cv2.IMREAD_COLOR)[..., ::-1])


def blur(image: Image, sigma: float) -> Image:
    """Gaussian, of deviation `sigma`, a share of the longer side."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma * max(image.shape[:2])), np.uint8)


def low_resolution(image: Image, factor: float) -> Image:
    """As if there were `factor` times as many pixels along each side; of the same size."""
    height, width = image.shape[:2]
    small = (max(round(width * factor), 2), max(round(height * factor), 2))
    coarse = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def turned(degrees: float) -> Array:
    """Clockwise on the screen."""
    c, s = cos(radians(degrees)), sin(radians(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def scaled(factor: float) -> Array:
    """Larger by `factor`."""
    return np.diag([factor, factor, 1.0])


def shifted(x: float, y: float) -> Array:
    """Right and down, pixels."""
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])


def seen_aside(degrees: float, distance: float, axis: float) -> Array:
    """A flat picture turned in depth by `degrees`, seen from `distance` pixels.

    `axis`: degrees from the horizontal of the line in the picture around which it is turned.
    """
    c, s = cos(radians(degrees)), sin(radians(degrees))
    tilt = np.array([[1, 0, 0], [0, c, 0], [0, s / distance, 1]])
    return turned(axis) @ tilt @ turned(-axis)


def moved(image: Image, matrix: Array, size: tuple[int, int], ground: Array | None) -> Image:
    """`image` through `matrix` (3, 3), pixels to pixels, on a frame of `size` (width, height).

    `ground`: colour (3,) of what the picture does not cover; None repeats its border.
    """
    scale = sqrt(abs(float(np.linalg.det(matrix[:2, :2]))))
    if scale < 1:  # averaged, as a lens does it: no pixel is skipped
        height, width = image.shape[:2]
        small = max(ceil(width * scale), 1), max(ceil(height * scale), 1)
        image = np.asarray(cv2.resize(image, small, interpolation=cv2.INTER_AREA), np.uint8)
        fx, fy = width / small[0], height / small[1]
        # Centres of pixels: x = (x' + 0.5) · f - 0.5.
        back = np.array([[fx, 0, (fx - 1) / 2], [0, fy, (fy - 1) / 2], [0, 0, 1]])
        matrix = matrix @ back
    border, value = cv2.BORDER_REPLICATE, (0.0, 0.0, 0.0)
    if ground is not None:
        border, value = cv2.BORDER_CONSTANT, tuple(float(v) for v in ground)
    if (matrix[2] == (0, 0, 1)).all():  # in a third of the time
        out = cv2.warpAffine(image, matrix[:2], size, borderMode=border, borderValue=value)
    else:
        out = cv2.warpPerspective(image, matrix, size, borderMode=border, borderValue=value)
    return np.asarray(out, np.uint8)


def mask(image: Image, mesh: Array, height: float) -> Image:
    """A surgical mask over the lowest `height`, a share, of the face."""
    up, _, length = _axes(mesh)
    above = (mesh[:, :2] - mesh[_CHIN, :2]) @ up
    cut = mesh[above <= height * length, :2]
    return _filled(image, cut, _MASK) if len(cut) > 2 else image.copy()


def glasses(image: Image, mesh: Array, height: float) -> Image:
    """A dark band over the eyes across the face, as high as `height`, a share of the face."""
    _, across, length = _axes(mesh)
    eyes = (mesh[RIGHT_EYE_OUTER, :2] + mesh[LEFT_EYE_OUTER, :2]) / 2
    reach = np.abs((mesh[:, :2] - eyes) @ across).max()
    return _filled(image, _box(eyes, across, reach, height * length / 2), _FRAME)


def hand(image: Image, mesh: Array, side: float, rng: np.random.Generator) -> Image:
    """A box of the face's colour somewhere on the face, `side` of its width along each side."""
    low, high = mesh[:, :2].min(axis=0), mesh[:, :2].max(axis=0)
    centre = low + (high - low) * rng.uniform(0.25, 0.75, 2)
    angle = rng.uniform(0, np.pi)
    x0, y0 = np.maximum(np.floor(low), 0).astype(int)
    x1, y1 = np.ceil(high).astype(int)
    colour = image[y0:y1, x0:x1].reshape(-1, 3)
    shade = colour.mean(axis=0) * 0.85 if len(colour) else np.zeros(3)
    half = side * float(high[0] - low[0]) / 2
    across = np.array([cos(angle), sin(angle)])
    return _filled(image, _box(centre, across, half, half), tuple(float(v) for v in shade))


def _axes(mesh: Array) -> tuple[Array, Array, float]:
    """Unit vectors from the chin up and along the eyes, and the face's height in pixels."""
    up = mesh[_FOREHEAD, :2] - mesh[_CHIN, :2]
    length = float(np.hypot(*up)) or 1.0
    up = up / length
    return up, np.array([-up[1], up[0]]), length


def _box(centre: Array, across: Array, half_width: float, half_height: float) -> Array:
    down = np.array([-across[1], across[0]])
    corners = [(-1, -1), (1, -1), (1, 1), (-1, 1)]
    return np.array([centre + across * half_width * x + down * half_height * y for x, y in corners])


def _filled(image: Image, points: Array, colour: tuple[float, ...]) -> Image:
    """The hull of `points` (N, 2) filled."""
    out = image.copy()
    hull = cv2.convexHull(np.rint(points * 16).astype(np.int32))
    cv2.fillConvexPoly(out, hull, colour, lineType=cv2.LINE_AA, shift=4)
    return out
