"""The annotated picture: what a person has to see in it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge import Frame, Reading, Recognizer
from edge.annotate import HEIGHT, PANEL, annotate
from edge.mesh.topology import CONNECTIONS_FILE, tessellation


@pytest.fixture
def edges(models_dir: Path) -> np.ndarray:
    return tessellation(models_dir / CONNECTIONS_FILE)


def test_the_face_stays_visible_behind_its_mesh(
    models_dir: Path, portrait: np.ndarray, edges: np.ndarray
) -> None:
    """Here it is 90 pixels wide, and 900 edges in full strength would cover it."""
    reading = Recognizer(models_dir)(portrait)
    assert reading.mesh is not None
    drawn = annotate(Frame(portrait, 0.0, "a.png"), reading, edges)
    scale = HEIGHT / portrait.shape[0]
    points = reading.mesh.landmarks[:, :2] * scale
    (x0, y0), (x1, y1) = (points.min(axis=0) + 8).astype(int), (points.max(axis=0) - 8).astype(int)
    plain = cv2.resize(portrait[..., ::-1], (HEIGHT, HEIGHT), interpolation=cv2.INTER_AREA)
    face, covered = (image[y0:y1, x0:x1].ravel().astype(float) for image in (plain, drawn))
    assert np.corrcoef(face, covered)[0, 1] > 0.9
    assert np.abs(face - covered).mean() > 5  # and the mesh, too


def test_no_face_draws_no_bars(edges: np.ndarray) -> None:
    frame = Frame(np.full((300, 400, 3), 120, np.uint8), 0.0, "a.png")
    panel = annotate(frame, Reading("unknown", None, None, None, {}, "no face"), edges)[:, -PANEL:]
    assert (panel[:60] > 200).any()  # it says so
    assert (panel[60:] == panel[-1, -1]).all()
