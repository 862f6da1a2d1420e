"""A scene in which nothing moves is not read again; one in which anything does, at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import Recognizer
from edge.cameras.y4m import Y4m
from edge.mesh.geometry import Roi
from edge.mesh.places import elsewhere
from edge.mesh.still import LONGEST, Still
from edge.settings import MeshSettings
from edge.types import Mesh

NOISES = ((0.5, 0.5), (1, 2), (2, 4))
"""Of a sensor: standard deviation in the dark, and what light adds to it (grey levels)."""
MOUTH_CORNER, FACE_WIDTH = 61, (234, 454)


@pytest.fixture(scope="module")
def clip(models_dir: Path) -> list[np.ndarray]:
    return [frame.image for frame in Y4m(models_dir / "sample.y4m")]


class Sensor:
    """Takes noisy pictures of what it is shown."""

    def __init__(self, dark: float, shot: float) -> None:
        self._dark, self._shot = dark, shot
        self._chance = np.random.default_rng(0)

    def __call__(self, scene: np.ndarray) -> np.ndarray:
        sigma = np.sqrt(self._dark**2 + self._shot**2 * scene / 255)
        noisy = scene + sigma * self._chance.normal(size=scene.shape)
        return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def warped(
    scene: np.ndarray, dx: float, dy: float = 0, at: np.ndarray | None = None, radius: float = 1
) -> np.ndarray:
    """Moved by (dx, dy) pixels: all of it, or what is around a point."""
    height, width = scene.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    near = np.float32(1)
    if at is not None:
        near = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * radius**2))
    moved = x - np.float32(dx) * near, y - np.float32(dy) * near
    return cv2.remap(scene, *moved, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)


def width(mesh: Mesh) -> float:
    """Of the face, pixels."""
    one, other = mesh.landmarks[list(FACE_WIDTH), :2]
    return float(np.linalg.norm(one - other))


@pytest.fixture(params=(0, 40, 90))
def scene(request: pytest.FixtureRequest, clip: list[np.ndarray]) -> np.ndarray:
    """A frame of the clip with a face of 52 to 109 pixels, float32."""
    return clip[request.param].astype(np.float32)


@pytest.fixture
def seen(mesher: Callable, scene: np.ndarray) -> Mesh:
    mesh = mesher()(scene.astype(np.uint8))
    assert mesh is not None
    return mesh


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("jitter", [0, 0.0002])
def test_noise_is_no_news(
    mesher: Callable, scene: np.ndarray, seen: Mesh, noise: tuple[float, float], jitter: float
) -> None:
    """Also with a tremble of 0.02 % of the face's width: landmarks have more of their own."""
    track, take, chance = mesher(tracking=True), Sensor(*noise), np.random.default_rng(1)
    told = []
    for _ in range(33):
        dx, dy = chance.normal(size=2) * jitter * width(seen)
        told.append(track(take(warped(scene, dx, dy) if jitter else scene)))
    reads = [i for i, mesh in enumerate(told) if i == 0 or mesh is not told[i - 1]]
    assert len(reads) <= 11
    assert max(np.diff(reads)) <= LONGEST + 1


def test_looks_become_rarer(mesher: Callable, portrait: np.ndarray) -> None:
    """Those from a detection, or a little beside where the face then was, are not held at all."""
    track = mesher(tracking=True)
    told = [track(portrait) for _ in range(32)]
    changes = [i for i in range(1, len(told)) if told[i] is not told[i - 1]]
    assert changes == [1, 2, 4, 8, 16, 24]


def test_what_is_told_is_the_mean_of_looks(mesher: Callable, scene: np.ndarray, seen: Mesh) -> None:
    """It trembles less than looks at each picture do."""
    take, told = Sensor(2, 4), {True: [], False: []}
    for still in told:
        track = mesher(tracking=True, still=still)
        for index in range(100):
            mesh = track(take(scene))
            if index >= 20:
                told[still].append(mesh.landmarks)
    tremble = {still: np.std(meshes, axis=0).mean() for still, meshes in told.items()}
    assert tremble[True] < 0.7 * tremble[False]
    away = np.mean(told[True], axis=0) - np.mean(told[False], axis=0)
    assert np.abs(away[:, :2]).mean() < 0.002 * width(seen)


CHANGES = {
    "the head moves": lambda scene, size, mouth: warped(scene, 0.004 * size, 0.003 * size),
    "it nods": lambda scene, size, mouth: warped(scene, 0, -0.005 * size),
    "a corner of the mouth rises": lambda scene, size, mouth: warped(
        scene, 0, -0.015 * size, mouth, 0.06 * size
    ),
    "it goes outwards": lambda scene, size, mouth: warped(
        scene, -0.01 * size, 0, mouth, 0.1 * size
    ),
    "a light goes on": lambda scene, size, mouth: scene * 1.15,
    "it goes off": lambda scene, size, mouth: scene * 0.4,
    "it comes from the side": lambda scene, size, mouth: (
        scene * np.linspace(0.7, 1.3, scene.shape[1], dtype=np.float32)[:, None]
    ),
}


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_is_read_at_once(
    mesher: Callable, scene: np.ndarray, seen: Mesh, noise: tuple[float, float], change: str
) -> None:
    track, take = mesher(tracking=True), Sensor(*noise)
    before = [track(take(scene)) for _ in range(5)]
    assert before[2] is before[3] or before[1] is before[2]  # and the last would be held as well
    assert None not in before
    other = CHANGES[change](scene, width(seen), seen.landmarks[MOUTH_CORNER, :2])
    assert track(take(other)) is not before[4]


def test_a_look_askew_is_not_held(mesher: Callable, portrait: np.ndarray, error: Callable) -> None:
    """A head that moves by 6 % and stops is seen a little askew first, and then is not."""
    size = Roi.of_landmarks(mesher()(portrait).landmarks).size
    away = np.ascontiguousarray(np.roll(portrait, round(0.06 * size), axis=1))
    track, each = mesher(tracking=True), mesher(tracking=True, still=False)
    for _ in range(4):
        track(portrait), each(portrait)
    settled = [each(away) for _ in range(8)][-1]
    first, second = track(away), track(away)
    assert error(second, settled) < 0.7 * error(first, settled)


@pytest.mark.parametrize("step", [0.0002, 0.0005, 0.001])
def test_drift_adds_up_to_no_error(mesher: Callable, clip: list[np.ndarray], step: float) -> None:
    """A face that creeps, by `step` of its width a frame, is where it is told to be."""
    scene = clip[40].astype(np.float32)
    track, each, take = mesher(tracking=True), mesher(tracking=True, still=False), Sensor(1, 2)
    size = [width(look(clip[40])) for look in (track, each) for _ in range(4)][-1]
    away, held, last = [], 0, None
    for index in range(40):
        image = take(warped(scene, step * size * index))
        told, true = track(image), each(image)
        held += told is last
        last = told
        away.append((told.landmarks - true.landmarks)[:, :2].mean(0) / size)
    assert held > 5 or step == 0.001
    assert np.abs(away).max() < 0.005
    assert np.abs(np.mean(away, axis=0)).max() < 0.0015


@pytest.mark.parametrize("phase", range(LONGEST + 2))
def test_a_face_that_comes_or_goes_is_told_at_once(
    mesher: Callable, clip: list[np.ndarray], phase: int
) -> None:
    """However long the scene before was held. One that comes may take a second frame: every second
    one without a face is searched elsewhere than in its middle."""
    take, track = Sensor(1, 2), mesher(tracking=True)
    face = clip[0].astype(np.float32)
    wall = np.full_like(face, 130)
    wall[:, 200:] = 80
    for nobody in (wall, cv2.GaussianBlur(face, (0, 0), 25)):
        track.reset()
        for _ in range(phase):
            assert track(take(nobody)) is None
        first = track(take(face))
        assert first is not None or phase
        for _ in range(phase + 1):
            assert track(take(face)) is not None
        assert track(take(nobody)) is None


def test_a_fine_pattern_that_moves_is_no_noise() -> None:
    chance = np.random.default_rng(0)
    leaves = cv2.GaussianBlur(chance.integers(0, 256, (480, 640, 3), np.uint8), (0, 0), 3)
    still = Still()
    still.look(leaves, None, None, sure=True)
    assert still(leaves)
    assert not still(np.roll(leaves, 5, 1))


def test_an_empty_room_is_searched_everywhere_and_then_now_and_then(
    models_dir: Path, clip: list[np.ndarray]
) -> None:
    recognise, take = Recognizer(models_dir), Sensor(1, 2)
    room = cv2.GaussianBlur(clip[0], (0, 0), 25).astype(np.float32)
    whole = 2 * (1 + len(elsewhere(*clip[0].shape[:2])))
    stages = [list(recognise(take(room)).timings_ms) for _ in range(whole + 2 * LONGEST + 3)]
    assert stages[0] == ["detect"]
    searched = [i for i, names in enumerate(stages) if "detect" in names]
    assert searched == [*range(whole), *(whole + i for i in (0, 2, 6, 14))]
    assert all(names == ["still"] for i, names in enumerate(stages) if i not in searched)


@pytest.mark.parametrize("model", ["svm", "gnn"])
def test_the_same_labels(models_dir: Path, clip: list[np.ndarray], model: str) -> None:
    """Of the clip as it is, and of frames that are frozen, under noise; few of them read."""
    held, each = (
        Recognizer(models_dir, model, mesh=MeshSettings(still=still)) for still in (True, False)
    )
    take = Sensor(1, 2)
    told, frozen = [], 0
    for index, image in enumerate(clip):
        shown = [image] if index % 30 else [take(clip[index].astype(np.float32)) for _ in range(24)]
        for picture in shown:
            one, other = held(picture), each(picture)
            told.append(one.label == other.label)
            frozen += list(one.timings_ms) == ["still"]
    assert all(told)
    assert frozen >= 4 * 24 * 0.75
    assert frozen <= 4 * 24  # the clip itself moves


def test_a_reading_is_held_whole(models_dir: Path, portrait: np.ndarray) -> None:
    recognise = Recognizer(models_dir)
    _, _, first, second = (recognise(portrait) for _ in range(4))
    assert second.mesh is first.mesh
    assert second.probabilities is first.probabilities
    assert (second.label, second.confidence) == (first.label, first.confidence)
    assert set(second.timings_ms) == {"still"}
    assert "still" not in first.timings_ms


def test_each_picture_for_itself(mesher: Callable, portrait: np.ndarray) -> None:
    """Without tracking, when it is switched off, and after a reset."""
    for make in ({}, {"tracking": True, "still": False}):
        look = mesher(**make)
        assert look(portrait) is not look(portrait)
    track = mesher(tracking=True)
    _, _, third, fourth = (track(portrait) for _ in range(4))
    assert third is fourth
    track.reset()
    assert track(portrait) is not fourth


def views() -> Iterator[tuple[slice, ...]]:
    yield from (np.s_[:], np.s_[::-1], np.s_[:, ::-1], np.s_[..., ::-1], np.s_[3:97, 5:141])


@given(
    cx=st.floats(-50, 250),
    cy=st.floats(-50, 150),
    size=st.floats(1, 600),
    face=st.booleans(),
    view=st.sampled_from(list(views())),
)
def test_compiled_and_numpy_see_the_same(
    cx: float, cy: float, size: float, face: bool, view: tuple[slice, ...]
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (100, 150, 3), np.uint8)[view]
    seen = []
    for compiled in (True, False):
        still = Still(compiled=compiled)
        still.look(image, None, Roi(cx, cy, size) if face else None, sure=True)
        seen.append(still._seen)
        assert still(image) == still.ready
        assert not still(image[:-1])
        if still.ready:
            assert not still(255 - image)
    assert (seen[0] is None) == (seen[1] is None)
    if seen[0] is not None:
        np.testing.assert_array_equal(*seen)


def test_means_are_means() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    still = Still(compiled=False)
    still.look(image, None, None, sure=True)  # 96 pixels: squares of 3
    expected = image[:63].reshape(21, 3, 32, 9).mean((1, 3))
    np.testing.assert_allclose(still._seen, expected.ravel(), rtol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 2, 3), (3, 700, 3), (9000, 9, 3)])
def test_pictures_of_any_shape(shape: tuple[int, ...]) -> None:
    still, image = Still(), np.full(shape, 128, np.uint8)
    still.look(image, None, None, sure=True)
    assert still(image) == still.ready
