"""Our mesh against MediaPipe's FaceMesh, the reference: on photographs and on a moving face."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edge.cameras.y4m import Y4m
from edge.mesh.geometry import Roi
from edge.mesh.mediapipe import MediaPipeMesher
from edge.settings import MeshSettings

pytest.importorskip("mediapipe", reason="mediapipe 0.10.18 has no wheel for this Python")


def compare(
    ours: Callable, reference: Callable, images: Iterable[np.ndarray], error: Callable
) -> tuple[np.ndarray, float]:
    """Errors where both see a face, and the share of pictures on which they agree whether."""
    errors, agreed = [], []
    for image in images:
        a, b = ours(image), reference(image)
        agreed.append((a is None) == (b is None))
        if a is not None and b is not None:
            errors.append(error(a, b))
    return np.array(errors), float(np.mean(agreed))


def check(errors: np.ndarray, agreed: float) -> None:
    assert len(errors) > 50
    assert agreed >= 0.98
    assert np.median(errors) <= 0.005
    assert np.percentile(errors, 95) <= 0.015


def test_still_photographs(
    mesher: Callable, photographs: Iterator[np.ndarray], error: Callable
) -> None:
    reference = MediaPipeMesher(MeshSettings(), tracking=False)
    check(*compare(mesher(select="surest", crop_looks=1), reference, photographs, error))


def test_tracked_clip(
    mesher: Callable, models_dir: Path, error: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MediaPipe looks where the face was, we where it goes on to: here we do as it does."""
    monkeypatch.setattr(Roi, "ahead_of", lambda self, before, earlier: self)
    reference = MediaPipeMesher(MeshSettings(), tracking=True)
    frames = (frame.image for frame in Y4m(models_dir / "sample.y4m"))
    check(*compare(mesher(tracking=True, select="surest"), reference, frames, error))


def test_of_what_moves_our_meshes_are_nearer_to_those_of_still_pictures(
    mesher: Callable, models_dir: Path, error: Callable
) -> None:
    frames = [frame.image for frame in Y4m(models_dir / "sample.y4m")]
    alone, off = mesher(), []
    for follow in (mesher(tracking=True), MediaPipeMesher(MeshSettings(), tracking=True)):
        off.append(np.median(compare(follow, alone, frames, error)[0]))
    assert off[0] < 0.8 * off[1]


def test_z_is_mediapipes_too(mesher: Callable, portrait: np.ndarray) -> None:
    ours, theirs = (
        mesher(crop_looks=1)(portrait),
        MediaPipeMesher(MeshSettings(), tracking=False)(portrait),
    )
    assert ours is not None and theirs is not None
    depth = np.ptp(theirs.landmarks[:, 2])
    assert np.abs(ours.landmarks[:, 2] - theirs.landmarks[:, 2]).max() < 0.02 * depth


def test_reference_forgets_on_reset(portrait: np.ndarray) -> None:
    reference = MediaPipeMesher(MeshSettings(), tracking=True)
    assert reference(portrait) is not None
    reference.reset()
    assert reference(np.full_like(portrait, 127)) is None
