"""BlazeFace: anchors, suppression, and boxes against MediaPipe's own detector."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge.mesh.detector import Detector, anchors, weighted_non_maximum_suppression
from edge.mesh.tracker import DETECTOR_FILE


def test_anchors_are_the_centres_of_two_grids() -> None:
    grid = anchors()
    assert grid.shape == (896, 2)
    np.testing.assert_allclose(grid[:3], [[1 / 32, 1 / 32]] * 2 + [[3 / 32, 1 / 32]])
    np.testing.assert_allclose(grid[512:519], [[1 / 16, 1 / 16]] * 6 + [[3 / 16, 1 / 16]])
    np.testing.assert_allclose(grid[-1], [15 / 16, 15 / 16])


def test_suppression_averages_a_face_and_keeps_another() -> None:
    boxes = np.float32([[0, 0, 10, 10], [0, 0, 10, 12], [50, 50, 60, 60]])
    (face, score), (other, _) = weighted_non_maximum_suppression(boxes, np.float32([0.6, 0.9, 0.7]))
    assert score == pytest.approx(0.9)
    np.testing.assert_allclose(face, [0, 0, 10, (0.6 * 10 + 0.9 * 12) / 1.5], rtol=1e-6)
    np.testing.assert_allclose(other, boxes[2])


def test_suppression_of_nothing_is_nothing() -> None:
    assert weighted_non_maximum_suppression(np.empty((0, 16), np.float32), np.empty(0)) == []


def test_two_faces_are_two_detections(models_dir: Path, portrait: np.ndarray) -> None:
    face = portrait[30:220, 140:310]
    both = np.hstack([face, face[::2, ::2].repeat(1, axis=0)[np.arange(190) % 95]])
    detect = Detector(models_dir / DETECTOR_FILE)
    found = detect(np.ascontiguousarray(np.hstack([face, both[:, 170:]])))
    assert len(found) >= 2
    assert max(found, key=lambda d: d.area).cx < 130  # the large one is on the left


def test_boxes_are_mediapipes(models_dir: Path, photographs: Iterator[np.ndarray]) -> None:
    solutions = pytest.importorskip(
        "mediapipe.python.solutions.face_detection", reason="no mediapipe for this Python"
    )
    detect, differences, agreed, count = Detector(models_dir / DETECTOR_FILE), [], 0, 0
    with solutions.FaceDetection(model_selection=0, min_detection_confidence=0.5) as reference:
        for image in photographs:
            height, width = image.shape[:2]
            ours, theirs = detect(image), reference.process(image).detections or []
            count += 1
            agreed += len(ours) == len(theirs)
            if ours and theirs:
                told = theirs[0].location_data.relative_bounding_box
                x, y = told.xmin * width, told.ymin * height
                expected = np.array([x, y, x + told.width * width, y + told.height * height])
                face = ours[0]
                x, y = face.cx - face.width / 2, face.cy - face.height / 2
                box = np.array([x, y, x + face.width, y + face.height])
                off = np.abs(box - expected).max()
                differences.append(off / (expected[2] - expected[0]))
    assert agreed >= 0.98 * count
    assert np.median(differences) < 0.005
    assert np.percentile(differences, 95) < 0.02
