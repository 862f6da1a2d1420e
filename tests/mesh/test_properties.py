"""Turning, shifting, scaling or mirroring the picture does the same to the mesh.

Bounds are shares of the distance between the outer eye corners. They are what the mesh network
leaves: it was trained on upright faces of all sizes, so shift, turn and scale come through the
ROI and cost little; mirroring runs other weights and costs most.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.mesh.geometry import LEFT_EYE_OUTER, RIGHT_EYE_OUTER, Roi

SIZE = (560, 560)
FACE = (222.0, 118.0)


def transformed(portrait: np.ndarray, angle: float, scale: float, dx: float, dy: float):
    """The portrait's face turned, scaled and put at the centre + (dx, dy); and the matrix."""
    matrix = cv2.getRotationMatrix2D(FACE, angle, scale)
    matrix[:, 2] += np.array(SIZE) / 2 - FACE + np.array([dx, dy])
    warped = cv2.warpAffine(portrait, matrix, SIZE, borderMode=cv2.BORDER_REPLICATE)
    return warped, matrix


def off(found: np.ndarray, expected: np.ndarray) -> float:
    eyes = np.linalg.norm(expected[RIGHT_EYE_OUTER, :2] - expected[LEFT_EYE_OUTER, :2])
    return float(np.linalg.norm(found[:, :2] - expected[:, :2], axis=1).mean() / eyes)


def settled(mesher: Callable, image: np.ndarray):
    """A tracked mesh after two frames, as on a camera: its ROI comes from landmarks."""
    track = mesher(tracking=True)
    track(image)
    return track(image)


@given(
    angle=st.floats(-30, 30),
    scale=st.floats(0.9, 2.0),
    dx=st.floats(-60, 60),
    dy=st.floats(-60, 60),
)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_mesh_moves_with_the_picture(
    mesher: Callable, portrait: np.ndarray, angle: float, scale: float, dx: float, dy: float
) -> None:
    upright, base = transformed(portrait, 0, 1, 0, 0)
    moved, matrix = transformed(portrait, angle, scale, dx, dy)
    reference, found = settled(mesher, upright), settled(mesher, moved)
    assert reference is not None and found is not None
    back = cv2.invertAffineTransform(base)
    points = reference.landmarks[:, :2] @ back[:, :2].T + back[:, 2]
    expected = points @ matrix[:, :2].T + matrix[:, 2]
    assert off(found.landmarks, expected) < 0.03


@pytest.mark.parametrize("shift", [(3, 0), (0, -7), (25, 40)])
def test_a_shift_by_whole_pixels_shifts_the_mesh_by_them(
    mesher: Callable, portrait: np.ndarray, shift: tuple[int, int]
) -> None:
    reference = mesher()(portrait)
    moved = mesher()(np.roll(portrait, shift[::-1], (0, 1)))
    expected = reference.landmarks[:, :2] + np.array(shift)
    # The detector sees other pixels of its coarse grid; the ROI differs by a little.
    assert off(moved.landmarks, expected) < 0.02


def test_the_very_same_roi_shifted_gives_the_very_same_mesh(
    mesher: Callable, portrait: np.ndarray
) -> None:
    look = mesher()._look
    one = look(portrait, Roi(222, 118, 150, 0.1)).landmarks
    other = look(np.roll(portrait, (9, 5), (0, 1)), Roi(227, 127, 150, 0.1)).landmarks
    np.testing.assert_allclose(other - one, np.tile([5, 9, 0], (468, 1)), atol=2e-3)


def test_a_mirrored_picture_gives_a_mirrored_face(mesher: Callable, portrait: np.ndarray) -> None:
    reference = settled(mesher, portrait).landmarks
    mirrored = settled(mesher, np.ascontiguousarray(portrait[:, ::-1])).landmarks
    mirrored[:, 0] = portrait.shape[1] - 1 - mirrored[:, 0]
    # Points change sides: compare what the mirror maps on itself or on its twin.
    pairs = [(33, 263), (61, 291), (133, 362), (50, 280), (1, 1), (152, 152), (10, 10)]
    eyes = np.linalg.norm(reference[33, :2] - reference[263, :2])
    for left, right in pairs:
        distance = np.linalg.norm(reference[left, :2] - mirrored[right, :2])
        assert distance / eyes < 0.05, (left, right)
