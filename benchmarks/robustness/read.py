"""Meshes → readings, by `edge.Recognizer` itself, and whether that is what the device would say.

The recogniser is handed the meshes that it found before (`benchmarks.robustness.look`) in place of
its mesher: so another classifier is judged in a few minutes. A few pictures of each cell are read
from their pixels as well, and must give the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, cpu_count, delayed
from numpy.typing import NDArray
from tqdm import tqdm

import edge
from benchmarks.robustness.conditions import Image, Kind
from benchmarks.robustness.look import Cell, Looks, is_of, keep
from edge import Recognizer
from edge.arrays import load
from edge.bundle import MANIFEST
from edge.errors import EdgeError
from edge.stopwatch import Stopwatch
from edge.types import CLASSES, UNKNOWN, Mesh, Reading
from train import spread

Array = NDArray[Any]
LABELS = (*CLASSES, UNKNOWN)
CHECKED = 2
"""Pictures of each cell that are read from their pixels, too."""
SAME = 0.05
"""Pixels by which a landmark, and probability by which a class, may differ between the two: the
machine may have another processor than the one that made what is kept."""


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What a system said of the N pictures of a cell."""

    best: Array
    """(N,) index into CLASSES of the likeliest expression; -1 without a face."""
    label: Array
    """(N,) index into LABELS."""
    face: Array
    """(N,) whether a face was found and believed in."""


class Played:
    """A mesher that was told beforehand what it finds."""

    def __init__(self) -> None:
        self.mesh: Mesh | None = None

    def __call__(self, image: NDArray[np.uint8], *, watch: Stopwatch | None = None) -> Mesh | None:
        """The mesh."""
        return self.mesh

    def reset(self) -> None:
        """Nothing to forget."""


def read(
    todo: Sequence[Cell],
    looks: Sequence[Looks],
    model: str,
    bundle: Path,
    folder: Path,
    jobs: int | None = None,
) -> list[Said]:
    """What classifier `model` of the `bundle` says of all cells; kept in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    runtime = runtime_stamp(bundle)
    paths = [folder / f"{cell.name}-{model}.npz" for cell in todo]
    seen = [hashlib.sha256(some.landmarks.tobytes() + some.mirrored.tobytes()) for some in looks]
    stamps = [
        cell.stamp(runtime, model, some.hexdigest()) for cell, some in zip(todo, seen, strict=True)
    ]
    missing = [
        i
        for i, (path, stamp) in enumerate(zip(paths, stamps, strict=True))
        if not is_of(path, stamp)
    ]
    workers = Parallel(n_jobs=jobs or cpu_count(), return_as="generator")
    work = spread.start(
        workers, (delayed(_cell)(todo[i], looks[i], model, bundle) for i in missing)
    )
    bar = tqdm(missing, desc=f"readings of {model}", unit="cell", disable=None)
    for i, found in zip(bar, work, strict=True):
        keep(paths[i], stamps[i], found)
    return [Said(**load(path, ["best", "label", "face"])) for path in paths]


def said_by(probabilities: Array, looks: Looks) -> Said:
    """What the control said; it has no `unknown` but for no face."""
    face = ~np.isnan(looks.presence)
    best = np.where(face, probabilities.argmax(axis=1), -1)
    return Said(best, np.where(face, best, len(CLASSES)), face)


def runtime_stamp(bundle: Path) -> str:
    """Changes with any file of the runtime, and with the bundle."""
    digest = hashlib.sha256((bundle / MANIFEST).read_bytes())
    for path in sorted(Path(edge.__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _cell(cell: Cell, looks: Looks, model: str, bundle: Path) -> dict[str, Array]:
    recognise, played = _recognisers(cell.sample.kind, False, model, bundle)
    readings = []
    for row in range(len(cell.sample)):
        played.mesh = looks.mesh(row)
        readings.append(recognise(_picture(cell, looks, row)))
    for row in range(min(CHECKED, len(readings))):
        _check(cell, row, readings[row], _whole(cell, row, model, bundle))
    # A crop always has a mesh: a face is there where the mesh network believes so.
    face = [bool(r.face and (r.presence or 0) >= 0.5) for r in readings]
    best = [-1 if r.probabilities is None else int(r.probabilities.argmax()) for r in readings]
    label = [LABELS.index(r.label) for r in readings]
    return {"best": np.array(best), "label": np.array(label), "face": np.array(face)}


def _picture(cell: Cell, looks: Looks, row: int) -> Image:
    """A crop, whose pixels a second opinion may ask; of a photograph nothing asks any."""
    if cell.sample.kind == "crop":
        return cell.frames(row)[-1]
    return np.zeros((*looks.size[row], 3), np.uint8)


def _whole(cell: Cell, row: int, model: str, bundle: Path) -> Reading:
    """From the pixels, as on the device."""
    followed = cell.condition.followed
    recognise, _ = _recognisers(cell.sample.kind, True, model, bundle, tracking=followed)
    recognise.reset()
    for frame in cell.frames(row):
        reading = recognise(frame)
    return reading


def _check(cell: Cell, row: int, played: Reading, whole: Reading) -> None:
    one, other = played.probabilities, whole.probabilities
    if one is None and other is None:
        return
    if one is None or other is None or np.abs(one - other).max() > SAME:
        raise EdgeError(
            f"{cell.name}, picture {row}: the meshes that are kept are not what the mesher finds "
            "today: remove build/robustness/looks, and run it again"
        )


@lru_cache(maxsize=8)
def _recognisers(
    kind: Kind, whole: bool, model: str, bundle: Path, tracking: bool = False
) -> tuple[Recognizer, Played]:
    recognise = Recognizer(bundle, model, tracking, cropped=kind == "crop")
    played = Played()
    if not whole:
        recognise._mesher = played
    return recognise, played
