"""Detect, then track; crops without a detector; both TFLite runtimes."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge import interpreter
from edge.cameras.opencv import decode
from edge.cameras.y4m import Y4m
from edge.errors import SetupError
from edge.mesh import tracker
from edge.mesh.geometry import Roi
from edge.mesh.places import elsewhere
from edge.mesh.topology import CONNECTIONS_FILE, tessellation
from edge.mesh.tracker import LANDMARK_FILE, CropMesher
from edge.settings import MeshSettings
from edge.types import Mesh


def frames(models_dir: Path) -> list[np.ndarray]:
    return [frame.image for frame in Y4m(models_dir / "sample.y4m")]


def test_tracking_asks_the_detector_once(mesher: Callable, models_dir: Path, monkeypatch) -> None:
    calls = []
    original = tracker.Detector.__call__
    monkeypatch.setattr(
        tracker.Detector,
        "__call__",
        lambda self, image, place=None: (calls.append(place), original(self, image, place))[1],
    )
    track = mesher(tracking=True)
    meshes = [track(image) for image in frames(models_dir)[:30]]
    assert all(mesh is not None for mesh in meshes)
    assert len(calls) == 1


def test_a_lost_face_is_found_in_the_same_frame(
    mesher: Callable, models_dir: Path, error: Callable
) -> None:
    first, second = (np.roll(frames(models_dir)[20], (0, shift), (0, 1)) for shift in (0, 200))
    track, still = mesher(tracking=True), mesher()
    assert track(first) is not None
    found, expected = track(second), still(second)
    assert (found is None) == (expected is None)
    if found:
        assert error(found, expected) < 0.05


def test_a_face_that_moves_is_expected_where_it_goes(
    mesher: Callable, portrait: np.ndarray, error: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looked for where it was last, a head that is tilted by 5° a frame would be seen askew."""
    height, width = portrait.shape[:2]
    turns = [cv2.getRotationMatrix2D((225, 123), 5.0 * step, 1) for step in range(12)]
    shown = [cv2.warpAffine(portrait, turn, (width, height)) for turn in turns]
    alone = [mesher()(image) for image in shown]
    errors = []
    for ahead in (Roi.ahead_of, lambda self, before, earlier: self):
        monkeypatch.setattr(Roi, "ahead_of", ahead)
        track = mesher(tracking=True)
        meshes = [track(image) for image in shown]
        pairs = list(zip(meshes, alone, strict=True))[3:]
        errors.append(np.mean([error(one, other) for one, other in pairs]))
    assert errors[0] < 0.85 * errors[1]


def test_a_picture_alone_is_looked_at_like_a_crop(
    mesher: Callable, portrait: np.ndarray, error: Callable
) -> None:
    """The first look, from the detector's box, is off; the classifiers learnt from later ones."""
    once, often = mesher(crop_looks=1)(portrait), mesher()(portrait)
    track = mesher(tracking=True, still=False)
    later = [track(portrait) for _ in range(4)][-1]
    assert error(often, later) < 0.7 * error(once, later)


def test_no_face_is_none_and_forgotten(mesher: Callable, portrait: np.ndarray) -> None:
    track = mesher(tracking=True)
    assert track(portrait) is not None
    assert track(np.full_like(portrait, 128)) is None
    assert track(portrait) is not None


@pytest.mark.parametrize("select", ["largest", "surest"])
def test_the_largest_face_is_taken(mesher: Callable, portrait: np.ndarray, select: str) -> None:
    large = portrait[30:220, 140:310]
    small = large[::2, ::2]
    scene = np.full((190, 300, 3), 127, np.uint8)
    scene[:, :170], scene[40 : 40 + 95, 200 : 200 + 85] = large, small
    mesh = mesher(select=select)(scene)
    assert mesh is not None
    if select == "largest":
        assert mesh.landmarks[:, 0].max() < 190


def test_every_crop_has_a_mesh(models_dir: Path, portrait: np.ndarray) -> None:
    mesh_of = CropMesher(models_dir / LANDMARK_FILE, MeshSettings())
    face = np.ascontiguousarray(portrait[50:190, 160:290][::3, ::3])
    assert mesh_of(face).presence > 0.5
    nothing = mesh_of(np.zeros((48, 48, 3), np.uint8))
    assert nothing.landmarks.shape == (468, 3)
    assert np.isfinite(nothing.landmarks).all()


@pytest.mark.parametrize("degrees", [-135, -90, -60, 30, 120, 180])
def test_a_crop_may_lie_any_way_up(
    models_dir: Path, portrait: np.ndarray, error: Callable, degrees: float
) -> None:
    mesh_of = CropMesher(models_dir / LANDMARK_FILE, MeshSettings())
    face = np.ascontiguousarray(portrait[50:190, 160:300])
    turn = cv2.getRotationMatrix2D((69.5, 69.5), degrees, 1)
    lying = cv2.warpAffine(face, turn, (140, 140), borderMode=cv2.BORDER_REPLICATE)
    upright = mesh_of(face).landmarks
    where = upright.copy()
    where[:, :2] = upright[:, :2] @ turn[:, :2].T + turn[:, 2]
    assert error(mesh_of(lying), Mesh(where, 1.0)) < 0.06


@pytest.mark.parametrize(
    ("name", "turn"),
    [
        ("face_fear/fer2013_PublicTest_65629669.jpg", 0),  # other ways up look surer, at first
        ("face_surprised/fer2013_PublicTest_33947662.jpg", 0),
        ("face_happy/fer2013_PublicTest_1640397.jpg", 45),
        ("face_neutral/fer2013_PublicTest_75760032.jpg", 80),
    ],
)
def test_crops_are_taken_the_way_up_that_a_person_sees(
    models_dir: Path, datasets: Path, name: str, turn: float
) -> None:
    mesh_of = CropMesher(models_dir / LANDMARK_FILE, MeshSettings())
    with zipfile.ZipFile(datasets / "fer2013.zip") as archive:
        mesh = mesh_of(decode(archive.read(name), name))
    assert np.degrees(Roi.of_landmarks(mesh.landmarks).angle) == pytest.approx(turn, abs=15)


def test_both_runtimes_give_the_same_mesh(
    models_dir: Path, portrait: np.ndarray, photographs: Iterator[np.ndarray], monkeypatch
) -> None:
    pytest.importorskip("tflite_runtime", reason="tflite-runtime ends at Python 3.11")
    pytest.importorskip("ai_edge_litert")
    meshers = []
    for name in interpreter.RUNTIMES:
        monkeypatch.setattr(interpreter, "RUNTIMES", (name,))
        meshers.append(CropMesher(models_dir / LANDMARK_FILE, MeshSettings()))
    for image, _ in zip([portrait, *photographs], range(40), strict=False):
        one, other = (mesh_of(image) for mesh_of in meshers)
        scale = np.ptp(one.landmarks[:, :2])
        assert np.abs(one.landmarks - other.landmarks).max() < 1e-3 * scale
        assert one.presence == pytest.approx(other.presence, abs=1e-3)


def test_litert_comes_first_and_none_is_one_line(monkeypatch) -> None:
    assert interpreter.RUNTIMES[0].startswith("ai_edge_litert")
    monkeypatch.setattr(interpreter, "RUNTIMES", ("no_such_runtime", "nor_this_one"))
    with pytest.raises(SetupError, match="make edge") as caught:
        interpreter.runtime()
    assert "\n" not in str(caught.value)


def test_another_network_is_refused(models_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="not MediaPipe's mesh"):
        CropMesher(models_dir / tracker.DETECTOR_FILE, MeshSettings())
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"TFL3 but no more")
    with pytest.raises(SetupError, match="not a TFLite network"):
        CropMesher(broken, MeshSettings())


def test_tessellation_is_one_connected_mesh(models_dir: Path, tmp_path: Path) -> None:
    edges = tessellation(models_dir / CONNECTIONS_FILE)
    assert edges.shape == (1322, 2)
    assert (edges[:, 0] < edges[:, 1]).all()
    assert len(np.unique(edges)) == 468
    other = tmp_path / "other.txt"
    other.write_text("import os")
    with pytest.raises(SetupError, match="make models"):
        tessellation(other)


def test_a_face_that_turned_fast_is_looked_at_again(
    mesher: Callable, portrait: np.ndarray, error: Callable
) -> None:
    """12° between two frames: one look from where it was would be askew."""
    middle = (portrait.shape[1] / 2, portrait.shape[0] / 2)
    turned = cv2.warpAffine(
        portrait,
        cv2.getRotationMatrix2D(middle, 12, 1),
        portrait.shape[1::-1],
        borderValue=(127,) * 3,
    )
    track, settled = mesher(tracking=True, still=False), mesher()(turned)
    assert track(portrait) is not None
    assert error(track(turned), settled) < 0.02


@pytest.mark.parametrize("still", [True, False])
@pytest.mark.parametrize("share", [0.2, 0.3, 0.4])
@pytest.mark.parametrize("way", [(1, 0), (-1, 0), (0, 1), (0, -1)], ids=str)
def test_a_face_that_jumps_is_not_seen_askew(
    mesher: Callable,
    portrait: np.ndarray,
    error: Callable,
    way: tuple[int, int],
    share: float,
    still: bool,
) -> None:
    """By a third of its ROI between two frames: the mesh network is sure of a mesh that is half on
    the wall, and a look at where that lies sees it there again, for ever."""
    size = Roi.of_landmarks(mesher()(portrait).landmarks).size
    shifts = [step * share * size for step in way]
    jumped = moved(portrait, *shifts)
    track, expected = mesher(tracking=True, still=still), mesher()(jumped)
    for _ in range(3):
        track(portrait)
    for _ in range(3):
        assert error(track(jumped), expected) < 0.1


def moved(image: np.ndarray, right: float, down: float, squeezed: float = 1.0) -> np.ndarray:
    matrix = np.array([[1, 0, right], [0, squeezed, down]])
    return cv2.warpAffine(image, matrix, image.shape[1::-1])


@pytest.mark.parametrize("still", [True, False])
def test_a_face_that_jumps_in_every_frame(
    mesher: Callable, portrait: np.ndarray, error: Callable, still: bool
) -> None:
    """As at three frames a second: also right after it was found anew."""
    step = 0.35 * Roi.of_landmarks(mesher()(portrait).landmarks).size
    ways = [(0, 0), (-1, 0), (-1, 1), (0, 1), (0, 0), (1, 0), (0, 0)]
    pictures = [moved(portrait, x * step, y * step) for x, y in ways]
    track, alone = mesher(tracking=True, still=still), mesher()
    for _ in range(3):
        track(portrait)
    for image in pictures:
        assert error(track(image), alone(image)) < 0.1


def test_a_neighbour_is_not_taken_for_it(
    mesher: Callable, portrait: np.ndarray, error: Callable
) -> None:
    """A face that changes its shape at once is still the one that was followed, not a larger one
    beside it."""
    face = portrait[55:195, 172:278]
    larger = cv2.resize(face, (117, 154), interpolation=cv2.INTER_LINEAR)

    def beside(squeezed: float) -> np.ndarray:
        picture = np.full((360, 480, 3), 127, np.uint8)
        height = round(140 * squeezed)
        picture[110 : 110 + height, 120:226] = cv2.resize(face, (106, height))
        picture[103:257, 228:345] = larger
        return picture

    alone = beside(1)
    alone[:, 227:] = 127
    track = mesher(tracking=True, still=False)
    for image in (alone, alone, beside(1), beside(1)):
        before = track(image)
    after = track(beside(0.75))
    assert before.landmarks[:, 0].mean() < 227
    assert after.landmarks[:, 0].mean() < 227
    only = beside(0.75)
    only[:, 227:] = 127
    assert error(after, mesher()(only)) < 0.1


@pytest.mark.parametrize("presence", [1.0, 0.9])
def test_another_shape_that_the_detector_does_not_see(
    mesher: Callable, portrait: np.ndarray, monkeypatch: pytest.MonkeyPatch, presence: float
) -> None:
    """It is looked for everywhere, once; then it is believed, if the mesh network is sure of it."""
    track = mesher(tracking=True, still=False)
    for _ in range(3):
        track(portrait)
    asked = []
    monkeypatch.setattr(
        tracker.Detector, "__call__", lambda self, image, place=None: asked.append(place) or []
    )
    look = tracker.Landmarker.__call__
    monkeypatch.setattr(
        tracker.Landmarker,
        "__call__",
        lambda *given, **named: replace(look(*given, **named), presence=presence),
    )
    squeezed = moved(portrait, 0, 0.25 * 120, 0.75)
    # Near it, where it was, and everywhere; the first two in one frame.
    places = len(elsewhere(*portrait.shape[:2])) + 5
    doubted = [track(squeezed) is not None for _ in range(places - 2)]
    assert all(doubted)
    assert len(asked) == places - 1
    for _ in range(3):
        assert (track(squeezed) is not None) == (presence == 1)
    assert presence < 1 or len(asked) == places


@pytest.mark.parametrize("degrees", [0, 25])
def test_the_mirrored_look_is_at_the_mirror_image(
    mesher: Callable, portrait: np.ndarray, error: Callable, degrees: float
) -> None:
    """And not at `landmarks`, mirrored; only pictures that stand alone are looked at so."""
    middle = (portrait.shape[1] / 2, portrait.shape[0] / 2)
    image = cv2.warpAffine(
        portrait, cv2.getRotationMatrix2D(middle, degrees, 1), portrait.shape[1::-1]
    )
    seen = mesher()(image)
    other = np.ascontiguousarray(image[:, ::-1])
    alone = mesher(crop_mirrored=False)(other)
    assert alone.mirrored is None
    assert error(Mesh(seen.mirrored, 1.0), alone) < 0.02
    twisted = seen.landmarks * np.float32([-1, 1, 1]) + np.float32([image.shape[1] - 1, 0, 0])
    assert error(Mesh(twisted, 1.0), alone) > 0.2  # right is left in it
    assert mesher(tracking=True)(image).mirrored is None
