"""The mean neutral face of the pictures that a bundle was trained on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert.neutral import export, main
from convert.plausible import open_facts
from edge.baseline import mean_neutral
from edge.bundle import Bundle
from edge.features import aligned
from edge.types import CLASSES
from train.plausible import save
from train.prepare import Data

ABOUT: dict[str, Any] = {"dataset": {"train_on": ["drawn"], "near": 0.94}, "meshes": {"version": 1}}


@pytest.fixture
def data(draw_faces: Callable[..., Data]) -> Data:
    return draw_faces(70)


@pytest.fixture
def trained(data: Data, tmp_path: Path) -> Path:
    """What training leaves beside the models."""
    folder = tmp_path / "trained"
    folder.mkdir()
    save(folder, data, ABOUT)
    return folder


def test_mean_of_the_neutral_faces_that_train(data: Data, trained: Path, tmp_path: Path) -> None:
    entry = export(open_facts(trained, ABOUT), tmp_path)
    assert (entry["file"], entry["pictures"]) == ("neutral.npz", 10)
    neutral = data.landmarks[data.label == CLASSES.index("neutral")]
    with np.load(tmp_path / "neutral.npz") as file:
        wanted = np.stack([aligned(mesh) for mesh in neutral]).mean(axis=0)
        assert np.allclose(file["landmarks"], wanted, atol=1e-6)


def test_it_is_added_to_a_bundle(
    trained: Path, edit_manifest: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = edit_manifest(neutral=None, **ABOUT)
    before = json.loads((folder / "manifest.json").read_text())
    (folder / "neutral.npz").unlink()  # a link
    assert main(["--trained", str(trained), "--models", str(folder)]) == 0
    assert "10 pictures" in capsys.readouterr().out
    bundle = Bundle.open(folder)
    assert mean_neutral(bundle).shape == (468, 3)
    assert {**bundle.manifest, "neutral": None} == before


def test_what_is_missing_or_of_other_pictures_is_told(
    trained: Path, bundle_copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The shipped bundle was not trained on what is in `trained`."""
    before = (bundle_copy / "manifest.json").read_bytes()
    for told in ("of other pictures", "is missing: run"):
        assert main(["--trained", str(trained), "--models", str(bundle_copy)]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert told in line
        (trained / "plausible.npz").unlink(missing_ok=True)
    assert (bundle_copy / "manifest.json").read_bytes() == before
