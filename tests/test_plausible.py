"""Which meshes are read: size, pose, and for face crops what speaks for a face."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from math import cos, radians, sin
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import CLASSES, Mesh, Recognizer
from edge.bundle import Bundle
from edge.errors import SetupError
from edge.mesh.tracker import DETECTOR_FILE
from edge.plausible import Limits, Plausible, SecondOpinion, open_plausible, pose
from edge.settings import MeshSettings

LIMITS = Limits(pixels=24, yaw=50, pitch_up=30, pitch_down=40, support=-5)
IMAGE = np.zeros((1, 1, 3), np.uint8)


def face(
    yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0, height: float = 100.0
) -> np.ndarray:
    """A mesh whose four points lie on a flat face, turned (degrees) and moved: (468, 3)."""
    landmarks = np.zeros((468, 3), np.float32)
    landmarks[33], landmarks[263] = (-0.3, -0.2, 0), (0.3, -0.2, 0)
    landmarks[10], landmarks[152] = (0, -0.5, 0), (0, 0.5, 0)
    y, p, r = (radians(angle) for angle in (yaw, pitch, roll))
    # About its own vertical, then the camera's horizontal, then in the picture.
    turn = np.array([[cos(y), 0, -sin(y)], [0, 1, 0], [sin(y), 0, cos(y)]])
    nod = np.array([[1, 0, 0], [0, cos(p), -sin(p)], [0, sin(p), cos(p)]])
    tilt = np.array([[cos(r), -sin(r), 0], [sin(r), cos(r), 0], [0, 0, 1]])
    turned = landmarks @ (tilt @ nod @ turn).T * height + (300, 200, 0)
    return turned.astype(np.float32)


@given(st.floats(-80, 80), st.floats(-180, 180), st.floats(10, 1000))
def test_yaw_is_measured_however_the_head_is_tilted(yaw: float, roll: float, size: float) -> None:
    found, pitch, height = pose(face(yaw=yaw, roll=roll, height=size))
    assert found == pytest.approx(yaw, abs=0.1)
    assert pitch == pytest.approx(0, abs=0.1)
    assert height == pytest.approx(size, rel=1e-3)


@given(st.floats(-80, 80), st.floats(-180, 180))
def test_pitch_is_measured_however_the_head_is_tilted(pitch: float, roll: float) -> None:
    yaw, found, height = pose(face(pitch=pitch, roll=roll))
    assert yaw == pytest.approx(0, abs=0.1)
    assert found == pytest.approx(pitch, abs=0.1)
    assert height == pytest.approx(100 * cos(radians(pitch)), abs=0.1)


@pytest.mark.parametrize(
    ("landmarks", "reason"),
    [
        (face(), None),
        (face(yaw=49), None),
        (face(yaw=-49), None),
        (face(yaw=51), "turned away"),
        (face(yaw=-51), "turned away"),
        (face(pitch=39), None),
        (face(pitch=41), "turned away"),
        (face(pitch=-29), None),
        (face(pitch=-31), "turned away"),
        (face(roll=170), None),
        (face(height=24.1), None),
        (face(height=23.9), "too small"),
        (face(height=23.9, yaw=80), "too small"),
    ],
)
def test_limits(landmarks: np.ndarray, reason: str | None) -> None:
    assert Plausible(LIMITS)(IMAGE, Mesh(landmarks, 0.9)) == reason


def test_the_portrait_looks_at_the_camera(models_dir: Path, portrait: np.ndarray) -> None:
    mesh = Recognizer(models_dir)(portrait).mesh
    assert mesh is not None
    yaw, pitch, height = pose(mesh.landmarks)
    assert abs(yaw) < 25
    assert abs(pitch) < 25
    assert height == pytest.approx(np.ptp(mesh.landmarks[:, 1]), rel=0.1)


def test_mirrored_is_turned_the_other_way(models_dir: Path, portrait: np.ndarray) -> None:
    recognise = Recognizer(models_dir, tracking=False)
    meshes = [recognise(image).mesh for image in (portrait, portrait[:, ::-1].copy())]
    (yaw, *_), (mirrored, *_) = (pose(mesh.landmarks) for mesh in meshes if mesh)
    assert mirrored == pytest.approx(-yaw, abs=6)


def test_a_small_face_is_unknown_but_can_be_looked_at(
    models_dir: Path, portrait: np.ndarray
) -> None:
    """Mesh and probabilities are given all the same; the settings switch the check off."""
    crop = cv2.resize(portrait[40:200, 142:302], (24, 24), interpolation=cv2.INTER_AREA)
    reading = Recognizer(models_dir, cropped=True)(crop)
    assert (reading.label, reading.reason) == ("unknown", "too small")
    assert reading.mesh is not None
    assert reading.probabilities is not None
    off = Recognizer(models_dir, cropped=True, mesh=MeshSettings(check=False))(crop)
    assert off.reason is None
    assert off.label == CLASSES[int(reading.probabilities.argmax())]
    assert off.confidence == reading.confidence


def test_the_detector_is_asked_only_where_presence_is_low(
    models_dir: Path, portrait: np.ndarray
) -> None:
    asked = []

    def opinion(image: np.ndarray, mesh: Mesh) -> float:
        asked.append(mesh.presence)
        return -4.9 if mesh.presence > 0.1 else -5.1

    check = Plausible(LIMITS, opinion)  # type: ignore[arg-type]
    meshes = [Mesh(face(yaw=80), presence) for presence in (0.9, 0.5, 0.49, 0.01)]
    assert [check(portrait, mesh) for mesh in meshes] == [None, None, None, "not a face"]
    assert asked == [0.49, 0.01]


def test_a_face_has_more_support_than_none(models_dir: Path, portrait: np.ndarray) -> None:
    ask = SecondOpinion(models_dir / DETECTOR_FILE)
    crop = cv2.resize(portrait[40:200, 142:302], (48, 48), interpolation=cv2.INTER_AREA)
    grey = np.full((48, 48, 3), 128, np.uint8)
    mesh = Recognizer(models_dir, cropped=True)(crop).mesh
    assert mesh is not None

    def support(image: np.ndarray, presence: float) -> float:
        return ask(image, replace(mesh, presence=presence))

    assert support(crop, 0.2) > Limits.of(Bundle.open(models_dir)).support > support(grey, 0.01)
    assert support(crop, 0.4) > support(crop, 0.2)
    assert np.isfinite([support(crop, 0.0), support(crop, 1.0)]).all()


def test_a_face_elsewhere_speaks_for_no_mesh(models_dir: Path, portrait: np.ndarray) -> None:
    """The whole portrait is no face crop: the mesh that is laid over it is none of the face."""
    reading = Recognizer(models_dir, cropped=True)(portrait)
    assert (reading.label, reading.reason) == ("unknown", "not a face")
    assert not reading.face


def test_patches_of_the_portrait_are_no_faces(models_dir: Path, portrait: np.ndarray) -> None:
    """Of a hundred squares beside the face, said to be face crops, at most one in ten is read: her
    suit has round badges."""
    face = Recognizer(models_dir, tracking=False)(portrait).mesh
    assert face is not None
    (left, top), (right, bottom) = (f(face.landmarks[:, :2], axis=0) for f in (np.min, np.max))
    recognise, rng, read = Recognizer(models_dir, cropped=True), np.random.default_rng(5), []
    while len(read) < 100:
        side = int(rng.integers(48, 240))
        x, y = (int(rng.integers(0, size - side)) for size in portrait.shape[1::-1])
        if x > right or x + side < left or y > bottom or y + side < top:
            patch = np.ascontiguousarray(portrait[y : y + side, x : x + side])
            read.append(recognise(patch).label != "unknown")
    assert sum(read) <= 10


@pytest.mark.parametrize("cropped", [False, True])
def test_a_bundle_says_its_limits(models_dir: Path, cropped: bool) -> None:
    bundle = Bundle.open(models_dir)
    assert open_plausible(bundle, MeshSettings(), cropped=cropped) is not None
    assert open_plausible(bundle, MeshSettings(check=False), cropped=cropped) is None


@pytest.mark.parametrize("value", [None, "a", [], float("nan"), float("inf"), 10**400], ids=str)
@pytest.mark.parametrize("key", ["pixels", "yaw", "support"])
def test_odd_limits(models_dir: Path, key: str, value: object) -> None:
    manifest = json.loads((models_dir / "manifest.json").read_text())
    manifest["plausible"][key] = value
    with pytest.raises(SetupError, match="'plausible' are not whole") as error:
        Limits.of(Bundle(models_dir, manifest))
    assert len(str(error.value).splitlines()) == 1


def test_a_bundle_without_limits(edit_manifest: Callable[..., Path]) -> None:
    with pytest.raises(SetupError, match="'plausible' are not whole"):
        Recognizer(edit_manifest(plausible=None))
