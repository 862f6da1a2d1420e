"""What is done to pictures: more of it at each severity, the same again, and nothing else."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.robustness import corrupt
from benchmarks.robustness.conditions import CLEAN, CONDITIONS, FRAME, Condition, Scene
from edge import Recognizer

BY_NAME = {condition.name: condition for condition in CONDITIONS}
STILL = [c for c in CONDITIONS if c.family != "geometry"]


@pytest.fixture(scope="module")
def photograph(portrait: np.ndarray, models_dir: Path) -> Scene:
    """The portrait's face in 192 × 192 pixels, as in a photograph's crop."""
    small = cv2.resize(portrait[20:260, 100:340], (192, 192), interpolation=cv2.INTER_AREA)
    mesh = Recognizer(models_dir, tracking=False)(small).mesh
    assert mesh is not None
    small.setflags(write=False)
    return Scene("photograph", small, mesh.landmarks)


@pytest.fixture(scope="module")
def crop(photograph: Scene) -> Scene:
    small = cv2.resize(photograph.picture, (48, 48), interpolation=cv2.INTER_AREA)
    small.setflags(write=False)
    return Scene("crop", small, photograph.mesh / 4)


def scenes(condition: Condition, *given: Scene) -> list[Scene]:
    return [scene for scene in given if scene.kind in condition.kinds]


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda c: c.name)
def test_frames_are_pictures_and_the_same_again(
    condition: Condition, photograph: Scene, crop: Scene
) -> None:
    for scene in scenes(condition, photograph, crop):
        for level in condition.levels:
            frames = condition.frames(scene, level, "a picture")
            for frame in frames:
                assert frame.dtype == np.uint8 and frame.ndim == 3 and frame.shape[2] == 3
            if scene.kind == "photograph":
                assert frames[-1].shape[1::-1] == FRAME
            elif condition.name not in ("smaller", "larger"):
                assert frames[-1].shape == scene.picture.shape
            again = condition.frames(scene, level, "a picture")
            np.testing.assert_array_equal(frames[-1], again[-1])


@pytest.mark.parametrize("condition", STILL, ids=lambda c: c.name)
def test_each_severity_changes_more(condition: Condition, photograph: Scene, crop: Scene) -> None:
    for scene in (photograph, crop):
        clean = CLEAN.frames(scene, 0, "")[-1].astype(float)
        for name in ("one picture", "another", "a third"):
            changed = [
                np.abs(condition.frames(scene, level, name)[-1] - clean).mean()
                for level in condition.levels
            ]
            assert changed[0] > 0
            assert changed == sorted(changed), (scene.kind, name)


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda c: c.name)
def test_severities_are_five_the_mildest_first(condition: Condition) -> None:
    distance = [abs(np.log(v)) if "×" in condition.unit else v for v in condition.levels]
    if condition.name in ("shot noise", "JPEG"):  # fewer photons, less quality
        distance = [-v for v in distance]
    assert len(distance) == 5 and distance == sorted(set(distance))
    assert set(condition.reach) <= set(condition.levels)


def test_what_is_drawn_by_lot_differs_among_pictures(photograph: Scene) -> None:
    for name in ("Gaussian noise", "shot noise", "hand"):
        one, other = (BY_NAME[name].frames(photograph, 0.3, who)[-1] for who in "ab")
        assert (one != other).any()


def test_brightness_and_contrast() -> None:
    image = np.full((4, 4, 3), 100, np.uint8)
    image[0] = 200
    dark = corrupt.brightness(image, 0.6)
    assert (dark[0] == 120).all() and (dark[1:] == 60).all()
    assert (corrupt.brightness(image, 1.4)[0] == 255).all()
    flat = corrupt.contrast(image, 0.2)  # mean 125
    assert (flat[0] == 140).all() and (flat[1:] == 120).all()


def test_light_falls_from_one_side() -> None:
    image = np.full((2, 11, 3), 200, np.uint8)
    seen = {
        tuple(corrupt.side_light(image, 0.5, np.random.default_rng(seed))[0, [0, -1], 0].tolist())
        for seed in range(20)
    }
    assert seen == {(200, 100), (100, 200)}


def test_noise_is_as_strong_as_it_says() -> None:
    image, rng = np.full((64, 64, 3), 128, np.uint8), np.random.default_rng(0)
    assert corrupt.gaussian_noise(image, 10, rng).std() == pytest.approx(10, rel=0.05)
    # 128 of 255 is half of 100 photons: their deviation is √50, in values 255 / 100 as much.
    shot = corrupt.shot_noise(image, 100, rng)
    assert shot.std() == pytest.approx(50**0.5 * 2.55, rel=0.05)
    assert shot.mean() == pytest.approx(128, abs=1)


@given(dx=st.integers(-9, 9), dy=st.integers(-9, 9))
def test_a_shift_moves_pixels(dx: int, dy: int) -> None:
    image = np.random.default_rng(0).integers(0, 255, (30, 40, 3), np.uint8)
    out = corrupt.moved(image, corrupt.shifted(dx, dy), (40, 30), np.array([1, 2, 3]))
    inside = image[max(-dy, 0) : 30 - max(dy, 0), max(-dx, 0) : 40 - max(dx, 0)]
    top, left = max(dy, 0), max(dx, 0)
    np.testing.assert_array_equal(
        out[top : top + inside.shape[0], left : left + inside.shape[1]], inside
    )
    if dx > 0:
        assert (out[:, 0] == (1, 2, 3)).all()


def test_shrinking_averages_pixels() -> None:
    """A chequerboard of single pixels becomes grey, and nothing else."""
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    small = corrupt.moved(
        np.dstack([board] * 3),
        corrupt.shifted(-0.25, -0.25) @ corrupt.scaled(0.5),
        (32, 32),
        None,
    )
    assert abs(small.astype(int) - 127).max() <= 1


def test_a_face_stays_in_the_middle_and_grows(photograph: Scene) -> None:
    """The turned, grown face is where the matrix says: at the middle of the frame."""
    for name, level in (("rotation", 180), ("larger", 2), ("smaller", 0.5)):
        frame = BY_NAME[name].frames(photograph, level, "x")[-1]
        ground = frame[0, 0].astype(int)
        rows, columns = np.nonzero(np.abs(frame - ground).sum(axis=2) > 30)
        size = columns.max() - columns.min() + 1
        expected = 192 * (1 if name == "rotation" else level)
        assert size == pytest.approx(expected, rel=0.05)
        assert (rows.min() + rows.max()) / 2 == pytest.approx(239.5, abs=expected / 4)


def test_towards_the_edge(photograph: Scene) -> None:
    """As much of the face as the severity says is outside."""
    width, height = photograph.face
    for who in "abcdefgh":
        frame = BY_NAME["towards the edge"].frames(photograph, 0.45, who)[-1]
        ground = photograph.picture.mean(axis=(0, 1))
        rows, columns = np.nonzero(np.abs(frame - ground).sum(axis=2) > 60)
        assert rows.min() == 0 or columns.min() == 0 or rows.max() == 479 or columns.max() == 639, (
            who
        )
        # Of a picture of 192 pixels 0.45 of the face are gone, and what lies beyond the face.
        left = min(np.ptp(rows) / height, np.ptp(columns) / width)
        assert left < 0.55 + 96 / min(width, height)


def test_a_face_that_turns_is_followed_step_by_step(photograph: Scene) -> None:
    assert len(BY_NAME["rotation, followed"].frames(photograph, 60, "x")) == 13
    single = BY_NAME["rotation"].frames(photograph, 180, "x")[-1]
    last = BY_NAME["rotation, followed"].frames(photograph, 180, "x")[-1]
    assert np.abs(single.astype(int) - last).mean() < 1


def test_what_covers_the_face_is_where_it_should_be(photograph: Scene) -> None:
    """A mask lies over the mouth and not the eyes, glasses over the eyes and not the mouth."""
    picture, mesh = photograph.picture, photograph.mesh

    def covered(changed: np.ndarray, point: int) -> bool:
        x, y = np.rint(mesh[point, :2]).astype(int)
        return bool((changed[y, x] != picture[y, x]).any())

    masked = corrupt.mask(picture, mesh, 0.5)
    assert covered(masked, 13) and not covered(masked, 159) and not covered(masked, 386)
    worn = corrupt.glasses(picture, mesh, 0.15)
    assert covered(worn, 159) and covered(worn, 386) and not covered(worn, 13)
    touched = corrupt.hand(picture, mesh, 0.4, np.random.default_rng(1))
    share = (touched != picture).any(axis=2).sum() / photograph.face[0] ** 2
    assert share == pytest.approx(0.16, rel=0.2)  # its rim is smooth
