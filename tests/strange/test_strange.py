"""`unknown` for what cannot be read; true faces go on being read.

Limits are fitted on training faces alone: none of these pictures had a part in them, but for some
of FER-2013's that are no faces and stand among its training pictures.
"""

from __future__ import annotations

import csv
import zipfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from edge import Reading, Recognizer
from edge.cameras.opencv import decode
from tests.strange.pictures import box, framed, pictures, rows, shrunk

ENOUGH = 0.95
MOST = 0.9
"""Of faces from the side: some are turned by less than is refused, and can be read."""
SIZES = (8, 12, 16, 20, 23)
"""Longer sides of the faces' boxes, pixels."""


@pytest.fixture(scope="module")
def recognise(models_dir: Path) -> Recognizer:
    return Recognizer(models_dir, tracking=False)


@pytest.fixture(scope="module")
def cropped(models_dir: Path) -> Recognizer:
    return Recognizer(models_dir, cropped=True)


def unknown(readings: Iterable[Reading]) -> tuple[float, Counter[str | None]]:
    """The share that is `unknown`, and why."""
    told = [(reading.label == "unknown", reading.reason) for reading in readings]
    assert all(is_unknown == (reason is not None) for is_unknown, reason in told)
    return float(np.mean([is_unknown for is_unknown, _ in told])), Counter(why for _, why in told)


@pytest.mark.parametrize("height", [240, None], ids=["in a frame", "as it is"])
@pytest.mark.parametrize("kind", ["nothing", "patch", "profile", "back"])
def test_no_face_in_a_frame(
    recognise: Recognizer, datasets: Path, kind: str, height: int | None
) -> None:
    shown = [framed(image, height) if height else image for image in pictures(datasets, kind)]
    share, why = unknown(map(recognise, shown))
    assert len(shown) >= 30
    assert share >= (MOST if kind == "profile" else ENOUGH), why


@pytest.mark.parametrize("kind", ["nothing", "patch"])
def test_no_face_in_what_is_said_to_be_a_crop(
    cropped: Recognizer, datasets: Path, kind: str
) -> None:
    """Here the user vouches for a face; for who is seen from the side, or from behind, too."""
    share, why = unknown(map(cropped, pictures(datasets, kind)))
    assert share >= ENOUGH, why


@pytest.mark.parametrize("how", ["in a frame", "alone", "cropped"])
def test_a_small_face(recognise: Recognizer, cropped: Recognizer, datasets: Path, how: str) -> None:
    """At its own scale in a frame it is hardly ever found; alone it would be."""
    read = cropped if how == "cropped" else recognise
    found = []
    for image, row in zip(pictures(datasets, "small"), rows("small"), strict=True):
        for pixels in SIZES:
            face = shrunk(image, box(row), pixels)
            found.append(read(framed(face) if how == "in a frame" else face))
    share, why = unknown(found)
    assert share >= ENOUGH, why
    assert why.keys() <= {"no face", "too small", None}
    assert why["too small"] > 0


def test_faces_are_read(recognise: Recognizer, cropped: Recognizer, datasets: Path) -> None:
    """Validation photographs, one of three: at most one in fifty is refused, of crops 0.5 %."""
    images = photographs(datasets)
    share, why = unknown(recognise(framed(image, 240)) for image in images)
    assert share <= 0.02, why
    share, why = unknown(map(cropped, images))
    assert share <= 0.005, why


def photographs(datasets: Path) -> list[np.ndarray]:
    """muxspace photographs of `faces.csv`."""
    with (Path(__file__).parent / "faces.csv").open(newline="") as file:
        names = [row["picture"].partition("/")[2] for row in csv.DictReader(file)]
    with zipfile.ZipFile(datasets / "muxspace.zip") as archive:
        return [decode(archive.read(name), name) for name in names]
