"""The mesh of a changed picture is the changed mesh: `edge` on the sample clip's face."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.robustness import corrupt
from edge import Recognizer
from edge.cameras.y4m import Y4m
from edge.mesh.geometry import LEFT_EYE_OUTER, RIGHT_EYE_OUTER

Array = np.ndarray


@pytest.fixture(scope="module")
def frame(models_dir: Path) -> Array:
    """(300, 400, 3): the first of the clip; its face is 50 pixels wide."""
    return np.asarray(next(iter(Y4m(models_dir / "sample.y4m"))).image)


@pytest.fixture(scope="module")
def recognise(models_dir: Path) -> Recognizer:
    return Recognizer(models_dir, tracking=True)


def mesh_of(recognise: Recognizer, image: Array) -> Array | None:
    """As on a camera, after a few frames: from where the landmarks were."""
    recognise.reset()
    found = [recognise(image).mesh for _ in range(3)][-1]
    return None if found is None else found.landmarks


def off(found: Array, expected: Array) -> float:
    """Mean distance of the landmarks, as a share of that of the outer eye corners."""
    eyes = np.linalg.norm(expected[RIGHT_EYE_OUTER, :2] - expected[LEFT_EYE_OUTER, :2])
    return float(np.linalg.norm(found[:, :2] - expected[:, :2], axis=1).mean() / eyes)


@given(
    degrees=st.floats(-30, 30),
    factor=st.floats(0.95, 2),
    dx=st.floats(-80, 80),
    dy=st.floats(-50, 50),
)
@settings(max_examples=25)
def test_turned_scaled_and_shifted(
    frame: Array, recognise: Recognizer, degrees: float, factor: float, dx: float, dy: float
) -> None:
    mesh = mesh_of(recognise, frame)
    assert mesh is not None
    x, y = (mesh[:, :2].min(axis=0) + mesh[:, :2].max(axis=0)) / 2
    matrix = (
        corrupt.shifted(200 + dx, 150 + dy)
        @ corrupt.turned(degrees)
        @ corrupt.scaled(factor)
        @ corrupt.shifted(-x, -y)
    )
    changed = mesh_of(recognise, corrupt.moved(frame, matrix, (400, 300), None))
    assert changed is not None
    expected = mesh[:, :2] @ matrix[:2, :2].T + matrix[:2, 2]
    assert off(changed, expected) < 0.04


@given(factor=st.floats(0.6, 1.4))
@settings(max_examples=15)
def test_brighter_and_darker(frame: Array, recognise: Recognizer, factor: float) -> None:
    mesh = mesh_of(recognise, frame)
    changed = mesh_of(recognise, corrupt.brightness(frame, factor))
    assert mesh is not None and changed is not None
    assert off(changed, mesh) < 0.03


@given(degrees=st.floats(-180, 180))
@settings(max_examples=10)
def test_a_face_that_turns_all_the_way_is_followed(
    frame: Array, recognise: Recognizer, degrees: float
) -> None:
    """The detector knows upright faces only; the tracker follows to any angle."""
    mesh = mesh_of(recognise, frame)
    assert mesh is not None
    x, y = (mesh[:, :2].min(axis=0) + mesh[:, :2].max(axis=0)) / 2
    steps = int(abs(degrees) // 15) + 1
    changed = None
    for step in range(steps + 1):
        turn = corrupt.turned(degrees * step / steps)
        matrix = corrupt.shifted(200, 150) @ turn @ corrupt.shifted(-x, -y)
        image = corrupt.moved(frame, matrix, (400, 300), None)
        if step == 0:
            recognise.reset()
        changed = recognise(image).mesh
    for _ in range(2):
        changed = recognise(image).mesh
    assert changed is not None
    expected = mesh[:, :2] @ matrix[:2, :2].T + matrix[:2, 2]
    assert off(changed.landmarks, expected) < 0.04
