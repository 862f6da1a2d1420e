"""The library interface: picture in, reading out."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import cv2
import numpy as np
import pytest

from edge import CLASSES, Mesh, Reading, Recognizer
from edge.pipeline import follow, read
from edge.settings import MeshSettings
from edge.smooth import Smoother
from edge.types import Frame, Gap


@pytest.fixture
def recognise(models_dir: Path) -> Recognizer:
    return Recognizer(models_dir)


def test_reading_is_as_documented(recognise: Recognizer, portrait: np.ndarray) -> None:
    reading = recognise(portrait)
    assert isinstance(reading, Reading)
    assert isinstance(reading.mesh, Mesh)
    assert reading.face
    assert (reading.mesh.landmarks.shape, reading.mesh.landmarks.dtype) == ((468, 3), np.float32)
    assert reading.presence == reading.mesh.presence
    assert 0.5 <= reading.mesh.presence <= 1
    assert reading.probabilities is not None
    assert (reading.probabilities.shape, reading.probabilities.dtype) == ((7,), np.float32)
    assert (reading.probabilities >= 0).all()
    assert float(reading.probabilities.sum()) == pytest.approx(1, abs=1e-6)
    best = int(reading.probabilities.argmax())
    assert reading.label == CLASSES[best]
    assert type(reading.confidence) is float
    assert reading.confidence == pytest.approx(float(reading.probabilities[best]))
    assert set(reading.timings_ms) == {"detect", "crop", "mesh", "features", "classify"}
    assert all(type(ms) is float and ms > 0 for ms in reading.timings_ms.values())


def test_a_smile_is_happy(recognise: Recognizer, portrait: np.ndarray) -> None:
    assert recognise(portrait).label == "happy"


def test_mesh_lies_on_the_face(recognise: Recognizer, portrait: np.ndarray) -> None:
    """In the portrait the face is around (222, 118); hair and suit are not part of it."""
    mesh = recognise(portrait).mesh
    assert mesh is not None
    low, high = mesh.landmarks[:, :2].min(axis=0), mesh.landmarks[:, :2].max(axis=0)
    assert (low > (150, 50)).all()
    assert (high < (300, 220)).all()
    assert (low + high) / 2 == pytest.approx([222, 118], abs=20)


@pytest.mark.parametrize("shape", [(480, 640, 3), (48, 48, 3), (1, 1, 3), (3, 700, 3)])
def test_no_face(recognise: Recognizer, shape: tuple[int, ...]) -> None:
    reading = recognise(np.full(shape, 128, np.uint8))
    assert not reading.face
    assert (reading.label, reading.confidence, reading.probabilities) == ("unknown", None, None)
    assert (reading.mesh, reading.presence) == (None, None)
    assert set(reading.timings_ms) == {"detect"}


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((48, 48), np.uint8),
        np.zeros((48, 48, 1), np.uint8),
        np.zeros((48, 48, 4), np.uint8),
        np.zeros((1, 48, 48, 3), np.uint8),
        np.zeros((0, 48, 3), np.uint8),
        np.zeros((48, 48, 3), np.float32),
        np.zeros((48, 48, 3), np.int8),
    ],
    ids=lambda image: f"{image.shape} {image.dtype}",
)
def test_what_is_no_picture_is_refused(recognise: Recognizer, image: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8 RGB"):
        recognise(image)


@pytest.mark.parametrize("image", [None, "a.jpg", [[[0, 0, 0]]]], ids=repr)
def test_what_is_no_array_is_refused(recognise: Recognizer, image: object) -> None:
    with pytest.raises(ValueError, match=f"uint8 RGB, not {type(image).__name__}"):
        recognise(image)  # type: ignore[arg-type]


@pytest.mark.parametrize("cropped", [False, True])
def test_views_read_like_copies(models_dir: Path, portrait: np.ndarray, cropped: bool) -> None:
    """OpenCV users pass `image[..., ::-1]`, others a slice or a flip."""
    recognise = Recognizer(models_dir, tracking=False, cropped=cropped)
    wide = np.zeros((600, 700, 4), np.uint8)
    wide[20:532, 30:542, :3] = portrait
    views = [
        np.ascontiguousarray(portrait[..., ::-1])[..., ::-1],
        wide[20:532, 30:542, :3],
        np.ascontiguousarray(portrait[:, ::-1])[:, ::-1],
        np.asfortranarray(portrait),
    ]
    expected = recognise(portrait)
    assert expected.mesh is not None
    for view in views:
        assert not view.flags.c_contiguous
        got = recognise(view)
        assert got.mesh is not None
        np.testing.assert_array_equal(got.mesh.landmarks, expected.mesh.landmarks)
        np.testing.assert_array_equal(got.probabilities, expected.probabilities)


def test_the_picture_is_left_as_it_was(recognise: Recognizer, portrait: np.ndarray) -> None:
    image = portrait.copy()
    recognise(image)
    np.testing.assert_array_equal(image, portrait)


def test_a_reading_outlives_the_next(recognise: Recognizer, portrait: np.ndarray) -> None:
    """Buffers are made once and used again; what is handed out must not be one of them."""
    first = recognise(portrait)
    assert first.mesh is not None
    landmarks, probabilities = first.mesh.landmarks.copy(), np.copy(first.probabilities)
    recognise(np.ascontiguousarray(portrait[:, ::-1]))
    np.testing.assert_array_equal(first.mesh.landmarks, landmarks)
    np.testing.assert_array_equal(first.probabilities, probabilities)


def test_tracking_and_reset(models_dir: Path, portrait: np.ndarray) -> None:
    """A tracked look starts from the mesh before; after `reset` none does."""
    looks = MeshSettings(still=False, crop_looks=1)
    recognise = Recognizer(models_dir, mesh=looks)
    alone = Recognizer(models_dir, tracking=False, mesh=looks)

    def landmarks(recogniser: Recognizer) -> np.ndarray:
        mesh = recogniser(portrait).mesh
        assert mesh is not None
        return mesh.landmarks

    first = landmarks(recognise)
    tracked = landmarks(recognise)
    assert np.abs(tracked - first).max() > 1e-3  # else this test could not see a reset
    assert np.abs(tracked - first).max() < 10
    recognise.reset()
    np.testing.assert_array_equal(landmarks(recognise), first)
    np.testing.assert_array_equal(landmarks(alone), first)
    np.testing.assert_array_equal(landmarks(alone), first)


def test_a_new_source_is_a_new_scene(models_dir: Path, portrait: np.ndarray) -> None:
    frames = [Frame(portrait, 0.0, "a", 0), Frame(portrait, 0.1, "a", 1)]
    frames.append(Frame(portrait, 0.0, "b", 0))
    recognise = Recognizer(models_dir, mesh=MeshSettings(still=False))
    readings = [reading for _, reading in read(frames, recognise)]
    first, second, other = (reading.mesh.landmarks for reading in readings if reading.mesh)
    np.testing.assert_array_equal(first, other)
    assert (first != second).any()


def test_a_camera_that_was_lost_shows_a_new_scene(models_dir: Path, portrait: np.ndarray) -> None:
    """Who is there when it is back need not be where somebody was before."""
    pictures = [Frame(portrait, 0.0, "a", i, clock_s=i / 10) for i in range(3)]
    frames = [*pictures[:2], Gap("a", "unplugged", 0.0, 0.2), pictures[2]]
    recognise = Recognizer(models_dir, mesh=MeshSettings(still=False))
    readings = [reading for _, reading in follow(frames, recognise, Smoother())]
    assert readings[2].reason == "camera lost"
    first, second, back = (reading.mesh.landmarks for reading in readings if reading.mesh)
    np.testing.assert_array_equal(first, back)
    assert (first != second).any()


@pytest.mark.parametrize("size", [1, 16, 48, 300])
def test_cropped_always_gives_a_mesh(models_dir: Path, size: int) -> None:
    recognise = Recognizer(models_dir, cropped=True)
    noise = np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)
    for image in (noise, np.zeros_like(noise)):
        reading = recognise(image)
        assert reading.mesh is not None
        assert np.isfinite(reading.mesh.landmarks).all()
        assert reading.probabilities is not None
        assert (reading.label, reading.confidence) == ("unknown", reading.probabilities.max())
        assert reading.reason in ("not a face", "too small")


def test_cropped_reads_a_small_crop(models_dir: Path, portrait: np.ndarray) -> None:
    """48×48, as in FER-2013: the same face is the same expression."""
    crop = cv2.resize(portrait[40:200, 142:302], (48, 48), interpolation=cv2.INTER_AREA)
    reading = Recognizer(models_dir, cropped=True)(crop)
    assert reading.label == "happy"
    assert reading.presence is not None
    assert reading.presence > 0.5


def test_models_dir_may_be_a_string(models_dir: Path, portrait: np.ndarray) -> None:
    assert Recognizer(str(models_dir))(portrait).face


def test_every_stage_is_timed_once(models_dir: Path, portrait: np.ndarray) -> None:
    """The stages of `follow` add up to what it took, and come in the order in which they ran."""
    moved = np.roll(portrait, 2, axis=1)
    pictures = (portrait, moved, moved, moved, np.full_like(portrait, 128))
    frames = [Frame(p, i / 10, "a", i, clock_s=i / 10) for i, p in enumerate(pictures)]
    loop = follow(frames, Recognizer(models_dir), Smoother())
    told = []
    for _ in frames:
        start = perf_counter()
        _, reading = next(loop)
        passed = (perf_counter() - start) * 1e3
        assert sum(reading.timings_ms.values()) == pytest.approx(passed, rel=0.1, abs=1)
        told.append(list(reading.timings_ms))
    look = ["crop", "mesh", "features", "classify", "smooth"]
    assert told == [
        ["detect", *look],
        look,  # a face that was just found is looked at until it was seen straight
        look,
        ["still", "smooth"],
        ["still", "crop", "mesh", "detect", "smooth"],
    ]
