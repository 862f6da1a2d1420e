"""The sample clip shows a face all the way through, moving."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from convert.sample import CLIP, FRAMES, FRAMES_PER_SECOND, PORTRAIT, SIZE, make_clip
from edge import Recognizer
from edge.cameras.y4m import Y4m
from edge.errors import SetupError


@pytest.fixture(scope="module")
def folder(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the portrait, and the clip made of it."""
    folder = tmp_path_factory.mktemp("sample")
    (folder / PORTRAIT).symlink_to(models_dir / PORTRAIT)
    assert make_clip(folder) == folder / CLIP
    return folder


def test_a_face_in_nearly_every_frame(folder: Path, models_dir: Path) -> None:
    frames = list(Y4m(folder / CLIP))
    assert len(frames) == FRAMES
    assert frames[0].image.shape == (SIZE[1], SIZE[0], 3)
    assert frames[-1].time_s == pytest.approx((FRAMES - 1) / FRAMES_PER_SECOND)
    recognise = Recognizer(models_dir)
    meshes = [recognise(frame.image).mesh for frame in frames]
    found = [mesh.landmarks for mesh in meshes if mesh is not None]
    assert len(found) >= 0.95 * FRAMES
    centre = np.array([points[:, :2].mean(axis=0) for points in found])
    width = np.array([np.ptp(points[:, 0]) for points in found])
    assert np.ptp(centre[:, 0]) > 100  # it moves,
    assert width.max() > 1.5 * width.min()  # and grows


def test_it_is_made_once(folder: Path) -> None:
    assert make_clip(folder) is None
    assert sorted(path.name for path in folder.iterdir()) == [PORTRAIT, CLIP]


def test_it_is_made_anew_from_a_newer_portrait(folder: Path) -> None:
    os.utime(folder / CLIP, (1, 1))
    assert make_clip(folder) == folder / CLIP


def test_the_same_clip_each_time(folder: Path, models_dir: Path) -> None:
    """What `make models` left in the checkout is what the code makes today."""
    assert (folder / CLIP).read_bytes() == (models_dir / CLIP).read_bytes()


def test_a_broken_portrait(tmp_path: Path) -> None:
    (tmp_path / PORTRAIT).write_text("hello")
    with pytest.raises(SetupError, match="make models") as error:
        make_clip(tmp_path)
    assert len(str(error.value).splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == [PORTRAIT]


def test_a_full_disk(models_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / PORTRAIT).symlink_to(models_dir / PORTRAIT)

    def full(path: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(SetupError, match="No space left on device"):
        make_clip(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [PORTRAIT]
