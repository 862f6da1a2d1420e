"""The mean neutral face, out of what training left."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from convert.neutral import export, main
from edge.baseline import mean_neutral
from edge.bundle import Bundle
from edge.errors import SetupError
from edge.features import aligned

RNG = np.random.default_rng(5)


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """Six pictures, of which two are neutral faces that train."""
    folder = tmp_path / "trained"
    folder.mkdir()
    lines = [
        ("drawn/a.jpg", 4, "train"),
        ("drawn/b.jpg", 4, "train"),
        ("drawn/c.jpg", 4, "validation"),
        ("drawn/d.jpg", 3, "train"),
        ("drawn/e.jpg", 4, "dropped"),
        ("other/f.jpg", 4, "train"),
    ]
    text = "".join(f"{name},{label},0,{split},\n" for name, label, split in lines)
    (folder / "splits.csv").write_text(f"id,label,group,split,why\n{text}")
    landmarks = RNG.uniform(0, 100, (6, 468, 3)).astype(np.float32)
    np.savez(folder / "meshes.npz", id=[line[0] for line in lines], landmarks=landmarks)
    return folder


def test_mean_of_the_neutral_faces_that_train(trained: Path, tmp_path: Path) -> None:
    entry = export(trained, ["drawn"], tmp_path)
    assert entry is not None
    assert (entry["file"], entry["pictures"]) == ("neutral.npz", 2)
    with np.load(trained / "meshes.npz") as file:
        wanted = (aligned(file["landmarks"][0]) + aligned(file["landmarks"][1])) / 2
    with np.load(tmp_path / "neutral.npz") as file:
        assert np.allclose(file["landmarks"], wanted, atol=1e-6)


def test_it_is_added_to_a_bundle(
    trained: Path, edit_manifest: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = edit_manifest(neutral=None, dataset={"train_on": ["drawn", "other"]})
    before = json.loads((folder / "manifest.json").read_text())
    (folder / "neutral.npz").unlink()  # a link
    assert main(["--trained", str(trained), "--models", str(folder)]) == 0
    assert "3 pictures" in capsys.readouterr().out
    bundle = Bundle.open(folder)
    assert mean_neutral(bundle).shape == (468, 3)
    assert {**bundle.manifest, "neutral": None} == before


def test_what_is_missing_is_told(
    trained: Path, tmp_path: Path, bundle_copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SetupError, match="no neutral face of nobody"):
        export(trained, ["nobody"], tmp_path)
    (trained / "splits.csv").unlink()
    assert export(trained, ["drawn"], tmp_path) is None
    assert main(["--trained", str(trained), "--models", str(bundle_copy)]) == 1
    assert "run `make train`" in capsys.readouterr().err
