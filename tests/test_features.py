"""Features keep the shape of a face and nothing of where, how large and how turned it is."""

from __future__ import annotations

from math import cos, pi, sin

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.features import FEATURES, INNER, aligned, aligned_xy, normalised
from edge.mesh.geometry import LEFT_EYE_OUTER, RIGHT_EYE_OUTER

NAMES = sorted(FEATURES)
TOLERANCE = 1e-4


@st.composite
def meshes(draw: st.DrawFn) -> np.ndarray:
    """A cloud of 468 points, 100 pixels wide, whose eyes are apart."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    mesh = rng.normal(0, 30, (468, 3))
    mesh[RIGHT_EYE_OUTER, :2], mesh[LEFT_EYE_OUTER, :2] = (-25, 5), (25, -5)
    return mesh


def moved(mesh: np.ndarray, shift: tuple[float, float], scale: float, turn: float) -> np.ndarray:
    matrix = np.array([[cos(turn), sin(turn), 0], [-sin(turn), cos(turn), 0], [0, 0, 1]]) * scale
    return (mesh @ matrix + (*shift, 0)).astype(np.float32)


@pytest.mark.parametrize("name", NAMES)
@given(
    mesh=meshes(),
    shift=st.tuples(st.floats(-640, 640), st.floats(-640, 640)),
    scale=st.floats(0.5, 20),
    turn=st.floats(-pi, pi),
)
def test_invariant(
    name: str, mesh: np.ndarray, shift: tuple[float, float], scale: float, turn: float
) -> None:
    compute = FEATURES[name].compute
    still = compute(mesh.astype(np.float32))
    np.testing.assert_allclose(compute(moved(mesh, shift, scale, turn)), still, atol=TOLERANCE)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            "inner_xyz",
        ),
        "distances",
    ],
)
def test_a_small_face_in_the_corner_of_a_large_frame(name: str) -> None:
    """40 pixels wide in a picture of 4096, the most that the settings allow."""
    rng = np.random.default_rng(0)
    mesh = rng.normal(0, 30, (468, 3))
    mesh[RIGHT_EYE_OUTER, :2], mesh[LEFT_EYE_OUTER, :2] = (-25, 5), (25, -5)
    compute = FEATURES[name].compute
    still = compute(mesh.astype(np.float32))
    for turn in np.linspace(-pi, pi, 50):
        got = compute(moved(mesh, (4000, 4000), 0.3, turn))
        np.testing.assert_allclose(got, still, atol=TOLERANCE)


@pytest.mark.parametrize("name", NAMES)
@given(mesh=meshes(), point=st.sampled_from([0, 61, 105, 291]))
def test_another_shape_is_another_feature(name: str, mesh: np.ndarray, point: int) -> None:
    """Else a constant would be invariant too."""
    compute = FEATURES[name].compute
    other = mesh.copy()
    other[point, :2] = mesh[1, :2] + 300  # far from the nose
    before, after = compute(mesh.astype(np.float32)), compute(other.astype(np.float32))
    assert np.abs(before - after).max() > 0.1


@pytest.mark.parametrize("name", NAMES)
@given(mesh=meshes())
def test_size_and_type(name: str, mesh: np.ndarray) -> None:
    vector = FEATURES[name].compute(mesh.astype(np.float32))
    assert (vector.shape, vector.dtype) == ((FEATURES[name].size,), np.float32)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0.0, 7.5, -3e4])
def test_a_point_for_a_face_is_finite(name: str, value: float) -> None:
    """The networks may answer so on a picture that holds no face."""
    with np.errstate(all="raise"):
        assert np.isfinite(FEATURES[name].compute(np.full((468, 3), value, np.float32))).all()


@pytest.mark.parametrize("name", NAMES)
def test_eyes_at_one_place_are_finite(name: str) -> None:
    mesh = np.random.default_rng(0).normal(0, 30, (468, 3)).astype(np.float32)
    mesh[RIGHT_EYE_OUTER] = mesh[LEFT_EYE_OUTER]
    assert np.isfinite(FEATURES[name].compute(mesh)).all()


@given(mesh=meshes())
def test_distances_are_distances_to_the_nose_tip(mesh: np.ndarray) -> None:
    """Mean 1, nought at the nose; depth does not count."""
    vector = FEATURES["distances"].compute(mesh.astype(np.float32))
    expected = np.linalg.norm(mesh[:, :2] - mesh[1, :2], axis=1)
    np.testing.assert_allclose(vector, expected / expected.mean(), atol=TOLERANCE)


@given(mesh=meshes())
def test_aligned_points_are_centred_level_and_of_radius_one(mesh: np.ndarray) -> None:
    points = aligned(mesh.astype(np.float32))
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=TOLERANCE)
    assert np.sqrt((points**2).sum(axis=1).mean()) == pytest.approx(1, abs=TOLERANCE)
    dx, dy, _ = points[LEFT_EYE_OUTER] - points[RIGHT_EYE_OUTER]
    assert dx > 0
    assert dy == pytest.approx(0, abs=TOLERANCE)


@given(mesh=meshes())
def test_inner_points_are_aligned_ones(mesh: np.ndarray) -> None:
    """116 of them, each once, x y z together."""
    assert len(set(INNER)) == len(INNER) == 116
    vector = FEATURES["inner_xyz"].compute(mesh.astype(np.float32))
    expected = aligned(mesh.astype(np.float32))[list(INNER)]
    np.testing.assert_array_equal(vector.reshape(116, 3), expected)


def test_a_mirrored_face_keeps_its_distances() -> None:
    """Mirror images train too; what the baseline reads of them differs by the points' names."""
    mesh = np.random.default_rng(1).normal(0, 30, (468, 3)).astype(np.float32)
    compute = FEATURES["distances"].compute
    np.testing.assert_allclose(compute(mesh * (-1, 1, 1)), compute(mesh), atol=TOLERANCE)


@given(mesh=meshes())
def test_aligned_xy_is_aligned_without_depth(mesh: np.ndarray) -> None:
    vector = aligned_xy(mesh.astype(np.float32))
    np.testing.assert_array_equal(vector.reshape(468, 2), aligned(mesh.astype(np.float32))[:, :2])


def normaliser(directions: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Some mean, orthonormal basis and gain."""
    rng = np.random.default_rng(directions)
    basis, _ = np.linalg.qr(rng.normal(0, 1, (936, directions)))
    return rng.normal(0, 1, 936), basis, rng.uniform(0.5, 20, directions)


@given(st.sampled_from([1, 30, 100]), st.floats(0, 1e4))
def test_normalised_is_bounded_and_takes_rows(directions: int, size: float) -> None:
    rows = np.random.default_rng(0).normal(0, size, (3, 936))
    together = normalised(rows, *normaliser(directions))
    assert np.abs(together).max() <= 4
    for row, nodes in zip(rows, together, strict=True):
        np.testing.assert_allclose(normalised(row, *normaliser(directions)), nodes, atol=1e-9)


def test_normalised_scales_what_it_knows_and_drops_the_rest() -> None:
    mean, basis, gain = normaliser(10)
    for k in range(10):
        got = normalised(mean + 0.1 * basis[:, k], mean, basis, gain)
        np.testing.assert_allclose(got, 0.1 * gain[k] * basis[:, k], atol=1e-9)
    noise = np.random.default_rng(1).normal(0, 1, 936)
    noise -= basis @ (basis.T @ noise)
    np.testing.assert_allclose(normalised(mean + noise, mean, basis, gain), 0, atol=1e-9)


def test_normalised_leaves_its_input_alone() -> None:
    feature = np.ones(936)
    normalised(feature, *normaliser(9))
    np.testing.assert_array_equal(feature, 1)
