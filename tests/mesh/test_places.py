"""Faces that the detector does not see in the whole frame: far away, tilted, upside down, lost."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.mesh import tracker
from edge.mesh.geometry import LEFT_EYE_OUTER, RIGHT_EYE_OUTER, Roi
from edge.mesh.places import FINEST, elsewhere

WIDTH, HEIGHT = 640, 480
CYCLE = 60
"""Frames, 4 seconds at 15 a second, in which a face is found wherever it is."""


@given(width=st.integers(320, 4000), height=st.integers(320, 4000), data=st.data())
def test_a_face_is_whole_in_a_part(width: int, height: int, data: st.DataObject) -> None:
    """Faces that are too small for the coarser parts, wherever they are in the frame."""
    parts = [place for place in elsewhere(height, width) if place.angle == 0]
    for size in {place.size for place in parts}:
        assert size >= FINEST
        face = data.draw(st.floats(1, min(size / 4, width, height)))
        x, y = data.draw(st.floats(0, width - face)), data.draw(st.floats(0, height - face))
        assert any(
            abs(x + face / 2 - place.cx) <= (size - face) / 2 + 1e-6
            and abs(y + face / 2 - place.cy) <= (size - face) / 2 + 1e-6
            for place in parts
            if place.size == size
        )


def test_a_small_picture_is_looked_at_whole() -> None:
    places = elsewhere(192, 128)
    assert {(place.cx, place.cy) for place in places} == {(64, 96)}
    assert {place.size for place in places} == {192, 288}


def scene(portrait: np.ndarray, scale: float, degrees: float, at: tuple[float, float]) -> tuple:
    """The portrait on a grey frame, and what takes its pixels there, (2, 3)."""
    middle = (portrait.shape[1] / 2, portrait.shape[0] / 2)
    matrix = cv2.getRotationMatrix2D(middle, degrees, scale)
    matrix[:, 2] += at[0] - middle[0], at[1] - middle[1]
    small = cv2.GaussianBlur(portrait, (0, 0), 0.4 / scale) if scale < 0.7 else portrait
    frame = cv2.warpAffine(small, matrix, (WIDTH, HEIGHT), borderValue=(127,) * 3)
    return frame, matrix


SCENES = {
    "close": (1.0, 0.0, (320.0, 240.0)),
    "far": (0.5, 0.0, (160.0, 200.0)),
    "at the back of the room": (0.25, 10.0, (520.0, 150.0)),
    "in a corner": (0.3, 0.0, (45.0, 435.0)),
    "lying": (1.0, 90.0, (320.0, 240.0)),
    "lying on the other side": (1.0, -80.0, (320.0, 240.0)),
    "upside down": (1.0, 180.0, (320.0, 240.0)),
    "nearly": (0.9, 150.0, (320.0, 240.0)),
}


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("tracking", [False, True], ids=["picture", "camera"])
def test_it_is_found_the_right_way_up(
    mesher: Callable, portrait: np.ndarray, name: str, tracking: bool
) -> None:
    """Where the portrait's own mesh comes to lie, within a tenth of the eyes' distance."""
    frame, matrix = scene(portrait, *SCENES[name])
    own = mesher()(portrait).landmarks[:, :2]
    expected = own @ matrix[:, :2].T + matrix[:, 2]
    look = mesher(tracking=tracking)  # nothing moves: all of the frame is searched all the same
    meshes = [look(frame) for _ in range(CYCLE if tracking else 1)]
    assert meshes[-1] is not None
    eyes = np.linalg.norm(expected[RIGHT_EYE_OUTER] - expected[LEFT_EYE_OUTER])
    off = np.linalg.norm(meshes[-1].landmarks[:, :2] - expected, axis=1).mean()
    assert off < 0.1 * eyes
    if name == "close":
        assert meshes[0] is not None


def test_a_face_that_fills_the_picture(mesher: Callable, portrait: np.ndarray) -> None:
    """And more: neither forehead nor chin is in it."""
    own = mesher()(portrait).landmarks[:, :2]
    middle, reach = (own.min(axis=0) + own.max(axis=0)) / 2, 0.3 * np.ptp(own, axis=0).max()
    (x0, y0), (x1, y1) = (middle - reach).astype(int), (middle + reach).astype(int)
    mesh = mesher()(np.ascontiguousarray(portrait[y0:y1, x0:x1]))
    assert mesh is not None
    off = np.linalg.norm(mesh.landmarks[:, :2] + (x0, y0) - own, axis=1).mean()
    assert off < 0.1 * np.linalg.norm(own[RIGHT_EYE_OUTER] - own[LEFT_EYE_OUTER])


@pytest.fixture
def asked(monkeypatch) -> list[Roi | None]:
    """The places in which the detector looks."""
    places: list[Roi | None] = []
    original = tracker.Detector.__call__

    def ask(self: object, image: np.ndarray, place: Roi | None = None) -> object:
        places.append(place)
        return original(self, image, place)

    monkeypatch.setattr(tracker.Detector, "__call__", ask)
    return places


def test_a_frame_costs_one_look_and_every_second_is_the_whole(
    mesher: Callable, asked: list[Roi | None]
) -> None:
    track, empty = mesher(tracking=True, still=False), np.full((HEIGHT, WIDTH, 3), 127, np.uint8)
    for number in range(2 * len(elsewhere(HEIGHT, WIDTH))):
        assert track(empty) is None
        assert len(asked) == number + 1
    assert set(asked[::2]) == {Roi.of_picture(HEIGHT, WIDTH)}
    assert set(asked[1::2]) == set(elsewhere(HEIGHT, WIDTH))


def test_a_far_face_that_was_lost_is_found_where_it_was(
    mesher: Callable, portrait: np.ndarray, asked: list[Roi | None]
) -> None:
    frame, _ = scene(portrait, 0.25, 40, (520, 150))
    track, empty = mesher(tracking=True, still=False), np.full_like(frame, 127)
    face = [track(frame) for _ in range(CYCLE)][-1].landmarks[:, :2]
    assert track(empty) is None
    asked.clear()
    assert track(frame) is not None
    assert np.linalg.norm((asked[0].cx, asked[0].cy) - face.mean(axis=0)) < 0.2 * np.ptp(face)


def test_nothing_is_seen_in_parts_of_an_empty_room(mesher: Callable) -> None:
    """Its grain, its shapes and its edges are no face, however often they are looked at."""
    chance = np.random.default_rng(0)
    grain = chance.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    shapes = cv2.GaussianBlur(chance.normal(0, 1, (HEIGHT, WIDTH, 3)), (0, 0), 6)
    shapes = cv2.normalize(shapes, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    bricks = chance.integers(60, 200, (24, 32, 3), np.uint8).repeat(20, 0).repeat(20, 1)
    assert [mesher()(image) for image in (grain, shapes, bricks)] == [None] * 3
