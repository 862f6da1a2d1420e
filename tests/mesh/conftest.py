"""Photographs, and the distance between two meshes."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edge.cameras.opencv import decode
from edge.mesh.geometry import LEFT_EYE_OUTER, RIGHT_EYE_OUTER
from edge.mesh.tracker import DETECTOR_FILE, LANDMARK_FILE, Mesher
from edge.settings import MeshSettings
from edge.types import Mesh


def mesh_error(ours: Mesh, reference: Mesh) -> float:
    """Mean distance of corresponding points (x, y, z), as a share of that of the eye corners."""
    eyes = reference.landmarks[RIGHT_EYE_OUTER] - reference.landmarks[LEFT_EYE_OUTER]
    distance = np.linalg.norm(ours.landmarks - reference.landmarks, axis=1).mean()
    return float(distance / np.linalg.norm(eyes[:2]))


@pytest.fixture(scope="session")
def error() -> Callable[[Mesh, Mesh], float]:
    return mesh_error


@pytest.fixture
def mesher(models_dir: Path) -> Callable[..., Mesher]:
    """Makes meshers: tracking or not, with other settings."""

    def make(tracking: bool = False, **settings: object) -> Mesher:
        return Mesher(
            models_dir / DETECTOR_FILE,
            models_dir / LANDMARK_FILE,
            MeshSettings(**settings),
            tracking=tracking,
        )

    return make


@pytest.fixture
def photographs(datasets: Path) -> Iterator[np.ndarray]:
    """Every 50th photograph of the muxspace collection, 214 of them, one at a time."""

    def read() -> Iterator[np.ndarray]:
        with zipfile.ZipFile(datasets / "muxspace.zip") as archive:
            for name in sorted(n for n in archive.namelist() if n.endswith(".jpg"))[::50]:
                yield decode(archive.read(name), name)

    return read()
