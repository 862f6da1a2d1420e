"""Pictures → meshes → splits: what every training and search starts from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import EdgeError
from edge.types import CLASSES
from train import evaluate, meshes, splits
from train.dataset import Picture, describe, find_pictures, fingerprint
from train.views import LARGE, OF_LARGE, OTHERS

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """Meshes and labels, split."""

    landmarks: Array
    """(N, 468, 3) of the training pictures."""
    views: Mapping[str, Array]
    """Name in `train.views.VIEWS` → (N, 468, 3) of that view of the training pictures; NaN where
    a picture has none, see `made`."""
    label: Array
    """(N,) indices into CLASSES."""
    source: Array
    """(N,) data set."""
    pictures: Sequence[Picture]
    """N training pictures."""
    validation_landmarks: Array
    """(V, 468, 3)."""
    validation_label: Array
    """(V,)."""
    validation_source: Array
    """(V,)."""
    validation_pictures: Sequence[Picture]
    """V of them."""
    presence: Array
    """(N,) 0 to 1, how sure the mesh network is of each face."""
    validation_presence: Array
    """(V,)."""
    validation_group: Array
    """(V,) number of the picture's group: copies, or one person."""
    validation_mirrored: Array
    """(V, 468, 3) what the device sees in the mirror images of the pictures."""

    @property
    def judged(self) -> Array:
        """(V,) whether the picture is of a source that trains: what decisions look at."""
        rows: Array = np.isin(self.validation_source, np.unique(self.source))
        return rows


def prepare(
    roots: Sequence[Path],
    out: Path,
    *,
    near: float = splits.NEAR,
    train_on: Sequence[str] = (),
    views: Sequence[str] = OTHERS,
    record: bool = False,
) -> tuple[Data, dict[str, Any]]:
    """The split meshes of the data sets `roots`, and what is to be said about them.

    Everything that takes long is kept in `out` and not made again, and done by whatever
    `spread.over` says. `near`: see `splits.decide`.
    `train_on`: names of the sources to train on; the others are only judged; all where empty.
    `views`: which other views of the training pictures are wanted.
    `record`: write the split down as `splits.csv`, which tells what the models in `out` learnt of.
    Raises EdgeError where a class would be without pictures in one of the splits; where names and
    folders tell already, before anything that takes long.
    """
    pictures, notes = find_pictures(roots)
    print(describe(pictures), flush=True)
    sources = {picture.source for picture in pictures}
    unknown = sorted(set(train_on) - sources)
    if unknown:
        raise EdgeError(f"--train-on {unknown[0]}: no such source; there are: {sorted(sources)}")
    for name, official in (("train", "Training"), ("validation", "PublicTest")):
        possible = [p for p in pictures if p.official_split in (None, official)]
        if train_on and name == "train":
            possible = [p for p in possible if p.source in train_on]
        _enough(name, [p.label for p in possible])
    rows = meshes.extract(pictures, out / "meshes.npz")
    broken = [p.id for p, good in zip(pictures, rows.readable, strict=True) if not good]
    if broken:
        shown = ", ".join(broken[:20]) + (", …" if len(broken) > 20 else "")
        notes.append(f"{len(broken)} unreadable pictures left out: {shown}")
    pictures = [p for p, good in zip(pictures, rows.readable, strict=True) if good]
    rows = rows.take(rows.readable)

    verdicts = splits.decide(pictures, rows.content.tolist(), rows.fingerprint, near)
    notes += splits.summary(pictures, verdicts)
    print("\n".join(notes), flush=True)

    label = np.array([picture.label for picture in pictures])
    source = np.array([picture.source for picture in pictures])
    split = np.array([verdict.split for verdict in verdicts])
    learned = np.isin(source, train_on) if train_on else np.full(len(source), True)
    train = np.flatnonzero((split == "train") & learned)
    validation = np.flatnonzero(split == "validation")
    _enough("train", label[train].tolist())
    _enough("validation", label[validation].tolist())
    if not np.isin(source[validation], source[train]).any():
        raise EdgeError(f"no validation picture is of what is trained on: {', '.join(train_on)}")
    if record:
        splits.write(out / "splits.csv", pictures, verdicts)
    # Other views come after the split, and only of the pictures that train.
    learnt = [pictures[i] for i in train]
    large = rows.size[train].max(axis=1) >= LARGE
    seen = {}
    for name in views:
        of = np.flatnonzero(large) if name in OF_LARGE else np.arange(len(train))
        seen[name] = np.full_like(rows.landmarks[train], np.nan)
        if len(of):
            path = out / f"meshes-{name}.npz"
            found = meshes.extract([learnt[i] for i in of], path, view=name)
            seen[name][of] = found.landmarks
    judged = [pictures[i] for i in validation]
    mirrored = meshes.extract(
        judged, out / "meshes-validation-mirrored.npz", view=meshes.MIRRORED
    ).landmarks
    data = Data(
        landmarks=rows.landmarks[train],
        views=seen,
        label=label[train],
        source=source[train],
        pictures=learnt,
        presence=rows.presence[train],
        validation_landmarks=rows.landmarks[validation],
        validation_label=label[validation],
        validation_source=source[validation],
        validation_pictures=judged,
        validation_presence=rows.presence[validation],
        validation_group=np.array([verdicts[i].group for i in validation]),
        validation_mirrored=mirrored,
    )
    about: dict[str, Any] = {
        "dataset": {
            "fingerprint": fingerprint(zip(rows.id, rows.content, strict=True)),
            "pictures": dict(Counter(picture.source for picture in pictures)),
            "train": len(train),
            "validation": len(validation),
            "near": near,
            "train_on": sorted({*source[train].tolist()}),
        },
        "meshes": meshes.provenance(),
        "notes": notes,
        "coverage": evaluate.coverage(rows.presence, label, source),
        "models": {},
    }
    return data, about


def made(view: Array) -> Array:
    """(N,) of which pictures there is a mesh in `view` (N, 468, 3)."""
    rows: Array = ~np.isnan(view[:, 0, 0])
    return rows


def _enough(split: str, labels: Sequence[int]) -> None:
    missing = [name for label, name in enumerate(CLASSES) if label not in set(labels)]
    if missing:
        raise EdgeError(f"the {split} set has no picture of: {', '.join(missing)}; add some")
