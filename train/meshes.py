"""Pictures → meshes on disk, by the very code that runs on the device.

Extraction runs in parallel, on one machine or many, can be stopped and goes on where it was, and is
not repeated for a picture that has not changed: see `train.spread`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.bundle import DEFAULT_DIR
from edge.cameras.opencv import decode
from edge.errors import SetupError, SourceError
from edge.mesh.detector import Detector
from edge.mesh.tracker import DETECTOR_FILE, LANDMARK_FILE, CropMesher
from edge.settings import MeshSettings
from edge.types import LANDMARKS
from train import spread, views
from train.dataset import Picture
from train.splits import THUMBNAIL, fingerprint
from train.views import PLAIN

VERSION = 4
"""Raised whenever the code makes other meshes of the same pictures and networks."""
MIRRORED = "mirrored look"
"""In place of a view: the picture as it is, of which the look at its mirror image is kept."""
DETECT_FROM = 96
"""Longer side, pixels, from which a picture may hold more than one tight face crop: there the
detector is asked first."""
Given = tuple[str, str, bytes, str]
"""What travels to a worker: a picture's id, stamp and file, and the view of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Meshes:
    """One row for each picture, in the pictures' order."""

    id: NDArray[np.str_]
    """(N,) unique names."""
    stamp: NDArray[np.str_]
    """(N,) what tells that a file has changed."""
    content: NDArray[np.str_]
    """(N,) sha256 of the file; empty where it cannot be read."""
    fingerprint: NDArray[np.float32]
    """(N, 256) perceptual hash, see `train.splits`."""
    size: NDArray[np.int32]
    """(N, 2) height and width, pixels; 0 where the picture cannot be read."""
    presence: NDArray[np.float32]
    """(N,) 0 to 1; how sure the mesh network is that it saw a face."""
    landmarks: NDArray[np.float32]
    """(N, 468, 3) pixels of the picture; zeros where it cannot be read."""

    @property
    def readable(self) -> NDArray[np.bool_]:
        """(N,) whether the picture could be decoded."""
        readable: NDArray[np.bool_] = self.size[:, 0] > 0
        return readable

    def __len__(self) -> int:
        return len(self.id)

    def take(self, rows: NDArray[Any]) -> Meshes:
        """The chosen rows."""
        return Meshes(*(getattr(self, field.name)[rows] for field in fields(self)))


def provenance(view: str = PLAIN) -> dict[str, Any]:
    """What the meshes depend on besides the pictures: networks, code, settings."""
    files = {}
    for name in (DETECTOR_FILE, LANDMARK_FILE):
        try:
            files[name] = hashlib.sha256((DEFAULT_DIR / name).read_bytes()).hexdigest()
        except OSError:
            raise SetupError(f"{DEFAULT_DIR / name} is missing: run `make models`") from None
    crop = MeshSettings()
    return {
        "version": VERSION,
        "networks": files,
        "crop": [crop.crop_scale, crop.crop_centre, crop.crop_looks, DETECT_FROM],
        "view": view,
    }


def extract(pictures: Sequence[Picture], path: Path, *, view: str = PLAIN) -> Meshes:
    """Meshes of the `view` (see `train.views`) of `pictures`, kept in the file `path`.

    Made by whatever `spread.over` says; rows that `path`, or the parts of a run that was stopped,
    hold already are taken from there.
    """
    names = tuple(field.name for field in fields(Meshes))
    stamps = [picture.stamp() for picture in pictures]
    rows = spread.table(
        path,
        {"id": [picture.id for picture in pictures], "stamp": stamps},
        lambda i: (pictures[i].id, stamps[i], pictures[i].data(), view),
        batch,
        columns=names,
        made_by=json.dumps(provenance(view), sort_keys=True),
        what="meshes" if view == PLAIN else f"meshes of {view} pictures",
    )
    return Meshes(**rows)


@lru_cache(maxsize=2)
def _networks(mirrored: bool) -> tuple[Detector, CropMesher]:
    settings = MeshSettings(crop_mirrored=mirrored)
    return (
        Detector(DEFAULT_DIR / DETECTOR_FILE, settings.min_detection),
        CropMesher(DEFAULT_DIR / LANDMARK_FILE, settings),
    )


def batch(some: Sequence[Given]) -> spread.Columns:
    """Columns of `Meshes` for some pictures: (id, stamp, bytes of the file, view) of each."""
    rows = [_row(*one) for one in some]
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def _row(name: str, stamp: str, data: bytes, view: str) -> dict[str, Any]:
    row = {
        "id": np.array(name),
        "stamp": np.array(stamp),
        "content": np.array(""),
        "fingerprint": np.zeros(THUMBNAIL**2, np.float32),
        "size": np.zeros(2, np.int32),
        "presence": np.float32(0),
        "landmarks": np.zeros((LANDMARKS, 3), np.float32),
    }
    try:
        image = decode(data, name)
    except SourceError:
        return row
    detect, mesh_of = _networks(view == MIRRORED)
    print_ = fingerprint(image)
    image = image if view == MIRRORED else views.view(view, image, data)
    first = None
    if max(image.shape[:2]) >= DETECT_FROM:
        detections = detect(image)
        if detections:
            first = max(detections, key=lambda detection: detection.area).roi()
    mesh = mesh_of(image, first)
    return row | {
        "content": np.array(hashlib.sha256(data).hexdigest()),
        "fingerprint": np.asarray(print_, np.float32),
        "size": np.array(image.shape[:2], np.int32),
        "presence": np.float32(mesh.presence),
        "landmarks": mesh.landmarks if mesh.mirrored is None else mesh.mirrored,
    }
