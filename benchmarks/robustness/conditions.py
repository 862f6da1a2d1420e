"""Every condition: its five severities with their unit, and the frames it makes of a picture.

A face crop (FER-2013) stays a crop. A photograph lies on a 640×480 frame of its mean colour, the
face in the middle at the photograph's own size: what moves it moves it there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.robustness import corrupt
from benchmarks.robustness.corrupt import Image

Array = NDArray[Any]
Rng = np.random.Generator
Kind = Literal["crop", "photograph"]
FRAME = (640, 480)
"""Width and height of the frame on which a photograph lies, pixels."""
TURN, SHRINK = 5.0, 0.97
"""From one frame to the next of a face that turns, degrees, or that moves away, its size ×: at 15
frames a second a quick tilt of the head, 75° a second, and walking away, half the size in 1.5 s."""
ARRIVE, ARRIVALS = 2.0, 8
"""Of a clean face that is followed: pixels from one frame to the next, and how many it moves."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A clean picture, and where the face is in it."""

    kind: Kind
    picture: Image
    """(H, W, 3) RGB."""
    mesh: Array
    """(468, 3) pixels: the mesh of the clean picture."""

    def frame(
        self, picture: Image | None = None, matrix: Array | None = None, relit: bool = False
    ) -> Image:
        """What the camera sees of `picture` (the clean one), moved by `matrix` (3, 3).

        The matrix is around the middle: of a crop, or of a photograph's face. `relit`: the rest of
        the frame is in the same light as the picture, which is another than the clean one's.
        """
        ground = (picture if relit and picture is not None else self.picture).mean(axis=(0, 1))
        picture = self.picture if picture is None else picture
        if self.kind == "crop":
            if matrix is None:
                return picture
            height, width = picture.shape[:2]
            to, back = ((width - 1) / 2, (height - 1) / 2), ((1 - width) / 2, (1 - height) / 2)
            whole = corrupt.shifted(*to) @ matrix @ corrupt.shifted(*back)
            return corrupt.moved(picture, whole, (width, height), None)
        x, y = self.centre
        to = corrupt.shifted((FRAME[0] - 1) / 2, (FRAME[1] - 1) / 2)
        whole = to @ (np.eye(3) if matrix is None else matrix) @ corrupt.shifted(-x, -y)
        return corrupt.moved(picture, whole, FRAME, ground)

    @property
    def centre(self) -> tuple[float, float]:
        """Of the face's box."""
        x, y = (self.mesh[:, :2].min(axis=0) + self.mesh[:, :2].max(axis=0)) / 2
        return float(x), float(y)

    @property
    def face(self) -> tuple[float, float]:
        """Width and height of the face's box, pixels."""
        width, height = np.ptp(self.mesh[:, :2], axis=0)
        return float(width), float(height)


@dataclass(frozen=True, slots=True)
class Condition:
    """One kind of change."""

    name: str
    family: str
    """ "light", "noise", "geometry" or "occlusion"."""
    unit: str
    """What a severity is, `{}` in place of the number: "×{}"."""
    levels: tuple[float, ...]
    """Five, the mildest first."""
    make: Callable[[Scene, float, Rng], list[Image]]
    """The frames that the camera sees, the last of which is read."""
    reach: tuple[float, ...] = ()
    """Levels at which our models are to stay within two points."""
    kinds: tuple[Kind, ...] = ("crop", "photograph")
    """Pictures for which it is made."""
    followed: bool = False
    """Whether the tracker follows through several frames; else each stands alone."""

    def tell(self, level: float) -> str:
        """The severity with its unit."""
        return self.unit.format(f"{level:g}")

    def frames(self, scene: Scene, level: float, name: str) -> list[Image]:
        """Of a picture that is called `name`, which decides what is drawn by lot.

        The draw is the same at every severity.
        """
        seed = hashlib.sha256(f"{self.name}/{name}".encode()).digest()[:8]
        return self.make(scene, level, np.random.default_rng(int.from_bytes(seed, "big")))


Make = Callable[[Scene, float, Rng], list[Image]]


def _lit(change: Callable[[Image, float], Image]) -> Make:
    return lambda scene, level, rng: [scene.frame(change(scene.picture, level), relit=True)]


def _lit_by_lot(change: Callable[[Image, float, Rng], Image]) -> Make:
    return lambda scene, level, rng: [scene.frame(change(scene.picture, level, rng), relit=True)]


def _pixels(change: Callable[[Image, float], Image]) -> Make:
    return lambda scene, level, rng: [scene.frame(change(scene.picture, level))]


def _noise(change: Callable[[Image, float, Rng], Image]) -> Make:
    return lambda scene, level, rng: [scene.frame(change(scene.picture, level, rng))]


def _covered(change: Callable[[Image, Array, float], Image]) -> Make:
    return lambda scene, level, rng: [scene.frame(change(scene.picture, scene.mesh, level))]


def _hand(scene: Scene, level: float, rng: Rng) -> list[Image]:
    return [scene.frame(corrupt.hand(scene.picture, scene.mesh, level, rng))]


def _sign(rng: Rng) -> float:
    return 1.0 if rng.random() < 0.5 else -1.0


def _turn(scene: Scene, level: float, rng: Rng) -> list[Image]:
    return [scene.frame(matrix=corrupt.turned(level * _sign(rng)))]


def _sweep(scene: Scene, level: float, rng: Rng) -> list[Image]:
    sign = _sign(rng)
    steps = np.arange(0, level + TURN / 2, TURN)
    return [scene.frame(matrix=corrupt.turned(float(step) * sign)) for step in steps]


def _away(scene: Scene, level: float, rng: Rng) -> list[Image]:
    count = round(np.log(level) / np.log(SHRINK))
    steps = np.geomspace(1, level, count + 1)
    return [scene.frame(matrix=corrupt.scaled(float(step))) for step in steps]


def _arrive(scene: Scene, level: float, rng: Rng) -> list[Image]:
    """From a little to one side, so that every frame is looked at, as those of a turn are."""
    steps = ARRIVE * np.arange(ARRIVALS, -1, -1) * _sign(rng)
    return [scene.frame(matrix=corrupt.shifted(float(step), 0)) for step in steps]


def _shift(scene: Scene, level: float, rng: Rng) -> list[Image]:
    """Towards one of four sides, until `level` of the face (of a crop: of the crop) is outside."""
    x, y = ((1, 0), (-1, 0), (0, 1), (0, -1))[rng.integers(4)]
    if scene.kind == "crop":
        height, width = scene.picture.shape[:2]
        return [scene.frame(matrix=corrupt.shifted(x * level * width, y * level * height))]
    to_edge = [(side - face) / 2 for side, face in zip(FRAME, scene.face, strict=True)]
    right, down = (gap + level * face for gap, face in zip(to_edge, scene.face, strict=True))
    return [scene.frame(matrix=corrupt.shifted(x * right, y * down))]


def _scale(scene: Scene, level: float, rng: Rng) -> list[Image]:
    """A crop becomes a smaller or larger crop; a photograph's face so on its frame."""
    if scene.kind == "photograph":
        return [scene.frame(matrix=corrupt.scaled(level))]
    height, width = scene.picture.shape[:2]
    size = max(round(width * level), 2), max(round(height * level), 2)
    # Centres of pixels, as in `corrupt.moved`.
    middle = corrupt.shifted((level - 1) / 2, (level - 1) / 2) @ corrupt.scaled(level)
    return [corrupt.moved(scene.picture, middle, size, None)]


def _aside(scene: Scene, level: float, rng: Rng) -> list[Image]:
    distance = 2.0 * max(scene.face)
    return [scene.frame(matrix=corrupt.seen_aside(level, distance, float(rng.uniform(0, 360))))]


CLEAN = Condition("clean", "clean", "{}", (0.0,), lambda scene, level, rng: [scene.frame()])
"""What all others are compared with that stand alone."""

FOLLOWED = Condition(
    "clean, followed", "clean", "{}", (0.0,), _arrive, kinds=("photograph",), followed=True
)
"""What those are compared with that are followed: a tracker looks at a frame once, not as often as
at a picture that stands alone."""

CONDITIONS = (
    Condition(
        "darker",
        "light",
        "×{}",
        (0.8, 0.6, 0.4, 0.25, 0.1),
        _lit(corrupt.brightness),
        (0.8, 0.6),
    ),
    Condition(
        "brighter",
        "light",
        "×{}",
        (1.2, 1.4, 1.8, 2.5, 3.5),
        _lit(corrupt.brightness),
        (1.2, 1.4),
    ),
    Condition("contrast", "light", "×{}", (0.7, 0.5, 0.3, 0.2, 0.1), _lit(corrupt.contrast)),
    Condition(
        "gamma", "light", "γ {} or its inverse", (1.5, 2, 2.5, 3.5, 5), _lit_by_lot(corrupt.gamma)
    ),
    Condition(
        "light from one side",
        "light",
        "-{} across",
        (0.3, 0.5, 0.7, 0.85, 0.95),
        _lit_by_lot(corrupt.side_light),
    ),
    Condition(
        "colour cast",
        "light",
        "red, blue ±{}",
        (0.1, 0.2, 0.35, 0.5, 0.7),
        _lit_by_lot(corrupt.colour_cast),
    ),
    Condition(
        "Gaussian noise",
        "noise",
        "σ {} of 255",
        (5, 10, 20, 40, 70),
        _noise(corrupt.gaussian_noise),
    ),
    Condition(
        "shot noise", "noise", "{} photons", (300, 100, 40, 15, 5), _noise(corrupt.shot_noise)
    ),
    Condition("JPEG", "noise", "quality {}", (60, 30, 15, 8, 4), _pixels(corrupt.jpeg)),
    Condition(
        "blur", "noise", "σ {} of the side", (0.01, 0.02, 0.03, 0.05, 0.08), _pixels(corrupt.blur)
    ),
    Condition(
        "low resolution",
        "noise",
        "×{}",
        (0.75, 0.5, 0.33, 0.25, 0.15),
        _pixels(corrupt.low_resolution),
    ),
    Condition("rotation", "geometry", "±{}°", (15, 30, 60, 90, 180), _turn, (15, 30)),
    Condition(
        "rotation, followed",
        "geometry",
        "±{}°",
        (15, 30, 60, 90, 180),
        _sweep,
        (15, 30),
        ("photograph",),
        followed=True,
    ),
    Condition("towards the edge", "geometry", "{} outside", (0.05, 0.1, 0.2, 0.3, 0.45), _shift),
    Condition("smaller", "geometry", "×{}", (0.75, 0.5, 0.35, 0.25, 0.15), _scale, (0.75, 0.5)),
    Condition(
        "smaller, followed",
        "geometry",
        "×{}",
        (0.75, 0.5, 0.35, 0.25, 0.15),
        _away,
        (0.75, 0.5),
        ("photograph",),
        followed=True,
    ),
    Condition("larger", "geometry", "×{}", (1.25, 1.5, 2, 2.5, 3), _scale, (1.25, 1.5, 2)),
    Condition("perspective", "geometry", "{}° aside", (10, 20, 30, 40, 50), _aside),
    Condition(
        "mask", "occlusion", "{} of the height", (0.2, 0.3, 0.4, 0.5, 0.55), _covered(corrupt.mask)
    ),
    Condition(
        "glasses",
        "occlusion",
        "{} of the height",
        (0.05, 0.1, 0.15, 0.2, 0.28),
        _covered(corrupt.glasses),
    ),
    Condition("hand", "occlusion", "{} of the width", (0.2, 0.3, 0.4, 0.5, 0.65), _hand),
)
"""All of them."""
