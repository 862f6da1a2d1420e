"""The file with a resting face: what is in it, and that a missing one is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.baseline import Baseline, mean_neutral, save, try_out
from edge.bundle import Bundle
from edge.errors import OutputError, SetupError

Command = Callable[..., Any]
ABSENT = (
    "classify.baseline: face.npz is not there, and without it all faces are read alike: "
    "run `python -m edge calibrate --out face.npz`"
)


def test_mean_neutral_face_is_read_as_neutral(models_dir: Path) -> None:
    """By every model; what training calls neutral is meant."""
    from edge.classify import open_classifier
    from edge.types import CLASSES

    bundle = Bundle.open(models_dir)
    for name in bundle.models:
        classifier = open_classifier(bundle, name)
        p = classifier.predict(classifier.features(mean_neutral(bundle)))
        assert CLASSES[int(p.argmax())] == "neutral"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"landmarks": np.zeros((467, 3), np.float32)}, "landmarks"),
        ({"landmarks": np.full((468, 3), np.nan, np.float32)}, "landmarks"),
        ({"landmarks": np.full((468, 3), "x")}, "landmarks"),
        ({"network": np.array("0" * 64)}, "another mesh network"),
        ({"landmarks": None}, "'landmarks' is missing"),
    ],
)
def test_files_that_are_no_baseline(
    tmp_path: Path, models_dir: Path, changed: dict[str, Any], said: str
) -> None:
    path, bundle = tmp_path / "face.npz", Bundle.open(models_dir)
    save(path, np.zeros((468, 3), np.float32), 75, bundle)
    with np.load(path) as file:
        arrays = {**dict(file), **changed}
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    with pytest.raises(SetupError, match=said) as error:
        Baseline.open(path, bundle, 0.4)
    assert str(path) in str(error.value)
    path.write_bytes(b"no zip")
    with pytest.raises(SetupError, match="cannot be read"):
        Baseline.open(path, bundle, 0.4)


def test_a_bundle_without_a_neutral_face(
    edit_manifest: Callable[..., Path], tmp_path: Path
) -> None:
    for entry in (None, {}, {"file": "neutral.npz"}):
        bundle = Bundle.open(edit_manifest(neutral=entry))
        with pytest.raises(SetupError, match=r"names no neutral face.*convert\.neutral"):
            Baseline.open(tmp_path / "face.npz", bundle, 0.4)


def test_save_leaves_what_was_there(tmp_path: Path, models_dir: Path) -> None:
    path = tmp_path / "face.npz"
    path.mkdir()
    with pytest.raises(OutputError, match=r"face\.npz: cannot be written"):
        save(path, np.zeros((468, 3), np.float32), 75, Bundle.open(models_dir))
    assert path.is_dir()


def test_a_linked_file_stays_linked(tmp_path: Path, models_dir: Path) -> None:
    """And one that is there already is replaced, as is an empty one."""
    path, bundle = tmp_path / "link.npz", Bundle.open(models_dir)
    path.symlink_to(tmp_path / "face.npz")
    (tmp_path / "face.npz").touch()
    for frames in (75, 60):
        try_out(path)
        save(path, np.zeros((468, 3), np.float32), frames, bundle)
        assert path.is_symlink()
        assert int(np.load(tmp_path / "face.npz")["frames"]) == frames
    assert {one.name for one in tmp_path.iterdir()} == {"link.npz", "face.npz"}


@pytest.fixture
def pictures(tmp_path: Path, save: Callable[..., Path], small: np.ndarray) -> str:
    """A folder with one picture, by its name."""
    return save(tmp_path / "in/a.jpg", small).parent.name


@pytest.mark.parametrize("name", ["run", "daemon"])
def test_the_loop_goes_on_without_the_file_and_says_so(
    command: Command, pictures: str, name: str
) -> None:
    """It may be written later, by the page's button."""
    result = command(name, "--source", pictures, "--set", "classify.baseline=face.npz")
    assert (result.returncode, result.complaints) == (0, [ABSENT])
    assert result.readings


def test_classify_without_the_file(command: Command, pictures: str, tmp_path: Path) -> None:
    """Who names it on the command line wants it; settings for the camera may be ahead of it."""
    (tmp_path / "my.toml").write_text("[classify]\nbaseline = 'face.npz'\n")
    result = command("classify", pictures, "--config", "my.toml")
    assert (result.returncode, result.complaints) == (0, [ABSENT])
    assert result.readings
    result = command("classify", pictures, "--set", "classify.baseline=face.npz")
    assert (result.returncode, result.complaints, result.stdout) == (78, [ABSENT], "")


@pytest.mark.parametrize("flags", [[], ["--cropped"]])
def test_classify_takes_it(
    command: Command, pictures: str, tmp_path: Path, models_dir: Path, flags: list[str]
) -> None:
    """A face far from the mean one, taken off whole, changes what is read."""
    bundle = Bundle.open(models_dir)
    save(tmp_path / "face.npz", mean_neutral(bundle) * np.float32([1.2, 1, 1]), 75, bundle)
    (plain,) = command("classify", *flags, pictures).readings
    chosen = ["--set", "classify.baseline=face.npz", "--set", "classify.baseline_strength=1"]
    (known,) = command("classify", *flags, pictures, *chosen).readings
    assert known["probabilities"] != plain["probabilities"]


def test_the_doctor_looks_at_it(command: Command, tmp_path: Path, models_dir: Path) -> None:
    def look(*flags: str) -> dict[str, str]:
        told = json.loads(command("doctor", "--json", "--source", "nowhere", *flags).stdout)
        return next(check for check in told if check["name"] == "baseline")

    chosen = ("--set", "classify.baseline=face.npz")
    assert look()["state"] == "ok"
    absent = look(*chosen)
    assert absent["state"] == "warn"
    assert absent["remedy"] == "run `python -m edge calibrate --out face.npz`"
    save(tmp_path / "face.npz", np.zeros((468, 3), np.float32), 75, Bundle.open(models_dir))
    assert look(*chosen)["state"] == "ok"
    (tmp_path / "face.npz").write_bytes(b"no zip")
    assert (look(*chosen)["state"], look(*chosen)["remedy"]) == ("bad", absent["remedy"])
