"""What several rooms need: the bundle, a portrait, small data sets, the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# As `python -m edge` sets it: a test's own process and those it starts have to round alike.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import cv2
import hypothesis
import numpy as np
import pytest

from edge import Recognizer
from edge.cameras.opencv import read_picture
from edge.types import CLASSES
from train.prepare import Data
from train.views import OTHERS

# As `train.graph` sets it, which comes too late where mediapipe has imported TensorFlow before.
os.environ["TF_USE_LEGACY_KERAS"] = "1"

# The cores are shared: an example that took long tells nothing.
hypothesis.settings.register_profile("shared", deadline=None)
hypothesis.settings.load_profile("shared")

# In a shell's background Ctrl-C is ignored, and what is started there ignores it, too.
signal.signal(signal.SIGINT, signal.default_int_handler)

REPO = Path(__file__).resolve().parent.parent
_MADE = ("face_detection_short_range.tflite", "face_landmark.tflite", "sample.png", "sample.y4m")


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """The checkout's bundle with the networks in it."""
    folder = REPO / "models"
    missing = [name for name in _MADE if not (folder / name).is_file()]
    if missing:
        pytest.fail(f"models/ lacks {', '.join(missing)}: run `make models`", pytrace=False)
    return folder


@pytest.fixture(scope="session")
def portrait(models_dir: Path) -> np.ndarray:
    """NASA's portrait of Eileen Collins, (512, 512, 3) RGB: one face, smiling."""
    image = read_picture(models_dir / "sample.png").image
    image.setflags(write=False)  # shared by all tests
    return image


@pytest.fixture(scope="session")
def small(portrait: np.ndarray) -> np.ndarray:
    """The portrait's head and shoulders, (200, 200, 3) RGB."""
    return portrait[20:220, 120:320]


@pytest.fixture(scope="session")
def datasets() -> Path:
    """The folder with the real data sets, which are not part of the repository."""
    folder = REPO.parent / "shared" / "datasets"
    if not list(folder.glob("*.zip")):
        pytest.skip("no data set zips in ../shared/datasets")
    return folder


@pytest.fixture
def bundle_copy(models_dir: Path, tmp_path: Path) -> Path:
    """A bundle of its own that a test may spoil: links, and a manifest that is a file."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    for path in models_dir.iterdir():
        if path.name == "manifest.json":
            (folder / path.name).write_bytes(path.read_bytes())
        else:
            (folder / path.name).symlink_to(path)
    return folder


def warped(portrait: np.ndarray, label: int, seed: int, size: int = 48) -> np.ndarray:
    """A face crop (size, size, 3) RGB that no other seed resembles.

    The class is a stretch and a shear, which the features keep; the seed is turn, scale, place
    and light, which they do not.
    """
    rng = np.random.default_rng([label, seed])
    angle, scale = rng.uniform(-0.5, 0.5), size / 150 * rng.uniform(0.85, 1.15)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    bend = 2 * np.pi * label / len(CLASSES)
    shape = np.eye(2) + 0.25 * np.array(
        [[np.cos(bend), np.sin(bend)], [np.sin(bend), -np.cos(bend)]]
    )
    turn = np.array([[cos, -sin], [sin, cos]]) @ shape
    place = np.array([size / 2, size / 2]) + rng.uniform(-4, 4, 2) - turn @ (222, 118)
    face = cv2.warpAffine(portrait, np.column_stack([turn, place]), (size, size))
    light = cv2.resize(rng.uniform(0.15, 1.3, (3, 3)), (size, size), interpolation=cv2.INTER_CUBIC)
    return np.clip(face * light[..., None], 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def build_dataset(portrait: np.ndarray) -> Callable[..., Path]:
    """Writes a `face_<class>/` tree named like FER-2013 into a folder."""

    def build(root: Path, train: int = 16, validation: int = 6) -> Path:
        for label, name in enumerate(CLASSES):
            folder = root / f"face_{name}"
            folder.mkdir(parents=True)
            for i in range(train + validation):
                split = "Training" if i < train else "PublicTest"
                grey = cv2.cvtColor(warped(portrait, label, i), cv2.COLOR_RGB2GRAY)
                cv2.imwrite(str(folder / f"fer2013_{split}_{label}{i:03d}.jpg"), grey)
        return root

    return build


@pytest.fixture
def tiny_dataset(build_dataset: Callable[..., Path], tmp_path: Path) -> Path:
    """A folder of warped portraits, enough of each class to train and to validate."""
    return build_dataset(tmp_path / "tiny")


@pytest.fixture(scope="session")
def tensorflow() -> Any:
    """TensorFlow as the training sets it up; who asks for it is skipped where there is none."""
    if not find_spec("tensorflow"):
        pytest.skip("no TensorFlow: it needs Python 3.11 or 3.12")
    from train.graph import tf

    return tf


@pytest.fixture(scope="session")
def draw_faces(models_dir: Path, portrait: np.ndarray) -> Callable[..., Data]:
    """Draws training data: the portrait's mesh, bent in one way for a class, and by chance."""
    mesh = Recognizer(models_dir)(portrait).mesh
    assert mesh is not None
    low, high = mesh.landmarks.min(axis=0), mesh.landmarks.max(axis=0)
    x, y, _ = ((mesh.landmarks - low) / (high - low) * np.pi).T
    waves = np.stack([np.cos(i * x) * np.cos(j * y) for i in range(4) for j in range(4)])

    def bends(rng: np.random.Generator, count: int, size: float) -> np.ndarray:
        weights = rng.normal(0, size * (high - low)[0] / 4, (count, len(waves), 3))
        return np.einsum("nwc,wp->npc", weights, waves)

    meant = bends(np.random.default_rng(7), len(CLASSES), 0.015)

    def draw(train: int = 210, validation: int = 70, seed: int = 0) -> Data:
        rng = np.random.default_rng(seed)

        def landmarks(label: np.ndarray) -> np.ndarray:
            bent = mesh.landmarks + meant[label] + bends(rng, len(label), 0.03)
            return (bent + rng.normal(0, 0.1, bent.shape)).astype(np.float32)

        label, asked = (np.arange(count) % len(CLASSES) for count in (train, validation))
        return Data(
            landmarks=landmarks(label),
            views={view: landmarks(label) for view in OTHERS},
            label=label,
            source=np.full(train, "drawn"),
            pictures=(),
            presence=np.ones(train, np.float32),
            validation_landmarks=landmarks(asked),
            validation_label=asked,
            validation_source=np.full(validation, "drawn"),
            validation_pictures=(),
            validation_presence=np.ones(validation, np.float32),
            validation_group=np.arange(validation),
            validation_mirrored=landmarks(asked),
        )

    return draw


@pytest.fixture(scope="session")
def teach(draw_faces: Callable[..., Data], tensorflow: Any) -> Callable[..., Path]:
    """Leaves in a folder what `make train` does, trained on drawn faces."""
    from train import gnn
    from train.__main__ import fit

    def run(out: Path, *recipes: str, fingerprint: str = "0", **settings: Any) -> Path:
        """`settings`: of the graph network, where not as shipped."""
        data = draw_faces()
        believed = {"pictures": 30, "believed": 1.0}
        about = {
            "dataset": {
                "fingerprint": fingerprint,
                "train_on": ["drawn"],
                "train": len(data.label),
                "validation": len(data.validation_label),
                "near": 0.94,
            },
            "meshes": {"version": 2},
            "notes": [],
            "coverage": {"drawn": dict.fromkeys((*CLASSES, "all"), believed)},
            "models": {},
        }
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(gnn, "Settings", partial(gnn.Settings, **settings))
            fit(data, about, Namespace(recipes=recipes, out=out, leave_out=False))
        return out

    return run


@pytest.fixture(scope="session")
def trained_dir(teach: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SVM and graph network as trained; not to be changed."""
    return teach(tmp_path_factory.mktemp("trained"), "svm", "gnn")


class Result(subprocess.CompletedProcess[str]):
    """A finished command, with what it said taken apart."""

    @property
    def readings(self) -> list[dict[str, Any]]:
        """The JSON objects on stdout."""
        return [json.loads(line) for line in self.stdout.splitlines()]

    @property
    def complaints(self) -> list[str]:
        """The lines on stderr; each has to be one that we wrote."""
        told = self.stderr.splitlines()
        assert all(line.startswith("edge: ") for line in told), self.stderr
        return [line.removeprefix("edge: ") for line in told]


Command = Callable[..., Result]


@pytest.fixture
def command(tmp_path: Path, models_dir: Path) -> Command:
    """Runs `python -m edge …` in a folder of its own, as a user would."""

    def run(
        *arguments: object,
        module: str = "edge",
        python: str | Path = sys.executable,
        **options: object,
    ) -> Result:
        environment = {**os.environ, "PYTHONPATH": str(REPO)}
        line = [python, "-m", module, *map(str, arguments)]
        given = {"cwd": tmp_path, "env": environment, "stdout": subprocess.PIPE, **options}
        done = subprocess.run(
            line, stderr=subprocess.PIPE, text=True, timeout=120, check=False, **given
        )
        return Result(done.args, done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def save() -> Callable[[Path, np.ndarray], Path]:
    """Writes an RGB array as a picture, folders and all."""

    def write(path: Path, rgb: np.ndarray) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), np.ascontiguousarray(rgb[..., ::-1]))
        return path

    return write


@pytest.fixture
def edit_manifest(bundle_copy: Path) -> Callable[..., Path]:
    """Changes top-level entries of the manifest of `bundle_copy`; the bundle's folder."""

    def edit(**entries: object) -> Path:
        path = bundle_copy / "manifest.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))
        return bundle_copy

    return edit
