"""What is left of a mesh however it is moved, turned and scaled."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.mesh.shape import change, shape

MESH = np.random.default_rng(0).normal(100, 30, (468, 3)).astype(np.float32)


@given(st.floats(-np.pi, np.pi), st.floats(0.2, 5), st.floats(-500, 500), st.floats(-500, 500))
def test_no_movement_changes_it(angle: float, scale: float, right: float, down: float) -> None:
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = MESH.copy()
    moved[:, :2] = MESH[:, :2] @ turn.T + (right, down)
    assert change(shape(MESH), shape(moved)) < 0.002


def test_how_much_it_changed() -> None:
    """In shares of the points' spread; depth does not count, and a mirror image is another one."""
    spread = np.sqrt(((MESH[:, :2] - MESH[:, :2].mean(axis=0)) ** 2).sum(axis=1).mean())
    noise = np.random.default_rng(1).normal(0, 0.02 * spread / sqrt(2), MESH.shape)
    noisy = (MESH + noise).astype(np.float32)
    assert change(shape(MESH), shape(noisy)) == pytest.approx(0.02, rel=0.05)
    assert change(shape(noisy), shape(MESH)) == change(shape(MESH), shape(noisy))
    assert change(shape(MESH), shape(MESH * np.float32([1, 1, 9]))) < 0.001
    assert change(shape(MESH), shape(MESH * np.float32([-1, 1, 1]))) > 0.5
