"""`python -m edge calibrate`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.types import UNKNOWN
from tests.tools.mjpeg import Stream, jpegs

Command = Callable[..., Any]


@pytest.fixture
def still(models_dir: Path) -> Iterator[Stream]:
    """A camera that sees the portrait, which does not move."""
    frames = jpegs(90)
    stream = Stream(frames[60:61])
    yield stream
    stream.cut()


def test_the_command(command: Command, still: Stream, tmp_path: Path) -> None:
    result = command("calibrate", "--source", still.url, "--out", "face.npz")
    assert result.returncode == 0
    assert result.stdout == ""
    assert result.complaints[:3] == [
        f"relax your face, and look at the camera … {left}" for left in (3, 2, 1)
    ]
    assert "keep still … 5" in result.complaints
    assert result.complaints[-1].startswith("kept the mean of ")
    setting = ["--set", f"classify.baseline={tmp_path / 'face.npz'}"]
    setting += ["--set", "classify.baseline_strength=1.0", "--source", "sample"]
    labels = [
        reading["label"]
        for reading in command("run", *setting).readings
        if reading["label"] != UNKNOWN
    ]
    assert labels.count("neutral") > len(labels) / 2  # she smiles; now that is her resting face


def test_the_command_refuses_what_moves(
    command: Command, portrait: np.ndarray, tmp_path: Path
) -> None:
    """A face that is wider in every other frame."""
    shapes = (portrait[:, 56:416], cv2.resize(portrait, (360, 512)))
    stream = Stream([cv2.imencode(".jpg", shape[..., ::-1])[1].tobytes() for shape in shapes])
    result = command("calibrate", "--source", stream.url, "--out", "face.npz")
    stream.cut()
    assert result.returncode == 1
    assert result.complaints[-1].startswith("too much movement: ")
    assert not (tmp_path / "face.npz").exists()


def test_the_command_with_a_clip(command: Command, tmp_path: Path) -> None:
    """The sample will do; one without a face, and a place for none, are refused."""
    result = command("calibrate", "--source", "sample", "--out", "face.npz")
    assert (result.returncode, (tmp_path / "face.npz").exists()) == (0, True)
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in/a.png"), np.zeros((240, 320, 3), np.uint8))
    result = command("calibrate", "--source", "in", "--out", "face.npz")
    assert result.returncode == 1
    assert result.complaints[-1].startswith("the clip ended, and no face was seen: ")
    result = command("calibrate", "--source", "in", "--out", "in")
    assert result.returncode == 1
    assert result.complaints == ["in: cannot be written: is a folder; name a file in it"]


def test_the_command_without_a_file_and_without_a_camera(command: Command) -> None:
    result = command("calibrate", "--source", "sample")
    assert result.returncode == 78
    assert "--out FILE" in result.complaints[-1]
    result = command("calibrate", "--source", "http://127.0.0.1:9/x", "--out", "face.npz")
    assert result.returncode == 1
    assert len(result.complaints) == 1
