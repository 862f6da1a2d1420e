"""What the page says to improve."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge import Recognizer
from edge.aim import aim
from edge.types import UNKNOWN, Frame, Gap, Mesh, Reading


@pytest.fixture(scope="module")
def portrayed(models_dir: Path, portrait: np.ndarray) -> Reading:
    return Recognizer(models_dir)(portrait)


def frame(image: np.ndarray) -> Frame:
    return Frame(image, 0.0, "a")


def moved(reading: Reading, change: np.ndarray, at: np.ndarray | None = None) -> Reading:
    """The face turned or scaled by `change` (3, 3) around its middle."""
    assert reading.mesh is not None
    points = reading.mesh.landmarks
    middle = points.mean(axis=0)
    place = middle if at is None else at
    turned = (points - middle) @ change.T + place
    return Reading("happy", 0.9, None, Mesh(turned.astype(np.float32), reading.mesh.presence))


def around(axis: str, degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return {
        "y": np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]]),
        "x": np.array([[1, 0, 0], [0, c, -s], [0, s, c]]),
        "z": np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]),
    }[axis]


def test_a_portrait_is_well_aimed(portrait: np.ndarray, portrayed: Reading) -> None:
    told = aim(frame(portrait), portrayed)
    assert told.advice == ()
    assert told.width == pytest.approx(100, abs=30)
    for angle in (told.yaw, told.pitch, told.roll):
        assert angle is not None
        assert abs(angle) < 15
    assert told.light == pytest.approx(160, abs=40)


@pytest.mark.parametrize("degrees", [-50, -35, 35, 50])
def test_turned_away(portrait: np.ndarray, portrayed: Reading, degrees: float) -> None:
    before, after = (
        aim(frame(portrait), one) for one in (portrayed, moved(portrayed, around("y", degrees)))
    )
    assert after.yaw == pytest.approx(before.yaw + degrees, abs=3)
    assert any(line.startswith("turn to the camera") for line in after.advice)


@pytest.mark.parametrize(("degrees", "word"), [(-45, "raise"), (45, "lower")])
def test_nodding(portrait: np.ndarray, portrayed: Reading, degrees: float, word: str) -> None:
    before, after = (
        aim(frame(portrait), one) for one in (portrayed, moved(portrayed, around("x", degrees)))
    )
    assert after.pitch == pytest.approx(before.pitch + degrees, abs=3)
    (line,) = (line for line in after.advice if line.startswith("turn to the camera"))
    assert f"{word} the camera" in line


def test_tilted(portrait: np.ndarray, portrayed: Reading) -> None:
    told = aim(frame(portrait), moved(portrayed, around("z", 50)))
    assert any(line.startswith("level head or camera") for line in told.advice)


def test_too_small(portrait: np.ndarray, portrayed: Reading) -> None:
    told = aim(frame(portrait), moved(portrayed, np.eye(3) * 0.3))
    assert told.width is not None
    assert told.advice[0] == f"face too small: {told.width:.0f} px; come closer"


def test_cut_off(portrait: np.ndarray, portrayed: Reading) -> None:
    told = aim(frame(portrait), moved(portrayed, np.eye(3), np.array([500, 250, 0])))
    assert any("cut off" in line for line in told.advice)
    gone = aim(frame(portrait), moved(portrayed, np.eye(3), np.array([5000, 5000, 0])))
    assert gone.light is None


@pytest.mark.parametrize(("level", "word"), [(10, "too dark"), (250, "too bright")])
def test_light(portrayed: Reading, level: int, word: str) -> None:
    image = np.full((512, 512, 3), level, np.uint8)
    told = aim(frame(image), portrayed)
    assert told.light == pytest.approx(level)
    assert told.advice == (f"{word}: the face has {level} of 255",)
    nobody = Reading(UNKNOWN, None, None, None, {}, "no face")
    assert aim(frame(image), nobody).advice[0] == f"{word}: the picture has {level} of 255"


def test_light_is_the_eyes_not_the_mean_of_the_channels(portrayed: Reading) -> None:
    image = np.zeros((512, 512, 3), np.uint8)
    image[..., 1] = 255
    assert aim(frame(image), portrayed).light == pytest.approx(255 * 0.587)


def test_an_unclear_face(portrait: np.ndarray, portrayed: Reading) -> None:
    assert portrayed.mesh is not None
    unsure = Reading("happy", 0.9, None, Mesh(portrayed.mesh.landmarks, 0.6))
    (line,) = aim(frame(portrait), unsure).advice
    assert line.startswith("face not clear")


def test_nobody_and_no_camera() -> None:
    grey = frame(np.full((48, 64, 3), 128, np.uint8))
    assert aim(grey, Reading(UNKNOWN, None, None, None)).advice == ("no face: come into view",)
    lost = aim(Gap("v4l2:0", "unplugged", 0.0, 0.0), Reading(UNKNOWN, None, None, None))
    assert lost.advice == ("camera lost: unplugged",)
