"""Calibration: a resting face becomes a baseline, all else one line that says what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge import Recognizer, calibrate
from edge.baseline import Baseline, mean_neutral, save
from edge.bundle import Bundle
from edge.calibrate import Calibrator
from edge.features import aligned
from edge.settings import ClassifySettings
from edge.types import UNKNOWN, Frame, Gap, Mesh, Reading

NOBODY = Reading(UNKNOWN, None, None, None, {}, "no face")


@pytest.fixture(scope="module")
def recognise(models_dir: Path) -> Recognizer:
    return Recognizer(models_dir)


@pytest.fixture
def resting(recognise: Recognizer, portrait: np.ndarray) -> Mesh:
    recognise.baseline = None
    mesh = recognise(portrait).mesh
    assert mesh is not None
    return mesh


def play(
    calibrator: Calibrator,
    portrait: np.ndarray,
    look: Callable[[float], Mesh | None],
    seconds: float = 40,
) -> list[str]:
    """15 frames a second, until it is over; the phases that it went through."""
    phases = []
    for i in range(int(seconds * 15)):
        mesh = look(i / 15)
        reading = NOBODY if mesh is None else Reading("happy", 0.9, None, mesh)
        calibrator(Frame(portrait, i / 15, "a", i, clock_s=i / 15), reading)
        phase = calibrator.progress.phase
        if not phases or phases[-1] != phase:
            phases.append(phase)
        if calibrator.progress.over:
            break
    return phases


def shaken(mesh: Mesh, size: float, seed: int) -> Mesh:
    """Noise of `size` radii on every landmark."""
    radius = float(np.sqrt(np.square(mesh.landmarks - mesh.landmarks.mean(0)).sum(1).mean()))
    noise = np.random.default_rng(seed).normal(0, size * radius / 3**0.5, (468, 3))
    return Mesh((mesh.landmarks + noise).astype(np.float32), mesh.presence)


def test_a_resting_face_is_kept(
    recognise: Recognizer, resting: Mesh, portrait: np.ndarray, tmp_path: Path
) -> None:
    settings = ClassifySettings(baseline=str(tmp_path / "new" / "face.npz"))
    calibrator = Calibrator(settings, recognise)
    assert calibrator.progress.phase == "idle"
    assert calibrator.start()
    assert not calibrator.start()  # once is enough

    def look(now: float) -> Mesh | None:
        return None if now < 2 else shaken(resting, 0.02, int(now * 15))

    assert play(calibrator, portrait, look) == ["waiting", "ready", "taking", "done"]
    assert f"75 frames in {settings.baseline}" in calibrator.progress.text
    with np.load(settings.baseline, allow_pickle=False) as file:
        assert sorted(file) == ["frames", "landmarks", "network"]
        assert np.abs(file["landmarks"] - aligned(resting.landmarks)).max() < 0.01
        assert file["frames"] == 75
    assert recognise.baseline is not None  # at work at once
    assert Calibrator(settings, recognise).progress.text == "your resting face is known"
    assert calibrator.start()  # and again


@pytest.mark.parametrize(
    ("size", "gone", "said"),
    [
        (0.1, 0.0, "too much movement: 0.1"),
        (0.02, 0.5, "no steady face: seen in"),
    ],
)
def test_a_face_that_does_not_rest(
    recognise: Recognizer,
    resting: Mesh,
    portrait: np.ndarray,
    tmp_path: Path,
    size: float,
    gone: float,
    said: str,
) -> None:
    path = tmp_path / "face.npz"
    calibrator = Calibrator(ClassifySettings(baseline=str(path)), recognise)
    calibrator.start()

    def look(now: float) -> Mesh | None:
        return None if now > 1 and now % 1 < gone else shaken(resting, size, int(now * 15))

    assert play(calibrator, portrait, look)[-1] == "failed"
    assert calibrator.progress.text.startswith(said)
    assert not path.exists()
    assert recognise.baseline is None


def test_a_head_that_turns(
    recognise: Recognizer, resting: Mesh, portrait: np.ndarray, tmp_path: Path
) -> None:
    calibrator = Calibrator(ClassifySettings(baseline=str(tmp_path / "face.npz")), recognise)
    calibrator.start()
    middle = resting.landmarks.mean(axis=0)

    def look(now: float) -> Mesh:
        angle = np.radians(10) * np.sin(now)
        turn = np.array(
            [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
        )
        return Mesh(((resting.landmarks - middle) @ turn + middle).astype(np.float32), 1.0)

    play(calibrator, portrait, look)
    assert calibrator.progress.text.startswith("too much movement")


def test_a_face_that_is_badly_lit(
    recognise: Recognizer, resting: Mesh, portrait: np.ndarray, tmp_path: Path
) -> None:
    """What the page would advise has to be mended first."""
    calibrator = Calibrator(ClassifySettings(baseline=str(tmp_path / "face.npz")), recognise)
    calibrator.start()
    play(calibrator, portrait // 8, lambda now: resting)
    assert calibrator.progress.text.startswith("too dark: the face has ")


def test_nobody_comes_and_a_camera_that_is_lost(
    recognise: Recognizer, resting: Mesh, portrait: np.ndarray, tmp_path: Path
) -> None:
    calibrator = Calibrator(ClassifySettings(baseline=str(tmp_path / "face.npz")), recognise)
    calibrator.start()
    assert play(calibrator, portrait, lambda now: None) == ["waiting", "failed"]
    assert calibrator.progress.text == "no face in 20 s: come into view, and try again"
    calibrator.start()
    play(calibrator, portrait, lambda now: resting, seconds=4)
    lost = Reading(UNKNOWN, None, None, None, {}, "camera lost")
    calibrator(Gap("v4l2:0", "unplugged", 0.0, 5.0), lost)
    assert (calibrator.progress.phase, calibrator.progress.text) == (
        "failed",
        "camera lost: unplugged",
    )


@pytest.mark.parametrize("path", ["/proc/no/face.npz", "/proc", "."])
def test_a_disk_that_does_not_take_it(recognise: Recognizer, path: str) -> None:
    """It does not even begin."""
    calibrator = Calibrator(ClassifySettings(baseline=path), recognise)
    assert not calibrator.start()
    assert calibrator.progress.phase == "failed"
    assert f"{path}: cannot be written" in calibrator.progress.text


@pytest.mark.parametrize("name", ["photo.jpg", "letter.zip", "device"])
def test_what_is_no_resting_face_is_not_replaced(
    recognise: Recognizer, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    if name == "device":
        path.symlink_to("/dev/full")
    elif name == "letter.zip":
        np.savez(tmp_path / "letter", words=np.zeros(3))
        (tmp_path / "letter.npz").rename(path)
    else:
        path.write_bytes(b"\xff\xd8 a photograph")
    before = [one.name for one in tmp_path.iterdir()], name != "device" and path.read_bytes()
    calibrator = Calibrator(ClassifySettings(baseline=str(path)), recognise)
    assert not calibrator.start()
    assert "is there, and no resting face" in calibrator.progress.text
    after = [one.name for one in tmp_path.iterdir()], name != "device" and path.read_bytes()
    assert after == before


@pytest.mark.parametrize(
    ("seconds", "phase", "told"),
    [
        (2, "failed", "the clip ended 1.9 s after the first face, and 7 s are needed"),
        (6, "failed", "the clip ended 5.9 s after the first face, and 7 s are needed"),
        (7.5, "done", "kept the mean of 66 frames"),
    ],
)
def test_a_clip_that_ends(
    recognise: Recognizer,
    resting: Mesh,
    portrait: np.ndarray,
    tmp_path: Path,
    seconds: float,
    phase: str,
    told: str,
) -> None:
    """As a face may be away for a fifth of the time, a clip may be so much shorter."""
    path = tmp_path / "face.npz"
    calibrator = Calibrator(ClassifySettings(baseline=str(path)), recognise)
    calibrator.start()
    play(calibrator, portrait, lambda now: resting, seconds)
    calibrator.end()
    assert calibrator.progress.phase == phase
    assert calibrator.progress.text.startswith(told)
    assert path.exists() == (phase == "done")


def test_off_without_a_file(recognise: Recognizer, resting: Mesh) -> None:
    calibrator = Calibrator(ClassifySettings(), recognise)
    assert not calibrator.start()
    assert calibrator.progress.phase == "off"


# What a baseline does.


def test_own_resting_face_is_read_as_the_mean_neutral_one(
    recognise: Recognizer, resting: Mesh, models_dir: Path
) -> None:
    neutral = mean_neutral(Bundle.open(models_dir))
    own = aligned(resting.landmarks)
    assert np.abs(Baseline(own, neutral, 1.0)(resting.landmarks) - neutral).max() < 1e-6
    assert np.abs(Baseline(own, neutral, 0.0)(resting.landmarks) - own).max() < 1e-6
    half = Baseline(own, neutral, 0.5)(resting.landmarks)
    assert np.abs(half - (own + neutral) / 2).max() < 1e-6


def test_the_recognizer_takes_it(
    recognise: Recognizer, resting: Mesh, portrait: np.ndarray, tmp_path: Path, models_dir: Path
) -> None:
    path = tmp_path / "face.npz"
    recognise.reset()
    before = recognise(portrait)
    settings = ClassifySettings(baseline=str(path), baseline_strength=1.0)
    recognise.know(settings)
    assert recognise.baseline is None  # not calibrated yet
    save(path, aligned(resting.landmarks), 75, Bundle.open(models_dir))
    recognise.know(settings)
    recognise.reset()
    after = recognise(portrait)
    assert (before.label, after.label) == ("happy", "neutral")
    assert after.mesh is not None
    assert np.array_equal(after.mesh.landmarks, before.mesh.landmarks)  # type: ignore[union-attr]
    recognise.know(ClassifySettings())
    assert recognise(portrait).label == "happy"


def test_constants_are_consistent() -> None:
    """A face as still as the sample clip passes, one that smiles does not."""
    assert 0.022 < calibrate.MOVEMENT < 0.0541


def test_no_picture_is_in_the_file(
    recognise: Recognizer, resting: Mesh, portrait: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "face.npz"
    calibrator = Calibrator(ClassifySettings(baseline=str(path)), recognise)
    calibrator.start()
    play(calibrator, portrait, lambda now: resting)
    assert path.stat().st_size < 8000  # 468 × 3 float32 and a little
