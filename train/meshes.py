"""Pictures → meshes on disk, by the very code that runs on the device.

Extraction runs in parallel, can be stopped and goes on where it was, and is not repeated for a
picture that has not changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, cpu_count, delayed
from numpy.typing import NDArray
from tqdm import tqdm

from edge.arrays import load
from edge.bundle import DEFAULT_DIR
from edge.cameras.opencv import decode
from edge.errors import SetupError, SourceError
from edge.mesh.detector import Detector
from edge.mesh.tracker import DETECTOR_FILE, LANDMARK_FILE, CropMesher
from edge.settings import MeshSettings
from edge.types import LANDMARKS
from train import views
from train.dataset import Picture
from train.splits import THUMBNAIL, fingerprint
from train.views import PLAIN

VERSION = 2
"""Raised whenever the code makes other meshes of the same pictures and networks."""
DETECT_FROM = 96
"""Longer side, pixels, from which a picture may hold more than one tight face crop: there the
detector is asked first."""
BATCH, PART = 64, 4096
"""Pictures a worker takes at once, and pictures after which what is done is written down."""


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


def extract(
    pictures: Sequence[Picture], path: Path, *, view: str = PLAIN, jobs: int | None = None
) -> Meshes:
    """Meshes of the `view` (see `train.views`) of `pictures`, kept in the file `path`.

    Rows that `path`, or the parts of a run that was stopped, hold already are taken from there.
    """
    made_by = json.dumps(provenance(view), sort_keys=True)
    parts = sorted(path.parent.glob(f"{path.stem}.part*.npz"))
    known: dict[tuple[str, str], tuple[Meshes, int]] = {}
    kept: list[tuple[str, str]] = []  # what `path` itself holds, in its order
    for file in (path, *parts):
        rows = _load(file, made_by)
        if rows is not None:
            if file == path:
                kept = list(zip(rows.id.tolist(), rows.stamp.tolist(), strict=True))
            known |= {key: (rows, i) for i, key in enumerate(zip(rows.id, rows.stamp, strict=True))}
    keys = [(picture.id, picture.stamp()) for picture in pictures]
    todo = [picture for picture, key in zip(pictures, keys, strict=True) if key not in known]

    if todo:
        what = "meshes" if view == PLAIN else f"meshes of {view} pictures"
        batches = [todo[i : i + BATCH] for i in range(0, len(todo), BATCH)]
        workers = Parallel(n_jobs=jobs or cpu_count(), return_as="generator")
        pending: list[Meshes] = []

        def keep() -> None:
            rows = _concatenate(pending)
            pending.clear()
            part = path.with_name(f"{path.stem}.part{len(parts):04d}.npz")
            _save(part, rows, made_by)
            parts.append(part)
            known.update(
                {key: (rows, i) for i, key in enumerate(zip(rows.id, rows.stamp, strict=True))}
            )

        try:
            with tqdm(total=len(todo), desc=what, unit="picture") as progress:
                for batch in workers(delayed(_batch)(batch, view) for batch in batches):
                    pending.append(batch)
                    progress.update(len(batch))
                    if sum(map(len, pending)) >= PART:
                        keep()
        finally:  # also when it is stopped
            if pending:
                keep()

    meshes = _concatenate([rows.take(np.array([i])) for rows, i in (known[key] for key in keys)])
    if kept != keys:
        _save(path, meshes, made_by)
    for part in parts:
        part.unlink(missing_ok=True)
    return meshes


@lru_cache(maxsize=1)
def _networks() -> tuple[Detector, CropMesher]:
    settings = MeshSettings()
    return (
        Detector(DEFAULT_DIR / DETECTOR_FILE, settings.min_detection),
        CropMesher(DEFAULT_DIR / LANDMARK_FILE, settings),
    )


def _batch(pictures: Sequence[Picture], view: str) -> Meshes:
    return _concatenate([_row(picture, view) for picture in pictures])


def _row(picture: Picture, view: str) -> Meshes:
    detect, mesh_of = _networks()
    try:
        data = picture.read_bytes()
        image = decode(data, picture.id)
    except SourceError:
        return _columns(picture, "", np.zeros(THUMBNAIL**2), (0, 0), 0.0, np.zeros((LANDMARKS, 3)))
    print_ = fingerprint(image)
    image = views.view(view, image, data)
    first = None
    if max(image.shape[:2]) >= DETECT_FROM:
        detections = detect(image)
        if detections:
            first = max(detections, key=lambda detection: detection.area).roi()
    mesh = mesh_of(image, first)
    content = hashlib.sha256(data).hexdigest()
    return _columns(picture, content, print_, image.shape[:2], mesh.presence, mesh.landmarks)


def _columns(
    picture: Picture,
    content: str,
    print_: NDArray[Any],
    size: tuple[int, ...],
    presence: float,
    landmarks: NDArray[Any],
) -> Meshes:
    return Meshes(
        np.array([picture.id]),
        np.array([picture.stamp()]),
        np.array([content]),
        np.asarray(print_, np.float32)[None],
        np.array([size], np.int32),
        np.array([presence], np.float32),
        np.asarray(landmarks, np.float32)[None],
    )


def _concatenate(rows: Sequence[Meshes]) -> Meshes:
    if not rows:
        raise SourceError("no pictures to make meshes of")
    return Meshes(
        *(np.concatenate([getattr(row, field.name) for row in rows]) for field in fields(Meshes))
    )


def _save(path: Path, rows: Meshes, made_by: str) -> None:
    columns = {field.name: getattr(rows, field.name) for field in fields(Meshes)}
    partial = path.with_suffix(".tmp.npz")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write = np.savez if ".part" in path.name else np.savez_compressed
        write(partial, made_by=np.array(made_by), **columns)
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise SetupError(f"{path}: cannot be written: {error.strerror or error}") from None


def _load(path: Path, made_by: str) -> Meshes | None:
    """The rows of a file of this very kind; None where it is another one, broken or missing."""
    try:
        if str(load(path, ["made_by"])["made_by"]) != made_by:
            return None
        return Meshes(**load(path, [field.name for field in fields(Meshes)]))
    except SetupError:
        return None
