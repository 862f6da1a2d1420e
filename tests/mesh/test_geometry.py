"""The crop against OpenCV's warpPerspective, which MediaPipe uses; ROIs and their way back."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.mesh.geometry import Cropper, Roi

SMOOTH = cv2.GaussianBlur(
    np.random.default_rng(0).integers(0, 255, (240, 320, 3), dtype=np.uint8), (0, 0), 2
)
rois = st.builds(
    Roi,
    cx=st.floats(-100, 420),
    cy=st.floats(-100, 340),
    size=st.floats(4, 900),
    angle=st.floats(-np.pi, np.pi),
)


def by_opencv(image: np.ndarray, roi: Roi, size: int, border: int) -> np.ndarray:
    """The same crop as MediaPipe makes it, float32 0 to 1."""
    ox, oy, ux, uy = roi.axes()
    x, y = np.array([ux, uy]) * roi.size, np.array([-uy, ux]) * roi.size
    corners = np.array([ox, oy], np.float32) + np.float32([x * 0, x, x + y, y])
    corners = corners.astype(np.float32)
    square = np.float32([[0, 0], [size, 0], [size, size], [0, size]])
    matrix = cv2.getPerspectiveTransform(corners, square)
    warped = cv2.warpPerspective(
        image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=border
    )
    return warped.astype(np.float32) / 255


@given(roi=rois)
@settings(max_examples=60, deadline=None)
def test_crop_is_opencvs_to_within_two_of_255(roi: Roi) -> None:
    out = np.empty((96, 96, 3), np.float32)
    Cropper(96)(SMOOTH, roi, out)
    expected = by_opencv(SMOOTH, roi, 96, cv2.BORDER_REPLICATE)
    assert np.abs(out - expected).max() * 255 < 2
    assert np.abs(out - expected).mean() * 255 < 0.6


@given(roi=rois)
@settings(max_examples=60, deadline=None)
def test_an_upright_roi_is_cropped_like_one_turned_by_a_hair(roi: Roi) -> None:
    upright, turned = np.empty((2, 96, 96, 3), np.float32)
    crop = Cropper(96, low=-1)
    crop(SMOOTH, replace(roi, angle=0.0), upright)
    crop(SMOOTH, replace(roi, angle=1e-9), turned)
    assert np.abs(upright - turned).max() * 127.5 < 1


@pytest.mark.parametrize("shape", [(240, 320), (320, 240), (48, 48), (1, 1), (2, 200)])
def test_letterbox_is_black_outside(shape: tuple[int, int]) -> None:
    image = np.ascontiguousarray(SMOOTH[:240, : shape[1]][: shape[0]])
    roi = Roi.of_picture(*image.shape[:2])
    out = np.empty((128, 128, 3), np.float32)
    Cropper(128, low=-1, high=1, outside="black")(image, roi, out)
    expected = by_opencv(image, roi, 128, cv2.BORDER_CONSTANT) * 2 - 1
    # OpenCV rounds positions to 1/32 pixel: across a black border that is up to 255/32.
    assert np.abs(out - expected).max() * 127.5 < 10
    assert np.abs(out - expected).mean() * 127.5 < 1


def test_views_are_cropped_like_copies() -> None:
    view = SMOOTH[:, ::-1, ::-1]
    one, other = np.empty((2, 64, 64, 3), np.float32)
    crop = Cropper(64)
    crop(view, Roi(150, 100, 90, 0.4), one)
    crop(np.ascontiguousarray(view), Roi(150, 100, 90, 0.4), other)
    np.testing.assert_array_equal(one, other)


@given(roi=rois)
def test_points_of_the_crop_return_to_the_frame(roi: Roi) -> None:
    corners = np.float32([[0, 0, 0], [0.5, 0.5, 0.1], [1, 0, 0]])
    back = roi.to_frame(corners)
    ox, oy, ux, uy = roi.axes()
    np.testing.assert_allclose(back[0, :2], [ox, oy], atol=1e-2)
    np.testing.assert_allclose(back[1], [roi.cx, roi.cy, 0.1 * roi.size], atol=1e-2)
    np.testing.assert_allclose(back[2, :2], [ox + ux * roi.size, oy + uy * roi.size], atol=1e-2)


def test_roi_of_landmarks_levels_the_eyes_and_holds_the_face() -> None:
    landmarks = np.zeros((468, 3), np.float32)
    landmarks[:, :2] = np.random.default_rng(1).uniform(100, 200, (468, 2))
    landmarks[33, :2], landmarks[263, :2] = (120, 140), (180, 170)
    roi = Roi.of_landmarks(landmarks)
    assert roi.angle == pytest.approx(np.arctan2(30, 60))
    assert roi.size == pytest.approx(1.5 * max(np.ptp(landmarks[:, :2], axis=0)))


def test_an_unknown_border_is_an_error() -> None:
    with pytest.raises(ValueError, match="'edge', 'black'"):
        Cropper(8, outside="grey")


moving = st.builds(Roi, st.floats(0, 640), st.floats(0, 480), st.floats(40, 400), st.floats(-3, 3))
steps = st.tuples(
    st.floats(-8, 8), st.floats(-8, 8), st.floats(-0.09, 0.09), st.floats(-0.09, 0.09)
)


def moved(roi: Roi, right: float, down: float, grown: float, turned: float) -> Roi:
    return Roi(roi.cx + right, roi.cy + down, roi.size * (1 + grown), roi.angle + turned)


@given(moving, steps)
def test_what_moves_goes_on_and_what_trembles_stays(
    earlier: Roi, step: tuple[float, float, float, float]
) -> None:
    before = moved(earlier, *step)
    after = moved(before, *step)
    ahead = after.ahead_of(before, earlier)
    far, grown, turned = np.hypot(*step[:2]) / before.size, abs(step[2]), abs(step[3])
    if far < 0.015 and grown < 0.015 and turned < 0.03:
        assert ahead == after
    fast = far > 0.07 or grown > 0.07 or turned > 0.095
    if (far > 0.03 or grown > 0.03 or turned > 0.04) and not fast:
        assert ahead.step_from(after) == pytest.approx(step, abs=1e-6)


@given(moving, steps)
def test_what_turns_back_is_expected_where_it_is(
    earlier: Roi, step: tuple[float, float, float, float]
) -> None:
    before = moved(earlier, *step)
    after = moved(before, *(-part for part in step))
    assert after.ahead_of(before, earlier).step_from(after) == pytest.approx((0, 0, 0, 0), abs=1e-6)


def test_what_is_looked_at_twice_anyway_is_not_expected_elsewhere() -> None:
    after = Roi(40, 0, 100)
    assert after.ahead_of(Roi(20, 0, 100), Roi(0, 0, 100)) == after


def test_a_turn_goes_on_across_half_a_circle() -> None:
    before = Roi(9, 9, 50, np.pi - 0.06)
    ahead = Roi(9, 9, 50, -np.pi + 0.02).ahead_of(before, Roi(9, 9, 50, np.pi - 0.14))
    assert ahead.angle == pytest.approx(-np.pi + 0.1)
