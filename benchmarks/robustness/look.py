"""Changed pictures → meshes, and what the control says of them: all that no classifier changes.

What was found is kept a file a cell (a source, a condition, a severity) and not made again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from joblib import Parallel, cpu_count, delayed
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.robustness.conditions import CLEAN, CONDITIONS, FOLLOWED, Condition, Image, Kind
from benchmarks.robustness.sample import Sample
from edge.arrays import load, save
from edge.bundle import Bundle
from edge.errors import SetupError
from edge.mesh import FaceMesher, open_mesher
from edge.settings import MeshSettings
from edge.types import LANDMARKS, Mesh
from train import crops, meshes, spread

Array = NDArray[Any]
VERSION = 2
"""Raised whenever the code makes other frames of the same pictures, or cuts other faces."""
LOOKS, FOLLOWS = 3, 6
"""Raised whenever the mesher finds other meshes in the same frames, in those that it follows."""
BATCH = 25
"""Pictures a worker takes at once."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A severity of a condition, on the pictures of a source."""

    sample: Sample
    condition: Condition
    level: float

    @property
    def name(self) -> str:
        """For a file."""
        words = f"{self.sample.source} {self.condition.name} {self.level:g}"
        return words.replace(",", "").replace(" ", "-")

    def stamp(self, *more: Any) -> str:
        """What it depends on, in a few letters: pictures, severity, and `more`."""
        parts: list[Any] = [VERSION, self.condition.name, self.level, self.sample.kind, *more]
        parts += [[picture.id, picture.stamp()] for picture in self.sample.pictures]
        told = json.dumps(parts, sort_keys=True) + self.sample.meshes.tobytes().hex()[:64]
        return hashlib.sha256(told.encode()).hexdigest()[:24]

    def frames(self, row: int) -> list[Image]:
        """What the camera sees of a picture."""
        scene = self.sample.scene(row)
        return self.condition.frames(scene, self.level, self.sample.pictures[row].id)


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """What was seen in the N pictures of a cell."""

    presence: Array
    """(N,) float32; NaN where no face was found."""
    landmarks: Array
    """(N, 468, 3) float32, pixels of the frame; zeros where no face was found."""
    mirrored: Array
    """The same of the mirror image; zeros also where it was not looked at."""
    size: Array
    """(N, 2) height and width of the frame."""
    control: Array
    """(N, 7) the control's probabilities; zeros where no face was found."""
    control_level: Array
    """The same of faces whose eyes are level."""

    def mesh(self, row: int) -> Mesh | None:
        """As the mesher gave it."""
        if np.isnan(self.presence[row]):
            return None
        other = self.mirrored[row]
        return Mesh(self.landmarks[row], float(self.presence[row]), other if other.any() else None)


def cells(samples: Sequence[Sample], count: int) -> list[Cell]:
    """All that is measured: `count` pictures a cell, all pictures where a goal is to be judged."""
    found = []
    for sample in samples:
        found += [Cell(sample, c, 0.0) for c in (CLEAN, FOLLOWED) if sample.kind in c.kinds]
        few = sample.first(count)
        found += [
            Cell(sample if level in condition.reach else few, condition, level)
            for condition in CONDITIONS
            if sample.kind in condition.kinds
            for level in condition.levels
        ]
    return found


def look(
    todo: Sequence[Cell],
    folder: Path,
    control: Callable[[Array], Array],
    control_stamp: str,
    jobs: int | None = None,
) -> list[Looks]:
    """Look at all cells; `control`: (N, 48, 48) uint8 → (N, 7). Kept in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{cell.name}.npz" for cell in todo]
    by = meshes.provenance(), control_stamp
    made_by = [
        cell.stamp(LOOKS, *by, *([FOLLOWS] if cell.condition.followed else [])) for cell in todo
    ]
    missing = [
        i
        for i, (path, stamp) in enumerate(zip(paths, made_by, strict=True))
        if not is_of(path, stamp)
    ]
    total = sum(len(todo[i].sample) for i in missing)
    with tqdm(total=total, desc="changed pictures", unit="picture", disable=None) as bar:
        seen = _seen([todo[i] for i in missing], jobs, bar)
        for i in missing:
            presence, landmarks, mirrored, size, upright, level = next(seen)
            face = ~np.isnan(presence)
            found = {
                "presence": presence,
                "landmarks": landmarks,
                "mirrored": mirrored,
                "size": size,
            }
            for key, faces in (("control", upright), ("control_level", level)):
                found[key] = np.zeros((len(face), 7), np.float32)
                if face.any():
                    found[key][face] = control(faces[face])
            keep(paths[i], made_by[i], found)
    names = list(Looks.__dataclass_fields__)
    return [Looks(**load(path, names)) for path in paths]


def is_of(path: Path, stamp: str) -> bool:
    """Whether the file is there and was made by this very thing."""
    try:
        return str(load(path, ["made_by"])["made_by"]) == stamp
    except SetupError:
        return False


def keep(path: Path, stamp: str, arrays: dict[str, Array]) -> None:
    """Write it, whole or not at all."""
    save(path, {"made_by": np.array(stamp), **arrays})


def _seen(todo: Sequence[Cell], jobs: int | None, bar: Any) -> Iterator[tuple[Array, ...]]:
    """The columns of each cell, in turn."""
    batches = [
        (cell, range(start, min(start + BATCH, len(cell.sample))))
        for cell in todo
        for start in range(0, len(cell.sample), BATCH)
    ]
    workers = Parallel(n_jobs=jobs or cpu_count(), return_as="generator")
    calls = (delayed(_batch)(_part(cell, rows), cell.sample.kind) for cell, rows in batches)
    work = spread.start(workers, calls)
    for cell in todo:
        parts: list[tuple[Array, ...]] = []
        while sum(len(part[0]) for part in parts) < len(cell.sample):
            parts.append(next(work))
            bar.update(len(parts[-1][0]))
        yield tuple(np.concatenate(columns) for columns in zip(*parts, strict=True))


def _part(cell: Cell, rows: range) -> Cell:
    """A few pictures, so that no more travels to a worker."""
    sample = cell.sample
    some = slice(rows.start, rows.stop)
    part = Sample(
        sample.source,
        sample.kind,
        sample.pictures[some],
        sample.meshes[some],
        sample.label[some],
        sample.group[some],
    )
    return Cell(part, cell.condition, cell.level)


def _batch(cell: Cell, kind: Kind) -> tuple[Array, ...]:
    cv2.setNumThreads(1)
    return tuple(
        np.stack(column)
        for column in zip(*(_row(cell, row) for row in range(len(cell.sample))), strict=True)
    )


def _row(cell: Cell, row: int) -> tuple[Array, ...]:
    frames = cell.frames(row)
    mesher = _mesher(cell.sample.kind, cell.condition.followed)
    mesher.reset()
    mesh = None
    for frame in frames:
        mesh = mesher(frame)
    size = np.array(frames[-1].shape[:2], np.int32)
    nothing, nobody = np.zeros((crops.SIDE, crops.SIDE), np.uint8), np.zeros((LANDMARKS, 3), "f4")
    if mesh is None:
        return np.float32(np.nan), nobody, nobody, size, nothing, nothing
    mirrored = nobody if mesh.mirrored is None else mesh.mirrored
    level = crops.cut(frames[-1], mesh.landmarks, level=True)
    if cell.sample.kind == "crop":
        upright = crops.whole(frames[-1])
    else:
        upright = crops.cut(frames[-1], mesh.landmarks)
    return np.float32(mesh.presence), mesh.landmarks, mirrored, size, upright, level


@lru_cache(maxsize=4)
def _mesher(kind: Kind, tracking: bool) -> FaceMesher:
    """The very one that `edge.Recognizer` opens."""
    return open_mesher(Bundle.open(), MeshSettings(), tracking=tracking, cropped=kind == "crop")
