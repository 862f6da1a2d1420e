"""Pictures → what the device's own program reads in them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.evaluate.survey import Survey
from edge import Recognizer
from edge.arrays import load
from edge.bundle import DEFAULT_DIR, MANIFEST, Bundle
from edge.cameras.opencv import decode
from edge.errors import SetupError
from edge.types import CLASSES, UNKNOWN
from train import program, spread
from train.fitted import store

Array = NDArray[Any]
VERSION = 1
"""Raised whenever this module's columns mean something else."""


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """What one model of a bundle reads in N pictures."""

    id: Array
    """(N,) the picture's name, with its source."""
    content: Array
    """(N,) sha256 of its file."""
    source: Array
    """(N,) data set."""
    group: Array
    """(N,) number of its group."""
    truth: Array
    """(N,) its label, an index into CLASSES."""
    seen: Array
    """(N,) whether it, or one of its group, trained the bundle."""
    label: Array
    """(N,) what was told: one of CLASSES, or "unknown"."""
    reason: Array
    """(N,) why it is unknown; empty where it is not."""
    probabilities: Array
    """(N, 7) float32; NaN where there is no mesh."""
    presence: Array
    """(N,) of the mesh, 0 to 1; 0 where there is none."""
    face: Array
    """(N,) longer side of the box of the landmarks, pixels; 0 where there is no mesh."""

    @property
    def told(self) -> Array:
        """(N,) whether the label is one of CLASSES."""
        rows: Array = self.label != UNKNOWN
        return rows

    def take(self, rows: Array) -> Readings:
        """The chosen rows."""
        return Readings(*(getattr(self, field.name)[rows] for field in fields(self)))

    def save(self, path: Path) -> None:
        """Write them to an .npz file."""
        store(path, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def open(cls, path: Path) -> Readings:
        """Those in an .npz file. Raises SetupError where it is none such."""
        found = load(path, [field.name for field in fields(cls)], remedy="evaluate again")
        if any(len(column) != len(found["id"]) for column in found.values()):
            raise SetupError(f"{path}: its columns do not fit together: evaluate again")
        return cls(**found)


def read(
    found: Survey,
    rows: Array,
    bundle: Bundle,
    model: str,
    cropped: Mapping[str, bool],
    folder: Path,
) -> Readings:
    """What `model` of the bundle reads in the chosen pictures; kept in `folder`."""
    bundle.model(model)  # whether there is one
    at = np.flatnonzero(rows)
    pictures = [found.pictures[i] for i in at]
    content = found.content[at]
    mode = ["cropped" if cropped[picture.source] else "photograph" for picture in pictures]
    made_by = json.dumps([VERSION, program.stamp(program.READS), digest(bundle), model])
    name = hashlib.sha256(made_by.encode()).hexdigest()[:12]
    where = "" if bundle.folder.resolve() == DEFAULT_DIR else str(bundle.folder.resolve())
    asked = (where, digest(bundle), model)
    answers = spread.table(
        folder / f"readings-{model}-{name}.npz",
        {"content": content.tolist(), "mode": mode},
        lambda i: (*asked, str(content[i]), mode[i], pictures[i].data()),
        answer,
        columns=("content", "mode", "label", "reason", "probabilities", "presence", "face"),
        made_by=made_by,
        what=f"reading, {model}",
    )
    return Readings(
        id=np.array([picture.id for picture in pictures]),
        content=content,
        source=found.source[at],
        group=found.group[at],
        truth=np.array([picture.label for picture in pictures]),
        seen=found.seen[at],
        **{key: answers[key] for key in ("label", "reason", "probabilities", "presence", "face")},
    )


def answer(some: Sequence[tuple[str, str, str, str, str, bytes]]) -> spread.Columns:
    """Readings of pictures: (bundle's folder, its hash, model, content, mode, bytes) of each."""
    readings = []
    for where, expected, model, content, mode, data in some:
        recognise = _recognizer(where, expected, model, mode == "cropped")
        readings.append(recognise(decode(data, content)))
    nothing = np.full(len(CLASSES), np.nan, np.float32)
    return {
        "content": np.array([content for _, _, _, content, _, _ in some]),
        "mode": np.array([mode for _, _, _, _, mode, _ in some]),
        "label": np.array([reading.label for reading in readings]),
        "reason": np.array([reading.reason or "" for reading in readings]),
        "probabilities": np.stack(
            [nothing if one.probabilities is None else one.probabilities for one in readings]
        ),
        "presence": np.array([reading.presence or 0.0 for reading in readings], np.float32),
        "face": np.array([_extent(reading) for reading in readings], np.float32),
    }


def digest(bundle: Bundle) -> str:
    """A short hash of the bundle: of its manifest, which names the hash of every file."""
    return hashlib.sha256((bundle.folder / MANIFEST).read_bytes()).hexdigest()[:16]


def _extent(reading: Any) -> float:
    if reading.mesh is None:
        return 0.0
    return float(np.ptp(reading.mesh.landmarks[:, :2], axis=0).max())


@lru_cache(maxsize=2)
def _recognizer(where: str, expected: str, model: str, cropped: bool) -> Recognizer:
    folder = Path(where) if where else DEFAULT_DIR
    if digest(Bundle.open(folder)) != expected:
        raise SetupError(f"{folder}: a worker has another bundle there: copy it, or share the disk")
    return Recognizer(folder, model, tracking=False, cropped=cropped)
