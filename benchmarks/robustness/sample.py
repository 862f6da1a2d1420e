"""Which pictures are changed: validation pictures only, of every class its share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.robustness.conditions import Kind, Scene
from edge.cameras.opencv import decode
from train.dataset import Picture
from train.meshes import DETECT_FROM
from train.prepare import Data

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Pictures of one source. The first ones of it are a smaller sample of the same kind."""

    source: str
    kind: Kind
    pictures: Sequence[Picture]
    """N of them."""
    meshes: Array
    """(N, 468, 3) of the clean pictures, pixels."""
    label: Array
    """(N,) indices into CLASSES."""
    group: Array
    """(N,) number of the person, or of the copies, as the splits know them."""

    def __len__(self) -> int:
        return len(self.pictures)

    def first(self, count: int) -> Sample:
        """A smaller sample."""
        rows = slice(count)
        return Sample(
            self.source,
            self.kind,
            self.pictures[rows],
            self.meshes[rows],
            self.label[rows],
            self.group[rows],
        )

    def scene(self, row: int) -> Scene:
        """The picture, read. Raises SourceError when it cannot be."""
        picture = self.pictures[row]
        return Scene(self.kind, decode(picture.read_bytes(), picture.id), self.meshes[row])


def draw(data: Data, count: int, seed: int = 0) -> list[Sample]:
    """`count` validation pictures of every source at most.

    A class has in the first n of them, for any n, its share of the source.
    """
    samples = []
    for source in np.unique(data.validation_source):
        rows = np.flatnonzero(data.validation_source == source)
        rows = rows[_mixed(data.validation_label[rows], seed)][:count]
        pictures = [data.validation_pictures[row] for row in rows]
        side = np.median([max(_size(picture)) for picture in pictures[:50]])
        samples.append(
            Sample(
                str(source),
                "photograph" if side >= DETECT_FROM else "crop",
                pictures,
                data.validation_landmarks[rows],
                data.validation_label[rows],
                data.validation_group[rows],
            )
        )
    return samples


def _size(picture: Picture) -> tuple[int, ...]:
    return decode(picture.read_bytes(), picture.id).shape[:2]


def _mixed(label: Array, seed: int) -> Array:
    """An order of rows in which every class comes as often at the start as at the end."""
    rng = np.random.default_rng(seed)
    place = np.empty(len(label))
    for value in np.unique(label):
        rows = np.flatnonzero(label == value)
        place[rows] = (rng.permutation(len(rows)) + rng.random()) / len(rows)
    return np.argsort(place, kind="stable")
