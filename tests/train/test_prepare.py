"""What is made of the pictures that train."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.errors import EdgeError
from train.prepare import made, prepare


def test_only_large_pictures_are_worn(tiny_dataset: Path, tmp_path: Path) -> None:
    """Of pictures of 48 to 120 pixels; each row is the view of its own picture."""
    sides = (48, 95, 96, 120)
    for number, path in enumerate(sorted(tiny_dataset.glob("*/*.jpg"))):
        side = sides[number % len(sides)]
        cv2.imwrite(str(path), cv2.resize(cv2.imread(str(path)), (side, side)))
    data, _ = prepare([tiny_dataset], tmp_path / "out", views=("mirrored", "worn"), near=1.01)
    read = [cv2.imread(str(tiny_dataset / picture.name)) for picture in data.pictures]
    large = np.array([max(image.shape[:2]) >= 96 for image in read])
    assert 0 < large.sum() < len(large)
    np.testing.assert_array_equal(made(data.views["worn"]), large)
    assert made(data.views["mirrored"]).all()
    worn, plain = data.views["worn"][large], data.landmarks[large]
    assert (np.abs(worn - plain).max(axis=(1, 2)) > 0.01).all()
    # A worn face is about where its picture's is, in pixels of that.
    side = np.array([max(image.shape[:2]) for image in read])[large]
    centres = [mesh[:, :2].mean(axis=1) / side[:, None] for mesh in (worn, plain)]
    assert np.median(np.abs(centres[0] - centres[1])) < 0.1


def test_only_training_writes_the_splits_down(tiny_dataset: Path, tmp_path: Path) -> None:
    """A search or a check with other settings leaves the table of what the models learnt of."""
    table = tmp_path / "splits.csv"
    prepare([tiny_dataset], tmp_path, views=(), near=1.01, record=True)
    before = table.read_bytes()
    prepare([tiny_dataset], tmp_path, views=(), near=0.9)
    with pytest.raises(EdgeError, match="set has no picture of"):
        prepare([tiny_dataset], tmp_path, views=(), near=0.0, record=True)  # all are one group
    assert table.read_bytes() == before
